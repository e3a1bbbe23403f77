"""Scope: remove from the mirror what is no longer in it."""

from __future__ import annotations

from service.mirror.purge import outside
from service.mirror.purge import purge as purged
from service.mirror.store import Store
from service.operations.acting import Act
from service.operations.work import Desk, Tell, Work
from service.settings.scope import Scope


async def look(store: Store, scope: Scope) -> dict[str, int]:
    """How many rows of each table are out of scope."""
    async with store.reading() as connection:
        return await outside(connection, scope)


async def purge(store: Store, scope: Scope, act: Act) -> dict[str, int]:
    """Remove them; no target hears of it. Answers how many there were, by table."""
    counts = await look(store, scope)
    if counts:
        async with store.writing() as connection:  # before: it is done in many transactions, and may be interrupted
            await act.record(connection, "scope.purge", "the mirror", counts)
        async with store.translated():
            await purged(store, scope)
    return counts


async def begin_purge(desk: Desk, store: Store, scope: Scope, act: Act) -> Work:
    """The same as work that goes on after this has answered; tells rows by table, once they are gone.

    Raises:
        TooMuchWork: this process has enough to do.
    """

    async def job(_: Tell) -> dict[str, int]:
        return await purge(store, scope, act)

    return await desk.begin("scope.purge", act, job)
