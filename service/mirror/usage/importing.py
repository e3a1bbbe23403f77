"""Query logs into facts: lines that say who used what, and when.

A line is a JSON object. `who` is the user (null: nobody says), `what` the id of an asset, its resource key or the path
of its data, `when` a time (one without a zone is UTC). Of lines that say the same, one counts, unless `id` tells two
queries apart.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import IO, Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import SECOND_US, UsageObserved
from service.errors import DataError, FieldInvalid, UsageLineInvalid
from service.mirror import writer
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import usage_facts
from service.mirror.usage.observing import fact_id
from service.mirror.usage.people import People
from service.mirror.usage.resolving import resolve
from service.text import documents
from service.text.times import read_time

#: Bytes of a line, and levels of nesting in it.
_MAX_LINE, _MAX_DEPTH = 65_536, 20
#: Microseconds that a use may be ahead of our clock.
_FUTURE_US = 86_400 * SECOND_US
#: What became of a line.
NEW, KNOWN, TOO_OLD, BAD = "new", "known", "too_old", "bad"


@dataclass(frozen=True, slots=True)
class UsageLine:
    """One line that can be read; `number` counts from 1."""

    number: int
    who: str | None
    what: str
    at_us: int
    query_id: str | None


@dataclass(frozen=True, slots=True)
class BadLine:
    """One line that says nothing of use."""

    number: int
    problem: str


@dataclass(slots=True)
class Taken:
    """What became of some lines, and which of them were of no use."""

    counts: Counter[str] = field(default_factory=Counter)
    bad: list[BadLine] = field(default_factory=list)


def read_lines(stream: IO[bytes]) -> Iterator[UsageLine | BadLine]:
    """The lines of a file, each with its number. Blank lines are passed over."""
    number = 0
    while line := stream.readline(_MAX_LINE + 1):
        number += 1
        if len(line) > _MAX_LINE and not line.endswith(b"\n"):
            while (rest := stream.readline(_MAX_LINE)) and not rest.endswith(b"\n"):
                pass
            yield BadLine(number, f"it is longer than {_MAX_LINE} bytes")
        elif line.strip():
            yield _read(number, line.strip())


def _read(number: int, line: bytes) -> UsageLine | BadLine:
    try:
        return read_value(number, documents.read(line, _MAX_DEPTH))
    except DataError as error:
        return BadLine(number, str(error))


def read_value(number: int, value: Any) -> UsageLine | BadLine:
    """What a line says, which is parsed already."""
    try:
        if not isinstance(value, dict):
            raise UsageLineInvalid(problem=f"it is {documents.type_of[type(value)]}, not an object")
        return _line(number, value)
    except DataError as error:
        return BadLine(number, str(error))


def _line(number: int, value: dict[str, Any]) -> UsageLine:
    who, what, query_id = (value.get(name) for name in ("who", "what", "id"))
    if "who" not in value or not isinstance(who, str | None):
        raise FieldInvalid(field="who", problem="it is the user's name, or null where nobody says who")
    if not isinstance(what, str) or not what:
        raise FieldInvalid(field="what", problem="it is an asset's id, its resource key, or the path of its data")
    if not isinstance(query_id, str | None):
        raise FieldInvalid(field="id", problem="it is text, where it is there")
    at_us = read_time(value.get("when"), "when")
    if at_us is None:
        raise FieldInvalid(field="when", problem="it is a time, such as 2026-05-10T15:04:15Z")
    if at_us > time.time_ns() // 1000 + _FUTURE_US:
        raise FieldInvalid(field="when", problem="it is more than a day ahead of this machine's clock")
    return UsageLine(number, who, what, at_us, query_id)


class Importer:
    """Takes lines into the store.

    Args:
        horizon_s: seconds after which a use is too old to be kept.
        dry_run: only looks what would become of them.
    """

    def __init__(self, store: Store, people: People, horizon_s: float, *, dry_run: bool) -> None:
        self._store = store
        self._people = people
        self._horizon_us = round(horizon_s * SECOND_US)
        self._dry_run = dry_run

    async def take(self, lines: Sequence[UsageLine | BadLine]) -> Taken:
        """Take some lines, in one transaction; what is of no use costs the others nothing.

        Raises:
            what a store raises: nothing of these lines is kept then.
        """
        good = [line for line in lines if isinstance(line, UsageLine)]
        oldest_us = time.time_ns() // 1000 - self._horizon_us
        young = [line for line in good if line.at_us >= oldest_us]
        async with self._store.read() as connection:
            assets, problems = await resolve(connection, {line.what for line in young})
        unknown = [BadLine(line.number, problems[line.what]) for line in young if line.what in problems]
        facts = [self._fact(line, assets[line.what]) for line in young if line.what in assets]
        new = await self._news(facts)
        bad = sorted([*(line for line in lines if isinstance(line, BadLine)), *unknown], key=lambda line: line.number)
        counts = {NEW: new, KNOWN: len(facts) - new, TOO_OLD: len(good) - len(young), BAD: len(bad)}
        return Taken(Counter(counts), bad)

    def _fact(self, line: UsageLine, asset_id: str) -> UsageObserved:
        user = self._people.hash(line.who)
        by_name = (line.query_id,) if line.query_id else (user, line.at_us)
        told = fact_id("query" if line.query_id else "use", asset_id, *by_name)
        return UsageObserved(told, asset_id, line.at_us, "import", user)

    async def _news(self, facts: Sequence[UsageObserved]) -> int:
        """Write facts down; answers how many were not known."""
        unique = {fact.fact_id: fact for fact in sorted(facts, key=lambda fact: fact.version.key)}
        if not self._dry_run:
            async with self._store.write() as connection:
                return len(await writer.write_facts(connection, list(unique.values())))
        async with self._store.read() as connection:
            return len(unique) - await _known(connection, list(unique))


async def _known(connection: AsyncConnection, ids: list[str]) -> int:
    return len(await rows_by_key(connection, usage_facts, "fact_id", ids))
