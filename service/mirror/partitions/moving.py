"""Give a large table another form, beside everybody who reads and writes it, and again after an interruption.

A twin is made with a trigger that carries writes over; what was there before is copied batch by batch; both are
compared in one snapshot; then names are swapped. Until then the table is as it was, and each step may be repeated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import MirrorError
from service.mirror import indexes, tables
from service.mirror.partitions import twins
from service.mirror.partitions.twins import Twin
from service.mirror.patience import enter, is_locked, patiently
from service.mirror.store import STORE_ERRORS, Store
from service.mirror.tables import HISTORIES, STATES

#: Parts of a table at most: who asks for what no key names looks into each of them.
MAX_PARTS = 256
#: Rows of one transaction that copies: who changes one of them waits for it.
BATCH_ROWS = 500
#: Milliseconds to wait for a view once we have its table: a reader may have the view and wait for us. We give way
#: before PostgreSQL looks for deadlocks (`deadlock_timeout`, 1 s) and ends one of us, which may be the reader.
_VIEW_TIMEOUT_MS = 500
#: PostgreSQL's refusals of a form: missing rights, dependent objects, and what a server does not have.
_REFUSED = frozenset({"42501", "2BP01", "0A000", "42P16", "42P17"})

_SCHEMA = "SELECT quote_ident(coalesce(CAST(:name AS text), current_schema()))"

#: The tables that grow with the catalog and its lineage; those of work stay small, and deliveries have two keys.
TABLES: dict[str, sa.Table] = {
    str(table.name): table
    for table in (
        *STATES.values(),
        *HISTORIES.values(),
        tables.asset_columns,
        tables.asset_terms,
        tables.asset_classifications,
        tables.column_classifications,
        tables.asset_attributes,
        tables.asset_attachments,
        tables.lineage_events,
        tables.lineage_edges,
        tables.openlineage_events,
        tables.column_flows,
        tables.column_facets,
        tables.run_facts,
        tables.quality_assertions,
        tables.usage_facts,
        tables.profile_classes,
        tables.profile_documents,
        tables.profile_runs,
    )
}

#: Given the table, and how many rows were looked at.
Tell = Callable[[str, int], None]


class PartitionRefused(MirrorError):
    """{table} keeps its form: {problem}."""

    remedy = "Nothing was lost: the table is as it was. See `Parts of a table` in docs/scaling.md."


class CopyDiffers(MirrorError):
    """The copy of {table} beside it has other rows than it."""

    remedy = (
        "Something wrote past the trigger: TRUNCATE, or a session with session_replication_role. The table is as it "
        "was; `db partition {table} --parts {parts}` takes the copy away, then begin again."
    )


@dataclass(frozen=True, slots=True)
class Moved:
    """A table of so many parts, 1 where it is whole, that had other ones before; and its rows."""

    table: str
    before: int
    after: int
    rows: int


async def move(store: Store, table: sa.Table, parts: int, *, keep: bool = False, tell: Tell | None = None) -> Moved:
    """Give a table so many parts, 1 to have it whole again; where it has them, what was left half-way is taken away.

    Args:
        keep: leave what was the table before, under another name.

    Raises:
        PartitionRefused: it cannot have that form, with what is in the way.
        CopyDiffers: something wrote to the table that the trigger did not see.
        StoreUnavailable, SchemaLocked: as whoever changes the schema; may be repeated.
    """
    async with store.reading() as connection:
        schema = await connection.scalar(sa.text(_SCHEMA), {"name": store.schema})
    twin = Twin(table, schema)
    async with store.translated(), indexes.alone(store) as is_alone:
        if not is_alone:
            raise PartitionRefused(table=table.name, problem="another one builds indexes or moves a table just now")
        before = await _changing(store, twin, lambda connection: _begin(connection, twin, parts))
        rows = 0
        if before != parts:
            await _copy(store, twin, tell or (lambda *_: None))
            rows = await _compare(store, twin, before)
            await _changing(store, twin, lambda connection: _end(connection, twin, parts, keep=keep))
        await _look(store, twin)
    return Moved(str(table.name), before, parts, rows)


async def _changing(store: Store, twin: Twin, work: Callable[[AsyncConnection], Any]) -> Any:
    """One step that changes tables, as whom the table belongs to."""

    async def step(connection: AsyncConnection) -> Any:
        await connection.run_sync(enter, store.schema)
        if await twins.parts_of(connection, twin.original) is None:
            raise PartitionRefused(table=twin.table.name, problem="it is not there yet: run `db upgrade` first")
        try:
            return await work(connection)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _REFUSED:
                raise
            told = str(getattr(error.orig, "__cause__", None) or error.orig).splitlines()[0]
            raise PartitionRefused(table=twin.table.name, problem=told) from None

    return await patiently(store, step)


async def _begin(connection: AsyncConnection, twin: Twin, parts: int) -> int:
    """Make the twin, unless it is there from before; answers how many parts the table has."""
    before = await twins.parts_of(connection, twin.original)
    assert before is not None
    await twins.become_owner(connection, twin)
    if before != parts and (problems := await twins.obstacles(connection, twin)):
        raise PartitionRefused(table=twin.table.name, problem="; ".join(problems))
    if before == parts:
        await twins.drop(connection, twin)
    elif not await twins.fits(connection, twin, parts):
        await twins.drop(connection, twin)
        await twins.make(connection, twin, parts)
    return before


async def _copy(store: Store, twin: Twin, tell: Tell) -> None:
    """Copy what is not there yet, in the order of keys. Rows stay locked until their copies are seen by all."""
    async with store.reading() as connection:
        names = ", ".join(await twins.columns(connection, twin))
    keys = [str(column.name) for column in twin.table.primary_key]
    last: dict[str, Any] = {}
    done = 0
    while True:
        try:
            async with store.write() as connection:
                row = (await connection.execute(_page(twin, names, keys if last else []), last)).one_or_none()
        except STORE_ERRORS as error:
            if is_locked(error):  # a writer and we had what the other wanted: PostgreSQL chose us
                continue
            raise
        if row is not None:
            last = dict(zip(keys, row[:-1], strict=True))
            done += row.rows
            tell(str(twin.table.name), done)
        if row is None or row.rows < BATCH_ROWS:
            return


def _page(twin: Twin, names: str, after: Sequence[str]) -> sa.TextClause:
    """Copies the rows that follow these keys; answers the last key of them, and how many they were."""
    condition = f"WHERE ({twin.keys}) > ({', '.join(f':{key}' for key in after)})" if after else ""
    page = f"SELECT {names} FROM {twin.original} {condition} ORDER BY {twin.keys} LIMIT {BATCH_ROWS} FOR SHARE"  # noqa: S608
    backwards = ", ".join(f"{key} DESC" for key in twin.keys.split(", "))
    return sa.text(
        f"WITH page AS MATERIALIZED ({page}), copied AS (INSERT INTO {twin.name} ({names}) "  # noqa: S608 (names of ours)
        f"SELECT {names} FROM page ON CONFLICT DO NOTHING) "
        f"SELECT {twin.keys}, count(*) OVER () AS rows FROM page ORDER BY {backwards} LIMIT 1"
    )


async def _compare(store: Store, twin: Twin, parts: int) -> int:
    """Hold all rows of both against each other, in one snapshot; answers how many there are."""
    async with store.reading() as connection:
        names = ", ".join(await twins.columns(connection, twin))
        told = "SELECT count(*) AS rows, coalesce(sum(hashtextextended(ROW({})::text, 0)), 0) AS hash FROM {}"
        ours, theirs = (told.format(names, table) for table in (twin.original, twin.name))
        both = f"SELECT o.rows, o.rows = t.rows AND o.hash = t.hash AS alike FROM ({ours}) o, ({theirs}) t"  # noqa: S608
        row = (await connection.execute(sa.text(both))).one()
    if not row.alike:
        raise CopyDiffers(table=twin.table.name, parts=parts)
    return int(row.rows)


async def _end(connection: AsyncConnection, twin: Twin, parts: int, *, keep: bool) -> None:
    """Swap the names, where nothing changed the form of the table while it was copied."""
    await connection.exec_driver_sql(f"LOCK TABLE {twin.original}, {twin.name} IN ACCESS EXCLUSIVE MODE")
    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {_VIEW_TIMEOUT_MS}")
    if not await twins.fits(connection, twin, parts):
        raise PartitionRefused(table=twin.table.name, problem="it was changed while it was copied: begin again")
    await twins.become_owner(connection, twin)
    await twins.swap(connection, twin, keep=keep)


async def _look(store: Store, twin: Twin) -> None:
    """Have the planner look at all of it: PostgreSQL's autovacuum does so with the parts alone."""
    async with store.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        await connection.exec_driver_sql(f"ANALYZE {twin.original}")
