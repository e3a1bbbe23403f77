"""What deliveries are about, read from the mirror when they go out, so that the newest state counts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import rows_by_key
from service.mirror.deliveries import Delivery
from service.mirror.tables import assets, data_profiles, things
from service.targets.pentaho.options import Options
from service.targets.pentaho.rules import Concern, Subject, concerns

#: The kinds that rules care for: table, key, and the columns that they look at.
_KINDS: dict[str, tuple[Any, str, tuple[str, ...]]] = {
    "asset": (assets, "asset_id", ("deleted_at",)),
    "data_profile": (data_profiles, "profile_id", ("deleted_at", "status", "asset_id")),
    "enrichment_area": (things["enrichment_area"], "area_id", ("deleted_at",)),
    "asset_list": (things["asset_list"], "asset_list_id", ("deleted_at",)),
    "asset_list_item": (things["asset_list_item"], "item_id", ("deleted_at", "asset_list_id")),
    "quality_check": (things["quality_check"], "check_id", ("deleted_at",)),
    "artifact": (things["artifact"], "artifact_id", ("deleted_at",)),
}
#: The columns that name what a thing belongs to.
_PARENTS = {"data_profile": "asset_id", "asset_list_item": "asset_list_id"}
_DELETED = "AssetDeleted"


async def of_deliveries(
    connection: AsyncConnection, batch: Sequence[Delivery], options: Options, *, trusts_deletions: bool
) -> dict[str, list[Concern]]:
    """The rules that each delivery may fall under, by its id; what is not in the mirror falls under none.

    A tombstone counts where `trusts_deletions`, or where the delivery itself is about the deletion: the mirror's row
    does not tell a deletion from a hint at one.
    """
    found: dict[str, list[Concern]] = {}
    for kind, (table, key, columns) in _KINDS.items():
        mine = [delivery for delivery in batch if delivery.entity_kind == kind]
        rows = await rows_by_key(connection, table, key, sorted({one.entity_id for one in mine}), *columns)
        for delivery in mine:
            row = rows.get(delivery.entity_id)
            if row is not None and (row.deleted_at is None or trusts_deletions or delivery.change == _DELETED):
                found[delivery.delivery_id] = concerns(_subject(kind, row), options)
    return found


def _subject(kind: str, row: Any) -> Subject:
    told = row._mapping
    parent = told[_PARENTS[kind]] if kind in _PARENTS else None
    return Subject(kind, row[0], told["deleted_at"] is not None, told.get("status"), parent)
