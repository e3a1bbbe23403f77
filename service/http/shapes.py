"""Lineage in the shapes in which the catalog answers (docs/contract.md, "Lineage questions"). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from service.changes import LineageEdge
from service.mirror.lineage.events import EventRow, with_edges
from service.mirror.lineage.questions import Asset
from service.mirror.lineage.summary import Part, Side, Summary
from service.text.times import from_datetime, to_iso_milliseconds


def resource(row: EventRow, edges: Sequence[LineageEdge]) -> dict[str, Any]:
    """One event as a lineage query shows it: other names for what was published.

    `edges` are those that may be shown; assets that are not among them are left out.
    """
    body = with_edges(row.body(), list(edges)) if row.adds_up else row.body()
    moment = _moment(row.event_time)
    return {
        "metadata": {
            "id": row.event_id,
            "source_event_id": row.event_id,
            "created_at": moment,
            "created_by": row.user_id,
        },
        "entity": {
            "type": row.event_type,
            "generates_assets": _assets(body, "generates", edges),
            "uses_assets": _assets(body, "uses", edges),
            "properties": {
                "event_time": moment,
                "event_category": [word for word in (row.categories or "").split(",") if word],
                "event_source_service": row.source_service,
            },
        },
    }


def timelines(rows: Sequence[EventRow], parts: Mapping[str, Part]) -> list[dict[str, Any]]:
    """The events by what they are to the asset, in the order in which they happened."""
    in_order = sorted(rows, key=lambda row: (_moment(row.event_time) or "", row.event_id))
    return [
        {
            "classification": part.value,
            "events": [
                {"id": row.event_id, "type": row.event_type, "event_time": _moment(row.event_time)}
                for row in in_order
                if parts[row.event_id] is part
            ],
        }
        for part in Part
    ]


def summary(asset_id: str, asset: Asset | None, found: Summary) -> dict[str, Any]:
    """What the lineage of an asset amounts to."""
    container = {f"{asset.container_kind}_id": asset.container_id} if asset and asset.container_kind else {}
    return {
        "metadata": {"asset_id": asset_id, "name": asset.name if asset else None, **container},
        "entity": {
            "upstream": _side(found.upstream),
            "downstream": _side(found.downstream),
            "events": {part.value: found.parts[part] for part in Part},
            "event_types": dict(sorted(found.event_types.items())),
            "first_event_time": _moment(found.first_at),
            "last_event_time": _moment(found.last_at),
        },
    }


def _side(side: Side) -> dict[str, Any]:
    return {"assets": side.assets, "events": side.events, "depth": side.depth, "truncated": side.cut}


def _moment(moment: datetime | None) -> str | None:
    return to_iso_milliseconds(from_datetime(moment)) if moment else None


def _assets(body: dict[str, Any], role: str, edges: Sequence[LineageEdge]) -> list[dict[str, Any]]:
    shown = {edge.asset_id for edge in edges if edge.role == role}
    named = [asset for asset in body.get(f"{role}_assets") or () if isinstance(asset, dict)]
    return [_renamed(asset) for asset in named if _id_of(asset) in shown]


def _renamed(asset: dict[str, Any]) -> dict[str, Any]:
    return {("type" if key == "asset_type" else key): value for key, value in asset.items()}


def _id_of(asset: dict[str, Any]) -> Any:
    """The asset's id, which may stand in its own property alone."""
    if asset.get("id"):
        return asset["id"]
    values = (member.get("value") for member in (asset.get("properties") or {}).values() if isinstance(member, dict))
    return next((value["id"] for value in values if isinstance(value, dict) and value.get("id")), None)
