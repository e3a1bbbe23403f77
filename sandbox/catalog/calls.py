"""One call to the catalog: its parameters, checked against the documented bounds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

import msgspec

from sandbox.catalog.clock import parse_time
from sandbox.catalog.containers import CONTAINER_KINDS, Container, ContainerKind
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.problems import bad_request

#: A host inside the cluster, which nobody outside can reach.
INTERNAL_ORIGIN = "http://localhost:9080"
#: Ids and tokens in a query are bounded.
_TOKEN_LENGTH = 512


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back."""

    body: Any = None
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Call:
    """One call: where it goes to, what it says, and the catalog that is to answer."""

    catalog: PocketCatalog
    #: Scheme, host and port under which we were called.
    origin: str
    path: str
    path_words: Mapping[str, str]
    query: Mapping[str, str]
    raw_body: bytes
    form: Mapping[str, str]

    def word(self, name: str) -> str:
        """A variable part of the path."""
        return self.path_words[name]

    def text(self, name: str) -> str | None:
        """A parameter, None where it is missing or empty."""
        return self.query.get(name) or None

    def required(self, name: str) -> str:
        """A parameter that must be there."""
        value = self.text(name)
        if value is None:
            raise bad_request(f"The parameter {name} is required.")
        return value

    def number(self, name: str, default: int, *, low: int = 1, high: int = 200) -> int:
        """A whole number within bounds."""
        text = self.query.get(name)
        if text is None:
            return default
        if not text.isascii() or not text.removeprefix("-").isdigit() or not low <= int(text) <= high:
            raise bad_request(f"The parameter {name} must be a number between {low} and {high}.")
        return int(text)

    def flag(self, name: str, default: bool) -> bool:
        """`true` or `false`."""
        text = self.query.get(name)
        if text is None:
            return default
        if text.lower() not in ("true", "false"):
            raise bad_request(f"The parameter {name} must be true or false.")
        return text.lower() == "true"

    def choice(self, name: str, default: str | None, allowed: tuple[str, ...]) -> str:
        """One of some words; without a default it must be there."""
        value = self.required(name) if default is None else self.query.get(name, default)
        if value not in allowed:
            raise bad_request(f"The parameter {name} must be one of {', '.join(allowed)}.")
        return value

    def time(self, name: str) -> float | None:
        """Unix seconds of an ISO time."""
        text = self.text(name)
        if text is None:
            return None
        try:
            # A plus that was not escaped arrives as a blank.
            return parse_time(text.replace(" ", "+"))
        except ValueError:
            raise bad_request(f"The parameter {name} is no time.") from None

    def token(self, name: str) -> str | None:
        """Where a page begins, as an answer before told it."""
        text = self.text(name)
        if text is not None and len(text) > _TOKEN_LENGTH:
            raise bad_request(f"The parameter {name} must have 1 to {_TOKEN_LENGTH} characters.")
        return text

    def json(self) -> Any:
        """The body; raises Problem 400 where it is none."""
        try:
            return msgspec.json.decode(self.raw_body)
        except msgspec.DecodeError:
            raise bad_request("The body is not JSON.") from None

    def container(self, *kinds: ContainerKind) -> Container:
        """The one container that the call names, opened for reading; naming none or several is a mistake."""
        allowed = kinds or CONTAINER_KINDS
        named = [(kind, self.query[f"{kind}_id"]) for kind in CONTAINER_KINDS if self.query.get(f"{kind}_id")]
        if len(named) != 1 or named[0][0] not in allowed:
            names = ", ".join(f"{kind}_id" for kind in allowed)
            raise bad_request(f"Exactly one of {names} is required.")
        kind, container_id = named[0]
        return self.catalog.containers.opened(kind, container_id)

    def href(self, **changes: str | int | None) -> str:
        """This call with other parameters, under a host that need not be reachable."""
        parameters = {**self.query, **{name: str(value) for name, value in changes.items() if value is not None}}
        return f"{self.base}{self.path}?{urlencode(parameters)}"

    @property
    def base(self) -> str:
        """The host that hrefs name."""
        return INTERNAL_ORIGIN if self.catalog.knobs.internal_hrefs else self.origin
