"""The ledger of jobs: every job is written down before Pentaho is asked for it, and its id as soon as it answers.

A job that is being asked for or looked at is leased, so that replicas do not do so twice. A job whose asker died is
asked for again: nobody can tell whether Pentaho took it (docs/pentaho.md, "What a crash does").
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any
from uuid import NAMESPACE_OID, uuid4, uuid5

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import BulkInsert, key_in
from service.mirror.deliveries import Lease
from service.mirror.store import Store
from service.mirror.tables import deliveries, pentaho_job_parts, pentaho_jobs, target_states
from service.targets.pentaho.operations import OPERATIONS, Operation
from service.targets.pentaho.planning import Planned
from service.text import documents

#: Ids that one statement names at most.
_CHUNK = 20_000
#: What `asked_by` begins with where a person asked: what is refused then is theirs to divide.
BY_HAND = "by "
#: Characters of what went wrong that are kept.
_PROBLEM = 500

_jobs, _parts = pentaho_jobs.c, pentaho_job_parts.c


class State(StrEnum):
    """How a job stands with us."""

    ASKING = "asking"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    #: Its deadline passed; nobody looks at it any more.
    OVERDUE = "overdue"
    #: Pentaho will not take it.
    REFUSED = "refused"
    #: It was refused as a whole; two others took its place.
    DIVIDED = "divided"
    #: It may run or not: it has no id, or must not be asked for twice.
    LOST = "lost"


OPEN = (State.ASKING, State.RUNNING)
#: Ends that a person should hear of.
BAD = (State.FAILED, State.OVERDUE, State.REFUSED, State.LOST)


@dataclass(frozen=True, slots=True)
class Job:
    """One job as it was when it was taken in hand."""

    job_key: str
    operation: Operation
    request: dict[str, Any]
    follows: tuple[str, ...]
    asked_by: str
    state: State
    pentaho_job_id: str | None
    #: How often it was asked for, answered with an internal error in a row, and looked at, before.
    attempts: int
    failures: int
    polls: int
    #: It was sent before, and nobody knows what became of that.
    was_asked: bool
    is_overdue: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of a job that was in hand."""

    state: State
    job_id: str | None = None
    status: str | None = None
    problem: str | None = None
    #: It was surely not taken.
    untaken: bool = False
    #: It was answered with an internal error.
    failed: bool = False
    #: Seconds until it is its turn again, while it is open.
    again_s: float = 0.0


_insert_jobs = BulkInsert(
    pentaho_jobs,
    ("job_key", "target", "operation", "request", "follows", "asked_by", "state"),
    key=("job_key",),
    on_conflict="nothing",
    returning=("job_key",),
    clocked=("next_at", "created_at"),
)
_insert_parts = BulkInsert(
    pentaho_job_parts, ("delivery_id", "job_key", "pentaho_id"), ("delivery_id", "job_key", "pentaho_id"), "nothing"
)


async def one_at_a_time(connection: AsyncConnection, target: str) -> None:
    """Let nobody else plan jobs of this target meanwhile, so that what two replicas have in hand is planned once."""
    mine = sa.select(target_states.c.target).where(target_states.c.target == target)
    await connection.execute(mine.with_for_update())


async def insert(connection: AsyncConnection, target: str, planned: Sequence[Planned], after: str = "") -> list[str]:
    """Write jobs down, to be asked for; answers their keys.

    `after` is the job that they follow on: its follower has the same key, whoever writes it down.
    """
    keys = [str(uuid5(NAMESPACE_OID, f"{after}/{one.operation}")) if after else str(uuid4()) for one in planned]
    rows = [_row(key, target, one) for key, one in zip(keys, planned, strict=True)]
    await _insert_jobs.run(connection, rows)
    parts = [(who, key, what) for key, one in zip(keys, planned, strict=True) for who, what in one.parts]
    await _insert_parts.run(connection, parts)
    return keys


def _row(key: str, target: str, one: Planned) -> tuple[Any, ...]:
    request = documents.canonical(one.request).decode()
    follows = " ".join(one.follows)
    return key, target, one.operation, request, follows, documents.column_text(one.asked_by), State.ASKING.value


@dataclass(frozen=True, slots=True)
class Share:
    """A delivery's share in a job."""

    delivery_id: str
    job_key: str
    state: State
    problem: str | None


async def shares(connection: AsyncConnection, delivery_ids: Sequence[str]) -> list[Share]:
    """The jobs that deliveries led to; those of an earlier life of a delivery, which was told again, do not count."""
    query = (
        sa.select(_parts.delivery_id, _jobs.job_key, _jobs.state, _jobs.problem)
        .distinct()
        .select_from(pentaho_job_parts)
        .join(pentaho_jobs, _jobs.job_key == _parts.job_key)
        .join(deliveries, deliveries.c.delivery_id == _parts.delivery_id)
        .where(_jobs.created_at >= deliveries.c.created_at, _jobs.state != State.DIVIDED)
    )
    found: list[Share] = []
    for chunk in _chunks(delivery_ids):
        rows = await connection.execute(query.where(key_in(connection, _parts.delivery_id, chunk)))
        found += [Share(row[0], row[1], State(row[2]), row[3]) for row in rows]
    return found


def _chunks(ids: Sequence[str]) -> Iterable[list[str]]:
    return (list(ids[start : start + _CHUNK]) for start in range(0, len(ids), _CHUNK))


async def due(connection: AsyncConnection, store: Store, target: str, limit: int) -> list[str]:
    """Keys of open jobs whose turn it is, those that wait longest first."""
    free = sa.or_(_jobs.lease_until.is_(None), _jobs.lease_until < store.now())
    query = sa.select(_jobs.job_key).where(
        _jobs.target == target, _jobs.state.in_(OPEN), _jobs.next_at <= store.now(), free
    )
    return list((await connection.execute(query.order_by(_jobs.next_at).limit(limit))).scalars())


async def take(connection: AsyncConnection, store: Store, job_key: str, lease: Lease) -> Job | None:
    """Take an open job in hand; one that is asked for now counts as sent until we know better.

    None where somebody else has it in hand, or it is no longer open.
    """
    free = sa.or_(_jobs.lease_until.is_(None), _jobs.lease_until < store.now())
    query = sa.select(pentaho_jobs, (_jobs.deadline_at < store.now()).label("is_overdue")).where(
        _jobs.job_key == job_key, _jobs.state.in_(OPEN), free
    )
    row = (await connection.execute(query.with_for_update(skip_locked=True, of=pentaho_jobs))).first()
    if row is None:
        return None
    values: dict[str, Any] = {"lease_token": lease.token, "lease_until": store.later(lease.seconds)}
    if row.state == State.ASKING:
        values |= {"asked_at": store.now(), "attempts": _jobs.attempts + 1}
    await connection.execute(sa.update(pentaho_jobs).where(_jobs.job_key == job_key).values(values))
    return _job(row)


def _job(row: Any) -> Job:
    return Job(
        row.job_key, OPERATIONS[row.operation], json.loads(row.request), tuple(row.follows.split()), row.asked_by,
        State(row.state), row.pentaho_job_id, row.attempts, row.failures, row.polls,
        row.asked_at is not None, bool(row.is_overdue),
    )  # fmt: skip


async def write(
    connection: AsyncConnection, store: Store, job: Job, verdict: Verdict, token: str, deadline_s: float
) -> bool:
    """Write a verdict down and let go of the job; False where somebody else has it in hand by now."""
    values: dict[str, Any] = {
        "state": verdict.state.value, **dict.fromkeys(("lease_token", "lease_until")),
        "next_at": store.later(verdict.again_s),
        "failures": job.failures + 1 if verdict.failed else 0,
        "problem": documents.column_text(verdict.problem[:_PROBLEM]) if verdict.problem else None,
    }  # fmt: skip
    if verdict.status is not None:
        values["status"] = verdict.status
    if verdict.job_id is not None:
        values |= {"pentaho_job_id": verdict.job_id, "deadline_at": store.later(deadline_s)}
    elif verdict.state is State.RUNNING:
        values["polls"] = _jobs.polls + 1
    if verdict.untaken and not job.was_asked:
        values["asked_at"] = None
    if verdict.state not in OPEN:
        values["finished_at"] = store.now()
    mine = (_jobs.job_key == job.job_key, _jobs.lease_token == token, _jobs.state.in_(OPEN))
    return bool((await connection.execute(sa.update(pentaho_jobs).where(*mine).values(values))).rowcount)


async def divide(connection: AsyncConnection, target: str, job: Job, requests: Sequence[dict[str, Any]]) -> None:
    """Let jobs with these requests take the place of one, for whoever asked for it."""
    what = job.operation
    planned = [Planned(what.name, request, job.follows, job.asked_by) for request in requests]
    for key, request in zip(await insert(connection, target, planned), requests, strict=True):
        for chunk in _chunks(what.ids_of(request)):
            theirs = (_parts.job_key == job.job_key, key_in(connection, _parts.pentaho_id, chunk))
            await connection.execute(sa.update(pentaho_job_parts).where(*theirs).values(job_key=key))


async def forget(connection: AsyncConnection, store: Store, target: str, job_key: str, problem: str) -> bool:
    """Neither ask for an open job nor look at it any more; answers whether it was open."""
    values = {"state": State.LOST.value, "finished_at": store.now(), "problem": documents.column_text(problem)}
    mine = (_jobs.target == target, _jobs.job_key == job_key, _jobs.state.in_(OPEN))
    return bool((await connection.execute(sa.update(pentaho_jobs).where(*mine).values(values))).rowcount)


async def asking(connection: AsyncConnection, target: str, limit: int = 100) -> list[str]:
    """Keys of jobs that are to be asked for, the oldest first."""
    query = sa.select(_jobs.job_key).where(_jobs.target == target, _jobs.state == State.ASKING)
    return list((await connection.execute(query.order_by(_jobs.created_at, _jobs.job_key).limit(limit))).scalars())


async def requests(connection: AsyncConnection, job_keys: Sequence[str]) -> dict[str, tuple[str, dict[str, Any]]]:
    """Operation and request by key."""
    found = {}
    for chunk in _chunks(job_keys):
        query = sa.select(_jobs.job_key, _jobs.operation, _jobs.request)
        for row in await connection.execute(query.where(key_in(connection, _jobs.job_key, chunk))):
            found[row[0]] = row[1], json.loads(row[2])
    return found


async def listed(
    connection: AsyncConnection, target: str, state: str | None = None, limit: int = 50, key: str | None = None
) -> list[dict[str, Any]]:
    """Jobs for people, the newest first; `key` is the beginning of their key, or of Pentaho's id."""
    query = sa.select(pentaho_jobs).where(_jobs.target == target).order_by(_jobs.created_at.desc(), _jobs.job_key)
    if state:
        query = query.where(_jobs.state == state)
    if key:
        keys = (_jobs.job_key, _jobs.pentaho_job_id)
        query = query.where(sa.or_(*(column.startswith(key, autoescape=True) for column in keys)))
    hidden = {"lease_token", "lease_until", "target"}
    rows = [row._mapping for row in await connection.execute(query.limit(limit))]
    shown = [{name: value for name, value in row.items() if name not in hidden} for row in rows]
    return [row | {"request": json.loads(row["request"]), "follows": row["follows"].split()} for row in shown]
