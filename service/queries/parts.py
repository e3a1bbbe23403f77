"""The parts of the overview: replicas with what flows through them, targets, readings, dead letters, freshness.

Each is read by a statement or two whose cost has a bound, so that people may look as often as they like.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls, dead_letters, progress
from service.mirror.store import Store
from service.mirror.tables import collibra_batches, containers, deliveries, refreshes
from service.queries.counting import Count, bounded, counted
from service.queries.relations import RELATIONS

#: Rows that are looked at for what waits: deliveries of one target, open dead letters, things to be read again.
WAITING_ROWS = 5000
#: Causes of dead letters, and topics, that are told: those with most letters, and with most events.
CAUSES, TOPICS = 10, 20


@dataclass(frozen=True, slots=True)
class Replica:
    """One running process of the service, as it told the store within the last seconds."""

    replica_id: str
    version: str
    #: starting, consuming, paused, waiting, stopped; none: it has no broker.
    consumer: str
    #: All that keeps it from consuming, in words; `waits_for`: of these what no person and no brake did.
    reasons: list[str]
    waits_for: list[str]
    #: Messages that it was given since it started.
    delivered: int
    #: Seconds for which it has had the oldest message that it has not acknowledged.
    in_hand_s: float
    #: It is the one that reads the catalog.
    leads: bool
    #: What reading waits for.
    reading_problem: str | None
    started_at: datetime
    seen_at: datetime


@dataclass(frozen=True, slots=True)
class Topic:
    """What comes by one pattern of routing keys; readings come as `catalog.…`."""

    topic: str
    per_s: float


@dataclass(frozen=True, slots=True)
class Coming:
    """What comes in, over all replicas, in the last seconds."""

    events_per_s: float
    #: Mean seconds from published to committed; null: no event had a time.
    event_age_s: float | None
    #: The busiest patterns.
    topics: list[Topic]
    #: Messages that lie ready in our queue, and bytes until it drops its oldest; null: nobody knows.
    queue_messages: int | None
    queue_bytes_free: int | None


class TargetState(StrEnum):
    """Whether a target is delivered to."""

    DELIVERING = "delivering"
    PAUSED = "paused"
    HELD = "held"
    CIRCUIT_OPEN = "circuit_open"


@dataclass(frozen=True, slots=True)
class Target:
    """One destination: its state, what waits for it, and what goes out."""

    target: str
    state: TargetState
    #: Why it is not delivered to.
    because: str | None
    #: Deliveries that wait; of the oldest: since when, attempts that failed, and the last error.
    waiting: Count
    oldest_at: datetime | None
    attempts: int
    last_error: str | None
    per_s: float
    #: Mean seconds from committed to delivered, lately; null: nothing was delivered.
    delivery_age_s: float | None
    delivered: int
    last_delivered_at: datetime | None
    #: Batches of usage figures of which nobody knows whether they arrived.
    uncertain: int


@dataclass(frozen=True, slots=True)
class Refreshing:
    """What has to be read again."""

    waiting: Count
    #: When the earliest is, or was, due.
    due_at: datetime | None
    #: Those that were tried and could not be read, and one reason.
    failing: int
    last_error: str | None


@dataclass(frozen=True, slots=True)
class Cause:
    """Open dead letters of one cause."""

    fingerprint: str
    error_class: str
    letters: int
    last_at: datetime
    #: Of one of them: why, what to do, and its id.
    reason: str
    remedy: str
    dead_letter_id: str


@dataclass(frozen=True, slots=True)
class Reading:
    """The newest run of one mode: a snapshot reads everything, a reconcile compares everything."""

    run_id: str
    mode: str
    #: running, paused, stopped, done or failed.
    state: str
    reason: str
    started_at: datetime
    updated_at: datetime | None
    finished_at: datetime | None
    problem: str | None
    #: Sweeps begun, and in all; what the current one reads.
    step: int | None
    steps: int | None
    kind: str | None
    container_id: str | None


@dataclass(frozen=True, slots=True)
class Gap:
    """A time in which events may have been lost."""

    gap_id: str
    #: `absence`, `queue_recreated`, `queue_full`, `queue_purged`, …
    kind: str
    detail: str
    began_at: datetime | None
    noticed_at: datetime


@dataclass(frozen=True, slots=True)
class Freshness:
    """How far one kind of thing can be trusted: the container that was looked at longest ago, and sums over all."""

    kind: str
    container_id: str
    container_kind: str | None
    container_name: str | None
    #: When the worst container was last read, compared or polled; null: never.
    looked_at: datetime | None
    containers: int
    #: Things that differ from the catalog and are not repaired.
    differing: int
    #: Containers in which the kind could not be read, and why not in one of them.
    unreadable_in: int
    problem: str | None


async def replicas(connection: AsyncConnection, store: Store) -> tuple[list[Replica], list[Mapping[str, Any]]]:
    """The replicas that were heard of lately, and what flows through each (`service.process.flow`)."""
    rows = [(row, json.loads(row.status)) for row in await controls.live_replicas(connection, store)]
    return [_replica(row, told) for row, told in rows], [told.get("flow") or {} for _, told in rows]


def _replica(row: Any, told: Mapping[str, Any]) -> Replica:
    reading = told.get("reading") or {}
    return Replica(
        row.replica_id, told.get("version", ""), told.get("consumer", "none"), told.get("reasons", []),
        told.get("waits_for", []), told.get("delivered", 0), told.get("in_hand_s", 0.0), reading.get("leads", False),
        reading.get("problem"), row.started_at, row.seen_at,
    )  # fmt: skip


def coming(flows: Sequence[Mapping[str, Any]]) -> Coming:
    """What comes in by all replicas together."""
    topics: dict[str, float] = {}
    for flow in flows:
        for topic, per_s in flow.get("topics", {}).items():
            topics[topic] = topics.get(topic, 0.0) + per_s
    most = sorted(topics.items(), key=lambda topic: (-topic[1], topic[0]))[:TOPICS]
    per_s, age_s = _together([(flow.get("events_per_s", 0.0), flow.get("event_age_s")) for flow in flows])
    return Coming(
        per_s, age_s, [Topic(*topic) for topic in most], _of_one_queue(flows, "queue_messages"),
        _of_one_queue(flows, "queue_bytes_free"),
    )  # fmt: skip


def _together(flows: Sequence[tuple[float, float | None]]) -> tuple[float, float | None]:
    """The sum of rates, and the mean of ages, each as heavy as its rate."""
    weights = [(per_s or 1e-9, age_s) for per_s, age_s in flows if age_s is not None]
    total = sum(weight for weight, _ in weights)
    mean = sum(weight * age_s for weight, age_s in weights) / total if total else None
    return round(sum(per_s for per_s, _ in flows), 3), mean if mean is None else round(mean, 3)


def _of_one_queue(flows: Sequence[Mapping[str, Any]], name: str) -> int | None:
    """All replicas look at the same queue; of what they tell the worst is shown."""
    known = [flow[name] for flow in flows if flow.get(name) is not None]
    return (min if name == "queue_bytes_free" else max)(known) if known else None


async def targets(
    connection: AsyncConnection, flows: Sequence[Mapping[str, Any]], *, held: bool, bound: int | None
) -> list[Target]:
    """Every target that ever ran; of deliveries that wait at most `bound` are counted."""
    uncertain = sa.select(collibra_batches.c.target, sa.func.count()).where(collibra_batches.c.state == "uncertain")
    unsure: dict[str, int] = {
        row[0]: row[1] for row in await connection.execute(uncertain.group_by(collibra_batches.c.target))
    }
    told = []
    for row in await controls.read_targets(connection):
        here = deliveries.c.target == row.target
        waiting = bounded(sa.select(deliveries.c.seq).where(here), bound).label("waiting")
        oldest = sa.select(deliveries, waiting).where(here).order_by(deliveries.c.seq).limit(1)
        first = (await connection.execute(oldest)).first()
        each = [flow.get("targets", {}).get(row.target, {}) for flow in flows]
        per_s, age_s = _together([(one.get("per_s", 0.0), one.get("age_s")) for one in each])
        state, because = _state(row, held=held)
        told.append(
            Target(
                row.target,
                state,
                because,
                counted(first.waiting if first else 0, bound),
                first.created_at if first else None,
                first.attempts if first else 0,
                first.last_error if first else None,
                per_s,
                age_s,
                row.delivered,
                row.last_delivered_at,
                unsure.get(row.target, 0),
            )
        )
    return told


def _state(row: Any, *, held: bool) -> tuple[TargetState, str | None]:
    if row.paused:
        return TargetState.PAUSED, row.pause_reason
    if held:
        return TargetState.HELD, "deliveries are held"
    return (TargetState.CIRCUIT_OPEN, row.notice) if row.notice else (TargetState.DELIVERING, None)


async def refreshing(connection: AsyncConnection, bound: int | None) -> Refreshing:
    """What has to be read again, of which at most `bound` are looked at, the earliest due first."""
    columns = (refreshes.c.due_at, refreshes.c.attempts, refreshes.c.last_error)
    query = sa.select(*columns).order_by(refreshes.c.due_at)
    first = (query if bound is None else query.limit(bound + 1)).subquery().c
    failed = first.attempts > 0
    told = sa.select(
        sa.func.count().label("waiting"),
        sa.func.min(first.due_at).label("due_at"),
        sa.func.coalesce(sa.func.sum(sa.case((failed, 1), else_=0)), 0).label("failing"),
        sa.func.min(sa.case((failed, first.last_error))).label("last_error"),
    )
    row = (await connection.execute(told)).one()
    return Refreshing(counted(row.waiting, bound), row.due_at, int(row.failing), row.last_error)


async def causes(connection: AsyncConnection) -> list[Cause]:
    """The causes with most open dead letters, among the newest letters."""
    rows = await dead_letters.count_by_fingerprint(connection, newest=WAITING_ROWS, limit=CAUSES)
    return [
        Cause(row.fingerprint, row.error_class, row.letters, row.last_at, row.reason, row.remedy, row.dead_letter_id)
        for row in rows
    ]


async def readings(connection: AsyncConnection) -> list[Reading]:
    """The newest run of each mode that there was, the newer one first."""
    found = [run for mode in progress.MODES if (run := await progress.newest(connection, mode))]
    return [_reading(run) for run in sorted(found, key=lambda run: run.started_at, reverse=True)]


def _reading(run: progress.Run) -> Reading:
    current = run.progress.get("current") or {}
    return Reading(
        run.run_id, run.mode, run.state, run.reason, run.started_at, run.updated_at, run.finished_at, run.problem,
        run.progress.get("step"), run.progress.get("steps"), current.get("kind"), current.get("container"),
    )  # fmt: skip


async def gaps(connection: AsyncConnection) -> list[Gap]:
    """Gaps that nobody has closed, the oldest first."""
    rows = await controls.open_gaps(connection)
    return [Gap(row.gap_id, row.kind, row.detail, row.began_at, row.noticed_at) for row in rows]


async def freshness(connection: AsyncConnection) -> list[Freshness]:
    """Each kind that is read, by its worst container."""
    row = RELATIONS["v1_freshness"].c
    looked_at = _latest(connection, row.complete_as_of, row.reconciled_at, row.polled_at)
    of_kind: dict[str, Any] = {"partition_by": row.kind}
    differing = row.missing + row.stale + row.orphaned + row.unreadable
    ranked = sa.select(
        row.kind, row.container_id, row.container_kind, looked_at.label("looked_at"),
        sa.func.row_number().over(**of_kind, order_by=(looked_at.is_not(None), looked_at, row.container_id)).label("n"),
        sa.func.count().over(**of_kind).label("containers"),
        sa.func.sum(differing).over(**of_kind).label("differing"),
        sa.func.count(row.problem).over(**of_kind).label("unreadable_in"),
        sa.func.min(row.problem).over(**of_kind).label("problem"),
    ).subquery()  # fmt: skip
    worst = (
        sa.select(ranked, containers.c.name)
        .outerjoin(containers, containers.c.container_id == ranked.c.container_id)
        .where(ranked.c.n == 1)
        .order_by(ranked.c.kind)
    )
    return [
        Freshness(
            one.kind, one.container_id, one.container_kind, one.name, one.looked_at, one.containers,
            int(one.differing), one.unreadable_in, one.problem,
        )
        for one in await connection.execute(worst)
    ]  # fmt: skip


def _latest(connection: AsyncConnection, *moments: sa.ColumnElement[Any]) -> sa.ColumnElement[Any]:
    """The latest of these moments that is known."""
    if connection.dialect.name == "postgresql":
        return sa.func.greatest(*moments, type_=moments[0].type)
    known = sa.func.max(*(sa.func.coalesce(moment, sa.literal_column("''")) for moment in moments))
    return sa.func.nullif(known, sa.literal_column("''"), type_=moments[0].type)
