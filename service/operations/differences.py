"""What differs between two bodies, line by line, for people."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import SequenceMatcher
from typing import Literal

import msgspec

from service.errors import DataError
from service.text import documents

#: Lines around a change that are shown.
CONTEXT = 3
#: Lines that are compared one by one at most; of more it is told only where they begin and end to differ.
_MOST = 5_000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: the same in both, taken out, put in, or (`skipped`) how many of the same are not shown here."""

    what: Literal["same", "removed", "added", "skipped"]
    text: str


def differences(before: bytes, after: bytes, max_depth: int) -> list[Line]:
    """What changed from one body to the other; empty where nothing did. Of JSON the order of names says nothing."""
    old, new = _lines(before, max_depth), _lines(after, max_depth)
    if old == new:
        return []
    head = _alike(zip(old, new, strict=False))
    tail = _alike(zip(reversed(old[head:]), reversed(new[head:]), strict=False))
    middle = _compared(old[head : len(old) - tail], new[head : len(new) - tail])
    ends = [Line("same", text) for text in old[:head]], [Line("same", text) for text in old[len(old) - tail :]]
    return list(_folded([*ends[0], *middle, *ends[1]]))


def _lines(body: bytes, max_depth: int) -> list[str]:
    try:
        text = msgspec.json.format(documents.canonical(documents.read(body, max_depth)), indent=2).decode()
    except DataError:
        text = body.decode("utf-8", "backslashreplace")
    return text.split("\n")


def _alike(pairs: Iterable[tuple[str, str]]) -> int:
    """How many pairs are the same until the first that is not."""
    number = 0
    for one, other in pairs:
        if one != other:
            break
        number += 1
    return number


def _compared(old: list[str], new: list[str]) -> Iterator[Line]:
    if max(len(old), len(new)) > _MOST:  # the time that comparing takes may grow with the square
        yield from (Line("removed", text) for text in old)
        yield from (Line("added", text) for text in new)
        return
    # Lines that stand everywhere (`autojunk`) are left out of the search: they would make it take minutes.
    for what, start, end, new_start, new_end in SequenceMatcher(None, old, new, autojunk=True).get_opcodes():
        if what == "equal":
            yield from (Line("same", text) for text in old[start:end])
            continue
        yield from (Line("removed", text) for text in old[start:end])
        yield from (Line("added", text) for text in new[new_start:new_end])


def _folded(lines: list[Line]) -> Iterator[Line]:
    """The changes with some lines around each."""
    near = bytearray(len(lines))
    for place, line in enumerate(lines):
        if line.what != "same":
            first, last = max(0, place - CONTEXT), min(len(lines), place + CONTEXT + 1)
            near[first:last] = b"\1" * (last - first)
    skipped = 0
    for line, shown in zip(lines, near, strict=True):
        if shown and skipped:
            yield Line("skipped", f"{skipped} lines are the same")
            skipped = 0
        if shown:
            yield line
        else:
            skipped += 1
    if skipped:
        yield Line("skipped", f"{skipped} lines are the same")
