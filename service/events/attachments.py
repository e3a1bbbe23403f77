"""The attachments of assets: what they are and where their data lie, never what lets people in.

The same thing has other names in other answers (docs/contract.md, "Cards"). Addresses, handles and keys of objects are
left where they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from service.changes import Attached
from service.text import lookup

_KINDS = (("is_remote", "remote"), ("is_referenced", "referenced"), ("is_managed", "managed"))


def attachments_in(items: Iterable[dict[str, Any]]) -> tuple[Attached, ...]:
    """The attachments that a card lists."""
    return tuple([_attached(item.get) for item in items])


def _attached(told: Callable[[str], Any]) -> Attached:
    return Attached(
        lookup.text(told("id") or told("attachment_id")),
        lookup.text(told("asset_type")),
        lookup.text(told("name")),
        lookup.text(told("mime")),
        lookup.integer(told("size")),
        _kind(told),
        lookup.text(told("connection_id")),
        lookup.text(told("connection_path")),
        lookup.moment(told("create_time")) or lookup.moment(told("created_at")),
    )


def _kind(told: Callable[[str], Any]) -> str | None:
    """As it is told, else by what only one kind has."""
    for flag, kind in _KINDS:
        if lookup.truth(told(flag)):
            return kind
    named = lookup.text(told("attachment_type"))
    if named:
        return named
    if told("connection_id"):
        return "remote"
    return "referenced" if told("object_key") or told("handle") else None
