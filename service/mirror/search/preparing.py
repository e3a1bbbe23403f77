"""What search needs beside our tables: SQLite's tables of FTS5; on PostgreSQL, for mistyped words, `pg_trgm`.

Who migrates may lack the right to make an extension, or the server may not have it: then words and their beginnings are
found all the same, and mistyped words are not.
"""

from __future__ import annotations

import sqlalchemy as sa
import structlog
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.search.writing import ALIKE_FTS, WORDS_FTS
from service.mirror.store import Store
from service.mirror.tables import search_words

log = structlog.get_logger(__name__)

#: The index by which mistyped words are compared; no migration makes it, as it needs the extension.
ALIKE_INDEX = "search_words_alike"
_FTS = (
    f"CREATE VIRTUAL TABLE IF NOT EXISTS {WORDS_FTS} USING fts5(name_words, other_words, marks)",
    f"CREATE VIRTUAL TABLE IF NOT EXISTS {ALIKE_FTS} USING fts5(word, tokenize = 'trigram')",
)
_WHERE_IS_TRGM = (
    "SELECT n.nspname FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'pg_trgm'"
)


async def prepare(store: Store) -> bool:
    """Make what is missing, beside everybody who reads and writes; answers whether mistyped words will be found.

    Raises:
        SQLAlchemyError and what else a store raises.
    """
    if store.dialect == "sqlite":
        async with store.write() as connection:
            for statement in _FTS:
                await connection.exec_driver_sql(statement)
        return True
    async with store.engine.connect() as connection:
        connection = await connection.execution_options(isolation_level="AUTOCOMMIT")
        if not await connection.run_sync(lambda one: sa.inspect(one).has_table(search_words.name, schema=store.schema)):
            return False  # of a schema that is older than ours
        if await trigrams(connection) is None:
            try:
                await connection.exec_driver_sql("CREATE EXTENSION IF NOT EXISTS pg_trgm")
            except DBAPIError as error:
                log.warning("search_without_pg_trgm", problem=str(error.orig)[:200])
        if (where := await trigrams(connection)) is None:
            return False
        await _index(connection, store, where)
    return True


async def trigrams(connection: AsyncConnection) -> str | None:
    """The schema of PostgreSQL's extension `pg_trgm`, quoted; None where it is not there."""
    schema = (await connection.execute(sa.text(_WHERE_IS_TRGM))).scalar_one_or_none()
    return connection.dialect.identifier_preparer.quote(schema) if schema else None


async def _index(connection: AsyncConnection, store: Store, where: str) -> None:
    """The index, unless it is there; one that an interrupted build left is made anew."""
    there = sa.text(
        "SELECT i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"
        " JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE c.relname = :index AND n.nspname = coalesce(CAST(:schema AS text), current_schema())"
    )
    is_valid = (await connection.execute(there, {"index": ALIKE_INDEX, "schema": store.schema})).scalar_one_or_none()
    if is_valid:
        return
    prefix = f"{connection.dialect.identifier_preparer.quote(store.schema)}." if store.schema else ""
    if is_valid is False:
        await connection.exec_driver_sql(f"DROP INDEX CONCURRENTLY IF EXISTS {prefix}{ALIKE_INDEX}")
    await connection.exec_driver_sql(
        f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {ALIKE_INDEX} ON {prefix}search_words"
        f" USING gin (word {where}.gin_trgm_ops)"
    )
