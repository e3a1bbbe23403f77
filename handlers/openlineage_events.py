"""OpenLineage events that were posted to our API: runs, jobs and datasets."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change
from service.events.message import Event
from service.openlineage import reading
from service.pipeline.routing import Evidence, handles

#: Where the sender's name stands in `api.{sender}.openlineage.POST`.
SENDER_INDEX = 1


@handles("api.*.openlineage.POST", evidence=Evidence.OURS)
def openlineage_posted(event: Event) -> Iterator[Change]:
    """The body is the event, and beside it the assets that its data sets are."""
    yield reading.recorded(event.body, event.words[SENDER_INDEX])
