"""Refresh requests: what has to be read again. One row per thing, however often it is asked for."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container, Origin, RefreshAsked
from service.mirror.bulk import insert_into
from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import refreshes

#: Requests that one statement names.
_KEYS_PER_STATEMENT = 500


async def ask(connection: AsyncConnection, requests: Iterable[RefreshAsked]) -> None:
    """Store the requests; one that is open already only counts another time, and the earlier moment stays."""
    newest: dict[tuple[str, str], RefreshAsked] = {}
    for request in requests:  # of two in one batch the live one counts, then the one that is due first
        key = (request.kind, request.entity_id)
        if key not in newest or _urgency(request) < _urgency(newest[key]):
            newest[key] = request
    if not newest:
        return
    now = (await connection.execute(sa.select(store_now(connection.dialect.name)))).scalar_one()
    rows = [
        {
            "kind": kind,
            "entity_id": entity_id,
            "container_kind": request.container.kind if request.container else None,
            "container_id": request.container.id if request.container else None,
            "reason": request.reason,
            "origin": request.origin.value,
            "asked_at": now,
            "due_at": now + timedelta(seconds=request.delay_s),
        }
        for (kind, entity_id), request in sorted(newest.items())
    ]
    await connection.execute(_upsert(connection.dialect.name), rows)


def _urgency(request: RefreshAsked) -> tuple[bool, float]:
    return request.origin is not Origin.LIVE, request.delay_s


@dataclass(frozen=True, slots=True)
class Claimed:
    """A request that is ours to fulfil for the time of a lease."""

    kind: str
    entity_id: str
    container: Container | None
    reason: str
    origin: Origin
    asked_at: datetime
    attempts: int
    #: How often it had been asked for when it was claimed.
    times: int = 1


async def claim(connection: AsyncConnection, store: Store, limit: int, lease_s: float) -> list[Claimed]:
    """Due requests that nobody else holds, live ones first, each leased for `lease_s` seconds."""
    column = refreshes.c
    free = sa.or_(column.lease_until.is_(None), column.lease_until < store.now())
    chosen = (
        sa.select(column.kind, column.entity_id)
        .where(column.due_at <= store.now(), free)
        .order_by(sa.case((column.origin == Origin.LIVE, 0), else_=1), column.due_at)
        .limit(limit)
    )
    if store.dialect == "postgresql":
        chosen = chosen.with_for_update(skip_locked=True)
    keys = [tuple(row) for row in await connection.execute(chosen)]
    claimed: list[Claimed] = []
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        update = (
            sa.update(refreshes)
            .where(sa.tuple_(column.kind, column.entity_id).in_(keys[start : start + _KEYS_PER_STATEMENT]))
            .values(lease_until=store.later(lease_s))
            .returning(refreshes)
        )
        claimed += [_claimed(row) for row in await connection.execute(update)]
    return claimed


def _claimed(row: Any) -> Claimed:
    container = Container(row.container_kind, row.container_id) if row.container_id else None
    return Claimed(row.kind, row.entity_id, container, row.reason, Origin(row.origin), row.asked_at, row.attempts,
                   row.times)  # fmt: skip


async def done(connection: AsyncConnection, requests: Iterable[Claimed]) -> None:
    """These were read; one that was asked for again meanwhile stays, free to be taken."""
    for request in requests:
        as_claimed = sa.and_(_is(request), refreshes.c.times == request.times)
        gone = await connection.execute(sa.delete(refreshes).where(as_claimed))
        if not gone.rowcount:
            await give_back(connection, [request])


async def put_off(
    connection: AsyncConnection, store: Store, requests: Iterable[Claimed], error: str, after_s: float,
    *, counts: bool = True,
) -> None:  # fmt: skip
    """These could not be read; they are due again later. `counts`: it was an attempt that failed."""
    for request in requests:
        values = {"attempts": refreshes.c.attempts + int(counts), "last_error": error[:500], "lease_until": None}
        await connection.execute(sa.update(refreshes).where(_is(request)).values(due_at=store.later(after_s), **values))


async def give_back(connection: AsyncConnection, requests: Iterable[Claimed]) -> None:
    """These are nobody's now: whoever comes may take them."""
    for request in requests:
        await connection.execute(sa.update(refreshes).where(_is(request)).values(lease_until=None))


async def renew(connection: AsyncConnection, store: Store, requests: Iterable[Claimed], lease_s: float) -> None:
    """These are still ours: what came before them took long."""
    for request in requests:
        await connection.execute(sa.update(refreshes).where(_is(request)).values(lease_until=store.later(lease_s)))


async def hurry(connection: AsyncConnection, kind: str, entity_id: str) -> None:
    """A person waits for this one: it is due now, however often it failed."""
    now = store_now(connection.dialect.name)
    this = sa.and_(refreshes.c.kind == kind, refreshes.c.entity_id == entity_id)
    await connection.execute(sa.update(refreshes).where(this).values(due_at=now, attempts=0))


async def waiting(connection: AsyncConnection, kind: str, entity_id: str) -> str | None:
    """Why this one was put off, or empty text where it was not tried yet; None: it is not asked for."""
    this = sa.and_(refreshes.c.kind == kind, refreshes.c.entity_id == entity_id)
    row = (await connection.execute(sa.select(refreshes.c.last_error).where(this))).first()
    return None if row is None else row.last_error or ""


def _is(request: Claimed) -> sa.ColumnElement[bool]:
    return sa.and_(refreshes.c.kind == request.kind, refreshes.c.entity_id == request.entity_id)


async def next_due_s(connection: AsyncConnection) -> float | None:
    """Seconds until the next request is due (negative: it is); None: there is none."""
    clock = store_now(connection.dialect.name)
    row = (await connection.execute(sa.select(sa.func.min(refreshes.c.due_at), clock))).one()
    return None if row[0] is None else float((_aware(row[0]) - row[1]).total_seconds())


def _aware(value: Any) -> datetime:
    return datetime.fromisoformat(value) if isinstance(value, str) else value


def _upsert(dialect: str) -> Any:
    insert = insert_into(dialect, refreshes)
    new = insert.excluded
    return insert.on_conflict_do_update(
        index_elements=["kind", "entity_id"],
        set_={
            "times": refreshes.c.times + 1,
            "reason": new.reason,
            "asked_at": new.asked_at,
            # What live changes wait for is no less live because a sweep asks for it, too.
            "origin": sa.case((refreshes.c.origin == Origin.LIVE, Origin.LIVE.value), else_=new.origin),
            "container_kind": sa.func.coalesce(new.container_kind, refreshes.c.container_kind),
            "container_id": sa.func.coalesce(new.container_id, refreshes.c.container_id),
        },
    )
