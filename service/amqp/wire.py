"""The client's reading and writing of frames, where it must survive more than it does, or be quicker.

Written for the pinned aiormq (pyproject.toml), as `channel` is; the tests compare with what the client itself does.

pamqp (below aiormq) raises on a text that is no UTF-8, on a time beyond the calendar, and on tables that nest too deep.
It does so in the reader of the whole connection, which then dies, comes back, is given the same message, and dies
again: one message would stop the mirror for ever. A field that cannot be read is not worth that.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pamqp import commands, constants, decode

_Decoder = Callable[[bytes], tuple[int, Any]]
_UNREADABLE = (ValueError, OverflowError, OSError, RecursionError)


def _table(value: bytes) -> tuple[int, Any]:
    """A table that cannot be read is empty; its length is told first, so the rest of the frame is not lost."""
    try:
        return decode.field_table(value)
    except _UNREADABLE:
        return 4 + int.from_bytes(value[:4], "big"), {}


def _timestamp(value: bytes) -> tuple[int, Any]:
    """A time beyond the calendar is no time."""
    try:
        return decode.timestamp(value)
    except _UNREADABLE:
        return 8, None


def short_text(value: bytes) -> tuple[int, Any]:
    """A text that is no UTF-8, such as a routing key, shows its bytes as escapes."""
    try:
        return decode.short_str(value)
    except _UNREADABLE:
        end = 1 + value[0]
        return end, value[1:end].decode("utf-8", "backslashreplace")


def install() -> None:
    """Install decoders that survive, for every connection of this process; once is enough."""
    # A vhost that is not there, or not ours, is answered by a close whose words the client would drop as no answer.
    commands.Connection.Open.valid_responses.append(commands.Connection.Close.name)
    tolerant: dict[str, _Decoder] = {"table": _table, "timestamp": _timestamp, "shortstr": short_text}
    decode.METHODS.update(tolerant)


#: Class and method of `basic.publish`, and the bit that asks for a return.
_PUBLISH = b"\x00\x3c\x00\x28\x00\x00"
_MANDATORY = b"\x01"
#: Flags of the properties that we send: content type, delivery mode, message id, application id.
_FLAGS = 0x8000 | 0x1000 | 0x0080 | 0x0008
_PROPERTIES = _FLAGS.to_bytes(2, "big")
_APP_ID = b"\x0ecatalog-mirror"
_PERSISTENT = b"\x02"
#: The same with headers, which stand behind the content type.
_PROPERTIES_WITH_HEADERS = (_FLAGS | 0x2000).to_bytes(2, "big")
#: The field type of a long text.
_LONG_TEXT = b"S"
JSON = "application/json"


def publish_frames(
    channel: int,
    exchange: str,
    routing_key: str,
    message_id: str,
    body: bytes,
    max_body: int,
    headers: Mapping[str, str] = MappingProxyType({}),
    content_type: str = JSON,
) -> bytes:
    """The frames of one persistent, mandatory message, as bytes; a sixth of what building them as objects takes.

    Raises:
        ValueError: a name is longer than the 255 bytes that the protocol has room for.
    """
    method = _PUBLISH + _short(exchange) + _short(routing_key) + _MANDATORY
    size = len(body).to_bytes(8, "big")
    flags, table = (_PROPERTIES_WITH_HEADERS, _headers(headers)) if headers else (_PROPERTIES, b"")
    properties = flags + _short(content_type) + table + _PERSISTENT + _short(message_id) + _APP_ID
    header = b"\x00\x3c\x00\x00" + size + properties
    frames = [_frame(constants.FRAME_METHOD, channel, method), _frame(constants.FRAME_HEADER, channel, header)]
    for start in range(0, len(body), max_body):
        frames.append(_frame(constants.FRAME_BODY, channel, body[start : start + max_body]))
    return b"".join(frames)


def _headers(headers: Mapping[str, str]) -> bytes:
    table = b"".join(_short(name) + _LONG_TEXT + _long(value) for name, value in headers.items())
    return len(table).to_bytes(4, "big") + table


def _long(text: str) -> bytes:
    raw = text.encode()
    return len(raw).to_bytes(4, "big") + raw


def _short(text: str) -> bytes:
    raw = text.encode()
    if len(raw) > 255:
        raise ValueError(f"{text[:40]}… has {len(raw)} bytes, more than the protocol's 255")
    return bytes((len(raw),)) + raw


def _frame(kind: int, channel: int, payload: bytes) -> bytes:
    return struct.pack(">BHI", kind, channel, len(payload)) + payload + b"\xce"
