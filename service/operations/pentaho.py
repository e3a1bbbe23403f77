"""Jobs at Pentaho Data Catalog: ask for one by hand, and forget one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import UsageError
from service.mirror.store import Store
from service.operations.acting import Act
from service.targets.pentaho import ledger, links
from service.targets.pentaho.ledger import BY_HAND
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import Operation, Takes
from service.targets.pentaho.planning import Planned
from service.targets.pentaho.rules import more_of
from service.targets.pentaho.target import Pentaho

#: Where people learn what an operation takes.
NEEDS = "docs/pentaho.md tells what each operation needs."


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for: an operation on things at Pentaho, or on what things of the catalog are linked to."""

    operation: Operation
    #: At Pentaho.
    ids: tuple[str, ...]
    #: In the catalog: of which kind a link has to be, how it is asked for, and the ids.
    linked: tuple[str, str, tuple[str, ...]]
    #: More members of the request.
    more: dict[str, Any]


async def plan(store: Store, target: Pentaho, wish: Wish, by: str) -> list[Planned]:
    """The jobs that make what was asked for; as many as the largest scope needs.

    Raises:
        UsageError: something is not linked, or nothing is named.
    """
    async with store.reading() as connection:
        return await _planned(connection, target, wish, by)


async def ask(store: Store, target: Pentaho, wish: Wish, act: Act) -> list[str]:
    """Write those jobs down, to be asked for; answers their keys. Raises as `plan`."""
    planned = await plan(store, target, wish, act.by)
    async with store.writing() as connection:
        keys = await ledger.insert(connection, target.name, planned)
        await act.record(connection, "pentaho.ask", target.name, {"operation": wish.operation.name, "jobs": keys})
    return keys


async def forget(store: Store, target: str, job: str, act: Act) -> int:
    """Neither ask for open jobs whose key begins so nor look at them any more; answers how many."""
    async with store.writing() as connection:
        keys = [row["job_key"] for row in await ledger.listed(connection, target, key=job)]
        problem = f"forgotten by {act.by}"
        number = sum([await ledger.forget(connection, store, target, key, problem) for key in keys])
        if number:
            await act.record(connection, "pentaho.forget", target, {"jobs": keys})
        return number


async def _planned(connection: AsyncConnection, target: Pentaho, wish: Wish, by: str) -> list[Planned]:
    what, (kind, option, catalog_ids) = wish.operation, wish.linked
    found = await links.of_catalog(connection, target.name, catalog_ids)
    chosen = [link for catalog_id in catalog_ids for link in found.get(catalog_id, ()) if link.kind == kind]
    if missing := set(catalog_ids) - {link.catalog_id for link in chosen}:
        raise UsageError(f"{min(missing)} is not linked as {kind}", "`catalog-mirror links list` shows what is.")
    ids = sorted({*wish.ids, *(link.pentaho_id for link in chosen)})
    if not ids:
        raise UsageError(f"{what.command} needs {option}", NEEDS)
    size = target.options.scope_max if what.many else 1
    groups = [ids[start : start + size] for start in range(0, len(ids), size)]
    asker = f"{BY_HAND}{by}"
    return [Planned(what.name, await _request(connection, target, wish, some), (), asker) for some in groups]


async def _request(connection: AsyncConnection, target: Pentaho, wish: Wish, ids: Sequence[str]) -> dict[str, Any]:
    what, options = wish.operation, target.options
    more = dict(options.bodies.get(what.name, {}))
    if what.takes is Takes.DATA_SOURCE:
        known = (await links.of_pentaho(connection, target.name, ids)).get(ids[0], [Link("connection", "", ids[0])])
        more = more_of(what, known[0], options, target.data_sources)
    request = what.request(ids, {name: value for name, value in (more | wish.more).items() if value is not None})
    what.check_by_hand(request)
    return request
