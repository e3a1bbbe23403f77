"""A recording that `replay` reads, as it is and as if it were compressed; what is recorded again is read the same."""

from __future__ import annotations

import io

from service.events.message import Message
from service.events.recording import COMPRESSED, line_of, read_line, read_lines, unpacked
from service.text.privacy import Privacy
from tests.fuzz.harness import Bound, Entry

MAX_LINE = 65_536
PRIVACY = Privacy()


def take(raw: bytes) -> None:
    for message in read_lines(io.BytesIO(raw), MAX_LINE):
        use(message)
    for message in read_lines(unpacked(io.BytesIO(raw), COMPRESSED), MAX_LINE):
        use(message)


def use(message: Message) -> None:
    if message.problem is not None:
        return
    line = line_of(message, 64, PRIVACY)
    again = read_line(line.strip())
    assert again.problem is None, again.problem
    assert (again.routing_key, again.message_id) == (message.routing_key, message.message_id or None)
    assert line_of(again, 64, PRIVACY) == line


#: A compressed recording has a thousand times the bytes that it is told in.
ENTRY = Entry(take, (), Bound(memory_per_byte=20_000))
