"""The shape of JSON values: which paths there are, of which types, and how often; never a value.

Of each source (a topic, an endpoint) one value in some is looked at. Memory is bounded: objects with many names, or
with names that people gave, count as maps, whose names are told as `*`; and beyond `MAX_KEYS` nothing new is learnt.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from typing import Any

from service.text.redaction import MAPS_OF_NAMES

#: A path, with lists as `[]` and maps as `*`, and the type there.
Key = tuple[str, str]
#: Paths with their types that are known at most, of all sources together.
MAX_KEYS = 50_000
#: Names of one object from which on it is a map, in one value and in all of them; levels and items looked at.
MAP_NAMES, MAP_NAMES_EVER, DEPTH, ITEMS = 40, 64, 12, 20
#: Names, and characters, of an example.
_EXAMPLE_NAMES, _EXAMPLE_LENGTH = 12, 500
_NAME = re.compile(r"[@$_A-Za-z][-@$\w:]{0,63}")
_IDS = re.compile(r"\d{4}|[0-9a-f]{8}", re.I)
#: What a card has under this name is keyed by what people made; a profile's own has names of the catalog.
_MAPS = MAPS_OF_NAMES - {"data_profile"}
_WORD = re.compile(r"v\d{1,2}|[A-Za-z_]{2,40}")
_TYPES = {dict: "object", list: "list", str: "text", bool: "truth", type(None): "null"} | dict.fromkeys(
    (int, float, Decimal), "number"
)


def key_shape(words: tuple[str, ...]) -> str:
    """A routing key whose ids are `*`: `v2.data_profiles.*.POST`."""
    return ".".join(word if _WORD.fullmatch(word) else "*" for word in words[:12])


@dataclass(slots=True)
class Tally:
    """What some values of one source looked like: how often each path had each type, and examples of what is new."""

    samples: int = 0
    seen: dict[Key, int] = field(default_factory=dict)
    examples: dict[Key, str] = field(default_factory=dict)


class Shapes:
    """Learns shapes; `every`: one value in so many of a source is looked at, the first one always. 0: none."""

    def __init__(self, every: int) -> None:
        self.every = every
        self._met: dict[str, int] = {}
        self._tallies: dict[str, Tally] = {}
        self._known: set[tuple[str, Key]] = set()
        self._names: dict[tuple[str, str], set[str]] = {}

    def wants(self, source: str) -> bool:
        """Whether the value at hand is one to look at; asked once for each."""
        if not self.every:
            return False
        met = self._met.get(source, 0)
        self._met[source] = met + 1
        return met % self.every == 0

    def learn(self, source: str, value: Any) -> None:
        """Look at a value, an object or a list."""
        if not isinstance(value, dict | list):
            return
        tally = self._tallies.setdefault(source, Tally())
        tally.samples += 1
        found: dict[Key, Any] = {}
        self._look(found, source, "", value, DEPTH)
        for key, holder in found.items():
            if self._is_learnt(source, key, holder, tally):
                tally.seen[key] = tally.seen.get(key, 0) + 1

    def take(self) -> dict[str, Tally]:
        """What was learnt since it was last taken."""
        taken, self._tallies = self._tallies, {}
        return taken

    def give_back(self, taken: dict[str, Tally]) -> None:
        """What was taken could not be kept: it is taken again, with what came meanwhile."""
        for source, tally in taken.items():
            mine = self._tallies.setdefault(source, Tally())
            mine.samples += tally.samples
            mine.examples |= tally.examples
            for key, number in tally.seen.items():
                mine.seen[key] = mine.seen.get(key, 0) + number

    def _is_learnt(self, source: str, key: Key, holder: Any, tally: Tally) -> bool:
        if (source, key) not in self._known:
            if len(self._known) >= MAX_KEYS:
                return False
            self._known.add((source, key))
            tally.examples[key] = example(holder)
        return True

    def _look(self, found: dict[Key, Any], source: str, path: str, value: Any, depth: int) -> None:
        """Find each path below, with its type and the first object that holds it."""
        if isinstance(value, dict):
            begin = f"{path}." if path else ""
            names = dict.fromkeys(value, "*") if self._is_map(source, path, value) else {n: _named(n) for n in value}
            told = ((begin + names[name], below) for name, below in value.items())
        else:
            told = ((f"{path}[]", below) for below in value[:ITEMS])
        for place, below in told:
            kind = type(below)
            found.setdefault((place, _TYPES[kind]), value)
            if below and depth and kind in (dict, list):
                self._look(found, source, place, below, depth - 1)

    def _is_map(self, source: str, path: str, value: dict[str, Any]) -> bool:
        if len(value) > MAP_NAMES or path.rpartition(".")[2] in _MAPS:
            return True
        names = self._names.setdefault((source, path), set())
        if len(names) <= MAP_NAMES_EVER and len(self._known) < MAX_KEYS:
            names.update(value)
        return len(names) > MAP_NAMES_EVER


@lru_cache(maxsize=4096)
def _named(name: str) -> str:
    """A name as paths have it: one that looks like an id, or that people may have made up, is `*`."""
    return name if _NAME.fullmatch(name) and not _IDS.search(name) else "*"


def example(holder: Any) -> str:
    """An object, or a list, with types where its values were."""
    return json.dumps(_blanked(holder, 3), ensure_ascii=True)[:_EXAMPLE_LENGTH]


def _blanked(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        return {_named(name): _blanked(below, depth - 1) for name, below in list(value.items())[:_EXAMPLE_NAMES]}
    if isinstance(value, list) and depth:
        return [_blanked(below, depth - 1) for below in value[:1]]
    return f"<{_TYPES[type(value)]}>"
