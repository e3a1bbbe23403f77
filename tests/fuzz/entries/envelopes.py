"""A message whose body is larger than may be read whole: only what stands around its state is looked at."""

from __future__ import annotations

from service.errors import DataError
from service.events.message import Message
from tests.fuzz.entries.bodies import SETTINGS, decoder, settled
from tests.fuzz.harness import Entry, headed

DECODER = decoder(SETTINGS.model_copy(update={"max_body_bytes": 0}))


def take(raw: bytes) -> None:
    key, body = headed(raw)
    settled(DECODER.read(Message(key, body)))


ENTRY = Entry(take, (DataError,))
