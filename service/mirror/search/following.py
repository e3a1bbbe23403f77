"""Keeps what can be found up to date, behind the pipeline: whatever was written since the last look, batch by batch.

A row may commit after one that was written later. So everything is looked at twice: at once, and when whoever wrote
then has surely committed; what was found the first time is not made again. What is removed from the mirror altogether
is noticed by going round.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.progress import store_time
from service.mirror.search import writing
from service.mirror.search.documents import SOURCES, Document, Source
from service.mirror.store import Store
from service.mirror.tables import UtcTime, search_things
from service.mirror.tables import controls as controls_table

#: Things of one batch, and of one step of going round, which reads little of each.
BATCH, ROUND_BATCH = 200, 2000
#: Seconds after which whoever wrote a row has committed it, or never will.
SETTLED_S = 60.0
#: The control that says how far each table was followed.
FOLLOWED = "search_followed"
#: The control that says how far going round has come.
ROUND = "search_round"
_BEGINNING = [datetime(1, 1, 2, tzinfo=UTC).isoformat(), ""]

_thing = search_things.c


@dataclass(frozen=True, slots=True)
class _Work:
    """What a step found to write, and how far it came then."""

    source: Source
    ids: list[str]
    documents: list[Document]
    came_to: dict[str, Any]


async def step(store: Store) -> int:
    """Follow one batch further, whichever table has one; answers how many rows that were.

    None of them is written where another replica did so meanwhile.

    Raises:
        StoreUnavailable: it is down.
    """
    async with store.reading() as connection:
        before = await controls.read_control(connection, FOLLOWED) or {}
        work = await _find_work(connection, before)
    if work is None:
        return 0
    async with store.writing() as connection:
        if await _locked(connection, FOLLOWED) != before:
            return 0
        await writing.write(connection, work.source.kinds, work.ids, work.documents)
        await controls.set_control(connection, FOLLOWED, before | work.came_to)
    return len(work.ids)


async def go_round(store: Store) -> int:
    """Look whether the mirror has a row still of the next things that can be found; answers how many were forgotten.

    Raises:
        StoreUnavailable: it is down.
    """
    async with store.reading() as connection:
        before = await controls.read_control(connection, ROUND) or {}
        looked_at = await _next_things(connection, before.get("seq", 0))
    gone = [seq for seq, is_there in looked_at if not is_there]
    async with store.writing() as connection:
        if await _locked(connection, ROUND) != before:
            return 0
        await writing.forget(connection, gone)
        await controls.set_control(connection, ROUND, {"seq": looked_at[-1][0] if looked_at else 0})
    return len(gone)


async def _locked(connection: AsyncConnection, name: str) -> dict[str, Any]:
    """How far it was followed; nobody else says so until we have committed."""
    query = sa.select(controls_table.c.value).where(controls_table.c.name == name).with_for_update()
    value = (await connection.execute(query)).scalar_one_or_none()
    found: dict[str, Any] = json.loads(value) if value else {}
    return found


async def _find_work(connection: AsyncConnection, before: dict[str, Any]) -> _Work | None:
    for source in SOURCES.values():
        if work := await _new(connection, source, before):
            return work
    settled = await store_time(connection) - timedelta(seconds=SETTLED_S)
    return await _late(connection, min(SOURCES.values(), key=lambda one: _settled_of(before, one)), before, settled)


def _settled_of(before: dict[str, Any], source: Source) -> list[str]:
    """Up to where a table was looked at a second time."""
    mark: list[str] = before.get(f"{source.name}_settled", _BEGINNING)
    return mark


async def _new(connection: AsyncConnection, source: Source, before: dict[str, Any]) -> _Work | None:
    """What was written since the last look."""
    mark = before.get(source.name, _BEGINNING)
    rows = (await connection.execute(_behind(source, mark).limit(BATCH))).all()
    if not rows:
        return None
    came_to = {source.name: _place(source, rows[-1])}
    if source.name not in before:  # what was committed long before the first look is seen by it
        begun = await store_time(connection) - timedelta(seconds=SETTLED_S)
        came_to[f"{source.name}_settled"] = [begun.isoformat(), ""]
    return await _work(connection, source, rows, came_to)


async def _late(connection: AsyncConnection, source: Source, before: dict[str, Any], settled: datetime) -> _Work | None:
    """What became visible after something later was looked at."""
    name, mark = f"{source.name}_settled", _settled_of(before, source)
    if datetime.fromisoformat(mark[0]) > settled - timedelta(seconds=SETTLED_S):
        return None
    query = _behind(source, mark).where(source.written_at <= settled)
    seen = sa.and_(_thing.kind.in_(source.kinds), _thing.thing_id == source.key, _thing.source_at == source.written_at)
    rows = (await connection.execute(query.where(~sa.exists().where(seen)).limit(BATCH))).all()
    is_all = len(rows) < BATCH
    came_to = [settled.isoformat(), ""] if is_all else _place(source, rows[-1])
    return await _work(connection, source, rows, {name: came_to})


async def _work(connection: AsyncConnection, source: Source, rows: Sequence[Any], came_to: dict[str, Any]) -> _Work:
    ids = [getattr(row, source.key.name) for row in rows]
    return _Work(source, ids, await source.documents(connection, rows) if rows else [], came_to)


def _behind(source: Source, mark: Sequence[str]) -> sa.Select[Any]:
    """Rows written after a place, in that order; all that were written at one moment are told apart by their keys."""
    place = sa.tuple_(sa.literal(datetime.fromisoformat(mark[0]), UtcTime), sa.literal(mark[1], sa.Text))
    query = sa.select(*source.columns).where(sa.tuple_(source.written_at, source.key) > place)
    return query.order_by(source.written_at, source.key)


def _place(source: Source, row: Any) -> list[str]:
    return [row.mirrored_at.isoformat(), getattr(row, source.key.name)]


async def _next_things(connection: AsyncConnection, after: int) -> list[tuple[int, bool]]:
    """The next things that can be found, by number, and whether the mirror has a row of each still."""
    is_there = sa.or_(
        *(
            sa.and_(_thing.kind.in_(source.kinds), sa.exists().where(source.key == _thing.thing_id))
            for source in SOURCES.values()
        )
    )
    query = sa.select(_thing.seq, is_there.label("is_there")).where(_thing.seq > after)
    rows = await connection.execute(query.order_by(_thing.seq).limit(ROUND_BATCH))
    return [(row.seq, bool(row.is_there)) for row in rows]
