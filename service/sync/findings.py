"""What a sweep may do, and what it found."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from service.changes import Change, Container, Origin
from service.errors import DataError
from service.events.found import Found
from service.pipeline.decoding import Read
from service.text.documents import canonical

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Options:
    """What a sweep may do.

    Without `repair` it only counts. `deletions`: look for what the catalog has no more; `accept_deletions`: delete it
    also where that is a lot.
    """

    repair: bool = True
    deletions: bool = False
    accept_deletions: bool = False
    origin: Origin = Origin.SYNC


@dataclass(slots=True)
class Tally:
    """What a sweep found, and did, for one kind."""

    listed: int = 0
    missing: int = 0
    stale: int = 0
    orphaned: int = 0
    unreadable: int = 0
    #: More would be deleted than may be without a person.
    braked: bool = False


@dataclass(slots=True)
class Result:
    """What a sweep has found so far; `cursor` resumes it."""

    tallies: dict[str, Tally] = field(default_factory=dict)
    cursor: str | None = None
    #: What the catalog says there is in all, where it does.
    total: int | None = None
    #: Parents below which nothing could be read, and why not of the first: nothing is known to be gone then.
    closed: int = 0
    #: Things that listings should have had and did not tell: nothing is known to be gone then either.
    lost: int = 0
    #: Items of listings that cannot be read, so that nobody knows which things they are.
    unkeyed: int = 0
    problem: str | None = None

    def of(self, kind: str) -> Tally:
        """The counts of one kind."""
        return self.tallies.setdefault(kind, Tally())

    def close(self, kind: str, parent: str, error: Exception) -> None:
        """Below this parent nothing can be read."""
        self.closed += 1
        self.of(kind).unreadable += 1
        self.problem = self.problem or f"below {parent}: {error}"[:500]

    def lose(self, kind: str, number: int, parent: str | None) -> None:
        """So many were not told that should have been."""
        self.lost += number
        self.of(kind).unreadable += number
        below = f"below {parent}: " if parent else ""
        told = f"{below}{number} that the catalog says it has were not listed, or are no objects"
        self.problem = self.problem or told[:500]

    @property
    def is_whole(self) -> bool:
        """Whether all was listed, so that what was not is gone."""
        return not self.closed and not self.lost

    def add(self, other: Result) -> None:
        """Add what else was listed."""
        for kind, told in other.tallies.items():
            tally = self.of(kind)
            tally.listed += told.listed
            tally.missing += told.missing
            tally.stale += told.stale
            tally.unreadable += told.unreadable


@dataclass(frozen=True, slots=True)
class Estimate:
    """How much there is of one kind in one container, and how many calls it takes to read it."""

    kind: str
    where: Container | None
    things: int
    calls: int


def read_of(
    kind: str, thing_id: str, where: Container | None, changes: Iterable[Change] = (), *, ignored: bool = False
) -> Read:
    """What was read of a thing, in the form in which the pipeline takes it."""
    return Read(Found(kind, thing_id, where), f"catalog.{kind}", tuple(changes), ignored=ignored)


def unreadable(kind: str, thing_id: str, where: Container | None, error: DataError, item: Any) -> Read:
    """A thing that cannot be used as it was told; what was told of it is kept with the reason."""
    body = item if isinstance(item, bytes) else canonical(item)
    return Read(Found(kind, thing_id, where, body), f"catalog.{kind}", error=error)


def batched(items: Sequence[T], size: int) -> Iterable[Sequence[T]]:
    """The items in pieces of at most `size`."""
    return (items[start : start + size] for start in range(0, len(items), size))
