"""Links: what in the catalog is what at Pentaho; kept by people, also before the settings name that Pentaho."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict

from service.mirror.store import Store
from service.operations.acting import Act
from service.settings.model import Settings
from service.targets.pentaho import checks, links
from service.targets.pentaho.checks import LinkFinding
from service.targets.pentaho.links import Imported, Link
from service.targets.pentaho.target import configured


async def listed(store: Store, target: str, kind: str | None = None) -> list[Link]:
    """All links, sorted; only those of a kind."""
    async with store.reading() as connection:
        return await links.read(connection, target, kind)


async def check(store: Store, settings: Settings, name: str) -> list[LinkFinding]:
    """Whether links can work, and what is mirrored and wanted but not linked; faults first."""
    target = configured(settings, name)
    try:
        async with store.reading() as connection:
            return await checks.findings(connection, name, target.options if target else None)
    finally:
        if target:
            await target.close()


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
