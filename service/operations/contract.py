"""The catalog's contract as we see it: what of its events and answers differs from the normal, and taking it so."""

from __future__ import annotations

from service.mirror import contract
from service.mirror.contract import ShapeDifference
from service.mirror.store import Store
from service.operations.acting import Act


async def report(store: Store) -> list[ShapeDifference]:
    """What is new, gone or of another type."""
    async with store.reading() as connection:
        return await contract.differences(connection)


async def accept(store: Store, act: Act) -> list[ShapeDifference]:
    """Take what there is as the normal, and end learning; answers what differed until now."""
    async with store.writing() as connection:
        found = await contract.differences(connection)
        await contract.accept(connection, [one for one in found if one.what == "gone"])
        counts: dict[str, int] = {what: sum(one.what == what for one in found) for what in contract.WHATS}
        await act.record(connection, "contract.accept", "the catalog's contract", counts)
    return found
