"""Where a page ended, as a text that leads to the next one: opaque, and good for the query that it came from alone."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from typing import Any

from service.errors import QueryInvalid

#: Characters that a cursor may have: keys are texts of a kilobyte or two at most.
MAX_LENGTH = 8000
#: Characters of the query's own mark.
_MARK = 16


def cursor_of(query: Sequence[Any], place: Sequence[Any]) -> str:
    """The cursor of a query that is told by JSON values, at a place that is."""
    told = json.dumps([_mark(query), *place], separators=(",", ":")).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(told).decode().rstrip("=")


def place_of(cursor: str, query: Sequence[Any], kinds: Sequence[type]) -> list[Any]:
    """The place that a cursor of this query holds: values of these kinds, or None.

    Raises:
        QueryInvalid: it is no cursor, or one of another query.
    """
    try:
        if len(cursor) > MAX_LENGTH:
            raise ValueError
        told = json.loads(base64.b64decode(cursor + "=" * (-len(cursor) % 4), b"-_", validate=True))
        mark: Any
        place: list[Any]
        mark, *place = told
    except (ValueError, TypeError, RecursionError, binascii.Error):
        raise refused("The cursor is none") from None
    if mark != _mark(query):
        raise refused("The cursor is of another query")
    if len(place) != len(kinds) or not all(
        value is None or type(value) is kind for value, kind in zip(place, kinds, strict=True)
    ):
        raise refused("The cursor is none")
    return place


def refused(problem: str) -> QueryInvalid:
    """A cursor that leads nowhere."""
    return QueryInvalid(problem, "Take it, with all other parameters unchanged, from the page before.")


def _mark(query: Sequence[Any]) -> str:
    told = json.dumps(list(query), separators=(",", ":"), sort_keys=True)
    return hashlib.sha256(told.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK]
