"""Figures of usage: how they stand, what became of a batch that nobody knows the fate of, counting a window again."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import UsageError
from service.mirror import controls
from service.mirror.store import Store
from service.mirror.tables import usage_facts
from service.mirror.usage.importing import BAD, KNOWN, NEW, TOO_OLD, BadLine, Importer, read_value
from service.mirror.usage.people import people_of
from service.operations.acting import Act, Conflict, Unknown
from service.operations.targets import installed
from service.settings.model import Settings
from service.targets.collibra import Collibra, batches
from service.targets.collibra.planning import Plan


class BatchUnknown(Unknown):
    """{number} with {beginning!r}."""

    remedy = "`catalog-mirror usage batches` lists them."


class BatchCertain(Conflict):
    """The batch {batch} is {state}, not uncertain."""

    remedy = "Nothing is to be decided; `catalog-mirror usage show {batch}` tells all that is known of it."


class BatchDoubtful(Conflict):
    """The batch {batch} is on its way or uncertain: what it holds might be told twice."""

    remedy = "Wait, or say what became of it: `catalog-mirror usage settle {batch}`."


class NotToldOfUsage(Unknown):
    """{name} is no target that is told of usage."""

    remedy = "Name one of kind `collibra`."


class NothingPlanned(Conflict):
    """No window was planned for {name!r} yet, so there is nothing to count again."""

    remedy = "A running service plans the newest window by itself; `catalog-mirror targets list` shows the targets."


@dataclass(frozen=True, slots=True)
class Batch:
    """Figures of usage that are told together; what they hold is left out."""

    batch_id: str
    target: str
    #: The end of the 30 days that are told.
    window_end: datetime
    items: int
    state: str
    sent_at: datetime | None
    job_id: str | None
    problem: str | None


@dataclass(frozen=True, slots=True)
class BatchWhole:
    """A batch with what it holds: exactly what is sent, per item the assets that it is about, its job's report."""

    batch: Batch
    body: Any
    assets: Any
    report: Any


@dataclass(frozen=True, slots=True)
class Facts:
    """How many uses of assets a source told, and when the first and the last of them was."""

    source: str
    facts: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class InState:
    """How many batches of a target are in a state."""

    target: str
    state: str
    batches: int


@dataclass(frozen=True, slots=True)
class UsageStanding:
    """What is known of usage, the window that was planned last by target, and how the batches are."""

    facts: list[Facts]
    planned: dict[str, Any]
    batches: list[InState]


@dataclass(frozen=True, slots=True)
class UsageImported:
    """What became of lines of a query log, and which of them, counted from 1, were of no use."""

    new: int
    known: int
    too_old: int
    bad: int
    dry_run: bool
    lines: list[BadLine]


@dataclass(frozen=True, slots=True)
class Settled:
    """A batch and its state, now that somebody said what became of it."""

    batch_id: str
    state: str


async def importer_of(store: Store, settings: Settings, *, dry_run: bool) -> Importer:
    """What takes query logs, as settings want users hashed and uses kept; raises `StoreUnavailable`."""
    people = await people_of(store, settings.usage, settings.pipeline.principals)
    return Importer(store, people, settings.retention.usage_s, dry_run=dry_run)


async def take(store: Store, settings: Settings, lines: Sequence[Any], act: Act, *, dry_run: bool) -> UsageImported:
    """Take lines of a query log, which are parsed already, in one transaction; bad ones cost the others nothing."""
    importer = await importer_of(store, settings, dry_run=dry_run)
    taken = await importer.take([read_value(number, line) for number, line in enumerate(lines, 1)])
    if not dry_run:
        await note_import(store, taken.counts, act)
    new, known, too_old, bad = (taken.counts[what] for what in (NEW, KNOWN, TOO_OLD, BAD))
    return UsageImported(new, known, too_old, bad, dry_run, taken.bad)


async def note_import(store: Store, counts: Mapping[str, int], act: Act) -> None:
    """Note in the audit log that somebody brought uses of assets."""
    async with store.writing() as connection:
        await act.record(
            connection, "usage.import", "usage", {what: counts[what] for what in (NEW, KNOWN, TOO_OLD, BAD)}
        )


async def standing(store: Store) -> UsageStanding:
    """How many facts there are, which window was planned last, and how the batches are."""
    fact = usage_facts.c
    query = sa.select(fact.source, sa.func.count(), sa.func.min(fact.occurred_at), sa.func.max(fact.occurred_at))
    async with store.reading() as connection:
        rows = await connection.execute(query.group_by(fact.source).order_by(fact.source))
        facts = [Facts(*row) for row in rows]
        marks = {target: await batches.planned(connection, target) for target in await batches.planners(connection)}
        known = await batches.counts(connection)
    in_order = sorted(known.items(), key=lambda one: (one[0][0], batches.STATES.index(one[0][1])))
    return UsageStanding(facts, marks, [InState(target, state, number) for (target, state), number in in_order])


async def look(store: Store, settings: Settings, name: str) -> Plan:
    """What the newest window that is over comes to for a target; changes nothing.

    Raises:
        TargetUnknown, NotToldOfUsage: there is no such target.
    """
    target = installed(settings, name)
    if not isinstance(target, Collibra):
        raise NotToldOfUsage(name=name)
    target.attach(store)
    try:
        async with store.reading() as connection:
            return await target.look(connection)
    finally:
        await target.close()


async def listed(store: Store, states: Sequence[str] = (), limit: int = 50) -> list[Batch]:
    """Batches, the newest first; all states where none is named."""
    async with store.reading() as connection:
        rows = await batches.in_state(connection, None, *states, limit=limit)
    return [_batch(row) for row in rows]


def _batch(row: Any) -> Batch:
    return Batch(*(getattr(row, field.name) for field in fields(Batch)))


async def whole(store: Store, beginning: str) -> BatchWhole:
    """All of one batch; raises as `batch`."""
    async with store.reading() as connection:
        row = await batch(connection, beginning)
    report = json.loads(row.report) if row.report else None
    return BatchWhole(_batch(row), json.loads(row.body), json.loads(row.assets), report)


async def batch(connection: AsyncConnection, beginning: str) -> Any:
    """The one batch (a row) whose id begins so.

    Raises:
        BatchUnknown: there is none, or there are several.
    """
    rows = await batches.find(connection, beginning)
    if len(rows) != 1:
        raise BatchUnknown(number="Several batches begin" if rows else "No batch begins", beginning=beginning)
    return rows[0]


async def settle(store: Store, beginning: str, sent: bool, job: str | None, act: Act) -> Settled:
    """Say what became of a batch that is uncertain.

    Args:
        sent: whether Collibra took it; one that it did not take goes again while its window is the newest.
        job: the job (a UUID) that took it, to be followed.

    Raises:
        UsageError: a job of what was not sent, or one that is no UUID.
        BatchUnknown, BatchCertain: there is nothing to settle.
    """
    if job is not None and (not sent or not _is_uuid(job)):
        raise UsageError(problem="--job goes with --sent, and is the id (a UUID) of a job", advice="Leave it out.")
    async with store.writing() as connection:
        row = await batch(connection, beginning)
        state = await batches.settle(connection, row, sent=sent, job_id=str(UUID(job)) if job else None)
        if state is None:
            raise BatchCertain(batch=row.batch_id, state=row.state)
        await act.record(connection, "usage.settle", row.batch_id, {"sent": sent, "job": job, "state": state})
        return Settled(row.batch_id, str(state))


async def replan(store: Store, name: str, act: Act, *, everything: bool = False) -> None:
    """Have a target's newest window counted again; a running service sends what changed.

    Args:
        everything: tell what did not change, too.

    Raises:
        NothingPlanned, BatchDoubtful: it cannot be, or not now.
    """
    async with store.writing() as connection:
        await batches.lock(connection, name)
        if name not in await batches.planners(connection):
            raise NothingPlanned(name=name)
        doubtful = await batches.in_state(connection, name, batches.SENDING, batches.UNCERTAIN)
        if doubtful:
            raise BatchDoubtful(batch=doubtful[0].batch_id)
        await controls.clear_control(connection, batches.window_mark(name))
        if everything:
            await batches.forget_all(connection, name)
        await act.record(connection, "usage.replan", name, {"all": everything})


def _is_uuid(text: str) -> bool:
    try:
        return bool(UUID(text))
    except ValueError:
        return False
