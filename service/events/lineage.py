"""Lineage events: the bare form that is published to the catalog, also when an envelope is around it.

The form is told in docs/contract.md, "Lineage events".
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec
from msgspec import structs

from service.changes import CATALOG, LineageEdge, LineageRecorded, Rank, Role, Version
from service.errors import FieldInvalid
from service.events.fields import Body, ContainerFields, key_id, require_id, typed
from service.events.message import Event
from service.text import lookup
from service.text.documents import Document, document
from service.text.times import read_time

#: Where the event's id stands in `v2.lineage_events.{id}.POST`.
KEY_ID_INDEX = 2


class _EventDetails(Body, frozen=True):
    event_id: str | None = None
    event_type: str | None = None
    event_category: list[str] | str | None = None
    event_time: Any = None
    event_source_service: str | None = None


class _Relation(Body, frozen=True):
    name: str | None = None


class _AssetValue(ContainerFields, frozen=True):
    id: str | None = None
    name: str | None = None


class _Property(Body, frozen=True):
    type: str | None = None
    value: Any = None


class _Asset(Body, frozen=True):
    id: str | None = None
    asset_type: str | None = None
    type: str | None = None
    relation: _Relation | None = None
    properties: dict[str, Any] | None = None


class _Lineage(Body, frozen=True):
    message_version: str | int | None = None
    user_id: str | None = None
    account_id: str | None = None
    event_details: _EventDetails | None = None
    generates_assets: list[_Asset] | None = None
    uses_assets: list[_Asset] | None = None


#: Any of these marks an object as a lineage event; the last one only where no other is found, an envelope may have it.
_MARKS = ("event_details", "uses_assets", "generates_assets")
_WEAK_MARKS = ("message_version",)


class LineageEvent(msgspec.Struct, frozen=True):
    """One lineage event with its edges; `body` is the bare form as it was sent."""

    BODY: ClassVar[type[Body]] = _Lineage

    event_id: str
    event_type: str | None
    categories: tuple[str, ...]
    at_us: int | None
    source_service: str | None
    user_id: str | None
    edges: tuple[LineageEdge, ...]
    body: dict[str, Any]

    @classmethod
    def read(cls, event: Event) -> LineageEvent:
        """Read the bare form, or the one inside an envelope's `state`, else its `details`.

        Raises:
            FieldInvalid: a field has the wrong type, an asset has no id, or the body is no lineage event.
        """
        body, where = bare_form(event.body)
        lineage = typed(_Lineage, body, where)
        details = lineage.event_details or _EventDetails()
        category = details.event_category
        return cls(
            event_id=require_id(
                ("event_details.event_id", details.event_id), ("routing key", key_id(event.words, KEY_ID_INDEX))
            ),
            event_type=details.event_type,
            categories=(category,) if isinstance(category, str) else tuple(category or ()),
            at_us=read_time(details.event_time, "event_details.event_time"),
            source_service=details.event_source_service,
            user_id=lineage.user_id,
            edges=(*_edges(lineage.uses_assets, "uses"), *_edges(lineage.generates_assets, "generates")),
            body=body,
        )

    def version(self, kept: Document) -> Version:
        """Latest event time, then digest: which of two bodies with the same id counts."""
        return Version(self.at_us, Rank.EVENT, kept.digest, kept.digest)

    def document(self) -> Document:
        """The bare form as it is kept."""
        return document(self.body)

    def recorded(self, came_from: str) -> LineageRecorded:
        """The change that this event tells."""
        kept = self.document()
        return LineageRecorded(
            event_id=self.event_id,
            version=self.version(kept),
            document=kept,
            event_type=self.event_type,
            categories=self.categories,
            source_service=self.source_service,
            user_id=self.user_id,
            edges=self.edges,
            came_from=came_from,
        )


def answered(resource: dict[str, Any]) -> LineageRecorded:
    """A lineage event as the catalog answers it to a question, where things have other names than when published.

    It is known by the id that its publisher gave it, so that it is the one that was published, ours too. Of one moment
    the published form counts.

    Raises:
        FieldInvalid: it has no id, or a field has the wrong type.
    """
    metadata, entity = lookup.mapping(resource.get("metadata")), lookup.mapping(resource.get("entity"))
    told = lookup.mapping(entity.get("properties"))
    body = {
        "message_version": "v1",
        "user_id": metadata.get("created_by"),
        "event_details": {
            "event_id": metadata.get("source_event_id") or metadata.get("id"),
            "event_type": entity.get("type"),
            "event_category": told.get("event_category"),
            "event_time": told.get("event_time") or metadata.get("created_at"),
            "event_source_service": told.get("event_source_service"),
        },
        **{
            f"{role}_assets": [
                {("asset_type" if name == "type" else name): value for name, value in asset.items()}
                for asset in lookup.objects(entity.get(f"{role}_assets"))
            ]
            for role in ("uses", "generates")
        },
    }
    recorded = LineageEvent.read(Event("", (), body)).recorded(CATALOG)
    return structs.replace(recorded, version=structs.replace(recorded.version, rank=Rank.LISTED))


def bare_form(body: dict[str, Any]) -> tuple[dict[str, Any], str]:
    """The lineage event within a body, and the path that leads to it."""
    for marks in (_MARKS, _WEAK_MARKS):
        for where in ("", "state", "details"):
            candidate = body.get(where) if where else body
            if isinstance(candidate, dict) and any(mark in candidate for mark in marks):
                return candidate, where
    raise FieldInvalid(field="event_details", problem="neither the body nor its state or details is a lineage event")


def bare_asset(edge: LineageEdge) -> dict[str, Any]:
    """One asset of the bare form; the container is told twice, as the catalog does: in the data set and beside it."""
    value: dict[str, Any] = {"id": edge.asset_id, "name": edge.name or edge.asset_id}
    properties: dict[str, Any] = {"dataset": {"type": "dataset", "value": value}}
    if edge.container:
        value[f"{edge.container.kind}_id"] = edge.container.id
        properties[edge.container.kind] = {"type": edge.container.kind, "value": {"id": edge.container.id}}
    return {
        "id": edge.asset_id,
        "asset_type": edge.asset_type,
        "relation": {"name": edge.relation},
        "properties": properties,
    }


def _edges(assets: list[_Asset] | None, role: Role) -> list[LineageEdge]:
    edges = {}
    for position, asset in enumerate(assets or ()):
        edge = _edge(asset, role, f"{role}_assets.{position}")
        edges[edge.asset_id] = edge
    return list(edges.values())


def _edge(asset: _Asset, role: Role, where: str) -> LineageEdge:
    value, place = _value_of(asset, where)
    return LineageEdge(
        asset_id=require_id((f"{where}.id", asset.id), (f"{place}.id", value.id)),
        role=role,
        relation=asset.relation.name if asset.relation else None,
        asset_type=asset.asset_type or asset.type,
        name=value.name,
        container=value.container(place),
    )


def _value_of(asset: _Asset, where: str) -> tuple[_AssetValue, str]:
    """The asset's own property (`dataset`, or another of that form), which has name and container, and its path."""
    properties = asset.properties or {}
    for name in ("dataset", "asset", *filter(lambda name: _is_own_property(name, properties[name]), properties)):
        if name in properties:
            path = f"{where}.properties.{name}"
            value = typed(_Property, properties[name], path).value
            return typed(_AssetValue, value if value is not None else {}, f"{path}.value"), f"{path}.value"
    return _AssetValue(), where


def _is_own_property(name: str, value: Any) -> bool:
    return (
        name not in ("catalog", "project", "space") and isinstance(value, dict) and isinstance(value.get("value"), dict)
    )
