"""Rules over HTTP: those of projects by start token, data protection rules by offset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.paging import offset_page, started
from sandbox.catalog.rules import definition_document, execution_document, rule_document

_T = TypeVar("_T")
_PROTECTION_LIMIT = 50


def list_definitions(call: Call) -> Answer:
    """`GET /data_quality/v3/projects/{project_id}/definitions`."""
    return _started(call, call.catalog.rules.definitions(_project(call)), "definitions", definition_document)


def list_rules(call: Call) -> Answer:
    """`GET /data_quality/v3/projects/{project_id}/rules`."""
    return _started(call, call.catalog.rules.of(_project(call)), "rules", rule_document)


def list_executions(call: Call) -> Answer:
    """`GET /data_quality/v3/projects/{project_id}/rules/{rule_id}/executions`: newest first."""
    rule = call.catalog.rules.get(call.word("rule_id"), _project(call))
    return _started(call, rule.executions, "executions", lambda one: execution_document(rule, one))


def list_protection_rules(call: Call) -> Answer:
    """`GET /v3/enforcement/rules`: archived ones, too."""
    rules = call.catalog.rules.protecting()
    page, envelope = offset_page(call, rules, default=_PROTECTION_LIMIT, multiple=False)
    return Answer(envelope | {"resources": page})


def _project(call: Call) -> str:
    return call.catalog.containers.opened("project", call.word("project_id")).id


def _started(call: Call, every: Sequence[_T], key: str, document: Callable[[_T], dict[str, Any]]) -> Answer:
    limit = call.number("limit", 200)
    numbered = list(enumerate(every))
    page, links = started(call, numbered, lambda pair: (pair[0],), limit)
    return Answer({"total_count": len(every), "limit": limit, **links, key: [document(one) for _, one in page]})
