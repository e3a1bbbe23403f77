"""Metadata enrichment areas: sets of data sets that are profiled and described together."""

from __future__ import annotations

from collections.abc import Iterator

from service.changes import Change, RefreshAsked, ThingSaved
from service.events.enrichment import EnrichmentAreaEvent
from service.pipeline.routing import Evidence, handles


@handles(
    "v2.metadata_enrichment.*.create_enrichment_area", reads=EnrichmentAreaEvent.read, evidence=Evidence.DOCUMENTED
)
def enrichment_area_created(event: EnrichmentAreaEvent) -> Iterator[Change]:
    """The body is not documented: it is kept, and the area is to be read."""
    kept = event.document()
    yield ThingSaved("enrichment_area", event.area_id, event.version(kept), kept)
    yield RefreshAsked("enrichment_area", event.area_id, reason="opaque_body")
