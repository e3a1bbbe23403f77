"""What was read goes through here before anything else sees it: secrets blanked, people as settings say."""

from __future__ import annotations

import sys
from typing import Any

from service.errors import NestingTooDeep
from service.text.documents import canonical
from service.text.privacy import Privacy
from service.text.redaction import may_hold_secrets, redact


def clean(item: dict[str, Any], privacy: Privacy) -> dict[str, Any]:
    """The item as it may be stored.

    Raises:
        NestingTooDeep: it nests deeper than it can be searched.
    """
    try:
        if may_hold_secrets(canonical(item)):
            item, _ = redact(item)
        hidden: dict[str, Any] = privacy.hidden(item)
        return hidden
    except RecursionError:
        raise NestingTooDeep(limit=sys.getrecursionlimit()) from None
