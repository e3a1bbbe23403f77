"""What users do to a card: create it, change its metadata and attributes, read it."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from sandbox.catalog import cards
from sandbox.catalog.asset_types import AssetTypes
from sandbox.catalog.assets import Assets, Record
from sandbox.catalog.cards import Card
from sandbox.catalog.clock import Clock, iso_seconds, to_millis
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import bad_request
from sandbox.catalog.statistics import Statistics
from sandbox.catalog.tables import column

EDITOR = "IBMid-270000DANA"
_NAME = re.compile(r"[\w\-. ]*[\w\-.][\w\-. ]*")
_TAG = re.compile(r"[\w\-#@]+")


class Editing:
    """Changes to single cards; each replaces the card and touches its usage."""

    def __init__(self, assets: Assets, types: AssetTypes, ids: Ids, clock: Clock, statistics: Statistics) -> None:
        self._assets, self._types, self._ids, self._clock = assets, types, ids, clock
        self._statistics = statistics

    def create(
        self,
        container_id: str,
        name: str,
        asset_type: str = "data_asset",
        *,
        entity: dict[str, Any] | None = None,
        attachments: list[dict[str, Any]] | None = None,
        by: str = EDITOR,
        **metadata: Any,
    ) -> str:
        """Make an asset and answer its id; further keywords go into its metadata.

        Raises:
            Problem: the name is not legal, or the type does not exist.
        """
        _check_name(name)
        self._types.require(asset_type)
        asset_id, now_ms = self._ids.new(Kind.CREATED_ASSET), to_millis(self._clock.now())
        fields = cards.container_fields(self._assets.containers.get(container_id))
        told = cards.metadata(asset_id, asset_type, name, fields, created_ms=now_ms, modified_ms=now_ms, by=by)
        primary: dict[str, Any] = {"mime_type": "text/csv", "dataset": False} if asset_type == "data_asset" else {}
        card: Card = {
            "metadata": told | metadata,
            "entity": entity or {asset_type: primary},
            "attachments": attachments or [],
        }
        self._assets.put(Record(asset_id, container_id, cards.finish(card)))
        return asset_id

    def patch(
        self,
        asset_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: list[str] | None = None,
        rov_mode: int | None = None,
        member_roles: dict[str, list[str]] | None = None,
        by: str = EDITOR,
    ) -> None:
        """Change metadata; what is None stays. `member_roles` are roles by principal, `collaborator_ids` follow them.

        Raises:
            Problem: no such live asset, or a value that is not legal.
        """
        if name is not None:
            _check_name(name)
        if any(not _TAG.fullmatch(tag) for tag in tags or ()):
            raise bad_request(f"Not legal as tags: {tags}.")
        if rov_mode not in (None, cards.PUBLIC, cards.PRIVATE, cards.HIDDEN):
            raise bad_request(f"Not legal as a mode: {rov_mode}.")

        def change(card: Card) -> None:
            given = {"name": name, "description": description, "tags": tags}
            card["metadata"] |= {key: value for key, value in given.items() if value is not None}
            if rov_mode is not None:
                card["metadata"]["rov"]["mode"] = rov_mode
            if member_roles is not None:
                _set_roles(card["metadata"], member_roles)

        self.edit(asset_id, change, by=by)

    def set_attribute(self, asset_id: str, attribute: str, value: dict[str, Any] | None, *, by: str = EDITOR) -> None:
        """Set an attribute as a whole, or remove it with None; the card's own one cannot be removed."""
        if value is not None:
            self._types.require(attribute)

        def change(card: Card) -> None:
            if value is not None:
                card["entity"][attribute] = value
            elif attribute == card["metadata"]["asset_type"]:
                raise bad_request(f"The attribute {attribute} is the asset itself.")
            else:
                card["entity"].pop(attribute, None)

        self.edit(asset_id, change, by=by)

    def add_columns(self, asset_id: str, names: list[str], *, by: str = EDITOR) -> None:
        """Append columns to a data asset."""

        def change(card: Card) -> None:
            data_asset = card["entity"].get("data_asset")
            if data_asset is None:
                raise bad_request(f"The asset {asset_id} is no data asset.")
            data_asset["columns"] = [*data_asset.get("columns", []), *(column(name) for name in names)]
            data_asset["dataset"] = True

        self.edit(asset_id, change, by=by)

    def set_terms(self, asset_id: str, terms: list[dict[str, str]], *, by: str = EDITOR) -> None:
        """Replace the glossary terms of an asset: `term_id` and `term_display_name` each."""
        self.set_attribute(asset_id, "asset_terms", {"list": terms}, by=by)

    def read(self, asset_id: str, *, by: str = "IBMid-270000OTTO") -> None:
        """Somebody looked at the asset: only its access counters change."""
        record = self._assets.live(asset_id)
        card, now_s = cards.copy_card(record.card), self._clock.now()
        usage = card["metadata"]["usage"]
        usage |= {
            "access_count": usage["access_count"] + 1,
            "last_access_time": to_millis(now_s),
            "last_accessed_at": iso_seconds(now_s),
            "last_accessor_id": by,
        }
        self._assets.put(replace(record, card=card))

    def edit(self, asset_id: str, change: Callable[[Card], None], *, by: str = EDITOR) -> None:
        """Apply a change to a copy of a live asset's card, and make it the card."""
        record = self._assets.live(asset_id)
        card = cards.copy_card(record.card)
        change(card)
        touch(card, self._clock.now(), by)
        self._statistics.count(asset_id, "EDITS")
        self._assets.put(replace(record, card=cards.finish(card)))


def touch(card: Card, at_s: float, by: str) -> None:
    """Write down in the card that it was changed."""
    card["metadata"]["usage"] |= {
        "last_updated_at": iso_seconds(at_s),
        "last_update_time": to_millis(at_s),
        "last_updater_id": by,
    }


def _set_roles(metadata: dict[str, Any], member_roles: dict[str, list[str]]) -> None:
    rov = metadata["rov"]
    rov["member_roles"] = {who: {"user_iam_id": who, "roles": roles} for who, roles in member_roles.items()}
    collaborators = (who for who, roles in member_roles.items() if {"EDITOR", "VIEWER"} & set(roles))
    rov["collaborator_ids"] = {who: {"user_iam_id": who} for who in collaborators}
    owners = [who for who, roles in member_roles.items() if "OWNER" in roles]
    if owners:
        metadata["owner_id"] = owners[-1]


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise bad_request(f"Not legal as a name: {name!r}.")
