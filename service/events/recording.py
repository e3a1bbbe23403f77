"""Recorded messages: NDJSON lines that `capture` writes and `replay` reads.

A line is an object with `routing_key` and either `body` (a string is the text itself, other JSON is serialised) or
`body_base64`; `headers` and `message_id` may be there.
"""

from __future__ import annotations

import base64
import binascii
import gzip
import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from service.errors import DataError, LineInvalid
from service.events.message import Message
from service.text import documents
from service.text.privacy import Privacy, clean_body
from service.text.redaction import redact

#: How the name of a compressed recording ends.
COMPRESSED = ".gz"
#: What reading a compressed recording raises that was cut off, or changed.
CUT_OFF = (EOFError, zlib.error, gzip.BadGzipFile)
#: A line may nest deeper than a body: the body's own limit is judged by the pipeline.
_LINE_DEPTH = 900
#: Levels of nested headers that are kept.
_HEADER_DEPTH = 20


def unpacked(stream: IO[bytes], name: str) -> IO[bytes]:
    """A recording as it is read; one whose name ends with `.gz` is compressed."""
    return cast(IO[bytes], gzip.GzipFile(fileobj=stream)) if name.endswith(COMPRESSED) else stream


def read_lines(stream: IO[bytes], max_bytes: int) -> Iterator[Message]:
    """The messages of a recording; what is no message carries its problem. Blank lines are passed over.

    A compressed recording that was cut off, or that a byte of was changed, ends there with a message that says so.
    """
    try:
        yield from _lines(stream, max_bytes)
    except CUT_OFF as error:
        yield Message("", b"", problem=LineInvalid(problem=f"the compressed recording ends here: {error}".rstrip(".")))


def _lines(stream: IO[bytes], max_bytes: int) -> Iterator[Message]:
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


class Recording:
    """Files that lines are added to, only for our eyes: metadata may be confidential even without secrets.

    Args:
        path: the first of them, compressed where its name ends with `.gz`; None: `stdout` takes all.
        rotate_mb: megabytes on disk after which a further file begins.

    Raises:
        OSError: a file cannot be written.
    """

    def __init__(self, path: Path | None, stdout: IO[bytes], rotate_mb: float | None = None) -> None:
        self._path = path
        self._limit = None if rotate_mb is None else rotate_mb * 1e6
        self.paths: list[Path] = []
        self.messages = 0
        #: Whether anything was recorded, or could have been.
        self.has_begun = False
        self._is_dirty = False
        self._stream = self._raw = stdout
        if path:
            self._open(path)

    def __enter__(self) -> Recording:
        return self

    def __exit__(self, *_: object) -> None:
        self.flush()
        if self._path:
            self._close()

    def add(self, line: bytes) -> None:
        """Write a line; a full file is closed first."""
        if self._path and self._limit and self._raw.tell() >= self._limit:
            self._close()
            stem, dot, ends = self._path.name.partition(".")
            self._open(self._path.with_name(f"{stem}-{len(self.paths) + 1}{dot}{ends}"))
        self._stream.write(line)
        self.messages += 1
        self._is_dirty = True

    def flush(self) -> None:
        """Have everything in the file that was added."""
        if self._is_dirty:
            self._stream.flush()
            self._raw.flush()
            self._is_dirty = False

    def _open(self, path: Path) -> None:
        self._raw = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab")
        packs = path.suffix == COMPRESSED
        self._stream = cast(IO[bytes], gzip.GzipFile(fileobj=self._raw, mode="ab")) if packs else self._raw
        self.paths.append(path)

    def _close(self) -> None:
        self._stream.close()
        self._raw.close()


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
