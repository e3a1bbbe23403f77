"""What of a container is mirrored: its things with the digests of their states, and how far that can be trusted."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Rank
from service.mirror import controls
from service.mirror.bulk import digest_of, rank_of
from service.mirror.tables import STATES, containers, dead_letters, refreshes, sync_states
from service.text.digest_tree import Gathering, Thing, Tree, place_of, thing_of

#: Rows that are fetched at once.
_ROWS = 5000


@dataclass(slots=True)
class Attested:
    """What was found of a container."""

    counts: Counter[str] = field(default_factory=Counter)
    tree: Tree = field(default_factory=lambda: Tree({}))


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far a container's part of the mirror can be trusted."""

    #: By kind: complete as of when, compared when, what differed then.
    readings: dict[str, dict[str, Any]]
    #: Times in which events may have been lost, and that nobody has closed.
    gaps: list[dict[str, Any]]
    #: Things that have to be read again, and dead letters that are open (of any container).
    refreshes: int
    dead_letters: int


async def as_of_now(connection: AsyncConnection) -> None:
    """Have all that this transaction reads be of one moment, as it is on SQLite anyway."""
    if connection.dialect.name == "postgresql":
        await connection.execute(sa.text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY"))


async def container_row(connection: AsyncConnection, container_id: str) -> Any:
    """The container, None where the mirror has none of this id."""
    query = sa.select(containers.c.kind, containers.c.name, containers.c.deleted_at)
    return (await connection.execute(query.where(containers.c.container_id == container_id))).first()


async def attested(
    connection: AsyncConnection, container_id: str, also: Callable[[Thing], None] | None = None
) -> Attested:
    """Every thing of a container that is there: neither deleted nor only referred to.

    Args:
        also: given each thing.
    """
    found, gathering = Attested(), Gathering()
    for kind in STATES:
        async for rows in _of_kind(connection, kind, container_id):
            found.counts[kind] += len(rows)
            for thing_id, state in rows:
                gathering.add(place_of(kind, thing_id), state)
                if also:
                    also(thing_of(kind, thing_id, state))
    found.tree = gathering.tree()
    return found


async def in_buckets(connection: AsyncConnection, container_id: str, names: list[str]) -> list[Thing]:
    """The things of a container that are in these buckets of its tree."""
    wanted, told = frozenset(names), []
    for kind in STATES:
        async for rows in _of_kind(connection, kind, container_id):
            things = (thing_of(kind, thing_id, state) for thing_id, state in rows)
            told += [thing for thing in things if thing.place[: len(names[0])] in wanted]
    return told


async def _of_kind(
    connection: AsyncConnection, kind: str, container_id: str
) -> AsyncIterator[list[tuple[str, bytes]]]:  # fmt: skip
    """Ids and digests of one kind, some at a time."""
    table = STATES[kind]
    (key,) = table.primary_key.columns
    version = table.c.version
    query = sa.select(key, digest_of(version)).where(
        table.c.container_id == container_id,
        table.c.deleted_at.is_(None),
        rank_of(version) != Rank.STUB.byte,
    )
    streamed = await connection.stream(query, execution_options={"yield_per": _ROWS})
    async for rows in streamed.partitions():
        yield [(row[0], bytes(row[1])) for row in rows]


async def reliability(connection: AsyncConnection, container_id: str) -> Reliability:
    """What readings, gaps and letters say of it."""
    state = sync_states.c
    rows = await connection.execute(sa.select(sync_states).where(state.container_id == container_id))
    readings = {row.kind: _reading(row) for row in rows}
    gaps = [
        {"kind": gap.kind, "detail": gap.detail, "noticed_at": _told(gap.noticed_at)}
        for gap in await controls.open_gaps(connection)
    ]
    waiting = sa.select(sa.func.count()).where(refreshes.c.container_id == container_id)
    letters = sa.select(sa.func.count()).where(dead_letters.c.state == "open")
    return Reliability(
        readings,
        gaps,
        int((await connection.execute(waiting)).scalar_one()),
        int((await connection.execute(letters)).scalar_one()),
    )


def _reading(row: Any) -> dict[str, Any]:
    return {
        "complete_as_of": _told(row.complete_as_of), "reconciled_at": _told(row.reconciled_at), "missing": row.missing,
        "stale": row.stale, "orphaned": row.orphaned, "unreadable": row.unreadable, "problem": row.problem,
    }  # fmt: skip


def _told(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
