"""The ledger of submissions that cannot be repeated: every batch, what is sent in it, and what became of it.

    prepared ──► sending ──► accepted ──► completed, failed
        ▲            │  └──► failed (refused, nothing was taken)
        └────────────┤ (nothing was taken)
    superseded       └──► uncertain ──► accepted, given_up, or as a person decides

`sending` is committed before anything is sent, so whoever dies meanwhile leaves a batch that is in doubt and is not
sent again by itself. What was accepted last of each locator is in `collibra_told`: only what differs is sent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.bulk import insert_into
from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import collibra_batches as batches
from service.mirror.tables import collibra_told as told
from service.mirror.tables import target_states
from service.text.documents import canonical, column_text

PREPARED, SENDING, ACCEPTED, COMPLETED = "prepared", "sending", "accepted", "completed"
FAILED, UNCERTAIN, GIVEN_UP, SUPERSEDED = "failed", "uncertain", "given_up", "superseded"
#: Every state, in the order of a batch's life.
STATES = (PREPARED, SENDING, ACCEPTED, UNCERTAIN, COMPLETED, FAILED, GIVEN_UP, SUPERSEDED)
#: Characters of a problem that are kept.
_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Item:
    """One locator with its figures; `assets` are those behind it."""

    locator: Mapping[str, Any]
    assets: tuple[str, ...]
    query_count: int
    distinct_users: int | None

    @property
    def key(self) -> str:
        """The locator as text."""
        return canonical(self.locator).decode()


@dataclass(frozen=True, slots=True)
class Told:
    """What was accepted last of one locator; a count of None: that is not known."""

    assets: tuple[str, ...]
    query_count: int | None
    distinct_users: int | None


@dataclass(frozen=True, slots=True)
class Job:
    """What is known of the job that took a batch."""

    job_id: str
    status: str | None = None
    created_by: str | None = None
    report: str | None = None


async def lock(connection: AsyncConnection, target: str) -> None:
    """Be the only one who plans for this target, until the transaction ends."""
    row = sa.select(target_states.c.target).where(target_states.c.target == target)
    await connection.execute(row.with_for_update())


def window_mark(target: str) -> str:
    """The control that says which window was planned last."""
    return f"usage_window:{target}"


async def planned(connection: AsyncConnection, target: str) -> dict[str, Any] | None:
    """The window that was planned last: its `end`, and what it came to."""
    mark = (await controls.read_controls(connection)).get(window_mark(target))
    return mark[0] if mark else None


async def planners(connection: AsyncConnection) -> list[str]:
    """Targets for which a window was planned."""
    prefix = window_mark("")
    return sorted(
        name.removeprefix(prefix) for name in await controls.read_controls(connection) if name.startswith(prefix)
    )


async def prepare(
    connection: AsyncConnection,
    target: str,
    window_end: datetime,
    contents: Sequence[tuple[Sequence[Item], str]],
    came_to: Mapping[str, int],
) -> None:
    """Write the batches of a window down, and that it was planned; what was never sent of older ones is superseded.

    Args:
        contents: of each batch its items, and its body.
    """
    now = store_now(connection.dialect.name)
    stale = sa.update(batches).where(batches.c.target == target, batches.c.state == PREPARED)
    await connection.execute(stale.values(state=SUPERSEDED, closed_at=now))
    for number, (items, body) in enumerate(contents, 1):
        row = {
            "batch_id": str(uuid4()), "target": target, "window_end": window_end, "number": number, "state": PREPARED,
            "items": len(items), "body": body, "assets": json.dumps([item.assets for item in items]),
            "prepared_at": now,
        }  # fmt: skip
        await connection.execute(sa.insert(batches).values(row))
    mark = {"end": window_end.isoformat(), "batches": len(contents), **came_to}
    await controls.set_control(connection, window_mark(target), mark)


async def claim(connection: AsyncConnection, store: Store, target: str, sender: str, lease_s: float) -> Any:
    """The oldest prepared batch, ours to send until the lease ends; None: there is none."""
    oldest = (
        sa.select(batches.c.batch_id)
        .where(batches.c.target == target, batches.c.state == PREPARED)
        .order_by(batches.c.window_end, batches.c.number)
        .limit(1)
        .with_for_update(skip_locked=True)
    )
    values = {
        "state": SENDING, "sender": sender, "lease_until": store.later(lease_s), "sent_at": store.now(),
        "attempts": batches.c.attempts + 1,
    }  # fmt: skip
    update = sa.update(batches).where(batches.c.batch_id == oldest.scalar_subquery()).values(values)
    return (await connection.execute(update.returning(*batches.c))).one_or_none()


async def give_back(connection: AsyncConnection, batch: Any, problem: str) -> None:
    """Nothing of it was taken: it may be sent again."""
    await _move(connection, batch, (SENDING,), PREPARED, problem=problem)


async def refuse(connection: AsyncConnection, batch: Any, problem: str) -> None:
    """Nothing of it was taken, and never will be."""
    await _move(connection, batch, (SENDING,), FAILED, problem=problem, report=json.dumps(problem), close=True)


async def doubt(connection: AsyncConnection, batch: Any, problem: str) -> None:
    """It may have been taken: what was accepted of its locators is no longer known."""
    if await _move(connection, batch, (SENDING,), UNCERTAIN, problem=problem):
        await _tell(connection, batch, known=False)


async def lapse(connection: AsyncConnection, store: Store, target: str) -> list[Any]:
    """Batches whose sender was not heard of again are in doubt; answers them."""
    gone = batches.c.state == SENDING, batches.c.lease_until < store.now()
    rows = list(await connection.execute(sa.select(batches).where(batches.c.target == target, *gone)))
    for row in rows:
        await doubt(connection, row, "the process that sent it ended, or was not heard of again")
    return rows


async def accept(connection: AsyncConnection, batch: Any, job: Job) -> bool:
    """It was taken, as this job; answers whether that was news."""
    values: dict[str, Any] = {"job_id": job.job_id, "job_status": job.status, "created_by": job.created_by}
    moved = await _move(connection, batch, (SENDING, UNCERTAIN), ACCEPTED, **values)
    if moved:
        await _tell(connection, batch, known=True)
        counted = {
            "delivered": target_states.c.delivered + batch.items,
            "last_delivered_at": store_now(connection.dialect.name),
        }
        await connection.execute(sa.update(target_states).where(target_states.c.target == batch.target).values(counted))
    return moved


async def follow(connection: AsyncConnection, batch: Any, job: Job, *, failed: bool, ended: bool) -> None:
    """What its job has come to. Of a failed one it is not known what was accepted."""
    state = (FAILED if failed else COMPLETED) if ended else ACCEPTED
    values: dict[str, Any] = {"job_status": job.status, "created_by": job.created_by, "report": job.report}
    if await _move(connection, batch, (ACCEPTED,), state, close=ended, **values) and failed:
        await _forget(connection, batch)


async def note(connection: AsyncConnection, batch: Any, problem: str) -> None:
    """Why nothing new is known of it."""
    await _move(connection, batch, (batch.state,), batch.state, problem=problem)


async def give_up(connection: AsyncConnection, store: Store, target: str, state: str, after_s: float) -> list[Any]:
    """Of what was sent so long ago nothing more will be learnt; it is never sent again. Answers those batches."""
    open_ones = batches.c.state == state, batches.c.sent_at < store.later(-after_s)
    rows = list(await connection.execute(sa.select(batches).where(batches.c.target == target, *open_ones)))
    for row in rows:
        problem = row.problem or f"nothing was learnt of its job within {after_s / 3600:.0f} h"
        if await _move(connection, row, (row.state,), GIVEN_UP, close=True, problem=problem):
            await _forget(connection, row)
    return rows


async def settle(connection: AsyncConnection, batch: Any, *, sent: bool, job_id: str | None) -> str | None:
    """A person knows what became of a batch that is in doubt; answers its state, None: it is no longer in doubt."""
    if sent and job_id:
        return ACCEPTED if await accept(connection, batch, Job(job_id)) else None
    if sent:
        state = COMPLETED
    else:
        mark = await planned(connection, batch.target)
        is_current = mark is not None and datetime.fromisoformat(mark["end"]) == batch.window_end
        state = PREPARED if is_current else SUPERSEDED
    if not await _move(connection, batch, (UNCERTAIN,), state, close=state != PREPARED):
        return None
    if sent:
        await _tell(connection, batch, known=True)
    return state


async def _move(
    connection: AsyncConnection, batch: Any, before: Sequence[str], state: str, *, close: bool = False, **values: Any
) -> bool:
    """From one of these states to another, unless somebody else was first."""
    texts = {name: column_text(value[:_SHOWN] if name == "problem" else value) if isinstance(value, str) else value
             for name, value in values.items()}  # fmt: skip
    texts.setdefault("problem", None)
    if close:
        texts["closed_at"] = store_now(connection.dialect.name)
    mine = (batches.c.batch_id == batch.batch_id, batches.c.state.in_(before), batches.c.attempts == batch.attempts)
    known = {name: value for name, value in texts.items() if value is not None or name == "problem"}
    return bool((await connection.execute(sa.update(batches).where(*mine).values(state=state, **known))).rowcount)


def items_of(batch: Any) -> list[Item]:
    """What is in a batch."""
    return [
        Item(one["assetLocator"], tuple(assets), one["queryCount"], one.get("distinctUsers"))
        for one, assets in zip(json.loads(batch.body), json.loads(batch.assets), strict=True)
    ]


async def _tell(connection: AsyncConnection, batch: Any, *, known: bool) -> None:
    """Remember what was accepted of each locator, or that it is not known; what a newer batch told stays."""
    rows = [
        {
            "target": batch.target, "locator": item.key, "assets": json.dumps(item.assets),
            "query_count": item.query_count if known else None,
            "distinct_users": item.distinct_users if known else None,
            "prepared_at": batch.prepared_at, "batch_id": batch.batch_id,
        }
        for item in items_of(batch)
    ]  # fmt: skip
    insert = insert_into(connection.dialect.name, told)
    new = {name: insert.excluded[name] for name in rows[0] if name not in ("target", "locator")}
    older = told.c.prepared_at <= insert.excluded.prepared_at
    upsert = insert.on_conflict_do_update(index_elements=["target", "locator"], set_=new, where=older)
    await connection.execute(upsert, rows)


async def _forget(connection: AsyncConnection, batch: Any) -> None:
    """What was accepted of its locators is not known."""
    unknown = {"query_count": None, "distinct_users": None}
    await connection.execute(sa.update(told).where(told.c.batch_id == batch.batch_id).values(unknown))


async def last_told(connection: AsyncConnection, target: str) -> dict[str, Told]:
    """What was accepted last, by locator."""
    rows = await connection.execute(sa.select(told).where(told.c.target == target))
    return {row.locator: Told(tuple(json.loads(row.assets)), row.query_count, row.distinct_users) for row in rows}


async def forget_all(connection: AsyncConnection, target: str) -> None:
    """Whatever was accepted, it is to be told anew."""
    unknown = {"query_count": None, "distinct_users": None}
    await connection.execute(sa.update(told).where(told.c.target == target).values(unknown))


async def due(connection: AsyncConnection, store: Store, target: str, state: str, every_s: float) -> list[Any]:
    """Batches in a state that nobody has looked at for so long; they are ours to look at now."""
    idle = sa.or_(batches.c.looked_at.is_(None), batches.c.looked_at < store.later(-every_s))
    mine = sa.update(batches).where(batches.c.target == target, batches.c.state == state, idle)
    rows = await connection.execute(mine.values(looked_at=store.now()).returning(*batches.c))
    return sorted(rows, key=lambda row: (row.sent_at, row.batch_id))


async def in_state(
    connection: AsyncConnection, target: str | None = None, *states: str, limit: int = 1000
) -> list[Any]:
    """Batches, the newest first; all states where none is named."""
    query = sa.select(batches).order_by(batches.c.prepared_at.desc(), batches.c.number.desc()).limit(limit)
    if target is not None:
        query = query.where(batches.c.target == target)
    return list(await connection.execute(query.where(batches.c.state.in_(states)) if states else query))


async def without_job(connection: AsyncConnection) -> list[Any]:
    """Batches of every target that may have been taken, or are just on their way, and of which no job is known."""
    may_have = batches.c.state.in_((SENDING, UNCERTAIN, GIVEN_UP, COMPLETED)), batches.c.job_id.is_(None)
    return list(await connection.execute(sa.select(batches).where(*may_have)))


async def find(connection: AsyncConnection, beginning: str) -> list[Any]:
    """Batches whose ids begin so."""
    query = sa.select(batches).where(batches.c.batch_id.startswith(beginning, autoescape=True)).limit(2)
    return list(await connection.execute(query))


async def known_jobs(connection: AsyncConnection) -> set[str]:
    """Ids of all jobs in the ledger."""
    return set((await connection.execute(sa.select(batches.c.job_id).where(batches.c.job_id.is_not(None)))).scalars())


async def makers(connection: AsyncConnection, target: str) -> set[str]:
    """As whom our jobs were made."""
    query = sa.select(batches.c.created_by).where(batches.c.target == target, batches.c.created_by.is_not(None))
    return set((await connection.execute(query.distinct())).scalars())


async def counts(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    """How many batches there are, by target and state."""
    query = sa.select(batches.c.target, batches.c.state, sa.func.count()).group_by(batches.c.target, batches.c.state)
    return {(target, state): number for target, state, number in await connection.execute(query)}
