"""How far reading the catalog has come: runs (snapshot, reconcile), who may do one, and how fresh each kind is."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import uuid4

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import insert_into
from service.mirror.clock import store_now
from service.mirror.store import Store
from service.mirror.tables import controls, sync_runs, sync_states

#: What a run does: it reads everything, or compares everything.
SNAPSHOT, RECONCILE = MODES = ("snapshot", "reconcile")
#: The control that names who reads the catalog just now; it has to be renewed.
LEADER = "sync_leader"
#: The control by which a person pauses or stops a run.
HELD = "sync_held"
#: Seconds after which a leader that was not heard of is succeeded.
LEADER_GONE_S = 20.0
#: Runs in one of these states go on when somebody takes them up.
OPEN = ("running", "paused")
#: Why a run was stopped that nobody stopped.
REPLACED = "another run was started with other options"
#: Runs that are looked through for the last one that repaired.
_LATELY = 100


@dataclass(slots=True)
class Run:
    """One snapshot or reconcile, as it stands in the store."""

    run_id: str
    mode: str
    state: str
    reason: str
    started_at: datetime
    options: dict[str, Any] = field(default_factory=dict)
    progress: dict[str, Any] = field(default_factory=dict)
    problem: str | None = None
    updated_at: datetime | None = None
    finished_at: datetime | None = None


async def lead(connection: AsyncConnection, store: Store, who: str) -> bool:
    """Take or keep the lead; False: somebody else has it."""
    insert = insert_into(connection.dialect.name, controls)
    now = store_now(store.dialect)
    insert = insert.values(name=LEADER, value=json.dumps(who), updated_at=now)
    mine = controls.c.value == json.dumps(who)
    free = sa.or_(mine, controls.c.updated_at < store.later(-LEADER_GONE_S))
    statement = insert.on_conflict_do_update(
        index_elements=["name"], set_={"value": insert.excluded.value, "updated_at": insert.excluded.updated_at},
        where=free,
    ).returning(controls.c.name)  # fmt: skip
    return (await connection.execute(statement)).first() is not None


async def leader(connection: AsyncConnection, store: Store) -> str | None:
    """Who leads just now; None: nobody."""
    heard_of = controls.c.updated_at > store.later(-LEADER_GONE_S)
    query = sa.select(controls.c.value).where(controls.c.name == LEADER, heard_of)
    row = (await connection.execute(query)).first()
    return json.loads(row.value) if row else None


async def step_down(connection: AsyncConnection, who: str) -> None:
    """Give the lead back."""
    mine = sa.and_(controls.c.name == LEADER, controls.c.value == json.dumps(who))
    await connection.execute(sa.delete(controls).where(mine))


async def begin(connection: AsyncConnection, mode: str, reason: str, options: Mapping[str, Any]) -> Run:
    """A new run."""
    now = store_now(connection.dialect.name)
    run_id = uuid4().hex
    values = {
        "run_id": run_id, "mode": mode, "state": "running", "reason": reason, "options": json.dumps(dict(options)),
        "progress": "{}", "started_at": now, "updated_at": now,
    }  # fmt: skip
    await connection.execute(sa.insert(sync_runs).values(values))
    run = await read(connection, run_id)
    assert run is not None
    return run


async def read(connection: AsyncConnection, run_id: str) -> Run | None:
    """One run."""
    row = (await connection.execute(sa.select(sync_runs).where(sync_runs.c.run_id == run_id))).first()
    return _run(row) if row else None


async def newest(connection: AsyncConnection, mode: str | None = None, states: tuple[str, ...] = ()) -> Run | None:
    """The newest run, of one mode and in one of these states where they are given."""
    query = sa.select(sync_runs).order_by(sync_runs.c.started_at.desc(), sync_runs.c.run_id).limit(1)
    if mode:
        query = query.where(sync_runs.c.mode == mode)
    if states:
        query = query.where(sync_runs.c.state.in_(states))
    row = (await connection.execute(query)).first()
    return _run(row) if row else None


async def last_repair(connection: AsyncConnection) -> Run | None:
    """The last run that was to repair, and that ended or that a person stopped."""
    query = sa.select(sync_runs).order_by(sync_runs.c.started_at.desc(), sync_runs.c.run_id)
    over = sync_runs.c.state.not_in(OPEN)
    not_replaced = sa.func.coalesce(sync_runs.c.problem, "") != REPLACED
    for row in await connection.execute(query.where(over, not_replaced).limit(_LATELY)):
        run = _run(row)
        if run.options.get("repair", True):
            return run
    return None


def _run(row: Any) -> Run:
    return Run(
        row.run_id, row.mode, row.state, row.reason, row.started_at, json.loads(row.options), json.loads(row.progress),
        row.problem, row.updated_at, row.finished_at,
    )  # fmt: skip


async def save(connection: AsyncConnection, run: Run, *, ended: bool = False) -> None:
    """Write down how far a run has come."""
    now = store_now(connection.dialect.name)
    values: dict[str, Any] = {
        "state": run.state, "progress": json.dumps(run.progress), "problem": run.problem, "updated_at": now,
    }  # fmt: skip
    if ended:
        values["finished_at"] = now
    await connection.execute(sa.update(sync_runs).where(sync_runs.c.run_id == run.run_id).values(values))


async def note_state(
    connection: AsyncConnection, container_id: str, container_kind: str | None, kind: str, **values: Any
) -> None:
    """Write down how fresh one kind is in one container; `now` as a value stands for the store's clock."""
    now = store_now(connection.dialect.name)
    told = {name: now if value == "now" else value for name, value in values.items()}
    insert = insert_into(connection.dialect.name, sync_states)
    insert = insert.values(container_id=container_id, container_kind=container_kind, kind=kind, **told)
    new = {name: insert.excluded[name] for name in told}
    await connection.execute(insert.on_conflict_do_update(index_elements=["container_id", "kind"], set_=new))


async def states(connection: AsyncConnection) -> dict[tuple[str, str], Any]:
    """How fresh everything is, by container and kind."""
    rows = await connection.execute(sa.select(sync_states))
    return {(row.container_id, row.kind): row for row in rows}


async def drift(connection: AsyncConnection) -> dict[str, int]:
    """How many things of each kind differ from the catalog and are not repaired."""
    column = sync_states.c
    differing = column.missing + column.stale + column.orphaned + column.unreadable
    rows = await connection.execute(sa.select(column.kind, sa.func.sum(differing)).group_by(column.kind))
    return {kind: int(number) for kind, number in rows}


async def store_time(connection: AsyncConnection) -> datetime:
    """The store's clock."""
    clock = store_now(connection.dialect.name)
    return (await connection.execute(sa.select(clock))).scalar_one()
