"""What connections lead to: the types of data sources that the catalog supports."""

from __future__ import annotations

from service.kinds import common
from service.kinds.model import Kind, Listing, text, truth

DATASOURCE_TYPE = Kind(
    "datasource_type", "datasource_types", "datasource_type_id",
    "Types of data sources: what the id in `v1_connections.datasource_type` stands for",
    (
        text("name", "entity.name|name", "In one word: postgresql, db2, snowflake"),
        text("label", "entity.label|label", "As people know it"),
        common.description("entity.description|description"),
        text("category", "entity.type|type", "database, file, …, as the catalog words it"),
        text("status", "entity.status|status", "active, …, as the catalog words it"),
        truth("is_source", "entity.allowed_as_source|allowed_as_source", "It can be read"),
        truth("is_target", "entity.allowed_as_target|allowed_as_target", "It can be written"),
        text("creator_id", "metadata.creator_id", "Who defined it"),
    ),
    ids="metadata.asset_id|asset_id",
    # By the link, since the guide has `_offset` in it where the reference has `offset`.
    listed=(Listing("datasource_types", "/v2/datasource_types", paging="link", size=100, total="total_count"),),
    topics=("v2.datasource_types.*.#",),
)  # fmt: skip
