"""The family of copies: clone, publish, promote, and deep copies that take related assets along."""

from __future__ import annotations

from typing import Any

from sandbox.catalog import cards
from sandbox.catalog.asset_types import AssetTypes
from sandbox.catalog.assets import Assets, Life, Record
from sandbox.catalog.cards import Card
from sandbox.catalog.clock import Clock, iso_seconds, to_millis
from sandbox.catalog.containers import Container, ContainerKind
from sandbox.catalog.editing import EDITOR, touch
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.lineage import Lineage
from sandbox.catalog.problems import bad_request
from sandbox.catalog.relationships import Relationships
from sandbox.catalog.statistics import Statistics

#: From where to where each call copies, what it is called in a copy's `source_asset`, and how it is counted.
_WAYS: dict[tuple[ContainerKind, ContainerKind], tuple[str, str]] = {
    ("catalog", "project"): ("clone", "CLONE_TO_PROJECT"),
    ("project", "catalog"): ("publish", "PUBLISH_TO_CATALOG"),
    ("project", "space"): ("promote", "PROMOTE_TO_SPACE"),
}
#: Attributes that belong to one asset only; `data_profile` is assumed to, since it names its data set.
_OWN_ATTRIBUTES = frozenset({"data_profile"})
#: Properties of connections that a copy may keep.
_OPEN_PROPERTIES = frozenset({"host", "port", "database", "bucket", "url"})


class Copying:
    """Copies are new cards that tell where they came from; no documented key announces them."""

    def __init__(
        self,
        assets: Assets,
        types: AssetTypes,
        relationships: Relationships,
        lineage: Lineage,
        statistics: Statistics,
        ids: Ids,
        clock: Clock,
    ) -> None:
        self._assets, self._types, self._relationships = assets, types, relationships
        self._lineage, self._statistics, self._ids, self._clock = lineage, statistics, ids, clock

    def clone(self, asset_id: str, project_id: str) -> str:
        """Copy from a catalog to a project; answers the copy's id."""
        return self._checked(asset_id, project_id, "clone")

    def publish(self, asset_id: str, catalog_id: str) -> str:
        """Copy from a project to a catalog; answers the copy's id."""
        return self._checked(asset_id, catalog_id, "publish")

    def promote(self, asset_id: str, space_id: str) -> str:
        """Copy from a project to a space; answers the copy's id."""
        return self._checked(asset_id, space_id, "promote")

    def deepcopy(self, asset_id: str, target_id: str) -> dict[str, str]:
        """Copy in any of the three directions with the assets that its relationships take along; new ids by old."""
        copies: dict[str, str] = {}
        waiting = [asset_id]
        while waiting:
            one = waiting.pop()
            place = self._assets.place(one)
            if one not in copies and place is not None and place[1] is Life.LIVE:
                copies[one] = self._copy(one, target_id)
                waiting += self._relationships.targets(one, on="copy")
        return copies

    def _checked(self, asset_id: str, target_id: str, action: str) -> str:
        if self._way(self._assets.live(asset_id), target_id)[0] != action:
            raise bad_request(f"{action} does not go from there to {target_id}.")
        return self._copy(asset_id, target_id)

    def _way(self, record: Record, target_id: str) -> tuple[str, str]:
        source, target = self._assets.container_of(record), self._assets.containers.get(target_id)
        if (source.kind, target.kind) not in _WAYS:
            raise bad_request(f"Nothing is copied from a {source.kind} to a {target.kind}.")
        return _WAYS[source.kind, target.kind]

    def _copy(self, asset_id: str, target_id: str) -> str:
        record = self._assets.live(asset_id)
        action, counted = self._way(record, target_id)
        source, target = self._assets.container_of(record), self._assets.containers.get(target_id)
        copy_id = self._ids.new(Kind.CREATED_ASSET)
        card = self._copied_card(record.card, copy_id, source, target, action)
        self._assets.put(Record(copy_id, target_id, card))
        self._statistics.count(asset_id, counted)
        self._lineage.record_copy(record.card, source, card, target)
        return copy_id

    def _copied_card(self, card: Card, copy_id: str, source: Container, target: Container, action: str) -> Card:
        copied, now_s = cards.copy_card(card), self._clock.now()
        provenance = cards.source_asset(card, source, action)
        metadata: dict[str, Any] = copied["metadata"]
        for key in ("catalog_id", "project_id", "space_id", "sandbox_id"):
            metadata.pop(key, None)
        metadata |= cards.container_fields(target)
        metadata |= {"asset_id": copy_id, "source_asset": provenance, "size": 0}
        metadata |= {"created": to_millis(now_s), "created_at": iso_seconds(now_s)}
        for attribute in (self._types.lost_on_copy() | _OWN_ATTRIBUTES) - {metadata["asset_type"]}:
            copied["entity"].pop(attribute, None)
        attachments = [one for one in copied.get("attachments", []) if one["asset_type"] in copied["entity"]]
        copied["attachments"] = [one | {"id": self._ids.new(Kind.CREATED_ATTACHMENT)} for one in attachments]
        if connection := copied["entity"].get("connection"):
            properties = connection.get("properties", {}).items()
            connection["properties"] = {key: value for key, value in properties if key in _OPEN_PROPERTIES}
        touch(copied, now_s, EDITOR)
        return cards.finish(copied)
