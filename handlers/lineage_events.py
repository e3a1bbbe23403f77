"""Lineage events: what was made out of what."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, LineageRecorded
from service.events.lineage import LineageEvent
from service.routing import Evidence, handles


@handles("v2.lineage_events.*.POST", reads=LineageEvent.read, evidence=Evidence.ASSUMED)
def lineage_recorded(event: LineageEvent) -> Iterator[Change]:
    """The body is documented for REST; that it also arrives under this key is our assumption."""
    kept = event.document()
    yield LineageRecorded(
        event_id=event.event_id,
        version=event.version(kept),
        document=kept,
        event_type=event.event_type,
        categories=event.categories,
        source_service=event.source_service,
        user_id=event.user_id,
        edges=event.edges,
    )
