"""Recorded messages: NDJSON lines that `capture` writes and `replay` reads.

A line is an object with `routing_key` and either `body` (a string is the text itself, other JSON is serialised) or
`body_base64`; `headers` and `message_id` may be there.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from typing import IO, Any

from service.errors import DataError, LineInvalid
from service.events.message import Message
from service.text import documents
from service.text.privacy import Privacy, clean_body
from service.text.redaction import redact

#: A line may nest deeper than a body: the body's own limit is judged by the pipeline.
_LINE_DEPTH = 900
#: Levels of nested headers that are kept.
_HEADER_DEPTH = 20


def read_lines(stream: IO[bytes], max_bytes: int) -> Iterator[Message]:
    """The messages of a recording; what is no message carries its problem. Blank lines are passed over."""
    while line := stream.readline(max_bytes + 1):
        if len(line) > max_bytes and not line.endswith(b"\n"):
            yield Message("", line, problem=LineInvalid(problem=f"it is longer than {max_bytes} bytes"))
            _skip_line(stream, max_bytes)
        elif line.strip():
            yield read_line(line.strip())


def _skip_line(stream: IO[bytes], chunk: int) -> None:
    while (rest := stream.readline(chunk)) and not rest.endswith(b"\n"):
        pass


def read_line(line: bytes) -> Message:
    """The message of one line."""
    try:
        return _message(documents.read(line, _LINE_DEPTH))
    except DataError as error:
        return Message(
            "", line, problem=error if isinstance(error, LineInvalid) else LineInvalid(problem=str(error).rstrip("."))
        )


def _message(value: Any) -> Message:
    if not isinstance(value, dict):
        raise LineInvalid(problem=f"it is {documents.type_of[type(value)]}, not an object")
    routing_key = value.get("routing_key")
    if not isinstance(routing_key, str):
        raise LineInvalid(problem="`routing_key` must be a text")
    headers, message_id = value.get("headers"), value.get("message_id")
    if not isinstance(headers, dict | None) or not isinstance(message_id, str | None):
        raise LineInvalid(problem="`headers` must be an object and `message_id` a text")
    return Message(routing_key, _body(value), headers or {}, message_id)


def _body(value: dict[str, Any]) -> bytes:
    if ("body" in value) == ("body_base64" in value):
        raise LineInvalid(problem="it must have either `body` or `body_base64`")
    if "body" in value:
        body = value["body"]
        return body.encode("utf-8", "surrogatepass") if isinstance(body, str) else documents.canonical(body)
    try:
        return base64.b64decode(value["body_base64"], validate=True)
    except (binascii.Error, TypeError, ValueError):
        raise LineInvalid(problem="`body_base64` is not base64") from None


def line_of(message: Message, max_depth: int, privacy: Privacy) -> bytes:
    """The line that records a message, with its secrets blanked."""
    body, _ = clean_body(message.body, max_depth, privacy)
    line: dict[str, Any] = {"routing_key": message.routing_key}
    try:
        line["body"] = body.decode("utf-8")
    except UnicodeDecodeError:
        line["body_base64"] = base64.b64encode(body).decode()
    if message.message_id:
        line["message_id"] = message.message_id
    if message.headers:
        line["headers"] = privacy.hidden(redact(plain(dict(message.headers)))[0])
    return documents.canonical(line) + b"\n"


def plain(value: Any, depth: int = 0) -> Any:
    """A header value as JSON can hold it; what nests deeper than `_HEADER_DEPTH` is left out."""
    if isinstance(value, dict | list | tuple) and depth > _HEADER_DEPTH:
        return "…"
    if isinstance(value, bytes | bytearray):
        return value.decode("utf-8", "replace")
    if isinstance(value, dict):
        return {str(name): plain(member, depth + 1) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [plain(member, depth + 1) for member in value]
    return value if isinstance(value, str | int | float | bool | None) else str(value)
