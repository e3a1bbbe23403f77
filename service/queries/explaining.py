"""One thing explained: why its rows are as they are, and all that the store knows of what happened to it.

Nothing is kept for this: it is put together of what versions, lineage, the outbox, dead letters and the audit log hold
anyway. What is kept nowhere is said (`NOT_KEPT`), not guessed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.bulk import among
from service.mirror.deliveries import EVENT_KINDS
from service.mirror.tables import (
    audit_log,
    collibra_assets,
    collibra_told,
    dead_letters,
    deliveries,
    lineage_edges,
    lineage_events,
    pentaho_job_parts,
    pentaho_jobs,
    profile_runs,
    refreshes,
    sync_states,
)
from service.queries.standing import State, states

#: Steps of one source that are told, the newest.
SHOWN = 100
#: What nobody can tell afterwards.
NOT_KEPT = (
    "States before the one that was replaced, and events that lost: only the row and the version it replaced are kept.",
    "Routing key and message id of an event that was mirrored: its version and, where it was answered, its lineage "
    "event are kept.",
    "Readings that found nothing new, and refreshes that are done.",
    "When a delivery arrived, but for usage figures, jobs and assets in Collibra: one that did is no row any more.",
)


class Source(StrEnum):
    """Where the store knows a step from."""

    STATE = "state"
    LINEAGE = "lineage"
    READING = "reading"
    REFRESH = "refresh"
    DELIVERY = "delivery"
    JOB = "job"
    USAGE = "usage"
    COLLIBRA = "collibra"
    DEAD_LETTER = "dead_letter"
    ACTION = "action"
    PROFILE = "profile"
    GAP = "gap"


class Clock(StrEnum):
    """Whose clock says when."""

    CATALOG = "catalog"
    STORE = "store"


@dataclass(frozen=True, slots=True)
class Step:
    """Something that happened; `at` null: nobody knows when."""

    at: datetime | None
    clock: Clock
    source: Source
    id: str | None
    text: str
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Explanation:
    """A thing's rows with the rules by which they won, and its steps, the oldest first."""

    id: str
    states: list[State]
    steps: list[Step]
    #: Sources of which only the newest steps are told.
    cut: list[Source]
    not_kept: list[str]


async def explain(connection: AsyncConnection, thing_id: str) -> Explanation | None:
    """All that the store knows of one thing, by its id; None where it knows nothing.

    Also of what not everybody may see, and of what people did: for who may operate alone.
    """
    found = await states(connection, thing_id)
    asked = _Asked(connection, thing_id, found)
    steps = [step for state in found for step in _of_state(state)]
    events = await asked.lineage()
    ids = [thing_id, *(step.id for step in events if step.id and step.detail["own"])]
    steps += events
    letters = await asked.letters(ids)
    waiting = await asked.deliveries(ids)
    actions = await asked.actions([thing_id, *_ids(letters), *_ids(waiting)])
    steps += [*letters, *waiting, *actions]
    for source in (asked.refreshes, asked.jobs, asked.usage, asked.collibra, asked.profile_runs):
        steps += await source()
    if not steps:
        return None
    steps += [*await asked.readings(), *await asked.gaps()]
    steps.sort(key=lambda step: (step.at or datetime.min.replace(tzinfo=UTC), step.clock))
    return Explanation(thing_id, found, steps, sorted(asked.cut), list(NOT_KEPT))


def _ids(steps: Iterable[Step]) -> list[str]:
    return [step.id for step in steps if step.id]


def _of_state(state: State) -> list[Step]:
    """The row, and what it replaced."""
    about = {"kind": state.kind, "rank": state.now.rank, "digest": state.now.digest, "rule": str(state.rule)}
    end = "was deleted" if state.is_deleted else "got the state that it has"
    steps = [
        Step(state.now.at, Clock.CATALOG, Source.STATE, state.id,
             f"{state.kind} {end}, told by {state.now.said_by}. {state.because}", about),
        Step(state.mirrored_at, Clock.STORE, Source.STATE, state.id, f"The row of the {state.kind} was written",
             {"kind": state.kind}),
    ]  # fmt: skip
    if state.replaced:
        before = {"kind": state.kind, "rank": state.replaced.rank, "digest": state.replaced.digest}
        text = f"{state.kind} had the state that was replaced, told by {state.replaced.said_by}"
        steps.insert(0, Step(state.replaced.at, Clock.CATALOG, Source.STATE, state.id, text, before))
    return steps


class _Asked:
    """What each part of the store knows of a thing."""

    def __init__(self, connection: AsyncConnection, thing_id: str, found: Sequence[State]) -> None:
        self._connection = connection
        self._id = thing_id
        self._states = found
        self.cut: set[Source] = set()

    async def _rows(self, query: sa.Select[Any], newest: Any, source: Source) -> list[Any]:
        """The newest rows of a query; that there are more is noted."""
        rows = list(await self._connection.execute(query.order_by(sa.desc(newest)).limit(SHOWN + 1)))
        if len(rows) > SHOWN:
            self.cut.add(source)
        return rows[:SHOWN]

    async def lineage(self) -> list[Step]:
        """Lineage events that name it: ours were made of an event each, with that event's moment."""
        edge, event = lineage_edges.c, lineage_events.c
        query = sa.select(
            event.event_id, event.event_type, event.event_time, event.source_service, event.own, event.came_from,
            edge.role,
        ).join(lineage_edges, edge.event_id == event.event_id).where(edge.asset_id == self._id)  # fmt: skip
        rows = await self._rows(query, event.event_time, Source.LINEAGE)
        return [
            Step(row.event_time, Clock.CATALOG, Source.LINEAGE, row.event_id, _lineage_text(row),
                 {"own": row.own, "role": row.role, "event_type": row.event_type, "came_from": row.came_from})
            for row in rows
        ]  # fmt: skip

    async def letters(self, ids: Sequence[str]) -> list[Step]:
        """Dead letters about it, or about what was answered for it, whatever became of them."""
        letter = dead_letters.c
        told = [column for column in letter if column.name not in ("headers", "body", "original_body")]
        inner = letter.routing_key.contains(f".{self._id}.", autoescape=True)
        query = sa.select(*told).where(sa.or_(among(self._connection, letter.entity_id, ids), inner))
        rows = await self._rows(query, letter.last_at, Source.DEAD_LETTER)
        return [
            Step(row.last_at, Clock.STORE, Source.DEAD_LETTER, row.dead_letter_id,
                 f"A dead letter, {row.state}: {row.routing_key or row.target or row.entity_kind}: {row.reason}",
                 {"kind": row.kind, "state": row.state, "topic": row.routing_key, "target": row.target,
                  "class": row.error_class, "times": row.times, "blanked": row.blanked})
            for row in rows
        ]  # fmt: skip

    async def deliveries(self, ids: Sequence[str]) -> list[Step]:
        """What waits for targets, of it and of what was answered for it."""
        targets = [row.target for row in await controls.read_targets(self._connection)]
        kinds = [*EVENT_KINDS, *(state.kind for state in self._states)]
        one = deliveries.c
        query = sa.select(deliveries).where(
            one.target.in_(targets), one.entity_kind.in_(kinds), among(self._connection, one.entity_id, ids)
        )
        rows = await self._rows(query, one.created_at, Source.DELIVERY)
        return [
            Step(row.created_at, Clock.STORE, Source.DELIVERY, row.delivery_id, _delivery_text(row),
                 {"target": row.target, "change": row.change, "attempts": row.attempts, "due_at": row.due_at,
                  "last_error": row.last_error, "trace": row.trace})
            for row in rows
        ]  # fmt: skip

    async def actions(self, ids: Sequence[str]) -> list[Step]:
        """What people did to it, its dead letters and its deliveries."""
        named = [*ids, *(f"{state.kind} {self._id}" for state in self._states)]
        query = sa.select(audit_log).where(among(self._connection, audit_log.c.subject, named))
        rows = await self._rows(query, audit_log.c.seq, Source.ACTION)
        return [
            Step(row.at, Clock.STORE, Source.ACTION, str(row.seq),
                 f"{row.who}: {row.action}{f' ({row.reason})' if row.reason else ''}",
                 {"who": row.who, "action": row.action, "subject": row.subject, **json.loads(row.detail or "{}")})
            for row in rows
        ]  # fmt: skip

    async def refreshes(self) -> list[Step]:
        """Whether it has to be read again, and why."""
        kinds = [state.kind for state in self._states]
        query = sa.select(refreshes).where(refreshes.c.entity_id == self._id, refreshes.c.kind.in_(kinds))
        rows = await self._rows(query, refreshes.c.asked_at, Source.REFRESH)
        return [
            Step(row.asked_at, Clock.STORE, Source.REFRESH, self._id,
                 f"It is to be read again: {row.reason}{f'; last tried: {row.last_error}' if row.last_error else ''}",
                 {"kind": row.kind, "due_at": row.due_at, "attempts": row.attempts, "times": row.times})
            for row in rows
        ]  # fmt: skip

    async def jobs(self) -> list[Step]:
        """Jobs at Pentaho that deliveries of it asked for."""
        part, job = pentaho_job_parts.c, pentaho_jobs.c
        named = [part.delivery_id.contains(f":{state.kind}:{self._id}:", autoescape=True) for state in self._states]
        if not named:
            return []
        of_it = sa.select(part.job_key).where(sa.or_(*named))
        rows = await self._rows(sa.select(pentaho_jobs).where(job.job_key.in_(of_it)), job.created_at, Source.JOB)
        return [
            Step(row.finished_at or row.created_at, Clock.STORE, Source.JOB, row.job_key,
                 f"{row.target}: {row.operation} {row.state}{f': {row.problem}' if row.problem else ''}",
                 {"target": row.target, "state": row.state, "answered": row.status, "job": row.pentaho_job_id})
            for row in rows
        ]  # fmt: skip

    async def usage(self) -> list[Step]:
        """Usage figures of it that a target accepted last."""
        told = collibra_told.c
        mine = told.assets.contains(json.dumps(self._id), autoescape=True)
        rows = await self._rows(sa.select(collibra_told).where(mine), told.prepared_at, Source.USAGE)
        return [
            Step(row.prepared_at, Clock.STORE, Source.USAGE, row.batch_id,
                 f"{row.target} was told of its usage: {row.query_count} uses",
                 {"target": row.target, "uses": row.query_count, "users": row.distinct_users})
            for row in rows
        ]  # fmt: skip

    async def collibra(self) -> list[Step]:
        """What Collibra has of it and of its columns, and what is on its way."""
        row = collibra_assets.c
        mine = sa.select(collibra_assets).where(row.entity_id == self._id)
        targets = [one.target for one in await controls.read_targets(self._connection)]
        rows = await self._rows(mine.where(row.target.in_(targets)), row.told_at, Source.COLLIBRA)
        return [
            Step(row.told_at, Clock.STORE, Source.COLLIBRA, row.external_id, _collibra_text(row),
                 {"target": row.target, "kind": row.kind, "state": row.state, "job": row.job_id,
                  "waits_for": row.waits_for, "in_doubt": row.pending is not None})
            for row in rows
        ]  # fmt: skip

    async def profile_runs(self) -> list[Step]:
        """Finished runs of profiling that are kept."""
        run = profile_runs.c
        mine = sa.or_(run.asset_id == self._id, run.profile_id == self._id)
        columns = (run.profile_id, run.run_id, run.finished_at)
        rows = await self._rows(sa.select(*columns).where(mine), run.finished_at, Source.PROFILE)
        return [
            Step(row.finished_at, Clock.CATALOG, Source.PROFILE, row.run_id, "A profiling run was finished",
                 {"profile_id": row.profile_id})
            for row in rows
        ]  # fmt: skip

    async def readings(self) -> list[Step]:
        """When its kind was last read, compared and polled where it lives."""
        steps = []
        for state in self._states:
            here = state.id if state.kind == "container" else state.container_id or ""
            where = (sync_states.c.container_id == here, sync_states.c.kind == state.kind)
            row = (await self._connection.execute(sa.select(sync_states).where(*where))).first()
            steps += [
                Step(at, Clock.STORE, Source.READING, None, f"Every {state.kind} where it lives was {done}",
                     {"kind": state.kind, "container_id": here, "problem": row.problem})
                for at, done in ((row.complete_as_of, "read"), (row.reconciled_at, "compared")) if at
            ] if row else []  # fmt: skip
        return steps

    async def gaps(self) -> list[Step]:
        """Times in which events of it may have been lost."""
        return [
            Step(gap.began_at or gap.noticed_at, Clock.STORE, Source.GAP, gap.gap_id,
                 f"Events may have been lost, and nobody has closed this gap: {gap.detail}", {"kind": gap.kind})
            for gap in await controls.open_gaps(self._connection)
        ]  # fmt: skip


def _lineage_text(row: Any) -> str:
    if row.own:
        return f"An event was taken, and answered by our lineage event {row.event_type}"
    return (
        f"{row.source_service or row.came_from or 'Somebody'} told {row.event_type or 'a lineage event'} ({row.role})"
    )


def _collibra_text(row: Any) -> str:
    what = f"{row.kind} {row.name!r} as {row.external_id}"
    if row.command is None:
        return f"{row.target} has not taken {what}"
    if row.pending is not None:
        return f"{row.target} has {what}; a change is on its way, or nobody knows what became of it"
    return f"{row.target} took {what}" + (", which the catalog has no longer" if row.state == "gone" else "")


def _delivery_text(row: Any) -> str:
    tried = f", tried {row.attempts} times: {row.last_error}" if row.attempts else ""
    return f"{row.change} waits for {row.target}{tried}"
