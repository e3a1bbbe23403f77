"""Changes of tables that others use meanwhile: each is one transaction, which waits for no table for long."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import SchemaLocked
from service.mirror import rights
from service.mirror.store import STORE_ERRORS, Store

log = structlog.get_logger(__name__)

#: Names the advisory lock that lets only one replica change tables.
_LOCK = 7_283_412_001
#: Milliseconds that a change of the schema waits for whoever uses a table: all who come later wait behind it.
LOCK_TIMEOUT_MS = 2000
#: Seconds between two attempts, in which those who came later have their turn; and until it is given up.
LOCK_PAUSE_S, LOCK_PATIENCE_S = 3.0, 300.0
#: PostgreSQL's `lock_not_available`; and `deadlock_detected`, where whoever had a table wants another that we have.
_LOCKED = frozenset({"55P03", "40P01"})

T = TypeVar("T")


async def patiently(store: Store, work: Callable[[AsyncConnection], Awaitable[T]]) -> T:
    """What some work answers, done in a transaction of its own, and once more where a table could not be had in time.

    Raises:
        StoreUnavailable: the store does not answer, or the role may not do that.
        SchemaLocked: somebody kept a table for longer than we are patient; nothing was changed.
    """
    began = time.monotonic()
    while True:
        try:
            async with store.write() as connection:
                return await work(connection)
        except STORE_ERRORS as error:
            if not is_locked(error):
                raise store.unavailable(error) from error
        waited_s, holders = time.monotonic() - began, await rights.holders(store)
        if waited_s > LOCK_PATIENCE_S:
            raise SchemaLocked(where=store.where, holders=holders, waited_s=round(waited_s))
        log.warning("schema_locked", holders=holders, waited_s=round(waited_s, 1))
        await asyncio.sleep(LOCK_PAUSE_S)


def is_locked(error: BaseException) -> bool:
    """Whether a statement failed because somebody else had what it wanted."""
    return getattr(getattr(error, "orig", None), "sqlstate", None) in _LOCKED


def enter(connection: sa.Connection, schema: str | None) -> None:
    """Be the only one who changes tables, in the schema of our own where there is one, and wait for none for long."""
    connection.execute(sa.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
    connection.execute(sa.text(f"SET LOCAL lock_timeout = {LOCK_TIMEOUT_MS}"))
    if schema:
        quoted = connection.dialect.identifier_preparer.quote(schema)
        if not sa.inspect(connection).has_schema(schema):  # IF NOT EXISTS asks for the right to create even then
            connection.execute(sa.text(f"CREATE SCHEMA IF NOT EXISTS {quoted}"))
        connection.execute(sa.text(f"SET LOCAL search_path TO {quoted}"))
