"""Runs: a snapshot reads everything, a reconcile compares everything. Both are sweeps, one after the other.

A run stands in the store with the place it has come to, so whoever takes it up goes on there; people hold it and let
it go on through the store. Its report tells by kind what differed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime
from typing import Any

import structlog

from service.changes import Container, ContainerKind, Origin
from service.errors import (
    CatalogRejected,
    CursorInvalid,
    MassDeletion,
    StoreUnavailable,
    TransientError,
)
from service.kinds import KINDS, Kind
from service.kinds.assets import ASSET
from service.mirror import controls, progress
from service.mirror.profiling import documents
from service.mirror.progress import RECONCILE, Run
from service.mirror.store import Store
from service.settings.model import SyncSettings
from service.settings.scope import Scope
from service.sync.containers import Containers
from service.sync.obstacles import ABSENT, BROKEN
from service.sync.sweep import Estimate, Options, Result, Sweeper

log = structlog.get_logger(__name__)

#: Seconds between two looks whether somebody holds or stops the run.
HOLD_LOOK_S = 1.0
#: Seconds after which the place that a run has come to is written down: what an interruption has read again at most.
CHECKPOINT_S = 1.0
COUNTS = ("listed", "missing", "stale", "orphaned", "unreadable")
#: A kind in one container, or one that lives in none.
Step = tuple[Kind, Container | None]
Watch = Callable[[Run], Awaitable[None]]
#: A kind, and what is to be told of how fresh it is.
Note = tuple[str, dict[str, Any]]


class Stopped(Exception):
    """A person stopped the run."""


#: Problems of a run that are kept.
_PROBLEMS = 50
#: Times that the same sweep may fail, containers being listed each time, before the run goes on without it.
PATIENCE = 3


@dataclass(slots=True)
class Report:
    """What a run found: counts by kind, and what could not be read. Per container it is told by `v1_freshness`."""

    kinds: dict[str, dict[str, int]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    #: Where more would be deleted than may be without a person.
    braked: list[str] = field(default_factory=list)
    #: Containers in which that is so: nothing else is deleted there either.
    halted: list[str] = field(default_factory=list)

    def add(self, kind: str, where: Container | None, tally: dict[str, int]) -> None:
        """Add what one sweep found."""
        counts = self.kinds.setdefault(kind, dict.fromkeys(COUNTS, 0))
        for name in COUNTS:
            counts[name] += tally[name]
        if tally["braked"]:
            self.braked.append(f"{tally['orphaned']} of kind {kind} in {where.id if where else 'the catalog'}")
            self.halted += [where.id] if where else []

    def trouble(self, problem: str) -> None:
        """Note what could not be read."""
        if len(self.problems) < _PROBLEMS:
            self.problems.append(problem[:300])

    @classmethod
    def of(cls, run: Run) -> Report:
        """The report of a run so far, which goes on to be written into it."""
        kept = run.progress.setdefault("report", {"kinds": {}, "problems": [], "braked": [], "halted": []})
        return cls(**kept)


class Runner:
    """Does runs."""

    def __init__(
        self, store: Store, sweeper: Sweeper, containers: Containers, settings: SyncSettings, scope: Scope
    ) -> None:
        self._store = store
        self._sweeper = sweeper
        self._containers = containers
        self._settings = settings
        self._scope = scope
        self._checked_at = -CHECKPOINT_S

    async def begin(self, mode: str, reason: str, options: Options) -> Run:
        """The open run of this mode, or a new one."""
        async with self._store.writing() as connection:
            there = await progress.newest(connection, mode, progress.OPEN)
            told = {"repair": options.repair, "accept_deletions": options.accept_deletions}
            if there is not None and there.options == told:
                log.info("run_taken_up", run=there.run_id, mode=mode)
                return there
            if there is not None:
                there.state, there.problem = "stopped", progress.REPLACED
                await progress.save(connection, there, ended=True)
            return await progress.begin(connection, mode, reason, told)

    async def carry_out(self, run: Run, watch: Watch | None = None) -> Report:
        """Do what is left of a run.

        Raises:
            MassDeletion: a reconcile would delete more than may be deleted without a person.
            TransientError: the catalog or the store does not do its part; the run stays open.
            Stopped: a person stopped it.
        """
        log.info("run_started", run=run.run_id, mode=run.mode, reason=run.reason)
        try:
            async with self._store.translated():
                report = await self._sweeps(run, watch)
        except Stopped:
            await self._end(run, "stopped", "stopped by a person")
            raise
        except TransientError as error:
            run.problem = f"{error} {error.advice()}"
            if not isinstance(error, StoreUnavailable):
                await self._save(run)
            raise
        if report.braked:
            braked = MassDeletion(what=", ".join(report.braked[:5]))
            await self._end(run, "failed", f"{braked} {braked.advice()}")
            log.error("mass_deletion", run=run.run_id, what=report.braked[:20], remedy=braked.advice())
            raise braked
        await self._end(run, "done", "; ".join(report.problems[:5]) or None)
        log.info("run_done", run=run.run_id, mode=run.mode, kinds=report.kinds)
        return report

    async def _sweeps(self, run: Run, watch: Watch | None) -> Report:
        options = Options(
            repair=run.options["repair"],
            deletions=run.mode == RECONCILE,
            accept_deletions=run.options["accept_deletions"],
        )
        report = Report.of(run)
        done, current = run.progress.get("done", ""), run.progress.get("current", {})
        found = await self._containers.read(options)
        if not done:
            for of, tally in found.tallies.items():
                report.add(of, None, asdict(tally))
            for problem in found.problems:
                report.trouble(problem)
        steps = self.steps(found.readable)
        run.progress["steps"] = len(steps)
        for number, (kind, where) in enumerate(steps):
            name = _name(number, kind, where)
            if _place(name) <= _place(done):
                continue
            if current.get("name") != name:
                current = {"name": name, "kind": kind.name, "container": where and where.id, "cursor": None}
            run.progress |= {"step": number, "current": current}
            halted = where is not None and where.id in report.halted
            notes = await self._sweep(run, kind, where, replace(options, deletions=False) if halted else options,
                                      report, watch)  # fmt: skip
            if kind is ASSET and where is not None and options.repair and self._settings.profile_documents:
                await self._ask_for_documents(where)
            run.progress |= {"done": name, "current": {}}
            await self._save(run, where, notes)
        return report

    async def estimate(self) -> list[Estimate]:
        """How much a snapshot would read: the first page of every listing tells. Costs one call for each.

        Raises:
            TransientError: the catalog or the store does not do its part.
        """
        found = await self._containers.read(Options(repair=False))
        told: list[Estimate] = []
        for kind, where in self.steps(found.readable):
            try:
                told.append(await self._sweeper.estimate(kind, where, told))
            except (*ABSENT, *BROKEN) as error:
                log.warning("kind_unreadable", kind=kind.name, container=where and where.id, problem=str(error))
        return told

    def steps(self, readable: list[Container]) -> list[Step]:
        """What a run reads, in a fixed order: what lives nowhere, then container by container."""
        kinds = [kind for kind in KINDS.values() if kind.name not in self._settings.skip and not kind.only_rotates]
        everywhere: list[Step] = [(kind, None) for kind in kinds if not kind.within]
        return everywhere + [(kind, where) for where in readable for kind in kinds if where.kind in kind.within]

    async def _sweep(
        self, run: Run, kind: Kind, where: Container | None, options: Options, report: Report,
        watch: Watch | None,
    ) -> list[Note]:  # fmt: skip
        """One sweep, with what was counted of it before an interruption; answers what is to be noted of it."""
        current = run.progress["current"]
        # What a listing lacks is known only of one that was read from its beginning.
        cursor = None if options.deletions else current["cursor"]
        before = current.get("tallies", {}) if cursor else {}
        began = await self._began(current, cursor)

        async def checkpoint(result: Result) -> None:
            if time.monotonic() - self._checked_at < CHECKPOINT_S:
                return
            run.progress["current"] |= {
                "cursor": result.cursor, "total": result.total, "tallies": _summed(before, result),
            }  # fmt: skip
            run.problem = None
            await self._save(run)
            if watch:
                await watch(run)
            await self._obey(run)
            self._checked_at = time.monotonic()

        try:
            result = await self._sweeper.sweep(kind, where, options, checkpoint, cursor)
        except (*ABSENT, *BROKEN, CursorInvalid) as error:
            if cursor is not None and isinstance(error, CatalogRejected | CursorInvalid):
                log.info("listing_begun_anew", kind=kind.name, container=where and where.id, problem=str(error))
                current |= {"cursor": None, "tallies": {}}
                return await self._sweep(run, kind, where, options, report, watch)
            current["failed"] = current.get("failed", 0) + 1
            if isinstance(error, BROKEN) and current["failed"] < PATIENCE:
                raise
            return [self._unreadable(kind, where, str(error), report)]
        if result.problem:
            report.trouble(f"{kind.name} in {where.id if where else 'the catalog'}: {result.problem}")
        return self._added(_summed(before, result), where, options, report, began, result.problem)

    def _added(
        self, found: dict[str, dict[str, int]], where: Container | None, options: Options, report: Report,
        began: datetime, problem: str | None,
    ) -> list[Note]:  # fmt: skip
        """Add what one sweep found to the report; answers how fresh the mirror is by it."""
        notes: list[Note] = []
        for kind, counts in found.items():
            report.add(kind, where, counts)
            left = {} if options.repair and not counts["braked"] else _drift(counts)
            values: dict[str, Any] = {name: left.get(name, 0) for name in ("missing", "stale", "orphaned")}
            values |= {"unreadable": counts["unreadable"], "things": counts["listed"], "problem": problem}
            if options.repair and not counts["unreadable"] and not counts["braked"]:
                values["complete_as_of"] = began
            if options.deletions:
                values["reconciled_at"] = "now"
            notes.append((kind, values))
        return notes

    async def _ask_for_documents(self, where: Container) -> None:
        """The documents of profiles that were not read, or could not be: they are read like whatever is refreshed."""
        async with self._store.writing() as connection:
            await documents.ask_for_unread(connection, where, Origin.SYNC)

    async def _began(self, current: dict[str, Any], cursor: str | None) -> datetime:
        """When this sweep began, before whatever interrupted it, on the store's clock."""
        if cursor is None or "began" not in current:
            async with self._store.reading() as connection:
                current["began"] = (await progress.store_time(connection)).isoformat()
        return datetime.fromisoformat(current["began"])

    def _unreadable(self, kind: Kind, where: Container | None, problem: str, report: Report) -> Note:
        """What cannot be read is told, and nothing is deleted for it."""
        log.warning("kind_unreadable", kind=kind.name, container=where and where.id, problem=problem)
        report.trouble(f"{kind.name} in {where.id if where else 'the catalog'}: {problem}")
        return kind.name, {"problem": problem[:500]}

    async def _obey(self, run: Run) -> None:
        """Wait while a person holds runs.

        Raises:
            Stopped: the person wants no more of it.
        """
        while True:
            async with self._store.reading() as connection:
                known = await controls.read_controls(connection)
            held = known[progress.HELD][0] if progress.HELD in known else None
            if held is None:
                if run.state == "paused":
                    run.state = "running"
                    await self._save(run)
                return
            if held.get("stop"):
                async with self._store.writing() as connection:
                    await controls.clear_control(connection, progress.HELD)
                raise Stopped
            if run.state != "paused":
                run.state = "paused"
                await self._save(run)
            await asyncio.sleep(HOLD_LOOK_S)

    async def _save(self, run: Run, where: Container | None = None, notes: Sequence[Note] = ()) -> None:
        """Write down how far the run is, and in the same transaction what its last step found."""
        place, container_kind = (where.id, where.kind) if where else ("", None)
        async with self._store.writing() as connection:
            for kind, values in notes:
                await progress.note_state(connection, place, container_kind, kind, **values)
            await progress.save(connection, run)

    async def _end(self, run: Run, state: str, problem: str | None) -> None:
        run.state, run.problem = state, problem
        async with self._store.writing() as connection:
            await progress.save(connection, run, ended=True)


def _name(number: int, kind: Kind, where: Container | None) -> str:
    """Names a step; containers come sorted by kind and id."""
    if where is None:
        return f"0/{_NUMBERS[kind.name]:03d}"
    return f"1/{_ORDER[where.kind]}/{where.id}/{_NUMBERS[kind.name]:03d}"


def _place(name: str) -> tuple[str, ...]:
    """A step's name in parts, which compare as steps are ordered whatever characters an id has."""
    head, _, number = name.rpartition("/")
    return (*head.split("/", 2), number) if name else ()


#: By kind, its place among all.
_NUMBERS = {name: number for number, name in enumerate(KINDS)}
_ORDER: dict[ContainerKind, int] = {"catalog": 0, "project": 1, "space": 2}


def _summed(before: dict[str, dict[str, int]], result: Result) -> dict[str, dict[str, int]]:
    summed = {kind: asdict(tally) for kind, tally in result.tallies.items()}
    for kind, counts in before.items():
        for name, number in counts.items():
            there = summed.setdefault(kind, dict.fromkeys(counts, 0))
            there[name] = there[name] + number
    return summed


def _drift(counts: dict[str, int]) -> dict[str, int]:
    return {name: counts[name] for name in ("missing", "stale", "orphaned")}
