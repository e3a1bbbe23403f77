"""Gadgets: a kind that the product does not have, as a colleague would declare it."""

from __future__ import annotations

from service.kinds import common
from service.kinds.model import EVERYWHERE, Kind, Listing, integer, text, time

GADGET = Kind(
    "gadget", "gadgets", "gadget_id", "Gadgets of a container",
    (
        common.name("entity.name|name"),
        text("asset_id", "entity.asset.id", "The asset that it belongs to"),
        integer("size", "entity.size", "In pixels"),
        time("made_at", "metadata.made_at", "When it was made"),
    ),
    ids="id", asset="asset_id", within=EVERYWHERE,
    listed=(Listing("gadgets", "/v2/gadgets", "gadgets", "offset", 50),),
    topics=("v2.gadgets.*.#",),
)  # fmt: skip
