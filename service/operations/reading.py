"""Reading the catalog: how far it is, ask for a run or for one thing, hold it, stop it, and close gaps.

Where a service runs it does the work, and whoever asked looks on through the store; else a command does it itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import uuid4

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container, ContainerKind, RefreshAsked
from service.errors import MassDeletion, MirrorError, RunFailed, UsageError
from service.mirror import controls, progress, refreshes
from service.mirror.progress import RECONCILE, SNAPSHOT, Run
from service.mirror.store import Store
from service.operations.acting import Act, Conflict, Unknown
from service.operations.work import Desk, Tell, Work
from service.pipeline.building import pipeline_of
from service.settings.model import Settings
from service.sync.director import ASKED, LEAD_S, Director, director_of
from service.sync.readings import TABLES
from service.sync.runs import Stopped
from service.sync.sweep import Options
from service.telemetry.metrics import Metrics

#: Seconds between two looks at a run that another process does.
LOOK_S = 0.5
#: Seconds without anybody who reads after which nobody looks on any more; another replica takes over before that.
ALONE_S = 40.0
_NOBODY = "the service that was to do it is gone; start it again, or run this command again."
#: What the names of commands that read begin with.
_COMMAND = "command-"


class NoRun(Conflict):
    """No run is going on."""

    remedy = "`catalog-mirror status` shows what was read."


class NoCatalog(Conflict):
    """No catalog is set, so there is nothing to read."""

    remedy = "Set CATALOG_MIRROR_CATALOG__URL and what to sign in with."


class GapUnknown(Unknown):
    """There is no open gap {gap!r}."""

    remedy = "`catalog-mirror status` shows the open ones."


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
class Standing:
    """How reading the catalog stands."""

    #: Who reads it just now: a replica, or a command; None: nobody.
    leader: str | None
    #: The newest run of each mode, with its progress and report.
    runs: tuple[Run, ...]
    #: A person holds the run that is going on.
    held: bool
    #: The mode of a run that was asked for and has not begun.
    asked: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that was asked for; `run_id` is that of one with the same options that is going on already."""

    mode: str
    run_id: str | None


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told of a run while it is looked on: how far it is, and what is waited for."""

    show: Callable[[Run], Awaitable[None]]
    say: Callable[[str], None]


async def standing(store: Store) -> Standing:
    """How reading stands."""
    async with store.reading() as connection:
        known = await controls.read_controls(connection)
        runs = [run for mode in (SNAPSHOT, RECONCILE) if (run := await progress.newest(connection, mode))]
        leader = await progress.leader(connection, store)
    asked = known[ASKED][0]["mode"] if ASKED in known else None
    return Standing(leader, tuple(runs), progress.HELD in known, asked)


async def ask(store: Store, mode: str, options: Options, act: Act) -> Asked:
    """Have the running service do a run, unless it is doing just that.

    A snapshot reads everything; a reconcile compares, with `repair` writes what differs, and with `accept_deletions`
    deletes also where that is a lot.
    """
    async with store.writing() as connection:
        before = await progress.newest(connection, mode, progress.OPEN)
        told = _told(options)
        if before is not None and before.options == told:
            return Asked(mode, before.run_id)
        await controls.set_control(connection, ASKED, {"mode": mode, **told, "who": act.by})
        await _record(connection, mode, options, act)
    return Asked(mode, None)


async def begin_estimate(desk: Desk, director: Director | None, act: Act) -> Work:
    """Count how many things and calls a snapshot would be, as work: it takes a call for each listing; tells by kind.

    Raises:
        NoCatalog: this service reads none.
        TooMuchWork: this process has enough to do.
    """
    if director is None:
        raise NoCatalog()
    runner = director.runner

    async def job(_: Tell) -> dict[str, Any]:
        kinds: dict[str, dict[str, int]] = {}
        for one in await runner.estimate():
            counts = kinds.setdefault(one.kind, {"things": 0, "calls": 0})
            counts["things"] += one.things
            counts["calls"] += one.calls
        return {"calls": sum(counts["calls"] for counts in kinds.values()), "kinds": kinds}

    return await desk.begin("estimate", act, job)


async def hold(store: Store, act: Act) -> None:
    """Hold the run that is going on, until `let_go` or `stop`.

    Raises:
        NoRun: none is.
    """
    await _hold(store, act, "reading.pause", {"stop": False})


async def stop(store: Store, act: Act) -> None:
    """End the run that is going on; what was read stays. Raises as `hold`."""
    await _hold(store, act, "reading.stop", {"stop": True})


async def _hold(store: Store, act: Act, action: str, how: dict[str, Any]) -> None:
    async with store.writing() as connection:
        run = await progress.newest(connection, states=progress.OPEN)
        if run is None:
            raise NoRun()
        await controls.set_control(connection, progress.HELD, how)
        await act.record(connection, action, run.run_id)


async def let_go(store: Store, act: Act) -> bool:
    """Let the run go on that is held; answers whether one was."""
    async with store.writing() as connection:
        held = await controls.clear_control(connection, progress.HELD)
        if held:
            run = await progress.newest(connection, states=progress.OPEN)
            await act.record(connection, "reading.resume", run.run_id if run else "no run")
    return held


async def refresh(store: Store, kind: str, entity_id: str, container: str | None, act: Act) -> None:
    """Have one thing read again, at once, by a running service.

    Args:
        container: where it lives, such as `catalog:ID`, where the mirror does not know.

    Raises:
        UsageError: there is no such kind, or that is no container.
    """
    asked = RefreshAsked(_kind(kind), entity_id, _container(container), f"asked by {act.by}")
    async with store.writing() as connection:
        await refreshes.ask(connection, [asked])
        await refreshes.hurry(connection, kind, entity_id)
        await act.record(connection, "reading.refresh", f"{kind} {entity_id}")


async def refresh_here(
    store: Store, settings: Settings, kind: str, entity_id: str, container: str | None, act: Act
) -> bool:
    """The same, read here where no service runs; answers whether it was.

    Raises:
        UsageError: as `refresh`.
        RunFailed: it could not be read.
    """
    await refresh(store, kind, entity_id, container, act)
    leader = await _leader(store)
    if leader is not None and not leader.startswith(_COMMAND):
        return False
    async with directing(settings, store) as director:
        while await director.refresher.once():
            pass
    async with store.reading() as connection:
        problem = await refreshes.waiting(connection, kind, entity_id)
    if problem is not None:
        raise RunFailed(mode="refresh", problem=problem or "somebody else reads it just now")
    return True


def _kind(kind: str) -> str:
    if kind not in TABLES:
        raise UsageError(problem=f"there is no kind {kind!r}; there are {', '.join(TABLES)}")
    return kind


def _container(text: str | None) -> Container | None:
    if text is None:
        return None
    kind, separator, container_id = text.partition(":")
    kinds: dict[str, ContainerKind] = {"catalog": "catalog", "project": "project", "space": "space"}
    if not separator or kind not in kinds or not container_id:
        raise UsageError(problem=f"{text!r} is no container; write catalog:ID, project:ID or space:ID")
    return Container(kinds[kind], container_id)


async def gaps(store: Store) -> list[Gap]:
    """Gaps that nobody has closed, the oldest first."""
    async with store.reading() as connection:
        rows = await controls.open_gaps(connection)
    return [Gap(row.gap_id, row.kind, row.detail, row.began_at, row.noticed_at) for row in rows]


async def close_gap(store: Store, gap_id: str, act: Act) -> Gap:
    """Close a gap of which a person knows that nothing is missing: where there is no catalog, no reconcile does so.

    Raises:
        GapUnknown: none is open by that name.
    """
    async with store.writing() as connection:
        found = [row for row in await controls.open_gaps(connection) if row.gap_id == gap_id]
        if not found or not await controls.close_gap(connection, gap_id):
            raise GapUnknown(gap=gap_id)
        (row,) = found
        await act.record(connection, "gap.close", gap_id, {"kind": row.kind, "detail": row.detail})
    return Gap(row.gap_id, row.kind, row.detail, row.began_at, row.noticed_at)


@asynccontextmanager
async def directing(settings: Settings, store: Store) -> AsyncIterator[Director]:
    """What reads the catalog, in this process; its client is open."""
    metrics = Metrics()
    pipeline = pipeline_of(settings, store, metrics)
    director = director_of(settings, store, pipeline, metrics, f"{_COMMAND}{uuid4().hex[:8]}")
    async with director.client:
        yield director


async def carry_out(
    store: Store, settings: Settings, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None]:
    """Have a run done, by a running service or else here, and look on to its end.

    Returns:
        The run, and why it failed if it did.
    """
    while True:
        leader = await _leader(store)
        if leader is None:
            if done := await _here(store, settings, mode, options, act, watch):
                return done
        elif leader.startswith(_COMMAND):
            watch.say(f"{mode}: waits for another command that reads the catalog")
        else:
            return await _there(store, mode, options, act, watch)
        await asyncio.sleep(LOOK_S)


async def _leader(store: Store) -> str | None:
    """Who reads the catalog: a running service, or another command."""
    async with store.reading() as connection:
        return await progress.leader(connection, store)


async def _there(
    store: Store, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None]:  # fmt: skip
    """Have a running service do it."""
    try:
        return await watched(store, mode, options, act, watch.show), None
    except RunFailed as error:
        async with store.reading() as connection:
            run = await progress.newest(connection, mode, ("failed",))
        if run is None:
            raise
        return run, error


async def _here(
    store: Store, settings: Settings, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None] | None:
    """Do the run in this process, which leads meanwhile; None where somebody else was quicker."""
    async with directing(settings, store) as director:
        if not await director.lead():
            return None
        leading = asyncio.create_task(_keep_leading(director))
        try:
            async with store.writing() as connection:
                await _record(connection, mode, options, act)
            run = await director.runner.begin(mode, f"asked by {act.by}", options)
            try:
                await director.runner.carry_out(run, watch.show)
            except MassDeletion as error:
                return run, error
            except Stopped:
                return run, None
            if mode == RECONCILE and options.repair:
                async with store.writing() as connection:
                    await controls.close_gaps(connection, run.started_at)
            return run, None
        finally:
            leading.cancel()
            with suppress(asyncio.CancelledError):
                await leading
            await director.step_down()


async def _keep_leading(director: Director) -> None:
    while True:
        await asyncio.sleep(LEAD_S)
        await director.lead()


async def watched(
    store: Store, mode: str, options: Options, act: Act, show: Callable[[Run], Awaitable[None]]
) -> Run:  # fmt: skip
    """Ask the running service for the run, unless it is doing just that, and look on until it is over.

    Raises:
        RunFailed: it failed, or nobody does it any more.
    """
    async with store.reading() as connection:
        before = await progress.newest(connection, mode)
    await ask(store, mode, options, act)
    alone_s = 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        async with store.reading() as connection:
            run = await progress.newest(connection, mode)
            pending = ASKED in await controls.read_controls(connection)
            alone_s = 0.0 if await progress.leader(connection, store) else alone_s + LOOK_S
        if alone_s > ALONE_S:
            raise RunFailed(mode=mode, problem=_NOBODY)
        if run is None or pending or (before and run.run_id == before.run_id and before.finished_at):
            continue
        await show(run)
        if run.finished_at is not None:
            if run.state == "failed":
                raise RunFailed(mode=mode, problem=run.problem or "it does not say why")
            return run


def _told(options: Options) -> dict[str, bool]:
    """The options as a run keeps them."""
    return {"repair": options.repair, "accept_deletions": options.accept_deletions}


async def _record(connection: AsyncConnection, mode: str, options: Options, act: Act) -> None:
    await act.record(connection, f"reading.{mode}", "the catalog", _told(options))
