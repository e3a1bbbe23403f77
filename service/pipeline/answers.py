"""Lineage back: the event with which we answer a change, so that the catalog's lineage shows what the mirror did.

The body is the catalog's own form (docs/contract.md, "Lineage events"). Its id depends on the change alone, so an event
that comes twice, or at two replicas, is answered once.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID, uuid5

from service.changes import (
    AssetDeleted,
    AssetSaved,
    Change,
    Container,
    LineageEdge,
    LineageRecorded,
    ProfileDeleted,
    ProfileSaved,
    Rank,
    Version,
)
from service.events.lineage import bare_asset
from service.settings.model import TargetSettings
from service.text.documents import document
from service.text.times import to_iso_milliseconds

#: The target whose settings word our lineage events.
LINEAGE_TARGET = "catalog_lineage"
#: Namespace of the ids that we make.
NAMESPACE = UUID("5b0a3f1e-6d0c-5c1b-9a55-0c47a1096d1e")

#: What `event_type` says by default, by the name of the change.
EVENT_TYPES = {
    "ProfileSaved": "DATASET_PROFILED",
    "ProfileDeleted": "DATASET_PROFILE_DELETED",
    "AssetSaved": "DATASET_MIRRORED",
    "AssetDeleted": "DATASET_DELETED",
}
_ADDITIONS, _MODIFICATIONS, _DELETIONS = "additions", "modifications", "deletions"
#: How the catalog's lineage calls what its asset service calls a data asset.
DATA_SET, DATA_PROFILE = "DataSet", "DataProfile"


class Answerer:
    """Makes lineage events of changes."""

    def __init__(self, settings: TargetSettings) -> None:
        self._user_id = settings.user_id
        self._account_id = settings.account_id
        self.source_service = settings.event_source_service
        self._event_types = EVENT_TYPES | settings.event_types

    def answer(self, change: Change) -> LineageRecorded | None:
        """The lineage event for a change; None for hints, stubs, lineage, and what has no time."""
        if isinstance(change, ProfileSaved):
            category = _ADDITIONS if change.is_new else _MODIFICATIONS
            used = _edge(change.asset_id, "uses", DATA_SET, change.container)
            return self._event(change, change.profile_id, category, used, _made(change.profile_id, change.container))
        if isinstance(change, ProfileDeleted):
            used = _edge(change.asset_id, "uses", DATA_SET, change.container)
            gone = _edge(change.profile_id, "uses", DATA_PROFILE, change.container)
            return self._event(change, change.profile_id, _DELETIONS, [*used, *gone], [])
        if isinstance(change, AssetSaved) and change.document is not None:
            used = _edge(change.asset_id, "uses", DATA_SET, change.container, change.name)
            copy = _edge(f"mirror:{change.asset_id}", "generates", DATA_SET, None, change.name)
            return self._event(change, change.asset_id, _MODIFICATIONS, used, copy)
        if isinstance(change, AssetDeleted) and not change.hinted:
            used = _edge(change.asset_id, "uses", DATA_SET, change.container)
            return self._event(change, change.asset_id, _DELETIONS, used, [])
        return None

    def _event(
        self,
        change: ProfileSaved | ProfileDeleted | AssetSaved | AssetDeleted,
        entity_id: str,
        category: str,
        uses: list[LineageEdge],
        generates: list[LineageEdge],
    ) -> LineageRecorded | None:
        at_us = change.version.at_us
        if at_us is None:
            return None
        event_id = answer_id(
            type(change).__name__.removesuffix("Saved").removesuffix("Deleted"), entity_id, change.version
        )
        event_type = self._event_types[type(change).__name__]
        return self._told(event_id, event_type, category, at_us, uses, generates)

    def announcement(self, event_id: str, event_type: str, at_us: int, uses: list[LineageEdge]) -> LineageRecorded:
        """The lineage event of something that a target did with assets; `event_types` may word it otherwise."""
        word = self._event_types.get(event_type, event_type)
        return self._told(event_id, word, _MODIFICATIONS, at_us, uses, [])

    def _told(
        self, event_id: str, event_type: str, category: str, at_us: int, uses: list[LineageEdge],
        generates: list[LineageEdge],
    ) -> LineageRecorded:  # fmt: skip
        kept = document(
            {
                "message_version": "v1",
                "user_id": self._user_id,
                "account_id": self._account_id,
                "event_details": {
                    "event_id": event_id,
                    "event_type": event_type,
                    "event_category": [category],
                    "event_time": to_iso_milliseconds(at_us),
                    "event_source_service": self.source_service,
                },
                "uses_assets": [bare_asset(edge) for edge in uses],
                "generates_assets": [bare_asset(edge) for edge in generates],
            }
        )
        return LineageRecorded(
            event_id=event_id,
            version=Version(at_us, Rank.EVENT, kept.digest, kept.digest),
            document=kept,
            event_type=event_type,
            categories=(category,),
            source_service=self.source_service,
            user_id=self._user_id,
            edges=(*uses, *generates),
        )


def answer_id(kind: str, entity_id: str, version: Version) -> str:
    """The id of our answer: a UUID (version 5) of entity, moment, rank and digest."""
    name = f"{kind}/{entity_id}/{version.at_us}/{int(version.rank)}/{version.digest.hex()}"
    return str(uuid5(NAMESPACE, name))


def _made(profile_id: str, container: Container | None) -> list[LineageEdge]:
    return _edge(profile_id, "generates", DATA_PROFILE, container)


def _edge(
    asset_id: str | None, role: Any, asset_type: str, container: Container | None, name: str | None = None
) -> list[LineageEdge]:
    if asset_id is None:
        return []
    relation = "Used" if role == "uses" else "Created"
    return [LineageEdge(asset_id, role, relation, asset_type, name, container)]
