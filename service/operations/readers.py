"""Readers of PostgreSQL who see the rows of some containers alone: write their SQL, carry it out, take it back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import MirrorError, UsageError
from service.mirror.bulk import among
from service.mirror.readers import MAX_CONTAINERS, Reader
from service.mirror.store import Store
from service.mirror.tables import containers
from service.operations.acting import Act
from service.settings.model import Settings

#: Where tables are on PostgreSQL when settings name no schema.
_PUBLIC = "public"
#: Characters of a role's name: with what we put before it, it is a schema's.
_MAX_ROLE = 48
#: PostgreSQL's classes of refusals: missing rights, roles and schemas, dependent objects.
_REFUSED = frozenset({"42501", "42704", "3F000", "2BP01", "42P01"})


class ReaderRefused(MirrorError):
    """The reader {role!r} cannot be made: {problem}."""

    remedy = (
        "The role has to be there (`CREATE ROLE … LOGIN`), own nothing of the mirror, and have no right on it; "
        "whoever applies needs CREATE on the database: set STORE__MIGRATION_URL."
    )


def reader_of(settings: Settings, role: str, chosen: Sequence[str], *, nowhere: bool) -> Reader:
    """A reader, as far as it can be judged without the database.

    Raises:
        UsageError: the store is not PostgreSQL, or the names cannot be used.
    """
    if not settings.store.url.get_secret_value().startswith("postgres"):
        raise UsageError(problem="readers are roles of PostgreSQL; an SQLite file is read whole by whoever may open it")
    if not 0 < len(role.encode()) <= _MAX_ROLE or "\0" in role:
        raise UsageError(problem=f"a role's name has 1 to {_MAX_ROLE} bytes here")
    if not chosen or len(chosen) > MAX_CONTAINERS:
        raise UsageError(problem=f"name 1 to {MAX_CONTAINERS} containers by --container")
    return Reader(role, tuple(sorted(set(chosen))), nowhere, settings.store.schema_name or _PUBLIC)


async def apply(settings: Settings, reader: Reader, act: Act) -> Reader:
    """Make the reader's views with the role of migrations; again: as they are to be now.

    Raises:
        ReaderRefused: PostgreSQL refuses, or the role sees the mirror by another way.
        UsageError: one of the containers is not in the mirror.
    """

    async def work(connection: AsyncConnection) -> None:
        await _check_containers(connection, reader)
        await _execute(connection, reader, reader.statements())
        told = {"containers": list(reader.containers), "nowhere": reader.nowhere}
        await act.record(connection, "store.reader", reader.role, told)

    await _in_store(settings, work)
    return reader


async def drop(settings: Settings, reader: Reader, act: Act) -> Reader:
    """Take the reader's views away; the role itself stays. Raises as `apply`."""

    async def work(connection: AsyncConnection) -> None:
        await _execute(connection, reader, reader.dropped())
        await act.record(connection, "store.reader_drop", reader.role)

    await _in_store(settings, work)
    return reader


async def _in_store(settings: Settings, work: Callable[[AsyncConnection], Awaitable[None]]) -> None:
    store = Store(settings.store, migrating=True)
    try:
        async with store.writing() as connection:
            await work(connection)
    finally:
        await store.close()


async def _check_containers(connection: AsyncConnection, reader: Reader) -> None:
    query = sa.select(containers.c.container_id).where(among(connection, containers.c.container_id, reader.containers))
    unknown = set(reader.containers) - set((await connection.execute(query)).scalars())
    if unknown:
        raise UsageError(problem=f"the mirror has no container {', '.join(sorted(unknown)[:5])}")


async def _execute(connection: AsyncConnection, reader: Reader, statements: Iterable[str]) -> None:
    for statement in statements:
        try:
            await connection.exec_driver_sql(statement)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", None) not in _REFUSED:
                raise
            told = str(getattr(error.orig, "__cause__", None) or error.orig).splitlines()[0]
            raise ReaderRefused(role=reader.role, problem=told) from None
