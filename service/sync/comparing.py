"""Comparing what pages tell with the mirror, and writing what differs.

Most of what is read is in the mirror already, to the letter. So the digest of all of it is compared first; only where
that differs it is asked whether what differs counts, and only what is to be written is searched for secrets and made
into changes.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from service.changes import WHOLE_AT, Container, Origin, Rank, ThingSaved, Version
from service.errors import DataError
from service.events.found import Found
from service.kinds import Kind
from service.kinds.lineage import LINEAGE_EVENT
from service.mirror.store import Store
from service.pipeline.decoding import Read
from service.pipeline.pipeline import Pipeline
from service.sync import stored
from service.sync.findings import Result, read_of, unreadable
from service.sync.items import SLICE, Group, ItemReader, Unreadable
from service.sync.readings import Told, id_of
from service.sync.rereading import Rereader


class Verdict(Enum):
    """How the mirror stands to what is told."""

    SAME = "same"
    MISSING = "missing"
    STALE = "stale"


#: What was told, and how the mirror stands to it.
Judged = list[tuple[Told, Verdict]]


@dataclass(slots=True)
class Differing:
    """What differs from the mirror: what to write, and the keys of that; and what has to be read by id first."""

    found: Result = field(default_factory=Result)
    reads: list[Read] = field(default_factory=list)
    keys: list[str] = field(default_factory=list)
    doubtful: list[str] = field(default_factory=list)
    #: Types of artifacts that a list told in part, by their ids.
    types: dict[str, str] = field(default_factory=dict)


class Comparer:
    """Compares, and writes what differs through the pipeline."""

    def __init__(self, store: Store, pipeline: Pipeline, items: ItemReader, rereader: Rereader) -> None:
        self._store = store
        self._pipeline = pipeline
        self._items = items
        self._rereader = rereader

    async def compare(self, kind: Kind, where: Container | None, groups: Sequence[Group | Unreadable]) -> Differing:
        """Find and count what of that which was told differs from the mirror."""
        there = await stored.versions(self._store, (t for g in groups if isinstance(g, Group) for t in g.told))
        differing = Differing()
        for number, group in enumerate(groups):
            if number % SLICE == SLICE - 1:
                await asyncio.sleep(0)
            try:
                judged = self._judged(kind, where, group, there)
            except DataError as error:
                differing.found.of(kind.name).unreadable += 1
                key = group.told[0].key if isinstance(group, Group) else id_of(kind, group.item, where)
                differing.reads.append(unreadable(kind.name, key, where, error, group.item))
                continue
            _count(judged, differing.found)
            key = judged[0][0].key
            is_partial = judged[0][0].is_partial and judged[0][1] is not Verdict.SAME
            if is_partial or (kind.lags and any(verdict is Verdict.STALE for _, verdict in judged)):
                differing.doubtful.append(key)
                differing.keys += [key] if is_partial else []
                if is_partial and (artifact_type := _type_of(judged[0][0])):
                    differing.types[key] = artifact_type
            elif news := [told for told, verdict in judged if verdict is not Verdict.SAME]:
                differing.keys.append(key)
                differing.reads.append(read_of(kind.name, key, where, (told.change() for told in news)))
        return differing

    async def repair(self, where: Container | None, differing: Differing, origin: Origin) -> Counter[str]:
        """Write what differs; what only a search told otherwise, or a list in part, is read by id first.

        Answers as `write` does.
        """
        reads = differing.reads
        if differing.doubtful:
            if where is None:
                reads = reads + await self._rereader.artifacts(differing.doubtful, differing.types)
            else:
                reads = reads + await self._rereader.assets(where, differing.doubtful)
        return await self.write(reads, origin)

    async def write(self, reads: list[Read], origin: Origin) -> Counter[str]:
        """Commit what was read; answers how many of which kind the store refused: they are not in the mirror."""
        if not reads:
            return Counter()
        outcome = await self._pipeline.commit(reads, origin)
        refused = (reads[place] for place in outcome.failed)
        return Counter(read.source.kind for read in refused if read.error is None and isinstance(read.source, Found))

    def _judged(
        self, kind: Kind, where: Container | None, group: Group | Unreadable, there: dict[str, dict[str, Any]]
    ) -> Judged:
        """What a group tells, and how the mirror stands to it; without secrets where anything differs.

        Secrets need not be looked for in what is the same: what is in the mirror has none.

        Raises:
            DataError: it cannot be read.
        """
        if isinstance(group, Unreadable):
            raise group.error
        judged = _verdicts(group.told, there)
        if all(verdict is Verdict.SAME for _, verdict in judged):
            return judged
        told = self._items.cleaned(kind, where, group)
        return judged if told is group.told else _verdicts(told, there)


def _type_of(told: Told) -> str | None:
    """The type of an artifact."""
    assert isinstance(told.state, ThingSaved)
    found = told.state.values.artifact_type
    return found if isinstance(found, str) else None


def _verdicts(told: Iterable[Told], there: dict[str, dict[str, Any]]) -> Judged:
    return [(one, verdict_of(one, there[one.kind].get(one.key))) for one in told]


def verdict_of(told: Told, row: Any) -> Verdict:
    """How a row (or none) of the mirror stands to what is told of it."""
    if row is None:
        return Verdict.MISSING
    if told.whole == row.version[WHOLE_AT] and row.deleted_at is None:
        return Verdict.SAME
    version = Version.from_key(row.version)
    if told.kind == LINEAGE_EVENT.name:  # what was published says as much as what is answered
        return Verdict.SAME if version.key >= told.version.key else Verdict.STALE
    if told.is_partial and row.deleted_at is None and version.rank is not Rank.STUB:
        assert isinstance(told.state, ThingSaved)
        of = told.state.values.version_id
        return Verdict.SAME if of and of == row.version_id else Verdict.STALE
    if version.rank is Rank.STUB and told.version.rank is not Rank.STUB:
        return Verdict.MISSING
    if row.deleted_at is not None:
        return Verdict.STALE
    if told.version.rank is Rank.STUB:  # an incomplete card says less than what is there
        return Verdict.SAME if version.key >= told.version.key else Verdict.MISSING
    return Verdict.SAME if version.digest == told.version.digest else Verdict.STALE


def _count(judged: Judged, result: Result) -> None:
    for told, verdict in judged:
        tally = result.of(told.kind)
        tally.listed += 1
        tally.missing += verdict is Verdict.MISSING
        tally.stale += verdict is Verdict.STALE
