"""Shapes in the store: what every replica learnt, added up, and what of it differs from what was normal.

A path that stood in most samples counts as gone when chance alone would hardly leave it out for so long.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import insert_into
from service.mirror.clock import store_later, store_now
from service.mirror.tables import contract_paths, contract_sources
from service.text.shapes import Tally

#: Samples of a source before it counts as learnt, beside the time that settings say.
LEARNT_SAMPLES = 100
#: How often a path was to be expected, and was not there, before it counts as gone.
EXPECTED = 30.0
#: Sources, and paths of one of them, that are kept at most.
MAX_SOURCES, MAX_PATHS = 500, 5000

What = Literal["topic", "new", "gone", "retyped"]
WHATS: tuple[What, ...] = ("topic", "new", "gone", "retyped")


@dataclass(frozen=True, slots=True)
class ShapeDifference:
    """What differs from the normal.

    `what` is topic (the source itself is new), new, gone or retyped; `ratio` is the share of samples with the path.
    `types` are those seen now, `before` those that were normal, `example` is what holds it, with types for values.
    """

    source: str
    path: str
    what: What
    types: str
    before: str
    ratio: float
    since: datetime
    example: str | None


async def merge(connection: AsyncConnection, tallies: Mapping[str, Tally], learn_s: float) -> None:
    """Add what was learnt to what is there; what a source has while it is learnt is normal."""
    for source in sorted(tallies):
        row = await _counted(connection, source, tallies[source].samples)
        if row is not None:
            await _add(connection, row, tallies[source])
    over = contract_sources.c.first_at < store_later(connection.dialect.name, -learn_s)
    learnt = sa.and_(contract_sources.c.learnt_at.is_(None), over, contract_sources.c.samples >= LEARNT_SAMPLES)
    now = store_now(connection.dialect.name)
    await connection.execute(sa.update(contract_sources).where(learnt).values(learnt_at=now))


async def _counted(connection: AsyncConnection, source: str, samples: int) -> Any:
    """The row of a source with these samples added; None where there are too many sources."""
    known, now = contract_sources, store_now(connection.dialect.name)
    added = sa.update(known).where(known.c.source == source).values(samples=known.c.samples + samples, last_at=now)
    if (row := (await connection.execute(added.returning(known))).one_or_none()) is not None:
        return row
    number, learnt = (
        await connection.execute(sa.select(sa.func.count(), sa.func.count(known.c.learnt_at)).select_from(known))
    ).one()
    if number >= MAX_SOURCES:
        return None
    new = {"source": source, "samples": samples, "first_at": now, "last_at": now, "is_new": learnt > 0}
    insert = insert_into(connection.dialect.name, known).values(new)
    met = {"samples": known.c.samples + samples, "last_at": now}
    return (
        await connection.execute(insert.on_conflict_do_update(index_elements=["source"], set_=met).returning(known))
    ).one()


async def _add(connection: AsyncConnection, source: Any, tally: Tally) -> None:
    paths, now = contract_paths, store_now(connection.dialect.name)
    mine = sa.select(sa.func.count()).where(paths.c.source == source.source)
    room = MAX_PATHS - int((await connection.execute(mine)).scalar_one())
    insert = insert_into(connection.dialect.name, paths).values(
        source=source.source, path=sa.bindparam("path"), type=sa.bindparam("type"), seen=sa.bindparam("seen"),
        last_sample=source.samples, first_at=now, last_at=now,
        is_normal=source.learnt_at is None, example=sa.bindparam("example"),
    )  # fmt: skip
    met = {"seen": paths.c.seen + insert.excluded.seen, "last_sample": insert.excluded.last_sample, "last_at": now}
    statement = insert.on_conflict_do_update(index_elements=["source", "path", "type"], set_=met)
    told = [
        {"path": path, "type": kind, "seen": number, "example": tally.examples.get((path, kind))}
        for (path, kind), number in sorted(tally.seen.items())
    ]
    if told and len(tally.examples) <= room:
        await connection.execute(statement, told)


async def differences(connection: AsyncConnection) -> list[ShapeDifference]:
    """What differs from the normal, by source and path."""
    sources = (await connection.execute(sa.select(contract_sources).order_by(contract_sources.c.source))).all()
    rows = await connection.execute(sa.select(contract_paths).order_by(contract_paths.c.path, contract_paths.c.type))
    of_source: dict[str, dict[str, list[Any]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        of_source[row.source][row.path].append(row)
    return [one for source in sources for one in _of_source(source, of_source[source.source])]


def _of_source(source: Any, paths: Mapping[str, Sequence[Any]]) -> Iterator[ShapeDifference]:
    if source.is_new:
        yield ShapeDifference(source.source, "", "topic", "", "", 1.0, source.first_at, None)
        return
    told: set[str] = set()
    for path, rows in paths.items():
        above = path.rpartition(".")[0].removesuffix("[]")
        if path.removesuffix("[]") in told or above in told or (not path.endswith(".*") and f"{above}.*" in paths):
            told.add(path.removesuffix("[]"))  # of what is new or gone, the top alone is told
        elif (found := _of_path(source, path, rows)) is not None:
            if found.what != "retyped" or not {"object", "list"}.isdisjoint(found.types.split(", ")):
                told.add(path.removesuffix("[]"))
            yield found


def _of_path(source: Any, path: str, rows: Sequence[Any]) -> ShapeDifference | None:
    normal, new = [row for row in rows if row.is_normal], [row for row in rows if not row.is_normal]
    ratio = min(1.0, sum(row.seen for row in rows) / max(1, source.samples))
    before = ", ".join(row.type for row in normal)
    if new:
        what: What = "retyped" if normal else "new"
        types = ", ".join(row.type for row in new)
        return ShapeDifference(source.source, path, what, types, before, ratio, new[0].first_at, new[0].example)
    missed = source.samples - max(row.last_sample for row in normal)
    share = sum(row.seen for row in normal) / max(1, source.samples - missed)
    if missed * min(1.0, share) < EXPECTED:
        return None
    last = max(normal, key=lambda row: row.last_sample)
    return ShapeDifference(source.source, path, "gone", "", before, ratio, last.last_at, last.example)


async def accept(connection: AsyncConnection, gone: Sequence[ShapeDifference]) -> None:
    """Take all that is there as the normal, without what is gone."""
    now = store_now(connection.dialect.name)
    for one in gone:
        there = contract_paths.c
        below = sa.or_(
            there.path == one.path,
            there.path.startswith(f"{one.path}.", autoescape=True),
            there.path.startswith(f"{one.path}[]", autoescape=True),
        )
        await connection.execute(sa.delete(contract_paths).where(there.source == one.source, below))
    await connection.execute(sa.update(contract_paths).where(~contract_paths.c.is_normal).values(is_normal=True))
    await connection.execute(sa.update(contract_sources).values(learnt_at=now, is_new=False))
