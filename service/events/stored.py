"""Changes made again out of the rows that they once made: for columns anew, and for targets that are told later."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from service.changes import Change, Container, Rank, Version
from service.events.cards import profile_change, read_card
from service.events.things import container_change, thing_change
from service.kinds import THINGS
from service.text.documents import number


def change_of(kind: str, row: Any, key: str) -> Change:
    """The change that a row's document says, with the version that the row has; `key` names its key.

    Raises:
        DataError: this code does not understand the document.
    """
    change: Change = structs.replace(_of_row(kind, row, key), version=Version.from_key(row["version"]))
    return change


def version_of(kind: str, row: Any, key: str) -> Version:
    """The version that a row has, with the digests of the document that it has: for one that was rewritten.

    Raises:
        DataError: as `change_of`.
    """
    own = _of_row(kind, row, key).version
    return structs.replace(Version.from_key(row["version"]), digest=own.digest, whole=own.whole)


def beside(kind: str) -> tuple[str, ...]:
    """Columns of a row that say what its document does not."""
    if kind in THINGS:
        return (parent,) if (parent := THINGS[kind].parent_field) else ()
    return {"container": ("kind", "state"), "data_profile": ("asset_id",)}.get(kind, ())


def _of_row(kind: str, row: Any, key: str) -> Any:
    return told(kind, row[key], row, json.loads(row["document"], parse_float=number))


def told(kind: str, id_: str, row: Mapping[str, Any], document: dict[str, Any]) -> Any:
    """The change that a document says, with the version that it would have by itself.

    Args:
        row: where it lives, and what is `beside` it.

    Raises:
        DataError: this code does not understand the document.
    """
    if kind == "container":
        container = structs.replace(container_change(row["kind"], document, None), state=row["state"])
        return structs.replace(container, container=Container(row["kind"], id_))
    where = Container(row["container_kind"], row["container_id"]) if row["container_id"] else None
    if kind == "asset":
        card = read_card(document, where, None, Rank.LISTED)
        return structs.replace(card.saved(), asset_id=id_)
    if kind == "data_profile":
        profile = profile_change(document, row["asset_id"], where, None, Rank.READ)
        return structs.replace(profile, profile_id=id_)
    declared = THINGS[kind]
    parent = row[declared.parent_field] if declared.parent_field else None
    return structs.replace(thing_change(declared, document, where, None, parent), thing_id=id_)
