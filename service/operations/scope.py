"""Scope: remove from the mirror what is no longer in it."""

from __future__ import annotations

from service.mirror.purge import outside
from service.mirror.purge import purge as purged
from service.mirror.store import Store
from service.operations.acting import Act
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
