"""Deliveries, taken out of the stream of frames as they come in, in the call that the socket makes.

The client reads each frame by tasks that wait for each other, and a message is three frames: that costs more than all
the rest of a small message's way. So what the broker delivers on a channel that asked for it is put together here and
handed over by a plain call; every other frame goes on to the client as it came.
"""

from __future__ import annotations

import asyncio
import struct
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple

from aiormq.connection import TransportFactory
from aiormq.exceptions import AMQPConnectionError
from pamqp import commands, constants
from pamqp.exceptions import PAMQPException
from pamqp.header import ContentHeader
from yarl import URL

from service.amqp.wire import short_text


class Delivery(NamedTuple):
    """One message as it came; whoever changes the properties changes a copy, as messages that are alike share them."""

    tag: int
    redelivered: bool
    routing_key: str
    properties: commands.Basic.Properties
    body: bytes


Sink = Callable[[Delivery], None]

#: Kind, channel and length of a frame; what follows it is as long, and one octet more, which ends it.
_HEAD = struct.Struct(">BHI")
_KINDS = frozenset({constants.FRAME_METHOD, constants.FRAME_HEADER, constants.FRAME_BODY, constants.FRAME_HEARTBEAT})
#: Class and method of `basic.deliver`; behind them the consumer's tag, these two, and exchange and routing key.
_DELIVER, _TAG_AND_REDELIVERED = b"\x00\x3c\x00\x3c", struct.Struct(">QB")
#: What stands before the properties in a header: class, weight and size of the body.
_SIZE = struct.Struct(">4xQ")
_HEARTBEAT = _HEAD.pack(constants.FRAME_HEARTBEAT, 0, 0) + bytes((constants.FRAME_END,))
#: Seconds after which the client is told again that the broker lives, as it sees no delivery.
_ALIVE_S = 1.0
#: What reading raises of a frame that is not what it says, pamqp's reading of its header among it.
_UNREADABLE = (PAMQPException, struct.error, IndexError, ValueError)
#: Longer properties are read each time.
_SHORT = 512


class FrameReader(asyncio.StreamReader):
    """The stream that the client reads its frames from, without the deliveries that somebody asked for."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(loop=loop)
        self._takers: dict[int, _Taker] = {}
        self._rest = b""
        self._is_foreign = False
        self._told_alive_at = 0.0

    def deliver(self, channel: int, sink: Sink) -> None:
        """Hand what is delivered on this channel to `sink`, from before it consumes until it is closed."""
        self._takers[channel] = _Taker(sink)

    def end(self, channel: int, sink: Sink) -> None:
        """The channel is closed; its number may be another one's already."""
        taker = self._takers.get(channel)
        if taker is not None and taker.sink is sink:
            del self._takers[channel]

    def feed_data(self, data: bytes) -> None:  # type: ignore[override]  # what a protocol is given
        """Take what came from the socket: whole frames, and the beginning of one, which waits for its end."""
        if self._rest:
            data = self._rest + data
        at = passed = 0
        while found := self._frame(data, at):
            kind, channel, end = found
            taker = self._takers.get(channel)
            if taker is not None and self._takes(taker, kind, data[at + _HEAD.size : end - 1]):
                super().feed_data(data[passed:at])
                passed = end
            at = end
        if self._is_foreign:  # the client says what is wrong with it
            at = len(data)
        self._rest = data[at:]
        super().feed_data(data[passed:at])
        if passed:
            self._tell_alive()

    def _frame(self, data: bytes, at: int) -> tuple[int, int, int] | None:
        """Kind and channel of the frame that begins here, and where it ends; None where it is not whole, or none."""
        if self._is_foreign or len(data) - at < _HEAD.size:
            return None
        kind, channel, length = _HEAD.unpack_from(data, at)
        end = at + _HEAD.size + length + 1
        self._is_foreign = kind not in _KINDS or (end <= len(data) and data[end - 1] != constants.FRAME_END)
        return None if self._is_foreign or end > len(data) else (kind, channel, end)

    def _takes(self, taker: _Taker, kind: int, payload: bytes) -> bool:
        try:
            return taker.take(kind, payload)
        except _UNREADABLE:
            self._is_foreign = True
            return False

    def feed_eof(self) -> None:
        """The stream is over; the client says what is missing of the last frame."""
        if rest := self._rest:
            self._rest = b""
            super().feed_data(rest)
        super().feed_eof()  # also called when the connection is lost after that

    def _tell_alive(self) -> None:
        """Deliveries count as a sign of life; the broker sends no other while it is busy with them."""
        now = time.monotonic()
        if now - self._told_alive_at >= _ALIVE_S:
            self._told_alive_at = now
            super().feed_data(_HEARTBEAT)


class _Taker:
    """Puts the deliveries of one channel together; their frames follow each other, also among those of others."""

    __slots__ = ("_begun", "_missing", "_parts", "_properties", "sink")

    def __init__(self, sink: Sink) -> None:
        self.sink = sink
        self._begun: tuple[int, bool, str] | None = None
        self._properties: commands.Basic.Properties | None = None
        self._parts: list[bytes] = []
        self._missing = 0

    def take(self, kind: int, payload: bytes) -> bool:
        """Take one frame; answers whether it is one of a delivery.

        Raises:
            _UNREADABLE: it says that it is one, and cannot be read.
        """
        if kind == constants.FRAME_METHOD:
            if not payload.startswith(_DELIVER):
                return False
            self._begun = _delivered(payload)
            return True
        if self._begun is None:  # the content of something else, such as a returned message
            return False
        if kind == constants.FRAME_HEADER:
            (self._missing,) = _SIZE.unpack_from(payload)
            raw = payload[_SIZE.size :]
            self._properties = _properties(raw) if len(raw) <= _SHORT else _read_properties(raw)
        else:
            self._missing -= len(payload)
            self._parts.append(payload)
        if self._missing <= 0:
            self._hand_over()
        return True

    def _hand_over(self) -> None:
        begun, properties, parts = self._begun, self._properties, self._parts
        self._begun, self._properties, self._parts = None, None, []
        if begun is None or properties is None:
            raise IndexError("a body without a header")
        self.sink(Delivery(*begun, properties, parts[0] if len(parts) == 1 else b"".join(parts)))


def _delivered(payload: bytes) -> tuple[int, bool, str]:
    """Tag, whether it was delivered before, and routing key."""
    at = len(_DELIVER)
    at += 1 + payload[at]
    tag, redelivered = _TAG_AND_REDELIVERED.unpack_from(payload, at)
    at += _TAG_AND_REDELIVERED.size
    at += 1 + payload[at]
    consumed, routing_key = short_text(payload[at:])
    if at + consumed > len(payload):
        raise IndexError("a delivery that is cut off")
    return tag, bool(redelivered & 1), routing_key


def _read_properties(raw: bytes) -> commands.Basic.Properties:
    header = ContentHeader()
    header.unmarshal(bytes(_SIZE.size) + raw)
    return header.properties


_properties = lru_cache(maxsize=256)(_read_properties)


class Frames(TransportFactory):
    """Opens the transport of one connection, with a `FrameReader` for the client to read."""

    def __init__(self) -> None:
        self.reader: FrameReader | None = None

    async def create(self, url: URL, **kwargs: Any) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect, as the client's own factories do.

        Raises:
            AMQPConnectionError: nobody answers there, or not by TLS.
        """
        provider = kwargs.pop("ssl_context_provider")
        context = await provider.get_context() if url.scheme == "amqps" else None
        loop = asyncio.get_running_loop()
        self.reader = reader = FrameReader(loop)
        protocol = asyncio.StreamReaderProtocol(reader, loop=loop)
        try:
            transport, _ = await loop.create_connection(
                lambda: protocol, url.host or "", url.port or 0, ssl=context, **kwargs
            )
        except OSError as error:
            raise AMQPConnectionError(*error.args) from error
        return reader, asyncio.StreamWriter(transport, protocol, reader, loop)
