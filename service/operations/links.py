"""Links: what in the catalog is what at Pentaho."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from service.mirror.store import Store
from service.operations.acting import Act
from service.targets.pentaho import links
from service.targets.pentaho.links import Imported, Link


async def take_in(
    store: Store, target: str, told: Sequence[Link], act: Act, *, replace: bool = False, dry_run: bool = False
) -> Imported:
    """Store links, all of them or none; a running service obeys them from the next change on.

    Args:
        replace: remove the links that are not among these.
        dry_run: only say what it would do.
    """
    async with store.writing() as connection:
        done = await links.store(connection, target, told, replace=replace)
        if dry_run:
            await connection.rollback()
        else:
            await act.record(connection, "links.import", target, asdict(done))
        return done


async def remove(store: Store, target: str, kind: str, catalog_id: str, pentaho_id: str | None, act: Act) -> int:
    """Remove the links of one thing, or only the one to `pentaho_id`; answers how many."""
    async with store.writing() as connection:
        number = await links.remove(connection, target, kind, catalog_id, pentaho_id)
        if number:
            what = {"kind": kind, "catalog_id": catalog_id, "pentaho_id": pentaho_id}
            await act.record(connection, "links.remove", target, what)
        return number
