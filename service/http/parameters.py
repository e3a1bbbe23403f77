"""What a request may ask by: each parameter is declared once, and read and described by that.

A typing mistake is a refusal that names what there is.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from aiohttp import web

from service.http.problems import bad_request
from service.http.query import CACHE_BUSTER


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter: how its text looks, as JSON Schema, and what becomes of it.

    Args:
        told: what is wanted, for whoever wrote something else.
        at_most: how often it may be given; more than once, and it is a list.
    """

    name: str
    schema: Mapping[str, Any]
    meaning: str
    told: str
    read: Callable[[str], Any]
    default: Any = None
    at_most: int = 1

    def value(self, texts: list[str]) -> Any:
        """What was given, or the default.

        Raises:
            Problem: 400, it is not what is wanted.
        """
        if len(texts) > self.at_most:
            often = "twice" if self.at_most == 1 else f"more than {self.at_most} times"
            raise bad_request(f"{self.name} is given {often}.")
        try:
            values = [self.read(text) for text in texts]
        except ValueError:
            raise bad_request(f"{self.name} must be {self.told}.") from None
        if self.at_most > 1:
            return values
        return values[0] if values else self.default

    def described(self) -> dict[str, Any]:
        """As OpenAPI has it."""
        schema: dict[str, Any] = dict(self.schema)
        if self.at_most > 1:
            schema = {"type": "array", "items": schema, "maxItems": self.at_most}
        elif self.default is not None:
            schema["default"] = self.default
        return {"name": self.name, "in": "query", "schema": schema, "description": self.meaning}


class Parameters:
    """All parameters of one operation."""

    def __init__(self, *known: Parameter) -> None:
        self.known = known

    def of(self, request: web.Request) -> dict[str, Any]:
        """The values of a request, by name.

        Raises:
            Problem: 400, a parameter is unknown, given too often, or not what is wanted.
        """
        names = [one.name for one in self.known]
        unknown = sorted(set(request.query) - {*names, CACHE_BUSTER})
        if unknown:
            raise bad_request(f"There is no parameter {unknown[0]!r}; there are {', '.join(names) or 'none'}.")
        return {one.name: one.value(request.query.getall(one.name, [])) for one in self.known}

    def described(self) -> list[dict[str, Any]]:
        """As OpenAPI has them."""
        return [one.described() for one in self.known]


def number(name: str, default: int, least: int, most: int, meaning: str) -> Parameter:
    """A whole number within bounds."""

    def read(text: str) -> int:
        if not (re.fullmatch(r"[0-9]{1,10}", text) and least <= int(text) <= most):
            raise ValueError
        return int(text)

    schema = {"type": "integer", "minimum": least, "maximum": most}
    return Parameter(name, schema, meaning, f"a whole number from {least} to {most}", read, default)


def word(name: str, kind: type[StrEnum], meaning: str, default: StrEnum | None = None, at_most: int = 1) -> Parameter:
    """One of the words of an enumeration."""
    words = [member.value for member in kind]
    chosen = default.value if default else None
    return Parameter(
        name, {"type": "string", "enum": words}, meaning, f"one of {', '.join(words)}", kind, chosen, at_most
    )


def flag(name: str, meaning: str) -> Parameter:
    """`true` or `false`, which it is where it is not given."""
    known = {"true": True, "false": False}

    def read(text: str) -> bool:
        if text not in known:
            raise ValueError
        return known[text]

    return Parameter(name, {"type": "boolean"}, meaning, "true or false", read, False)


def text(name: str, meaning: str, *, most: int, least: int = 0, at_most: int = 1) -> Parameter:
    """A text of so many characters, in which no NUL is: no store could hold it."""

    def read(given: str) -> str:
        if not least <= len(given) <= most or "\x00" in given or not _is_unicode(given):
            raise ValueError
        return given

    schema = {"type": "string", "minLength": least, "maxLength": most, "pattern": "^[^\\u0000]*$"}
    told = f"a text of {least} to {most} characters"
    return Parameter(name, schema, meaning, told, read, at_most=at_most)


def _is_unicode(given: str) -> bool:
    """Half a surrogate pair is none."""
    return not re.search(r"[\ud800-\udfff]", given)
