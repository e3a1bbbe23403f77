"""Migrated databases that are empty, for one test each: SQLite's is a copy, PostgreSQL's is emptied and lent again.

Making the schema, or a copy of a database that has it, costs more than most tests do.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from sandbox.parts.postgres import run_apart
from sandbox.parts.providers import Postgres
from service.mirror import schema
from service.mirror.partitions.moving import TABLES, move
from service.mirror.store import Store
from service.settings.model import StoreSettings

#: Into how many parts large tables of PostgreSQL are cut in all tests: 1 leaves them whole.
PARTS = int(os.environ.get("CATALOG_MIRROR_TEST_PARTS", "1"))
#: The tables that are cut into parts where a test asks for that.
PARTITIONED = (
    "assets", "asset_columns", "asset_terms", "asset_attributes", "data_profiles", "containers", "lineage_events",
    "lineage_edges", "openlineage_events", "run_facts", "column_facets", "column_flows", "assets_history",
    "data_profiles_history", "usage_facts",
)  # fmt: skip
#: Bytes that the rows of one test may leave; where there were more, the plans of whoever comes next might differ.
_MOST_BYTES = 4 * 1024 * 1024
#: Milliseconds that a session of somebody who was killed may take to end.
_SESSIONS_END_MS = 10_000
#: Whatever a test can change but rows: tables and what hangs on them, statistics, settings, rights.
_CATALOGS = (
    "pg_attribute", "pg_class", "pg_constraint", "pg_default_acl", "pg_description", "pg_extension", "pg_index",
    "pg_namespace", "pg_policy", "pg_proc", "pg_rewrite", "pg_statistic", "pg_trigger",
)  # fmt: skip
_CHANGED = ", ".join(
    f"(SELECT array[count(*), max(xmin::text::bigint)] FROM {catalog})::text AS {catalog}" for catalog in _CATALOGS
)
_STATE = f"""
    SELECT {_CHANGED},
           (SELECT array[sum(relpages), sum(reltuples::bigint)] FROM pg_class)::text AS sizes,
           (SELECT count(*) FROM pg_largeobject_metadata) AS large_objects,
           (SELECT xmin FROM pg_database WHERE datname = current_database()) AS database,
           (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
             WHERE datname = current_database()) AS settings
"""
_TABLES = """
    SELECT oid::regclass::text AS name, pg_relation_size(oid) AS size FROM pg_class
     WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
       AND pg_relation_size(oid) > 0
"""
_SEQUENCES = """
    SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false)
      FROM pg_sequences WHERE last_value IS NOT NULL
"""


class SqliteFiles:
    """Copies of one file that has our newest schema."""

    def __init__(self, directory: Path) -> None:
        self._file = directory / "migrated.db"
        _migrate(f"sqlite:///{self._file}")

    def copy_to(self, place: Path) -> str:
        """Make a database in a file that is not there yet; answers its URL."""
        shutil.copyfile(self._file, place)
        return f"sqlite:///{place}"


class Databases:
    """Databases of one server with our newest schema and no row; with parts, its large tables are cut into so many."""

    def __init__(self, postgres: Postgres, parts: int = 1) -> None:
        self._postgres = postgres
        self._template = f"migrated_{uuid.uuid4().hex}"
        url = postgres.create_database(self._template)
        _migrate(url)
        if parts > 1:
            run_apart(_partition(url, parts))
        self._free: list[tuple[str, str, Any]] = []

    @contextmanager
    def lent(self) -> Iterator[str]:
        """The URL of one that nobody else has meanwhile; if more was changed in it than rows, nobody has it again."""
        name, url, state = self._free.pop() if self._free else self._another()
        yield url
        if run_apart(_emptied(url, state)):
            self._free.append((name, url, state))
        else:
            self._postgres.drop_database(name)

    def _another(self) -> tuple[str, str, Any]:
        name = f"test_{uuid.uuid4().hex}"
        url = self._postgres.create_database(name, self._template)
        return name, url, run_apart(_state(url))

    def close(self) -> None:
        """Drop them all."""
        for name, _, _ in self._free:
            self._postgres.drop_database(name)
        self._postgres.drop_database(self._template)


async def _state(url: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchrow(_STATE)
    finally:
        await connection.close()


async def _emptied(url: str, state: Any) -> bool:
    """End all sessions and delete all rows, unless more was changed than rows."""
    try:
        connection = await asyncpg.connect(url)
    except (asyncpg.PostgresError, OSError):
        return False  # renamed, closed to us, or gone
    try:
        others = "SELECT pg_terminate_backend(pid, $1) FROM pg_stat_activity WHERE datname = current_database()"
        await connection.fetch(f"{others} AND pid <> pg_backend_pid()", _SESSIONS_END_MS)
        tables = await connection.fetch(_TABLES)
        if sum(table["size"] for table in tables) > _MOST_BYTES or await connection.fetchrow(_STATE) != state:
            return False
        deletions = "; ".join(f"DELETE FROM {table['name']}" for table in tables)
        await connection.execute(f"SET session_replication_role = replica; {deletions}")  # no order, no trigger
        await connection.fetch(_SEQUENCES)
        return bool(await connection.fetchrow(_STATE) == state)
    finally:
        await connection.close()


@asynccontextmanager
async def leaving_no_socket() -> AsyncIterator[None]:
    """For what the driver gives up in the midst of a handshake: it closes these sockets a moment later, and a loop that
    ended before would leave them to the garbage collector, which fails another test. Linux alone tells."""
    before = _sockets()
    yield
    async with asyncio.timeout(_SESSIONS_END_MS / 1000):
        while _sockets() - before:
            await asyncio.sleep(0.01)


def _sockets() -> set[str]:
    files = Path("/proc/self/fd")
    found = set()
    for file in files.iterdir() if files.exists() else ():
        with suppress(OSError):  # closed meanwhile
            found.add(str(file.readlink()))
    return {name for name in found if name.startswith("socket:")}


async def _partition(url: str, parts: int) -> None:
    store = Store(StoreSettings(url=SecretStr(url)))
    for name in PARTITIONED:
        await move(store, TABLES[name], parts)
    await store.close()


def _migrate(url: str) -> None:
    run_apart(schema.migrate(StoreSettings(url=SecretStr(url))))
