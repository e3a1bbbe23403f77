"""A message as it lay in the queue, and the event that is made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Any

from service.changes import Origin
from service.errors import DataError
from service.events.keys import words_of


@dataclass
class Message:
    """Bytes with a routing key; nothing of it has been believed yet."""

    routing_key: str
    body: bytes
    headers: Mapping[str, Any] = field(default_factory=dict)
    message_id: str | None = None
    #: How often the broker has given this message out before; None where the broker does not count.
    delivery_count: int = 0
    #: Why it cannot be used, where whoever made it knows already (a line of a file that is no message).
    problem: DataError | None = None
    #: The name that it has already, where it comes from a dead letter whose secrets were blanked.
    known_as: str | None = None

    @cached_property
    def key(self) -> str:
        """The name of this message in dead letters and suspects: a hash of routing key and body, as hex."""
        if self.known_as is not None:
            return self.known_as
        digest = sha256(self.routing_key.encode("utf-8", "surrogatepass"))
        digest.update(b"\x00")
        digest.update(self.body)
        return digest.hexdigest()[:40]


@dataclass(slots=True)
class Event:
    """A decoded, redacted message: what handlers get.

    `body` is the JSON object with secrets blanked; `words` are those of the routing key.
    """

    routing_key: str
    words: tuple[str, ...]
    body: dict[str, Any]
    origin: Origin = Origin.LIVE

    @classmethod
    def of(cls, routing_key: str, body: dict[str, Any]) -> Event:
        """An event from its key and body, for tests of handlers."""
        return cls(routing_key, words_of(routing_key), body)
