"""Relationships between assets, columns and artifacts, and their types."""

from __future__ import annotations

from typing import Any

from service.kinds import common
from service.kinds.model import EVERYWHERE, Field, Kind, Listing, text
from service.text import lookup


def _end(name: str, meaning: str) -> tuple[Field, ...]:
    types = "|".join(
        f"{name}.containing_{what}" for what in ("asset_types", "asset_type", "artifact_types", "artifact_type")
    )
    return (
        text(f"{name}_name", f"{name}.name|{name}.default_display_name",
             f"Name of the relationship seen from its {meaning} end"),
        text(f"{name}_types", types, "Types that may stand there, joined with commas; null: any"),
        text(f"{name}_on_delete", f"{name}.on_delete", "CASCADE or IGNORE"),
    )  # fmt: skip


RELATIONSHIP_TYPE = Kind(
    "relationship_type", "relationship_types", "relationship_type_id", "Types of relationships between two ends",
    (*_end("end1", "first"), *_end("end2", "second")),
    ids="relationship_type_id|id|metadata.id",
    listed=(Listing("relationship_types", "/v2/asset_relationship_types", paging="bookmark", size=25),),
)  # fmt: skip


def _ends(item: dict[str, Any]) -> dict[str, Any]:
    """Kind, id, column and container of both ends."""
    found: dict[str, Any] = {}
    for name in ("source", "target"):
        end = lookup.mapping(item.get(name))
        asset_id, _, column = (lookup.text(end.get("asset_id")) or "").partition("#COLUMN#")
        if asset_id:
            found[f"@{name}_kind"] = "column" if column else "asset"
            found[f"@{name}_id"], found[f"@{name}_column"] = asset_id, column or None
            found[f"@{name}_container"] = lookup.first(end, (("project_id",), ("space_id",), ("catalog_id",)))
        else:
            found[f"@{name}_kind"], found[f"@{name}_id"] = "artifact", lookup.text(end.get("artifact_id"))
    return found


def _side(name: str) -> tuple[Field, ...]:
    return (
        text(f"{name}_kind", f"@{name}_kind", "asset, column or artifact"),
        text(f"{name}_id", f"@{name}_id", "Id of the asset or artifact"),
        text(f"{name}_column", f"@{name}_column", f"Name of the column, where the {name} is one"),
        text(f"{name}_container_id", f"@{name}_container", f"Where the {name} lives"),
    )


RELATIONSHIP = Kind(
    "relationship", "relationships", "relationship_id", "Relationships between assets, columns and artifacts",
    (
        text("relationship_name", "relationship_name", "As the catalog names it"),
        text("relationship_type_id", "relationship_type_id", "Its type"),
        *_side("source"), *_side("target"),
        common.created("create_time"), common.updated("update_time"),
    ),
    ids="relationship_id|id", named_by=("relationship_name", "relationship_type_id", "source", "target"),
    derived=_ends, indexed=("source_id", "target_id"), within=EVERYWHERE, is_followed=True,
    # It lives between containers.
    lacks=frozenset({"container_kind", "container_id", "is_stub"}),
    # Least recently updated first; deletions are not told.
    listed=(Listing(
        "relationships", "/v2/assets/search_relationships", paging="bookmark", size=25, total="total_rows",
        query={"include_source_columns": True, "include_target_columns": True}, posts=True, since="modified_after",
    ),),
    topics=("v2.asset_relationships.*.#",),
)  # fmt: skip
