"""Migrated databases that are empty, for one test each: SQLite's is a copy, PostgreSQL's is emptied and lent again.

Making the schema, or a copy of a database that has it, costs more than most tests do.
"""

from __future__ import annotations

import asyncio
import shutil
import uuid
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import asyncpg
from pydantic import SecretStr

from sandbox.parts.providers import Postgres
from service.mirror import schema
from service.settings.model import StoreSettings

#: Bytes that the rows of one test may leave; where there were more, the plans of whoever comes next might differ.
_MOST_BYTES = 4 * 1024 * 1024
#: Milliseconds that a session of somebody who was killed may take to end.
_SESSIONS_END_MS = 10_000
#: Whatever a test can change but rows: tables and what hangs on them, statistics, settings, rights.
_STATE = """
    SELECT (SELECT array[count(*), max(xmin::text::bigint), sum(relpages), sum(reltuples::bigint)] FROM pg_class)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_attribute)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_constraint)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_index)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_trigger)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_proc)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_rewrite)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_policy)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_namespace)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_extension)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_default_acl)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_statistic)::text,
           (SELECT array[count(*), max(xmin::text::bigint)] FROM pg_description)::text,
           (SELECT count(*) FROM pg_largeobject_metadata),
           (SELECT xmin FROM pg_database WHERE datname = current_database()),
           (SELECT count(*) FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase
             WHERE datname = current_database())
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
    """Databases of one server with our newest schema and no row."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._template = f"migrated_{uuid.uuid4().hex}"
        _migrate(postgres.create_database(self._template))
        self._free: list[tuple[str, str, Any]] = []

    def lend(self) -> tuple[str, str, Any]:
        """Name, URL and state of a database that nobody else has until it is given back."""
        if self._free:
            return self._free.pop()
        name = f"test_{uuid.uuid4().hex}"
        url = self._postgres.create_database(name, self._template)
        return name, url, _run(_state(url))

    def take_back(self, name: str, url: str, state: Any) -> None:
        """Empty it for whoever comes next; one in which more than rows was changed is dropped."""
        if _run(_emptied(url, state)):
            self._free.append((name, url, state))
        else:
            self._postgres.drop_database(name)

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


def _migrate(url: str) -> None:
    _run(schema.migrate(StoreSettings(url=SecretStr(url))))


def _run(coroutine: Any) -> Any:
    """In a loop and a thread of its own, as whoever asks may be in a loop."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(asyncio.run, coroutine).result()
