"""Pages of reference, made from the code: commands, metrics, tables, topics, endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from aiohttp import web

from service.cli.common import WithDefault
from service.http import openapi, probes
from service.http.admin import openapi as admin_openapi
from service.mirror.tables import HISTORIES, metadata
from service.pipeline.routing import Evidence, Router, installed_handlers
from service.telemetry.metrics import Metrics


def commands(program: Any) -> str:
    """Every command of the program with its arguments and options."""
    lines = [
        "# Commands",
        "",
        "Made by `catalog-mirror docs commands`. Exit 0 done, 1 failed, 2 wrong usage or settings.",
    ]
    for name, command in _commands(program, "catalog-mirror"):
        lines += ["", f"## {name}", "", _text(command.help)]
        rows = [_parameter(parameter) for parameter in command.params if parameter.name != "help"]
        if rows:
            lines += ["", *_table(("argument or option", "meaning"), rows)]
    return _page(lines)


def _commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    members = getattr(command, "commands", {})
    if not members:
        yield name, command
    meant = ["show"] if isinstance(command, WithDefault) else []
    for member in meant:
        yield from _commands(members[member], name)
    for member in sorted(members.keys() - meant):
        yield from _commands(members[member], f"{name} {member}")


def _parameter(parameter: Any) -> tuple[str, str]:
    if parameter.param_type_name == "argument":
        name = (parameter.metavar or parameter.name).upper()
        return f"`{name}`" + ("" if parameter.required else " (optional)"), _text(parameter.help)
    names = ", ".join(f"`{name}`" for name in (*parameter.opts, *parameter.secondary_opts))
    default = parameter.default
    shown = "" if default in (None, False, [], ()) or callable(default) else f" Default: `{default}`."
    return names, _text(parameter.help) + shown


def metrics() -> str:
    """Every metric with its labels."""
    lines = ["# Metrics", "", "Made by `catalog-mirror docs metrics`. Served on `HTTP__PORT` at `/metrics`.", ""]
    rows = [
        (f"`{name}`", kind, ", ".join(f"`{label}`" for label in labels), meaning)
        for name, kind, labels, meaning in Metrics().described
    ]
    lines += _table(("metric", "kind", "labels", "meaning"), rows)
    lines += [
        "",
        "A histogram has `_bucket`, `_sum` and `_count`. The label `topic` is the pattern of a route, or `other`.",
    ]
    return _page(lines)


def tables() -> str:
    """Every table with its columns."""
    lines = ["# Tables", "", "Made by `catalog-mirror docs tables`. They are ours and change with the schema:"]
    lines += ["query the views ([mirror.md](mirror.md)), which do not."]
    lines += [
        "",
        "Each table of states has a history beside it (`assets_history`): the same columns without `replaces`,",
    ]
    lines += ["named by the key and `version`, and `is_exact`: an event tells the moment, else a reading found it so."]
    for table in metadata.sorted_tables:
        if table in HISTORIES.values():
            continue
        lines += ["", f"## {table.name}", ""]
        rows = [
            (f"`{column.name}`" + (" (key)" if column.primary_key else ""), _type(column), column.comment or "")
            for column in table.columns
        ]
        lines += _table(("column", "type", "meaning"), rows)
    return _page(lines)


def _type(column: Any) -> str:
    kind = str(column.type).lower() if type(column.type).__name__ != "UtcTime" else "moment"
    return kind if column.nullable else f"{kind}, not null"


def topics() -> str:
    """Every topic with the handler that takes it, and how we know of it."""
    lines = [
        "# Topics",
        "",
        "Made by `catalog-mirror docs topics`. `ROUTES__OVERRIDES` gives a topic to another handler,",
    ]
    lines += ["or to `ignore`; the whole, with bodies, as AsyncAPI: [asyncapi.yaml](asyncapi.yaml).", ""]
    rows = [
        (f"`{route.pattern.text}`", f"`{route.handler.name}`", str(route.evidence), route.handler.meaning)
        for route in Router(installed_handlers()).routes
        if route.handler and route.evidence is not Evidence.OURS
    ]
    lines += _table(("topic", "handler", "how known", "what it does"), rows)
    return _page(lines)


def endpoints() -> str:
    """Every endpoint of every port."""
    app = probes.application(probes.Health, Metrics().registry)
    lines = ["# Endpoints", "", "Made by `catalog-mirror docs endpoints`. On `HTTP__PORT`, without sign-in:", ""]
    rows = [(f"`{route.method} {_path(route)}`", _text(route.handler.__doc__)) for route in _routes(app)]
    lines += _table(("endpoint", "answers"), rows)
    lines += ["", "On `HTTP__API_PORT`, with bodies and answers in [openapi.yaml](openapi.yaml):", ""]
    lines += _table(("endpoint", "does", "scope"), _described_endpoints(openapi.document()))
    lines += ["", "On `HTTP__ADMIN_PORT`, with bodies and answers in [openapi-admin.yaml](openapi-admin.yaml):", ""]
    lines += _table(("endpoint", "does", "scope"), _described_endpoints(admin_openapi.document()))
    return _page(lines)


def _described_endpoints(document: dict[str, Any]) -> Iterator[tuple[str, str, str]]:
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            scope = re.search(r"scope `(\w+)`", operation.get("description", ""))
            yield f"`{method.upper()} {path}`", operation["summary"], scope.group(1) if scope else ""


def _routes(app: web.Application) -> Iterable[web.AbstractRoute]:
    return (route for route in app.router.routes() if route.method != "HEAD")


def _path(route: web.AbstractRoute) -> str:
    return route.resource.canonical if route.resource else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    head = [f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
    return head + [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]


def _text(help_text: str | None) -> str:
    return " ".join((help_text or "").split())


def _page(lines: list[str]) -> str:
    return "\n".join(lines) + "\n"
