"""What the catalog answered, and from which moment the answer is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any

from service.changes import SECOND_US
from service.errors import CatalogAnswerInvalid, DataError
from service.text import documents
from service.text.times import from_datetime

#: Lists in an answer that are none of what was asked for: a success may say with them what went wrong.
_NO_LISTINGS = frozenset({"errors", "warnings", "messages", "facets"})


@dataclass(frozen=True)
class Answer:
    """One answer that counts as success.

    `at_us` is from when its content is at the latest, on the catalog's clock (microseconds since 1970): the `Date`
    header less the time the answer took, floored to the second. None where there is no usable `Date`.
    """

    status: int
    body: bytes = field(repr=False)
    at_us: int | None
    call: str

    @cached_property
    def value(self) -> Any:
        """The parsed body, numbers without loss; None where there is no body.

        Raises:
            CatalogAnswerInvalid: it is no JSON, or nests too deep.
        """
        if not self.body:
            return None
        try:
            return documents.parsed(self.body)
        except DataError as error:
            begins = self.body.lstrip()[:1]
            found = "a page for people (HTML), no JSON" if begins == b"<" else str(error)
            raise CatalogAnswerInvalid(call=self.call, problem=found) from None

    def object(self) -> dict[str, Any]:
        """The parsed body where an object has to be.

        Raises:
            CatalogAnswerInvalid: it is something else.
        """
        if not isinstance(self.value, dict):
            raise self.unusable(f"it is {documents.type_of[type(self.value)]} where an object was expected")
        return self.value

    def objects(self, key: str) -> list[dict[str, Any]]:
        """The list of objects under a key. One that is missing is an error: it must not pass for an empty one."""
        items = self.object().get(key)
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise self.unusable(f"it has no list of objects under {key!r}")
        return items

    def listed(self, key: str) -> list[Any]:
        """What a listing has, under this key or, where there is none of that name, under the only other one.

        The documents show samples of some listings alone, so that the name of the list is open for the others.
        """
        value = self.object()
        if isinstance(value.get(key), list):
            return list(value[key])
        if key in value:
            return self.objects(key)
        # One without items says nothing about whose list it is, and must not pass for an empty listing.
        lists = {name: told for name, told in value.items() if isinstance(told, list) and name not in _NO_LISTINGS}
        others = [name for name, told in lists.items() if any(isinstance(item, dict) for item in told)]
        return list(value[others[0]]) if len(others) == 1 else self.objects(key)

    def unusable(self, problem: str) -> CatalogAnswerInvalid:
        """The error for an answer of the wrong shape."""
        return CatalogAnswerInvalid(call=self.call, problem=problem)


def date_of(headers: Mapping[str, str]) -> datetime | None:
    """The catalog's clock when it answered; None where it is not told or cannot be read."""
    return read_date(headers.get("Date", ""))


def read_date(text: str) -> datetime | None:
    """An HTTP date."""
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment


def moment_of(headers: Mapping[str, str], took_s: float) -> int | None:
    """From when an answer is that took so many seconds: microseconds since 1970, floored to the second."""
    date = date_of(headers)
    if date is None:
        return None
    earliest_us = from_datetime(date) - round(took_s * SECOND_US)
    return earliest_us // SECOND_US * SECOND_US
