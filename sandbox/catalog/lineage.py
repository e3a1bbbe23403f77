"""Lineage events: those that others sent in, and those of the catalog's own copies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sandbox.catalog.cards import Card
from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.containers import ACCOUNT, Container
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import bad_request

_OWN_SERVICE = "Watson Knowledge Catalog"


@dataclass(frozen=True, slots=True)
class LineageEvent:
    """An event as it was sent, with the id that the catalog gave it."""

    id: str
    body: dict[str, Any]
    #: Sent in over HTTP, not made by the catalog itself.
    received: bool

    @property
    def assets(self) -> set[str]:
        """Ids of the assets that it is about."""
        return {one["id"] for key in ("generates_assets", "uses_assets") for one in self.body.get(key, ())}

    def as_resource(self) -> dict[str, Any]:
        """As a lineage query shows it: other names for the same things."""
        details = self.body["event_details"]
        return {
            "metadata": {
                "id": self.id,
                "source_event_id": details["event_id"],
                "created_at": details["event_time"],
                "created_by": self.body.get("user_id"),
            },
            "entity": {
                "type": details["event_type"],
                "generates_assets": [_renamed(one) for one in self.body.get("generates_assets", ())],
                "uses_assets": [_renamed(one) for one in self.body.get("uses_assets", ())],
                "properties": {
                    "event_time": details["event_time"],
                    "event_category": details.get("event_category", []),
                    "event_source_service": details.get("event_source_service"),
                },
            },
        }


class Lineage:
    """All lineage events; the same one sent twice is there twice, since nobody promises otherwise."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self.events: list[LineageEvent] = []

    def receive(self, body: Any) -> LineageEvent:
        """Take in an event that somebody sent; raises Problem 400."""
        details = body.get("event_details") if isinstance(body, dict) else None
        if not isinstance(details, dict):
            raise bad_request("event_details is missing.")
        missing = [key for key in ("event_id", "event_type", "event_time") if not isinstance(details.get(key), str)]
        if missing:
            raise bad_request(f"event_details lacks {', '.join(missing)}.")
        for key in ("generates_assets", "uses_assets"):
            named = body.get(key, [])
            if not isinstance(named, list) or not all(isinstance(one, dict) and one.get("id") for one in named):
                raise bad_request(f"{key} is not a list of assets with ids.")
        return self._keep(body, received=True)

    def record_copy(self, card: Card, source: Container, copied: Card, target: Container) -> None:
        """An asset was copied from one container to another."""
        event_id = self._ids.new(Kind.TRACE)
        self._keep(
            {
                "message_version": "v1",
                "user_id": card["metadata"]["owner_id"],
                "account_id": ACCOUNT,
                "event_details": {
                    "event_id": event_id,
                    "event_type": "DATASET_PUBLISHED",
                    "event_category": ["additions"],
                    "event_time": iso_millis(self._clock.now()),
                    "event_source_service": _OWN_SERVICE,
                },
                "generates_assets": [_as_end(copied, target, "Created")],
                "uses_assets": [_as_end(card, source, "Used")],
            },
            received=False,
        )

    def of(self, asset_id: str) -> list[LineageEvent]:
        """Events about an asset, newest first."""
        found = [event for event in self.events if asset_id in event.assets]
        return sorted(found, key=lambda event: str(event.body["event_details"]["event_time"]), reverse=True)

    def _keep(self, body: dict[str, Any], *, received: bool) -> LineageEvent:
        event = LineageEvent(self._ids.new(Kind.LINEAGE), body, received)
        self.events.append(event)
        return event


def _renamed(asset: dict[str, Any]) -> dict[str, Any]:
    return {("type" if key == "asset_type" else key): value for key, value in asset.items()}


def _as_end(card: Card, container: Container, relation: str) -> dict[str, Any]:
    metadata = card["metadata"]
    value = {"id": metadata["asset_id"], "name": metadata["name"], f"{container.kind}_id": container.id}
    return {
        "id": metadata["asset_id"],
        "asset_type": "DataSet",
        "relation": {"name": relation},
        "properties": {
            "dataset": {"type": "dataset", "value": value},
            container.kind: {"type": container.kind, "value": {"id": container.id}},
        },
    }
