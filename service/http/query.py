"""What a request brings. Query parameters are read strictly: a typing mistake is a refusal that names what there is."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from aiohttp import web

from service.errors import FieldInvalid
from service.events.fields import is_usable_id
from service.http.problems import Problem, bad_request
from service.text.times import read_time, to_datetime

E = TypeVar("E", bound=StrEnum)

#: A parameter that browsers' clients add so that no answer comes from a cache; the catalog's own links have it.
CACHE_BUSTER = "_"


async def body_of(request: web.Request) -> bytes:
    """The body, decompressed.

    Raises:
        Problem: 400, it is not compressed as its header says, or its sender went away.
        HTTPRequestEntityTooLarge: it is larger than HTTP__MAX_BODY_BYTES.
    """
    try:
        return await request.read()
    except (web.RequestPayloadError, ConnectionError) as error:
        raise bad_request(f"The body cannot be read: {' '.join(str(error).split())}.") from None


class Query:
    """The parameters of one request.

    Raises:
        Problem: 400, one is unknown or is given twice.
    """

    def __init__(self, request: web.Request, *known: str) -> None:
        self._values: Mapping[str, str] = request.query
        self._known = frozenset(known)
        unknown = sorted(set(request.query) - {*known, CACHE_BUSTER})
        if unknown:
            raise bad_request(f"There is no parameter {unknown[0]!r}; there are {', '.join(known)}.")
        twice = sorted({name for name in request.query if len(request.query.getall(name)) > 1})
        if twice:
            raise bad_request(f"{twice[0]} is given twice.")

    def knows(self, name: str) -> bool:
        """Whether this request may have such a parameter."""
        return name in self._known

    def number(self, name: str, default: int, least: int, most: int) -> int:
        """A whole number within bounds."""
        text = self._values.get(name)
        if text is None:
            return default
        if not (text.isascii() and text.isdigit() and len(text) <= 10 and least <= int(text) <= most):
            raise bad_request(f"{name} must be a whole number from {least} to {most}.")
        return int(text)

    def choice(self, name: str, kind: type[E], also: Mapping[str, E] | None = None) -> E | None:
        """One of the words of an enumeration."""
        text = self._values.get(name)
        if text is None:
            return None
        if also and text in also:
            return also[text]
        words = [member.value for member in kind]
        if text not in words:
            raise bad_request(f"{name} must be one of {', '.join(words)}.")
        return kind(text)

    def flag(self, name: str) -> bool:
        """A truth value, `true` or `false`; false where it is not given."""
        text = self._values.get(name, "false")
        if text not in ("true", "false"):
            raise bad_request(f"{name} must be true or false.")
        return text == "true"

    def text(self, name: str) -> str | None:
        """Whatever is there."""
        return self._values.get(name)

    def id(self, name: str) -> str | None:
        """An id, which may be any text."""
        text = self._values.get(name)
        if text is not None and not is_usable_id(text):
            raise bad_request(f"{name} is no id.")
        return text

    def moment(self, name: str) -> datetime | None:
        """A moment such as `2026-05-10T15:04:15.000Z`."""
        text = self._values.get(name)
        if text is None:
            return None
        written = text.replace(" ", "+")  # a plus that nobody encoded
        try:
            at_us = read_time(written, name) if "T" in written else None
        except FieldInvalid:
            at_us = None
        if at_us is None:
            raise bad_request(f"{name} must be a time such as 2026-05-10T15:04:15.000Z.")
        return to_datetime(at_us)


def path_id(request: web.Request, name: str) -> str:
    """An id of the path.

    Raises:
        Problem: 404, no store could hold it.
    """
    value = request.match_info[name]
    if not is_usable_id(value):
        raise Problem(404, "does_not_exist", f"There is no {name} like this.")
    return value
