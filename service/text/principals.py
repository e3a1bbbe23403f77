"""Who: names and e-mail addresses of users are kept, hashed or dropped, before anything is written.

Where people stand in what the catalog sends is told in docs/contract.md, section "People".
"""

from __future__ import annotations

import hashlib
import re
from decimal import Decimal
from enum import StrEnum
from typing import Any

#: How a name that is hashed begins.
HASHED = "sha256:"
#: An e-mail address inside of a text.
EMAIL = re.compile(r"[^@\s\"'<>]{1,64}@[^@\s\"'<>]{1,255}\.[A-Za-z]{2,24}")


class Principals(StrEnum):
    """What happens to names and e-mail addresses of users."""

    KEEP = "keep"
    HASH = "hash"
    DROP = "drop"


#: Keys whose text names a user (docs/contract.md, "People").
PRINCIPAL_KEYS = frozenset({
    "user_name", "username", "user_id", "owner", "owner_id", "creator", "creator_id", "created_by", "modified_by",
    "last_updater", "last_updater_id", "last_accessor", "last_accessor_id", "email", "user_iam_id", "iam_id",
    "steward_ids", "principal_id", "display_name", "actor", "run_by", "modifier",
})  # fmt: skip
#: Objects whose keys are ids of users.
MAPS_OF_PRINCIPALS = frozenset({"collaborator_ids", "collaborators", "member_roles", "members"})


def without_principals(value: Any, mode: Principals, *, key: str = "") -> Any:
    """A copy in which users' names and addresses are hashed or dropped as `mode` says."""
    if mode is Principals.KEEP:
        return value
    if isinstance(value, dict):
        people = key in MAPS_OF_PRINCIPALS
        return {
            (_hide(name, mode) if people else name): without_principals(member, mode, key=name)
            for name, member in value.items()
        }
    if isinstance(value, list):
        return [without_principals(member, mode, key=key) for member in value]
    named = key in PRINCIPAL_KEYS or key in MAPS_OF_PRINCIPALS
    if named and isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _hide(str(value), mode)
    if isinstance(value, str):
        if named:
            return _hide(value, mode)
        return EMAIL.sub(lambda match: _hide(match[0], mode), value) if "@" in value else value
    return value


def principals_in_bytes(body: bytes, mode: Principals) -> bytes:
    """The same for bytes that do not parse: e-mail addresses are all that can be told there."""
    if mode is Principals.KEEP:
        return body
    text = body.decode("utf-8", "surrogateescape")
    return EMAIL.sub(lambda match: _hide(match[0], mode), text).encode("utf-8", "surrogateescape")


def principal(name: str, mode: Principals) -> str:
    """A user's name as `mode` has it; one that is hashed already stays as it is."""
    return name if mode is Principals.KEEP or name.startswith(HASHED) else _hide(name, mode)


def _hide(name: str, mode: Principals) -> str:
    if mode is Principals.DROP or not name:
        return ""
    return HASHED + hashlib.sha256(name.encode("utf-8", "surrogatepass")).hexdigest()[:32]
