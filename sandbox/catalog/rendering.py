"""Cards as they leave the catalog: what the caller may see of them, with numbers in the forms of the services."""

from __future__ import annotations

from typing import Any

import msgspec

from sandbox.catalog.assets import Record
from sandbox.catalog.calls import Call
from sandbox.catalog.cards import Card, may_open
from sandbox.catalog.clock import iso_millis
from sandbox.catalog.containers import Container
from sandbox.catalog.knobs import Knobs


def opened_card(card: Card, container: Container, call: Call) -> dict[str, Any]:
    """A card read by its id."""
    shown = _visible(card, "entity,attachments")
    if call.catalog.knobs.odd_numbers and _is_odd(card, 3):
        shown["metadata"] = card["metadata"] | {"version": 2.0}
    shown["href"] = _href(card, container, call.base)
    return shown


def found_card(card: Card, container: Container, include: str, base: str, knobs: Knobs) -> dict[str, Any]:
    """A card in a search result."""
    metadata = dict(card["metadata"])
    if knobs.search_version_zero:
        metadata["version"] = 0
    if knobs.odd_numbers and _is_odd(card, 4):
        metadata["created"] = _scientific(metadata["created"])
        metadata |= {"rating": 0.0, "total_ratings": 0.0}
        usage = metadata["usage"]
        metadata["usage"] = usage | {"access_count": float(usage["access_count"])}
    shown = _visible(card, include)
    shown["metadata"] = metadata
    shown["href"] = _href(card, container, base)
    return shown


def trashed_card(record: Record, container: Container, call: Call, *, with_entity: bool) -> dict[str, Any]:
    """A card in the trash."""
    shown = _visible(record.card, "entity,attachments" if with_entity else "")
    shown["metadata"] = record.card["metadata"] | {
        "asset_state": "deleted",
        "delete_processing_state": "complete",
        "delete_reason": "user",
        "delete_timestamp": iso_millis(record.trashed_s or 0.0),
    }
    shown["href"] = f"{call.base}/v2/trashed_assets/{record.asset_id}?{container.kind}_id={container.id}"
    return shown


def _visible(card: Card, include: str) -> dict[str, Any]:
    """Metadata, and more where it was asked for and the caller may see it."""
    shown: dict[str, Any] = {"metadata": card["metadata"]}
    if include and may_open(card):
        shown["entity"] = card["entity"]
        if include == "entity,attachments" and "attachments" in card:
            shown["attachments"] = card["attachments"]
    return shown


def _href(card: Card, container: Container, base: str) -> str:
    """Absolute or relative, as the services please."""
    host = base if _is_odd(card, 2) else ""
    return f"{host}/v2/assets/{card['metadata']['asset_id']}?{container.kind}_id={container.id}"


def _is_odd(card: Card, share: int) -> bool:
    """Whether this is one of the cards that are shown differently; always the same ones."""
    asset_id: str = card["metadata"]["asset_id"]
    return int(asset_id[:4], 16) % share == 0


def _scientific(number: int) -> msgspec.Raw:
    """`1.52968210955E12`, as a JSON number."""
    mantissa, _, exponent = f"{number:.12E}".partition("E+")
    return msgspec.Raw(f"{mantissa.rstrip('0').rstrip('.')}E{int(exponent)}".encode())
