"""Indexes of large tables, made beside everybody who reads and writes them.

Inside a migration an index keeps writers out until all of the migration is done; on a table of ten millions that is
minutes. So the migration makes it only where the table is empty, and this makes what is missing afterwards: PostgreSQL
builds it `CONCURRENTLY`, which takes longer and is in nobody's way. SQLite has one writer anyway. Of a table in parts
it builds so only the indexes of parts, which then are attached to one of the whole.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Any

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.schema import CreateIndex

from service.mirror import patience
from service.mirror.patience import patiently
from service.mirror.store import Store
from service.mirror.tables import metadata
from service.mirror.turns import TRY_LOCK

log = structlog.get_logger(__name__)

#: Those that are there and usable; of the others one may be under way, by hand or in a version before this.
_THERE = """
    SELECT c.relname, i.indisvalid, EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = c.oid)
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname = coalesce(CAST(:schema AS text), current_schema())
"""
#: The parts of a table, the name of an index for each, and whether the whole one has that of the part already.
_PARTS = """
    SELECT i.inhrelid::regclass::text,
           format('%I.%I', n.nspname, left(p.relname || '_' || md5(CAST(:index AS text)), 63)),
           EXISTS (SELECT FROM pg_inherits x JOIN pg_index own ON own.indexrelid = x.inhrelid
                    WHERE x.inhparent = to_regclass(:index) AND own.indrelid = i.inhrelid)
      FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhrelid JOIN pg_namespace n ON n.oid = p.relnamespace
     WHERE i.inhparent = to_regclass(:table) ORDER BY p.relname
"""
#: Names the advisory lock that lets only one replica build, together with the schema it does so in.
_LOCK = 728_341_203
#: Has to follow it: a query keeps its snapshot, which a build waits for, until another statement takes its portal.
_IDLE = "SET LOCAL idle_in_transaction_session_timeout = 0"


@asynccontextmanager
async def alone(store: Store) -> AsyncIterator[bool]:
    """Whether we are the only one who builds; nobody waits, as two builds beside one table wait for each other.

    Whoever finds another at it may go on: what that one leaves undone is built at the next start.

    Raises:
        SQLAlchemyError and what else a store raises.
    """
    if store.dialect != "postgresql":
        yield True
        return
    async with store.engine.connect() as connection:
        is_alone = (await connection.execute(sa.text(TRY_LOCK), {"lock": _LOCK, "schema": store.schema})).scalar_one()
        await connection.execute(sa.text(_IDLE))
        if not is_alone:
            log.info(
                "index_build_elsewhere", advice="Another replica builds what is missing; nothing needs to be done."
            )
        yield is_alone


async def build_missing(store: Store) -> list[str]:
    """Build what tables declare and the database lacks, or has from a build that was interrupted; answers their names.

    Raises:
        SQLAlchemyError and what else a store raises: the rest is built at the next start.
    """
    if store.dialect != "postgresql":
        return []
    built: list[str] = []
    async with store.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        rows = await connection.execute(sa.text(_THERE), {"schema": store.schema})
        there = {name: (is_valid, is_under_way) for name, is_valid, is_under_way in rows}
        missing = [index for index in _declared() if not any(there.get(str(index.name), (False, False)))]
        known = await connection.run_sync(_columns, missing, store.schema) if missing else {}
        for index in missing:
            if not {column.name for column in index.columns} <= known[index]:
                continue  # of a schema that is older than ours
            await _build(connection, store, index, is_left=str(index.name) in there)
            built.append(str(index.name))
    return built


def _declared() -> list[sa.Index]:
    declared = (index for table in metadata.sorted_tables for index in table.indexes)
    return sorted(declared, key=lambda index: str(index.name))


def _columns(connection: sa.Connection, indexes: Iterable[sa.Index], schema: str | None) -> dict[sa.Index, set[str]]:
    """The columns that the table of each index has; none where there is no such table."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_table_names(schema=schema))
    tables = {index: index.table.name for index in indexes if index.table is not None}
    return {
        index: {column["name"] for column in inspector.get_columns(table, schema=schema)} if table in there else set()
        for index, table in tables.items()
    }


async def _build(connection: AsyncConnection, store: Store, index: sa.Index, *, is_left: bool) -> None:
    quoted = connection.dialect.identifier_preparer.quote
    prefix = f"{quoted(store.schema)}." if store.schema else ""
    statement = str(
        CreateIndex(index).compile(
            dialect=connection.dialect, schema_translate_map={None: store.schema}, render_schema_translate=True
        )
    )
    assert index.table is not None
    log.info("index_build", index=index.name, table=index.table.name)
    told = {"table": f"{prefix}{quoted(index.table.name)}", "index": f"{prefix}{quoted(str(index.name))}"}
    if parts := (await connection.execute(sa.text(_PARTS), told)).all():
        await _build_in_parts(connection, store, statement, told["index"], parts)
        return
    if is_left:  # what an interrupted build left is kept up to date, and used by nobody
        await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {told['index']}")
    await connection.exec_driver_sql(statement.replace("INDEX", "INDEX CONCURRENTLY", 1))


async def _build_in_parts(
    connection: AsyncConnection, store: Store, statement: str, index: str, parts: Iterable[Any]
) -> None:
    """Build it part by part, but for those that an interrupted build attached; with the last one it is usable."""
    whole = statement.replace("INDEX", "INDEX IF NOT EXISTS", 1).replace(" ON ", " ON ONLY ", 1)
    await patiently(store, lambda one: _briefly(one, whole))
    told = statement.partition(" ON ")[2].partition(" ")[2]
    verb = statement.partition(" INDEX ")[0]
    for part, name, is_attached in parts:
        if is_attached:
            continue
        await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {name}")
        await connection.exec_driver_sql(f"{verb} INDEX CONCURRENTLY {name.rpartition('.')[2]} ON {part} {told}")
        await connection.exec_driver_sql(f"ALTER INDEX {index} ATTACH PARTITION {name}")


async def _briefly(connection: AsyncConnection, statement: str) -> None:
    await connection.exec_driver_sql(f"SET LOCAL lock_timeout = {patience.LOCK_TIMEOUT_MS}")
    await connection.exec_driver_sql(statement)
