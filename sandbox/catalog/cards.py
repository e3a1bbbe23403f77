"""The card: the one document about an asset, and the small parts it is made of."""

from __future__ import annotations

from typing import Any, TypeAlias

import msgspec

from sandbox.catalog.clock import iso_millis, iso_seconds
from sandbox.catalog.containers import ACCOUNT, CALLER, Container, ContainerKind

#: `metadata`, `entity` and, where there are any, `attachments`. A stored card is never changed, only replaced.
Card: TypeAlias = dict[str, Any]

#: Visibility modes.
PUBLIC, PRIVATE, HIDDEN = 0, 8, 16
#: Types whose cards the sample calls category SYSTEM.
SYSTEM_TYPES = frozenset({"connection"})


def copy_card(card: Card) -> Card:
    """A copy that shares nothing."""
    copied: Card = msgspec.json.decode(msgspec.json.encode(card))
    return copied


def container_fields(container: Container) -> dict[str, Any]:
    """How a card's metadata names its container: a project's asset lies in a private catalog that nobody may list."""
    if container.kind == "catalog":
        return {"catalog_id": container.id}
    if container.kind == "project":
        return {"catalog_id": container.private_catalog_id, "project_id": container.id, "sandbox_id": container.id}
    return {"catalog_id": container.private_catalog_id, "space_id": container.id}


def metadata(
    asset_id: str, asset_type: str, name: str, container: dict[str, Any], *, created_ms: int, modified_ms: int, by: str
) -> dict[str, Any]:
    """The `metadata` of a card; `asset_attributes` is filled by `finish`."""
    modified_at = iso_seconds(modified_ms // 1000)
    return {
        "asset_id": asset_id,
        "asset_type": asset_type,
        "asset_attributes": [],
        "name": name,
        "origin_country": "us",
        "asset_category": "SYSTEM" if asset_type in SYSTEM_TYPES else "USER",
        "asset_state": "available",
        **container,
        "rov": {"mode": PUBLIC, "collaborator_ids": {}},
        "owner_id": by,
        "creator_id": by,
        "created": created_ms,
        "created_at": iso_seconds(created_ms // 1000),
        "size": 0,
        "version": 2,
        "rating": 0,
        "total_ratings": 0,
        "usage": {
            "last_updated_at": modified_at,
            "last_updater_id": by,
            "last_update_time": modified_ms,
            "last_accessed_at": modified_at,
            "last_access_time": modified_ms,
            "last_accessor_id": by,
            "access_count": 0,
        },
    }


def finish(card: Card) -> Card:
    """Keep what the service keeps itself: `asset_attributes`, and no empty `attachments`."""
    card["metadata"]["asset_attributes"] = list(card["entity"])
    if not card.get("attachments", True):
        del card["attachments"]
    return card


def remote_attachment(
    attachment_id: str, asset_type: str, name: str, *, connection_id: str, path: str, by: str, created_ms: int
) -> dict[str, Any]:
    """An attachment that lies behind a connection."""
    return _attachment(attachment_id, asset_type, name, by, created_ms) | {
        "connection_id": connection_id,
        "connection_path": path,
        "is_remote": True,
    }


def referenced_attachment(
    attachment_id: str, asset_type: str, name: str, *, key: str, by: str, created_ms: int, size: int
) -> dict[str, Any]:
    """An attachment that lies in the container's own storage."""
    return _attachment(attachment_id, asset_type, name, by, created_ms) | {
        "is_referenced": True,
        "size": size,
        "object_key": key,
        "handle": {"bucket": "pocket", "location": "us", "key": key, "upload_id": "done", "max_part_num": 1},
    }


def _attachment(attachment_id: str, asset_type: str, name: str, by: str, created_ms: int) -> dict[str, Any]:
    return {
        "id": attachment_id,
        "version": 2,
        "asset_type": asset_type,
        "name": name,
        "creator_id": by,
        "create_time": created_ms,
        "size": 0,
        "is_remote": False,
        "is_managed": False,
        "is_referenced": False,
        "is_object_key_read_only": False,
        "is_user_provided_path_key": True,
        "transfer_complete": True,
        "is_partitioned": False,
        "complete_time_ticks": created_ms,
        "user_data": {},
        "test_doc": 0,
        "usage": {"access_count": 0, "last_accessor_id": by, "last_access_time": created_ms},
    }


def profile(
    profile_id: str, asset_id: str, kind: ContainerKind, container_id: str, *, created_s: float, by: str
) -> dict[str, Any]:
    """A data profile that was not started yet."""
    created_at = iso_millis(created_s)
    return {
        "metadata": {
            "guid": profile_id,
            "asset_id": profile_id,
            "dataset_id": asset_id,
            "url": f"https://catalog.example.com/v2/data_profiles/{profile_id}",
            f"{kind}_id": container_id,
            "created_at": created_at,
            "accessed_at": created_at,
            "owner_id": by,
            "last_updater_id": by,
        },
        "entity": {
            "data_profile": {
                "options": {
                    "disable_profiling": False,
                    "max_row_count": 5000,
                    "max_distribution_size": 100,
                    "max_numeric_stats_bins": 200,
                    "classification_options": {
                        "disabled": False,
                        "use_all_ibm_classes": True,
                        "ibm_class_codes": [],
                        "custom_class_codes": [],
                    },
                },
                "execution": {"status": "none", "is_supported": True},
                "columns": [],
            }
        },
        "href": f"/v2/data_profiles/{profile_id}?{kind}_id={container_id}&dataset_id={asset_id}",
    }


def profiles_in(card: Card) -> list[dict[str, Any]]:
    """The profiles among the mixed keys of the attribute `data_profile`."""
    attribute = card["entity"].get("data_profile", {})
    return [value for value in attribute.values() if isinstance(value, dict) and "guid" in value.get("metadata", {})]


def may_find(card: Card) -> bool:
    """Whether the mirror's user may know of the asset, being a member of its container."""
    return card["metadata"]["rov"]["mode"] != HIDDEN or _is_asset_member(card)


def may_open(card: Card) -> bool:
    """Whether the mirror's user sees more than `metadata`."""
    return card["metadata"]["rov"]["mode"] in (-1, PUBLIC) or _is_asset_member(card)


def _is_asset_member(card: Card) -> bool:
    return CALLER in card["metadata"]["rov"].get("member_roles", {})


def source_asset(card: Card, container: Container, action: str) -> dict[str, Any]:
    """What a copy's metadata tells of where it came from."""
    return {
        "action": action,
        **container_fields(container),
        "asset_id": card["metadata"]["asset_id"],
        "bss_account_id": ACCOUNT,
        "asset_name": card["metadata"]["name"],
    }
