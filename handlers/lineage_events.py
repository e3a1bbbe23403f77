"""Lineage events: what was made out of what."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import CATALOG, Change
from service.events.lineage import LineageEvent
from service.events.message import Event
from service.pipeline.routing import Evidence, handles

#: Where the sender's name stands in `api.{sender}.lineage_events.POST`.
SENDER_INDEX = 1


@handles("v2.lineage_events.*.POST", reads=LineageEvent.read, evidence=Evidence.ASSUMED)
def lineage_recorded(event: LineageEvent) -> Iterator[Change]:
    """The body is documented for REST; that it also arrives under this key is our assumption."""
    yield event.recorded(CATALOG)


@handles("api.*.lineage_events.POST", evidence=Evidence.OURS)
def lineage_posted(event: Event) -> Iterator[Change]:
    """Posted to our own API in the catalog's form."""
    yield LineageEvent.read(event).recorded(event.words[SENDER_INDEX])
