"""What the mirror held at a moment: the same views, over what their tables held then.

In a transaction of its own each table of states is covered by a temporary view of its history at that moment, and the
`v1_` views are made again over these. So whatever a view says of deletions, containers and who may see what holds for
the moment, too. At the end all of it is undone: nothing is written.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import QueryInvalid
from service.mirror import controls, history
from service.mirror.described import VIEWS
from service.mirror.store import Store
from service.mirror.tables import HISTORIES, STATES, UtcTime, key_of, lineage_events
from service.mirror.views import HIDDEN
from service.queries import past_parts

#: Views that tell what the tables of states held; those that read others stand behind them.
KEPT = (
    *(f"v1_{table.name}" for table in STATES.values()),
    "v1_category_paths", "v1_category_ancestors", "v1_category_artifacts",
)  # fmt: skip
#: Views of facts, which are told once: those until the moment, as they are known now.
FACTS = ("v1_lineage_events", "v1_lineage_edges")
#: All that can be asked; those that show what belonged to assets are filled where they are named.
ASKED = (*KEPT, *FACTS, *past_parts.PARTS)


@dataclass(frozen=True, slots=True)
class Rows:
    """What a query found; `is_cut` where there was more than was asked for."""

    columns: list[str]
    rows: list[Sequence[Any]]
    is_cut: bool


async def ask(store: Store, moment: datetime, query: str, limit: int) -> Rows:
    """What a query of the views finds as they were at a moment.

    Raises:
        QueryInvalid: a view has no history, or the store does not understand the query.
        StoreUnavailable: it does not answer.
    """
    named = _named(query)
    async with store.translated(), at(store, moment, named) as connection:
        try:
            found = await connection.exec_driver_sql(query)
        except DBAPIError as error:
            if not _is_misunderstood(error):
                raise
            raise QueryInvalid(
                _said(error), f"Ask {', '.join(KEPT[:3])}, … by SELECT, as {store.dialect} has it."
            ) from None
        if not found.returns_rows:
            raise QueryInvalid("The query finds no rows", "Ask by SELECT.")
        rows = found.fetchmany(limit + 1)
    return Rows(list(found.keys()), list(rows[:limit]), len(rows) > limit)


async def complete_since(store: Store) -> datetime | None:
    """From which moment on the histories lack nothing; None: they are not kept, or have not begun everywhere."""
    async with store.reading() as connection:
        known = await controls.read_controls(connection)
    return known[history.SINCE][1] if history.SINCE in known else None


def _named(query: str) -> set[str]:
    """The views that a query names."""
    named = set(re.findall(r"\bv1_\w+", query.lower()))
    now_only = sorted(name for name in named if name in VIEWS and name not in ASKED and not name.endswith("_history"))
    if now_only:
        raise QueryInvalid(
            f"{now_only[0]} is known of now alone", f"There is a history of {', '.join(ASKED)}; documents are in them."
        )
    return named


def _is_misunderstood(error: DBAPIError) -> bool:
    """Whether the store refused the words of a query, or a value in it, rather than us."""
    state = getattr(error.orig, "sqlstate", None)
    return state[:2] in ("0A", "21", "22", "25", "42") if state else isinstance(error.orig, sqlite3.Error)


def _said(error: DBAPIError) -> str:
    return (str(error.orig).splitlines() or [type(error.orig).__name__])[0].rpartition(">: ")[2]


@asynccontextmanager
async def at(store: Store, moment: datetime, named: Collection[str] = ASKED) -> AsyncIterator[AsyncConnection]:
    """A transaction in which the views say what they said at a moment, and nothing can be written.

    Args:
        named: the views that are asked; what belonged to assets costs reading their documents.
    """
    async with store.read() as connection:
        try:
            await _cover(connection, store, moment, named)
            await connection.exec_driver_sql(_ONLY_READS[store.dialect])
            yield connection
        finally:
            await connection.rollback()
            if store.dialect == "sqlite":
                await connection.exec_driver_sql("PRAGMA query_only = OFF")


_ONLY_READS = {"postgresql": "SET TRANSACTION READ ONLY", "sqlite": "PRAGMA query_only = ON"}
#: Every view with the query that makes it.
_DEFINITIONS = {
    "postgresql": "SELECT viewname, definition FROM pg_views WHERE schemaname = current_schema()",
    "sqlite": "SELECT name, sql FROM main.sqlite_master WHERE type = 'view'",
}
_CREATE = re.compile(r'^\s*CREATE VIEW "?\w+"? AS\s', re.I)
#: Where tables of the present are, once they are covered.
_PRESENT = {"postgresql": "SELECT quote_ident(current_schema())", "sqlite": "SELECT 'main'"}


async def _cover(connection: AsyncConnection, store: Store, moment: datetime, named: Collection[str]) -> None:
    """Put the past before the present."""
    if store.schema:
        quoted = connection.dialect.identifier_preparer.quote(store.schema)
        await connection.exec_driver_sql(f"SET LOCAL search_path TO {quoted}")
    rows: Sequence[Any] = (await connection.exec_driver_sql(_DEFINITIONS[store.dialect])).all()
    known = {row[0]: _CREATE.sub("", row[1]).rstrip("; \n") for row in rows}
    present = (await connection.exec_driver_sql(_PRESENT[store.dialect])).scalar_one()
    tables = {table.name: _state_at(connection, kind, moment, present) for kind, table in STATES.items()}
    tables["lineage_events"] = _events_until(connection, moment, present)
    await _make(connection, tables)
    await _make(connection, await past_parts.fill(connection, named))
    await _make(connection, {name: known[name] for name in (*KEPT, *FACTS, *(set(named) & past_parts.PARTS.keys()))})


async def _make(connection: AsyncConnection, views: Mapping[str, str]) -> None:
    for name, query in views.items():
        await connection.exec_driver_sql(f"CREATE TEMP VIEW {name} AS {query}")


def _events_until(connection: AsyncConnection, moment: datetime, present: str) -> str:
    """Lineage events until then; one that nobody knows the time of has that of its state, or is left out."""
    when = sa.func.coalesce(lineage_events.c.event_time, lineage_events.c.version_at)
    query = sa.select(*lineage_events.c).where(when <= sa.literal(moment, UtcTime))
    told = str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
    return told.replace(f"FROM {lineage_events.name}", f"FROM {present}.{lineage_events.name}")


def _state_at(connection: AsyncConnection, kind: str, moment: datetime, present: str) -> str:
    """What a table held: of each thing the highest version until then. What is hidden now is hidden, whenever it is."""
    kept = HISTORIES[kind]
    later, key = kept.alias("later"), key_of(kept).name
    until = sa.literal(moment, UtcTime)
    overtaken = sa.exists().where(
        later.c[key] == kept.c[key], later.c.version > kept.c.version, later.c.version_at <= until
    )
    query = sa.select(*(kept.c[column.name] for column in STATES[kind].c if column.name != "replaces"))
    query = query.where(kept.c.version_at <= until, ~overtaken)
    if kind == "asset":
        hidden = f"now.asset_id = {kept.name}.asset_id AND now.visibility_mode IN {HIDDEN}"
        now = f"SELECT 1 FROM {present}.assets now WHERE {hidden}"  # noqa: S608 (names of ours)
        query = query.where(sa.text(f"NOT EXISTS ({now})"))
    return str(query.compile(dialect=connection.dialect, compile_kwargs={"literal_binds": True}))
