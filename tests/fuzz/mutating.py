"""Inputs made of others: JSON is changed as JSON, a query and settings by their parts, anything by its bytes.

A fuzzer that changes bytes alone hardly ever gets past the parser. Here a value of the body becomes another one, one
of another type, one from elsewhere in it, or goes; and one in four inputs is left to bytes.
"""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Callable
from typing import Any

#: Values that break things: ends of ranges, other types, what no store or terminal takes.
HOSTILE: tuple[Any, ...] = (
    None, True, 0, -1, 2**31, 2**63, -(2**63) - 1, 10**40, 1e308, 5e-324, 0.1, [], {}, [[]], [{}], {"": ""}, [None],
    "", " ", "\0", "\ud800", "\u202e", "\x1b[2J", "a" * 300, "é" * 200, "9" * 30, "𝔘", "\r\n", "../../x", "%00",
    "0000-00-00T00:00:00Z", "9999-12-31T23:59:59.999999Z", "2026-05-10T15:04:15+99:99", "1.52968210955E12", "a@b.c",
    "password=x", '{"a":1}', "=1+1",
)  # fmt: skip
#: What stands between the parts of a text.
_MARKS = (
    b"&", b"=", b":", b",", b"\n", b"%", b"\x00", b"\xff", b'"', b"\\", b"[", b"{", b"'", b"/", b"@", b"--",
    b"\xed\xa0\x80",
)  # fmt: skip


def mutated(raw: bytes, other: bytes, chance: random.Random, most: int) -> bytes:
    """An input made of one, or of two, of at most so many bytes."""
    for _ in range(chance.choice((1, 1, 2, 4))):
        head, body = _split(raw)
        value = _parsed(body) if chance.random() < 0.75 else _NONE
        if value is _NONE:
            raw = chance.choice(_OF_BYTES)(raw, other, chance)
        else:
            raw = head + _written(_changed(value, _parsed(_split(other)[1]), chance))
    return raw[:most]


def _split(raw: bytes) -> tuple[bytes, bytes]:
    """The first line, where the rest is JSON, and that rest."""
    if raw[:1] in (b"{", b"["):
        return b"", raw
    head, mark, body = raw.partition(b"\n")
    return head + mark, body


_NONE = object()


def _parsed(body: bytes) -> Any:
    if body[:1] not in (b"{", b"["):
        return _NONE
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return _NONE


def _written(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def _changed(value: Any, other: Any, chance: random.Random) -> Any:
    """The value with one of its members another one."""
    places = _places(value)
    if not places:
        return copy.deepcopy(chance.choice(HOSTILE))
    holder, key = chance.choice(places)
    others = _places(other) or places
    there, name = chance.choice(others)
    match chance.randrange(6):
        case 0 | 1:
            holder[key] = copy.deepcopy(chance.choice(HOSTILE))
        case 2 | 3:
            holder[key] = copy.deepcopy(there[name])
        case 4:
            del holder[key]
        case _ if isinstance(holder, dict):
            holder[name if isinstance(name, str) else str(chance.choice(HOSTILE))] = copy.deepcopy(holder[key])
        case _:
            holder.append(copy.deepcopy(holder[key]))
    return value


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every member, as what holds it and its key; not deeper than anybody follows."""
    found: list[tuple[Any, Any]] = []
    level = [value]
    for _ in range(40):
        holders = [one for one in level if isinstance(one, dict | list)]
        found += [(one, key) for one in holders for key in (one if isinstance(one, dict) else range(len(one)))]
        level = [one[key] for one, key in found[-200:]] if holders else []
        if not holders or len(found) > 2000:
            break
    return found


def _flip(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + bytes((chance.randrange(256),)) + raw[at + 1 :]


def _insert(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    at = chance.randrange(len(raw) + 1)
    return raw[:at] + chance.choice(_MARKS) * chance.choice((1, 1, 1, 3, 50)) + raw[at:]


def _cut(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    start, end = sorted((chance.randrange(len(raw) + 1), chance.randrange(len(raw) + 1)))
    return raw[:start] + raw[end:]


def _repeat(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    start, end = sorted((chance.randrange(len(raw) + 1), chance.randrange(len(raw) + 1)))
    return raw[:end] + raw[start:end] * chance.choice((1, 2, 16)) + raw[end:]


def _cross(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    return raw[: chance.randrange(len(raw) + 1)] + other[chance.randrange(len(other) + 1) :]


def _first_line(raw: bytes, other: bytes, chance: random.Random) -> bytes:
    return other.partition(b"\n")[0] + b"\n" + raw.partition(b"\n")[2]


_OF_BYTES: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _flip, _insert, _cut, _repeat, _cross, _first_line,
)  # fmt: skip
