"""The attachments of assets: what they are and where their data lie, never what lets people in.

The same thing has other names in other answers (docs/contract.md, "Cards"). Addresses, handles and keys of objects are
left where they are.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from service.changes import Attached
from service.text import lookup

_KINDS = (("is_remote", "remote"), ("is_referenced", "referenced"), ("is_managed", "managed"))


def attachments_in(items: Iterable[dict[str, Any]]) -> tuple[Attached, ...]:
    """The attachments that a card lists."""
    return tuple(
        Attached(
            attachment_id=lookup.text(item.get("id") or item.get("attachment_id")),
            asset_type=lookup.text(item.get("asset_type")),
            name=lookup.text(item.get("name")),
            mime=lookup.text(item.get("mime")),
            size=lookup.integer(item.get("size")),
            kind=_kind(item),
            connection_id=lookup.text(item.get("connection_id")),
            connection_path=lookup.text(item.get("connection_path")),
            created_at_us=lookup.moment(item.get("create_time")) or lookup.moment(item.get("created_at")),
        )
        for item in items
    )


def _kind(item: dict[str, Any]) -> str | None:
    """As it is told, else by what only one kind has."""
    for flag, kind in _KINDS:
        if lookup.truth(item.get(flag)):
            return kind
    told = lookup.text(item.get("attachment_type"))
    if told:
        return told
    if item.get("connection_id"):
        return "remote"
    return "referenced" if item.get("object_key") or item.get("handle") else None
