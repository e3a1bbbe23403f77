"""Data contracts over HTTP, by start token, as IBM's own client calls for them."""

from __future__ import annotations

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.containers import Container
from sandbox.catalog.contracts import contract_document, run_document
from sandbox.catalog.paging import started
from sandbox.catalog.problems import not_found

_LIMIT = 20


def list_contracts(call: Call) -> Answer:
    """`GET /data_quality/v4/{catalogs|projects}/{container_id}/data_contracts`."""
    contracts = call.catalog.contracts.of(_container(call).id)
    limit = call.number("limit", _LIMIT)
    page, links = started(call, contracts, lambda one: (one.created_s, one.id), limit)
    shown = [contract_document(one, flat=call.catalog.knobs.forms.flat_contracts) for one in page]
    return Answer({"total_count": len(contracts), "limit": limit, **links, "data_contracts": shown})


def get_contract(call: Call) -> Answer:
    """`GET /data_quality/v4/{catalogs|projects}/{container_id}/data_contracts/{id}`."""
    found = call.catalog.contracts.get(call.word("id"), _container(call).id)
    return Answer(contract_document(found, flat=call.catalog.knobs.forms.flat_contracts))


def list_test_results(call: Call) -> Answer:
    """`GET …/data_contracts/{id}/test_results`: 404 where there are none; of a catalog's contract only the last one."""
    container = _container(call)
    found = call.catalog.contracts.get(call.word("id"), container.id)
    if not found.runs:
        raise not_found("test result", found.id)
    if container.kind == "catalog":
        return Answer(run_document(found.runs[-1]))
    runs = [run_document(one) for one in reversed(found.runs)]
    return Answer({"total_count": len(runs), "test_results": runs})


def get_test_result(call: Call) -> Answer:
    """`GET …/data_contracts/{id}/test_results/{run_id}`."""
    for run in call.catalog.contracts.get(call.word("id"), _container(call).id).runs:
        if run.id == call.word("run_id"):
            return Answer(run_document(run))
    raise not_found("test result", call.word("run_id"))


def _container(call: Call) -> Container:
    kind = "catalog" if call.word("kind") == "catalogs" else "project"
    return call.catalog.containers.opened(kind, call.word("container_id"))  # type: ignore[arg-type]
