"""A question to search, taken apart: words with those that may stand in for them, and what things have to have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from service.text.words import mark_of


class Kind(StrEnum):
    """What can be found."""

    ASSET = "asset"
    #: What lineage names, and no catalog has.
    DATA_SET = "data_set"
    ARTIFACT = "artifact"
    CONTAINER = "container"


@dataclass(frozen=True, slots=True)
class Filters:
    """What things have to have; of several values of one filter any."""

    kinds: tuple[Kind, ...] = ()
    types: tuple[str, ...] = ()
    containers: tuple[str, ...] = ()
    #: By name or id; assigned or suggested, to the asset or a column.
    terms: tuple[str, ...] = ()
    #: Data classes of columns, classifications of assets.
    classes: tuple[str, ...] = ()
    owners: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    #: Changed at or after this moment, on the catalog's clock.
    changed_since: datetime | None = None

    @property
    def told(self) -> list[Any]:
        """All of it as JSON has it: what a cursor is bound to."""
        since = self.changed_since
        return [
            [str(kind) for kind in self.kinds], self.types, self.containers, self.terms, self.classes, self.owners,
            self.tags, since.isoformat() if since else None,
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Asked:
    """A question, taken apart."""

    #: What names may begin with.
    typed: str
    #: Each word with those that may stand in for it.
    words: Mapping[str, Sequence[str]]
    filters: Filters

    def instead(self, corrected: Mapping[str, Sequence[str]]) -> Asked:
        """The same with other words."""
        words = {word: corrected.get(word, [word]) for word in self.words}
        return Asked(" ".join(meant[0] for meant in words.values()), words, self.filters)

    @property
    def marks(self) -> list[list[str]]:
        """By filter, the marks of which a thing has to have one."""
        chosen = self.filters
        named: tuple[tuple[str, Sequence[str]], ...] = (
            ("kind", [str(kind) for kind in chosen.kinds]), ("type", chosen.types), ("container", chosen.containers),
            ("term", chosen.terms), ("class", chosen.classes), ("owner", chosen.owners), ("tag", chosen.tags),
        )  # fmt: skip
        return [[mark_of(kind, value) for value in values] for kind, values in named if values]
