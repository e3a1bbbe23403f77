"""Statements as spans, within what is traced: their kind and table; never their text, and never a value."""

from __future__ import annotations

import re
from typing import Any

import sqlalchemy as sa

from service.mirror.store import Store
from service.mirror.tables import metadata
from service.telemetry.traces import Kind, current

#: Kinds of statements that we make; of others nothing is told.
_KIND = re.compile(r"\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\b", re.I)
#: Names behind these words may be tables.
_NAMED = re.compile(r'\b(?:FROM|INTO|UPDATE|JOIN)\s+(?:"?\w+"?\.)?"?(\w+)', re.I)
_SPAN = "catalog_mirror_span"


def follow(store: Store) -> None:
    """Put a span around each statement that a traced call or batch makes; for a service that traces."""
    engine = store.engine.sync_engine
    system = {"postgresql": "postgresql", "sqlite": "sqlite"}[store.dialect]

    def begin(_: Any, __: Any, statement: str, ___: Any, context: Any, ____: bool) -> None:
        span = current()
        if context is None or span is None or not span.is_recorded:
            return
        about = {"db.system.name": system} | described(statement)
        name = " ".join(about[part] for part in ("db.operation.name", "db.collection.name") if part in about)
        setattr(context, _SPAN, span.child(name or system, Kind.CLIENT, about))

    def end(_: Any, __: Any, ___: str, ____: Any, context: Any, _____: bool) -> None:
        if span := getattr(context, _SPAN, None):
            span.end()

    def fail(failure: sa.engine.ExceptionContext) -> None:
        if span := getattr(failure.execution_context, _SPAN, None):
            span.end(type(failure.original_exception).__name__)

    sa.event.listen(engine, "before_cursor_execute", begin)
    sa.event.listen(engine, "after_cursor_execute", end)
    sa.event.listen(engine, "handle_error", fail)


def described(statement: str) -> dict[str, str]:
    """Kind and table of a statement: the first table or view of ours that it names, so that nothing else gets out."""
    kind = _KIND.match(statement)
    about = {"db.operation.name": kind[1].upper()} if kind else {}
    for name in _NAMED.findall(statement):
        if name in metadata.tables or name.startswith("v1_"):
            return about | {"db.collection.name": name}
    return about
