"""Assets, their types, their use, and the lists that people make of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from service.kinds import common
from service.kinds.model import EVERYWHERE, PARENT, Kind, Listing, Setting, integer, text, truth

#: Whether metadata is asked for where a data protection rule denies the data.
DENIED = Setting("allow_metadata_on_dpr_deny")

ASSET = Kind(
    "asset", "assets", "asset_id", "Assets of every type", within=EVERYWHERE, lags=True, has_second_witness=True,
    is_followed=True, is_read_alone=True,
    # The generic type `asset`, so that none is listed twice.
    listed=(Listing(
        "assets", "/v2/asset_types/asset/search", "results", "body", 200, "total_rows",
        query={"allow_metadata_on_dpr_deny": DENIED}, posts=True,
        body={"query": "*:*", "limit": 200, "include": "entity,attachments"},
    ),),
)  # fmt: skip

#: Deleted assets, without their entities; those deleted after a moment.
TRASH = Listing("trash", "/v2/trashed_assets", paging="bookmark", size=25, total="total_rows", since="newer_than")

ASSET_TYPE = Kind(
    "asset_type", "asset_types", "asset_type_id", "Types of assets, per container",
    (
        common.name("name"), common.description("description"),
        integer("type_version", "version", "Version of the definition"),
        truth("is_attribute_only", "attribute_only", "No assets of this type exist, only attributes"),
        truth("is_column_attribute", "is_column_custom_attribute", "It describes columns"),
    ),
    ids="name", is_named_within=True, within=EVERYWHERE,
    listed=(Listing("asset_types", "/v2/asset_types"),),
    topics=("v2.asset_types.*.#",),
)  # fmt: skip

#: What is counted of an asset's use; a call each.
STATISTICS = ("EDITS", "DOWNLOADS", "PUBLISH_TO_CATALOG", "CLONE_TO_PROJECT", "PROMOTE_TO_SPACE")


def _asked_for(what: str) -> Callable[[str], Mapping[str, Any]]:
    return lambda asset_id: {"asset_id": asset_id, "request_type": what}


ASSET_STATISTIC = Kind(
    "asset_statistic", "asset_statistics", "statistic_id", "How often an asset was used in the catalog",
    (
        text("asset_id", "asset_id", "The asset"),
        text("statistic", "request_type", ", ".join(STATISTICS)),
        integer("count", "count", "How often, since the catalog counts"),
    ),
    named_by=("asset_id", "request_type"), asset="asset_id", parent="asset", within=EVERYWHERE,
    listed=tuple(
        Listing("statistics", "/v2/asset_statistics/{parent}/statistics", None, query={"request_type": what},
                adds=_asked_for(what), name=what)
        for what in STATISTICS
    ),
)  # fmt: skip

ASSET_LIST = Kind(
    "asset_list", "asset_lists", "asset_list_id", "Lists of assets, such as orders",
    (
        common.name("name"), common.description("description"),
        text("list_type", "type", "As the catalog words it"),
        text("state", "state", "As the catalog words it"),
        text("asset_id", "asset.id", "The asset it is about, where it is about one"),
        text("owner_id", "access_control.owner", "Who owns it"),
        common.created("created_at"), common.updated("last_updated_at"),
    ),
    ids="id",
    listed=(Listing("asset_lists", "/v2/asset_lists", "asset_lists", "link", 200, "total_count"),),
    topics=("v2.asset_lists.*.#",),
)  # fmt: skip

ASSET_LIST_ITEM = Kind(
    "asset_list_item", "asset_list_items", "item_id", "Entries of asset lists",
    (
        text("asset_list_id", f"asset_list.id|{PARENT}", "The list"),
        text("asset_id", "asset.id", "The asset"),
        text("asset_type", "asset.type", "Its type"),
        common.created("created_at"), common.updated("last_updated_at"),
    ),
    ids="id", parent="asset_list",
    listed=(Listing("list_items", "/v2/asset_lists/{parent}/items", "items", "link", 200, "total_count"),),
)  # fmt: skip
