"""JSON in and out: bounded reading that loses nothing, and one canonical form per value.

Canonical means: keys sorted, no insignificant space, numbers by value (`100`, `100.0` and `1E2` are the same text),
so that equal states have equal text and equal digests wherever and however they were read.

Two readers stand behind `read`. msgspec is the fast one and keeps integers of any length. It refuses lone surrogates,
which JSON text may carry as escapes, so what it refuses is read again by the standard library.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from decimal import MAX_EMAX, MIN_EMIN, Context, Decimal, InvalidOperation
from functools import lru_cache
from hashlib import blake2b
from secrets import token_hex
from typing import Any, NamedTuple, NoReturn, TypeVar

import msgspec

from service.errors import NestingTooDeep, NotJson, NotUtf8

T = TypeVar("T")

#: Bytes of a digest; 128 bits make an accidental match of two states as good as impossible.
DIGEST_BYTES = 16
#: Levels of a foreign answer that are looked at: what matters of it stands at its top.
ANSWER_DEPTH = 64
#: Numbers with a larger exponent are not written out as integers: a body of `1E399,` would grow a hundredfold.
MAX_INTEGER_EXPONENT = 40
#: Shorter numbers are integers if their doubles are: 15 digits never round to a neighbour.
_SURELY_EXACT_LENGTH = 15
#: Smaller numbers may be denormals, which hold fewer digits.
_TINY = 1e-290
#: What stands in a column where the text had a character that a store cannot hold.
REPLACEMENT = "\ufffd"

#: A JSON value as Python holds it.
type_of: dict[type, str] = {
    dict: "an object",
    list: "a list",
    str: "a text",
    bool: "a truth value",
    int: "a number",
    float: "a number",
    Decimal: "a number",
    type(None): "null",
}


class _Envelope(msgspec.Struct, omit_defaults=True):
    """What stands around the state in a message of the catalog."""

    event: Any = None
    published: Any = None
    details: Any = None


class Document(NamedTuple):
    """A redacted state: its canonical text, and the digest of that text."""

    text: str
    digest: bytes


def envelope(raw: bytes) -> dict[str, Any]:
    """Event, time and details of a message of any size; the rest, its state above all, is passed over, not built.

    Raises:
        NotUtf8, NotJson: it is none, or no object.
    """
    try:
        return dict(msgspec.to_builtins(msgspec.json.decode(raw, type=_Envelope)))
    except UnicodeDecodeError as error:
        raise NotUtf8(position=error.start) from None
    except (msgspec.DecodeError, RecursionError) as error:
        raise NotJson(problem=str(error)) from None


def number(text: str) -> int | float | Decimal:
    """The value of a JSON number with a fraction or exponent, kept without loss.

    Whole numbers become integers; what a double cannot hold exactly enough to be written back stays a decimal.
    """
    value = float(text)
    if len(text) <= _SURELY_EXACT_LENGTH and _TINY < abs(value) < 2**53:
        return int(value) if value.is_integer() else value
    if repr(value) == text and not value.is_integer():  # as nearly all are written: nothing is lost
        return value
    try:
        exact = Decimal(text)
    except InvalidOperation:
        raise ValueError(f"the number {text[:40]} is beyond every range") from None
    if not exact:
        return 0
    if exact.adjusted() < MAX_INTEGER_EXPONENT and exact == exact.to_integral_value():
        return int(exact)
    return value if Decimal(repr(value)) == exact else _normal(exact, len(text))


def _normal(exact: Decimal, digits: int) -> Decimal:
    """The decimal without trailing zeros, so that `1.50E400` is `1.5E400`; nothing is rounded."""
    return Context(prec=digits, Emax=MAX_EMAX, Emin=MIN_EMIN).normalize(exact)


_decoder = msgspec.json.Decoder(float_hook=number)
_encoder = msgspec.json.Encoder(order="sorted", decimal_format="number")


def read(body: bytes, max_depth: int) -> Any:
    """Parse a body.

    Raises:
        NotUtf8, NotJson, NestingTooDeep: each a data error.
    """
    value = parsed(body, max_depth)
    if body.count(b"{") + body.count(b"[") > max_depth:
        check_depth(value, max_depth)
    return value


def parsed(body: bytes, max_depth: int = sys.getrecursionlimit()) -> Any:
    """Parse a body of which only the interpreter's recursion limit bounds the nesting; raises as `read`."""
    try:
        return _decoder.decode(body)
    except RecursionError:
        raise NestingTooDeep(limit=max_depth) from None
    except (msgspec.DecodeError, UnicodeDecodeError, ValueError):
        return _read_with_standard_library(body, max_depth)


def parsed_text(text: str) -> Any:
    """The value of a canonical text that is kept; half a surrogate pair in it stays what it is."""
    return parsed(text.encode("utf-8", "surrogatepass"))


def read_with_constants(body: bytes, max_depth: int, constant: Callable[[str], Any]) -> Any:
    """As `read`, for bodies that may name NaN or an infinity, as Python's own encoder does by default.

    Args:
        constant: makes of such a name what stands for it.
    """
    value = _read_with_standard_library(body, max_depth, constant)
    check_depth(value, max_depth)
    return value


def _refuse_constant(name: str) -> NoReturn:
    raise NotJson(problem=f"{name} is no JSON value")


def _read_with_standard_library(body: bytes, max_depth: int, constant: Callable[[str], Any] = _refuse_constant) -> Any:
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise NotUtf8(position=error.start) from None
    try:
        return json.loads(text, parse_float=number, parse_constant=constant)
    except RecursionError:
        raise NestingTooDeep(limit=max_depth) from None
    except ValueError as error:
        raise NotJson(problem=str(error)) from None


def fitted(value: Any, model: type[T]) -> T:
    """The value as a type of msgspec's.

    Raises:
        msgspec.ValidationError: it does not fit. Of half a surrogate pair where a number is wanted msgspec 0.22 raises
            what its encoder does instead.
    """
    try:
        return msgspec.convert(value, model)
    except UnicodeEncodeError:
        raise msgspec.ValidationError("Half a surrogate pair is no value") from None


def shallow(raw: bytes, max_depth: int = ANSWER_DEPTH) -> Any:
    """The value of a foreign answer in which null stands for what nests deeper than `max_depth`.

    Whoever walks it, a call per level, comes to an end, and what stands at its top is not lost for its depths.

    Raises:
        ValueError: it is no JSON.
    """
    return json.loads(_without_depths(raw, max_depth))


#: A text, or where something begins or ends that nests.
_NESTING = re.compile(rb'"(?:[^"\\]|\\.)*+"?|[\[\]{}]', re.DOTALL)


def _without_depths(raw: bytes, max_depth: int) -> bytes:
    if raw.count(b"{") + raw.count(b"[") <= max_depth:
        return raw
    kept: list[bytes] = []
    depth = done = 0
    for token in _NESTING.finditer(raw):
        first = token[0][:1]
        if first in b"{[":
            depth += 1
            if depth == max_depth + 1:
                kept += raw[done : token.start()], b"null"
        elif first in b"}]":
            depth -= 1
            if depth == max_depth:
                done = token.end()
    return b"".join((*kept, raw[done:])) if depth <= max_depth else b"".join(kept)


#: What nests, of what the readers make.
_NESTS = frozenset((dict, list))


def check_depth(value: Any, limit: int) -> None:
    """Raise `NestingTooDeep` where objects and lists nest deeper than `limit`; walks without recursion.

    Args:
        value: as a reader made it: of classes that inherit from `dict` and `list` nothing is known.
    """
    level = [value] if type(value) in _NESTS else []
    for _ in range(limit):
        level = [
            child
            for node in level
            for child in (node.values() if type(node) is dict else node)
            if type(child) in _NESTS
        ]
        if not level:
            return
    raise NestingTooDeep(limit=limit)


def canonical(value: Any) -> bytes:
    """The one text of this value, as UTF-8."""
    try:
        return _encoder.encode(value)
    except UnicodeEncodeError:  # a lone surrogate: only the escaped form can carry it
        mark = token_hex(16)  # the standard library cannot write a decimal as the number that it is
        text = json.dumps(
            value, sort_keys=True, separators=(",", ":"), ensure_ascii=True, default=lambda exact: f"{mark}{exact}"
        )
        return re.sub(f'"{mark}([^"]*)"', r"\1", text).encode("ascii")


def digest_of(text: bytes) -> bytes:
    """The digest of a canonical text: `DIGEST_BYTES` bytes."""
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


def document(value: Any) -> Document:
    """Canonical text and digest of a value in one go."""
    text = canonical(value)
    return Document(text.decode(), digest_of(text))


def documents_of(value: dict[str, Any], volatile: tuple[tuple[str, ...], ...]) -> tuple[Document, bytes]:
    """The document of a state, and the digest of the state without its volatile fields.

    Most is encoded once, and what comes before the first volatile field, often most of it, is digested once.
    """
    heads = {path[0] for path in volatile}
    first = min(heads, default="")
    try:
        ready = {k: member if k in heads else msgspec.Raw(_encoder.encode(member)) for k, member in value.items()}
        whole, steady = _encoder.encode(ready), _encoder.encode(without(ready, volatile))
        shared = _encoder.encode({k: member for k, member in ready.items() if k < first})[:-1]
    except UnicodeEncodeError:
        whole, steady, shared = canonical(value), canonical(without(value, volatile)), b""
    begun = blake2b(shared, digest_size=DIGEST_BYTES)
    digests = []
    for text in (whole, steady):
        digest = begun.copy()
        digest.update(memoryview(text)[len(shared) :])
        digests.append(digest.digest())
    return Document(whole.decode(), digests[0]), digests[1]


def without(value: dict[str, Any], paths: tuple[tuple[str, ...], ...]) -> dict[str, Any]:
    """A copy that lacks the fields at `paths`; only the objects on the way are copied."""
    return _pruned(value, _tree(paths))


#: Paths as a tree: by name what is left out below it, nothing where all of it is.
_Tree = dict[str, Any]


@lru_cache(maxsize=64)
def _tree(paths: tuple[tuple[str, ...], ...]) -> _Tree:
    heads = {path[0] for path in paths}
    below = {head: tuple(path[1:] for path in paths if path[0] == head) for head in heads}
    return {head: {} if () in rest else _tree(rest) for head, rest in below.items()}


def _pruned(value: dict[str, Any], tree: _Tree) -> dict[str, Any]:
    copy = dict(value)
    for name, below in tree.items():
        if name not in copy:
            continue
        if not below:
            del copy[name]
        elif isinstance(copy[name], dict):
            copy[name] = _pruned(copy[name], below)
    return copy


def column_text(text: str) -> str:
    """The text as every store can hold it: NUL and lone surrogates become U+FFFD."""
    if "\x00" in text:
        text = text.replace("\x00", REPLACEMENT)
    if text.isascii():
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def key_text(text: str, limit: int) -> str:
    """The text as a part of a key: `column_text`, of at most `limit` bytes; a longer one ends with a digest of it all.

    An index entry of PostgreSQL has room for 2,704 bytes (its documentation, section "B-Tree Indexes").
    """
    clean = column_text(text)
    raw = clean.encode()
    if len(raw) <= limit:
        return clean
    end = f"…{blake2b(raw, digest_size=DIGEST_BYTES).hexdigest()}"
    return raw[: limit - len(end.encode())].decode(errors="ignore") + end


class Distinct:
    """Tells texts that are alike apart: the later ones are numbered.

    Args:
        limit: bytes of each, as in `key_text`; None: whatever it is.
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def of(self, text: str) -> str:
        """The next one; of a text that comes a hundred thousand times each is found at once."""
        name = self._cut(text)
        number = self._numbers.get(text, 1)
        while name in self._taken:
            number += 1
            name = self._cut(f"{text} ({number})")
        if number > 1:
            self._numbers[text] = number
        self._taken.add(name)
        return name

    def _cut(self, text: str) -> str:
        return text if self._limit is None else key_text(text, self._limit)


def is_clean(text: str) -> bool:
    """Whether every store can hold this text as it is."""
    return "\x00" not in text and (text.isascii() or column_text(text) == text)
