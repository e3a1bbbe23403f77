"""Things told as they are now, because somebody asked for that: a backfill, or a dead letter of one."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Origin
from service.mirror.deliveries import Delivery
from service.mirror.effects import read, state_of
from service.mirror.writer import INSERTS
from service.targets.changes.event import ChangeEvent, change_event


async def events_of(connection: AsyncConnection, asked: Sequence[Delivery], source: str) -> dict[str, ChangeEvent]:
    """The event of each delivery, by its id, as the mirror has the thing now; none of what is not to be seen."""
    by_kind: dict[str, dict[str, str]] = defaultdict(dict)
    for delivery in asked:
        if delivery.entity_kind in INSERTS:
            by_kind[delivery.entity_kind][delivery.entity_id] = delivery.delivery_id
    events: dict[str, ChangeEvent] = {}
    for kind, ids in by_kind.items():
        insert = INSERTS[kind]
        for thing_id, row in (await read(connection, insert, list(ids))).items():
            event = change_event(kind, thing_id, state_of(insert, row), Origin.REPLAY, source, as_state=True)
            if event is not None:
                events[ids[thing_id]] = event
    return events
