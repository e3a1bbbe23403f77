"""The overview: how things flow from topics through the mirror to targets, what waits, and what is stuck and why.

One call that is cheap however large the mirror is: `catalog-mirror status`, the console's first page and
`GET /api/overview` show it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls, progress
from service.mirror.preparing import keep_plans
from service.mirror.store import Store
from service.mirror.tables import (
    assets,
    containers,
    data_profiles,
    dead_letters,
    lineage_events,
    things,
)
from service.queries import parts, stuck
from service.queries.counting import Count, bounded, count_rows, counted
from service.queries.parts import WAITING_ROWS, Cause, Coming, Freshness, Gap, Reading, Refreshing, Replica, Target
from service.queries.stuck import Stuck, Switch, Switches

#: What is counted as being in the mirror.
MIRRORED = (containers, assets, data_profiles, lineage_events, *things.values())


@dataclass(frozen=True, slots=True)
class Overview:
    """Everything at one look."""

    #: The store's clock.
    at: datetime
    replicas: list[Replica]
    #: The replica, or the command, that reads the catalog just now.
    leader: str | None
    coming: Coming
    #: Rows by table.
    mirror: dict[str, Count]
    refreshing: Refreshing
    targets: list[Target]
    readings: list[Reading]
    freshness: list[Freshness]
    gaps: list[Gap]
    #: Open dead letters, and their causes, those with most letters.
    dead_letters: Count
    causes: list[Cause]
    switches: Switches
    #: What a person has to see to, the worst first.
    stuck: list[Stuck]


async def overview(connection: AsyncConnection, store: Store, *, exact: bool = False) -> Overview:
    """How everything is, at this moment.

    Args:
        exact: count everything, however long that takes; else more than some thousands are told roughly.
    """
    await keep_plans(connection)
    bound = None if exact else WAITING_ROWS
    replicas, flows = await parts.replicas(connection, store)
    switches = _switches(await controls.read_controls(connection))
    targets = await parts.targets(connection, flows, held=switches.held is not None, bound=bound)
    refreshing, causes = await parts.refreshing(connection, bound), await parts.causes(connection)
    readings, gaps = await parts.readings(connection), await parts.gaps(connection)
    freshness = await parts.freshness(connection)
    return Overview(
        at=await progress.store_time(connection),
        replicas=replicas,
        leader=await progress.leader(connection, store),
        coming=parts.coming(flows),
        mirror=await count_rows(connection, store, MIRRORED, exact=exact),
        refreshing=refreshing,
        targets=targets,
        readings=readings,
        freshness=freshness,
        gaps=gaps,
        dead_letters=await _open_letters(connection, bound),
        causes=causes,
        switches=switches,
        stuck=[
            *stuck.switched_off(replicas, switches),
            *stuck.not_delivered(targets, switches.held),
            *stuck.not_used(causes),
            *stuck.not_read(readings, gaps, refreshing, freshness),
        ],
    )


async def _open_letters(connection: AsyncConnection, bound: int | None) -> Count:
    is_open = sa.select(dead_letters.c.dead_letter_id).where(dead_letters.c.state == "open")
    return counted((await connection.execute(sa.select(bounded(is_open, bound)))).scalar_one(), bound)


def _switches(known: Mapping[str, tuple[Any, datetime]]) -> Switches:
    brakes = {
        replica_id: _switch(told)
        for name, told in known.items()
        if (replica_id := name.removeprefix(f"{controls.BRAKE}:")) != name
    }
    paused, held, reading_held = (known.get(name) for name in (controls.PAUSE, controls.HELD, progress.HELD))
    return Switches(paused and _switch(paused), held and _switch(held), reading_held and _switch(reading_held), brakes)


def _switch(told: tuple[Any, datetime]) -> Switch:
    value, since = told
    return Switch((value.get("reason") if isinstance(value, dict) else None) or "no reason given", since)
