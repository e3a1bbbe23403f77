"""Changes made again out of the rows that they once made: for columns anew, and for targets that are told later."""

from __future__ import annotations

import json
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
    change: Change = structs.replace(_told(kind, row, key), version=Version.from_key(row["version"]))
    return change


def version_of(kind: str, row: Any, key: str) -> Version:
    """The version that a row has, with the digests of the document that it has: for one that was rewritten.

    Raises:
        DataError: as `change_of`.
    """
    told = _told(kind, row, key).version
    return structs.replace(Version.from_key(row["version"]), digest=told.digest, whole=told.whole)


def _told(kind: str, row: Any, key: str) -> Any:
    """The change that the document says, with the version that it would have by itself."""
    document = json.loads(row["document"], parse_float=number)
    if kind == "container":
        told = structs.replace(container_change(row["kind"], document, None), state=row["state"])
        return structs.replace(told, container=Container(row["kind"], row[key]))
    where = Container(row["container_kind"], row["container_id"]) if row["container_id"] else None
    if kind == "asset":
        card = read_card(document, where, None, Rank.LISTED)
        return structs.replace(card.saved(), asset_id=row[key])
    if kind == "data_profile":
        profile = profile_change(document, row["asset_id"], where, None, Rank.READ)
        return structs.replace(profile, profile_id=row[key])
    declared = THINGS[kind]
    parent = row[declared.parent_field] if declared.parent_field else None
    return structs.replace(thing_change(declared, document, where, None, parent), thing_id=row[key])
