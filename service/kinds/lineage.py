"""Lineage events as the catalog holds them. They are only added to, so that none is ever gone."""

from __future__ import annotations

from service.kinds.model import EVERYWHERE, Kind, Listing

LINEAGE_EVENT = Kind(
    "lineage_event", "lineage_events", "event_id", "What happened, when, and who says so",
    parent="asset", within=EVERYWHERE, only_rotates=True,
    # Newest first; the same event at each asset that it names.
    listed=(Listing("asset_lineage", "/v2/asset_lineages/{parent}", paging="offset", size=50),),
)  # fmt: skip
