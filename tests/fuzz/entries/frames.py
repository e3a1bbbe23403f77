"""What a broker sends: a stream of frames as it is, and properties and a body as a delivery brings them."""

from __future__ import annotations

import asyncio
import struct

from pamqp import constants

from service.amqp import wire
from service.amqp.deliveries import Delivery, FrameReader
from service.amqp.inbox import _message
from service.errors import DataError
from service.events.message import Message
from service.events.recording import line_of, read_line
from service.text.privacy import Privacy
from tests.fuzz.entries.bodies import DECODER, settled
from tests.fuzz.harness import Entry

wire.install()
CHANNEL = 1
#: Any loop: nothing waits here.
LOOP = asyncio.new_event_loop()
LOOP.close()
PRIVACY = Privacy()
#: Class and method of `basic.deliver`, the consumer's tag, the delivery's, that it came before, and the exchange.
BEGIN = b"\x00\x3c\x00\x3c\x01t" + struct.pack(">QB", 7, 1) + b"\x01x"


def frame(kind: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, CHANNEL, len(payload)) + payload + bytes((constants.FRAME_END,))


def delivered(raw: bytes) -> bytes:
    """A delivery: an octet says how many there are of the routing key, which follows; then the properties; then \\n."""
    key = raw[: 1 + raw[0]] if raw else b"\x00"
    properties, _, body = raw[len(key) :].partition(b"\n")
    header = b"\x00\x3c\x00\x00" + struct.pack(">Q", len(body)) + properties
    frames = [frame(constants.FRAME_METHOD, BEGIN + key), frame(constants.FRAME_HEADER, header)]
    return b"".join((*frames, frame(constants.FRAME_BODY, body)) if body else frames)


def taken(stream: bytes, pieces: int) -> list[Delivery]:
    """What is handed over of a stream that comes in pieces; the rest is left to the client, whole."""
    reader, found = FrameReader(LOOP), list[Delivery]()
    reader.deliver(CHANNEL, found.append)
    for start in range(0, len(stream), pieces):
        reader.feed_data(stream[start : start + pieces])
    reader.feed_eof()
    return found


def use(delivery: Delivery) -> None:
    message: Message = _message(delivery)
    again = read_line(line_of(message, 64, PRIVACY).strip())
    assert again.problem is None
    assert again.routing_key == message.routing_key
    settled(DECODER.read(message))


def take(raw: bytes) -> None:
    for delivery in taken(raw, 7):
        use(delivery)
    for delivery in taken(delivered(raw), MAX_PIECE):
        use(delivery)


MAX_PIECE = 1024
ENTRY = Entry(take, (DataError,))
