"""What was read goes through here before anything else sees it: secrets blanked, people as the settings say."""

from __future__ import annotations

import sys
from typing import Any

from service.errors import NestingTooDeep
from service.text.documents import canonical
from service.text.redaction import Principals, may_hold_secrets, redact, without_principals


def clean(item: dict[str, Any], principals: Principals) -> dict[str, Any]:
    """The item as it may be stored.

    Raises:
        NestingTooDeep: it nests deeper than it can be searched.
    """
    try:
        if may_hold_secrets(canonical(item)):
            item, _ = redact(item)
        return item if principals is Principals.KEEP else without_principals(item, principals)
    except RecursionError:
        raise NestingTooDeep(limit=sys.getrecursionlimit()) from None
