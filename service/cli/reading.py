"""`snapshot`, `reconcile`, `refresh`: read the catalog, in a running service where there is one, else here."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Annotated, Any
from uuid import uuid4

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from service.changes import Container, ContainerKind, RefreshAsked
from service.cli.common import Json, err, opened_store, out, print_json, quiet_settings, run_async, show_table, who
from service.errors import MassDeletion, MirrorError, RunFailed, UsageError
from service.mirror import controls, progress, refreshes
from service.mirror.progress import RECONCILE, SNAPSHOT, Run
from service.mirror.store import Store
from service.process.app import director_of, pipeline_of
from service.settings.model import Settings
from service.sync.director import ASKED, LEAD_S, Director
from service.sync.readings import TABLES
from service.sync.runs import COUNTS, Stopped
from service.sync.sweep import Estimate, Options
from service.telemetry.metrics import Metrics

#: Seconds between two looks at a run that another process does.
LOOK_S = 0.5
#: Seconds without anybody who reads after which nobody looks on any more; another replica takes over before that.
ALONE_S = 40.0
_NOBODY = "the service that was to do it is gone; start it again, or run this command again."
#: What the names of commands that read begin with.
_COMMAND = "command-"


def snapshot(
    estimate: Annotated[bool, typer.Option("--estimate", help="Only tell how many calls and how long.")] = False,
    pause: Annotated[bool, typer.Option("--pause", help="Hold the run that is going on.")] = False,
    resume: Annotated[bool, typer.Option("--resume", help="Let it go on.")] = False,
    stop: Annotated[bool, typer.Option("--stop", help="End it; what was read stays.")] = False,
    as_json: Json = False,
) -> None:
    """Read everything that the catalog has into the mirror, beside the live stream and within the budget of calls.

    An interrupted snapshot goes on where it was. Nothing is sent to any target. Where a service is running, it does the
    work and this command looks on; Ctrl-C ends looking on, not the work.
    """
    if pause + resume + stop > 1:
        raise UsageError(problem="choose one of --pause, --resume and --stop")
    if pause or resume or stop:
        run_async(_hold({"stop": stop} if pause or stop else None))
        out.print("It stops." if stop else "It is held." if pause else "It goes on.")
    elif estimate:
        _show_estimate(run_async(_estimate()), as_json)
    else:
        _show_report(*run_async(_carry_out(SNAPSHOT, Options(), as_json)), as_json)


def reconcile(
    repair: Annotated[bool, typer.Option("--repair", help="Write what differs; without it only a report.")] = False,
    accept_deletions: Annotated[
        bool, typer.Option("--accept-deletions", help="Delete also where that is a lot. Look at the report first.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Compare the mirror with the catalog, kind by kind: what is missing, stale, orphaned, unreadable."""
    if accept_deletions and not repair:
        raise UsageError(problem="--accept-deletions needs --repair")
    options = Options(repair=repair, deletions=True, accept_deletions=accept_deletions)
    _show_report(*run_async(_carry_out(RECONCILE, options, as_json)), as_json)


def refresh(
    entity_id: Annotated[str, typer.Argument(metavar="ID", help="What to read again, by its id.")],
    kind: Annotated[str, typer.Option(help=f"What it is: {', '.join(TABLES)}.")] = "asset",
    container: Annotated[
        str | None, typer.Option(help="Where it lives, such as catalog:ID, where the mirror does not know.")
    ] = None,
) -> None:
    """Read one thing again: in a running service, else here."""
    if kind not in TABLES:
        raise UsageError(problem=f"there is no kind {kind!r}; there are {', '.join(TABLES)}")
    done = run_async(_refresh(RefreshAsked(kind, entity_id, _container(container), f"asked by {who()}")))
    out.print("It was read." if done else "A running service reads it within seconds.")


def _container(text: str | None) -> Container | None:
    if text is None:
        return None
    kind, separator, container_id = text.partition(":")
    kinds: dict[str, ContainerKind] = {"catalog": "catalog", "project": "project", "space": "space"}
    if not separator or kind not in kinds or not container_id:
        raise UsageError(problem=f"{text!r} is no container; write catalog:ID, project:ID or space:ID")
    return Container(kinds[kind], container_id)


@asynccontextmanager
async def _directing(settings: Settings, store: Store) -> AsyncIterator[Director]:
    """What reads the catalog, in this process; its client is open."""
    metrics = Metrics()
    pipeline = pipeline_of(settings, store, metrics)
    director = director_of(settings, store, pipeline, metrics, f"{_COMMAND}{uuid4().hex[:8]}")
    async with director.client:
        yield director


async def _hold(how: dict[str, Any] | None) -> None:
    async with opened_store(quiet_settings()) as store, store.write() as connection:
        if how is None:
            await controls.clear_control(connection, progress.HELD)
        elif await progress.newest(connection, states=progress.OPEN) is None:
            raise UsageError(problem="No run is going on", advice="`catalog-mirror status` shows what was read.")
        else:
            await controls.set_control(connection, progress.HELD, how)


async def _estimate() -> tuple[list[Estimate], int]:
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store, _directing(settings, store) as director:
        return await director.runner.estimate(), settings.catalog.calls_per_minute


async def _refresh(request: RefreshAsked) -> bool:
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store:
        async with store.write() as connection:
            await refreshes.ask(connection, [request])
            await refreshes.hurry(connection, request.kind, request.entity_id)
        leader = await _leader(store)
        if leader is not None and not leader.startswith(_COMMAND):
            return False
        async with _directing(settings, store) as director:
            while await director.refresher.once():
                pass
        async with store.read() as connection:
            problem = await refreshes.waiting(connection, request.kind, request.entity_id)
        if problem is not None:
            raise RunFailed(mode="refresh", problem=problem or "somebody else reads it just now")
        return True


async def _leader(store: Store) -> str | None:
    """Who reads the catalog: a running service, or another command."""
    async with store.read() as connection:
        return await progress.leader(connection, store)


async def _carry_out(mode: str, options: Options, as_json: bool) -> tuple[Run, MirrorError | None]:
    """The run, and why it failed if it did."""
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store:
        with _Display(mode, hidden=as_json) as display:
            while True:
                leader = await _leader(store)
                if leader is None:
                    if done := await _here(settings, store, mode, options, display):
                        return done
                elif leader.startswith(_COMMAND):
                    display.say(f"{mode}: waits for another command that reads the catalog")
                else:
                    return await _there(store, mode, options, display)
                await asyncio.sleep(LOOK_S)


async def _there(
    store: Store, mode: str, options: Options, display: _Display
) -> tuple[Run, MirrorError | None]:  # fmt: skip
    """Have a running service do it."""
    try:
        return await watched(store, mode, options, display.show), None
    except RunFailed as error:
        async with store.read() as connection:
            run = await progress.newest(connection, mode, ("failed",))
        if run is None:
            raise
        return run, error


async def _here(
    settings: Settings, store: Store, mode: str, options: Options, display: _Display
) -> tuple[Run, MirrorError | None] | None:
    """Do the run in this process, which leads meanwhile; None where somebody else was quicker."""
    async with _directing(settings, store) as director:
        if not await director.lead():
            return None
        leading = asyncio.create_task(_keep_leading(director))
        try:
            run = await director.runner.begin(mode, f"asked by {who()}", options)
            try:
                await director.runner.carry_out(run, display.show)
            except MassDeletion as error:
                return run, error
            except Stopped:
                return run, None
            if mode == RECONCILE and options.repair:
                async with store.write() as connection:
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


async def watched(store: Store, mode: str, options: Options, show: Callable[[Run], Awaitable[None]]) -> Run:
    """Ask the running service for the run, unless it is doing just that, and look on until it is over.

    Raises:
        RunFailed: it failed, or nobody does it any more.
    """
    told = {"repair": options.repair, "accept_deletions": options.accept_deletions}
    async with store.write() as connection:
        before = await progress.newest(connection, mode)
        if before is None or before.finished_at or before.options != told:
            await controls.set_control(connection, ASKED, {"mode": mode, **told, "who": who()})
    alone_s = 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        async with store.read() as connection:
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


class _Display:
    """Shows how far a run has come, on a terminal."""

    def __init__(self, mode: str, *, hidden: bool) -> None:
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=err, disable=hidden or not sys.stderr.isatty())
        self._mode = mode
        self._task: TaskID | None = None

    def __enter__(self) -> _Display:
        self._progress.start()
        self._task = self._progress.add_task(self._mode, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def say(self, text: str) -> None:
        """Show this in place of how far it is."""
        assert self._task is not None
        self._progress.update(self._task, description=text)

    async def show(self, run: Run) -> None:
        """Show where the run is."""
        assert self._task is not None
        current = run.progress.get("current", {})
        listed = sum(counts["listed"] for counts in run.progress.get("report", {}).get("kinds", {}).values())
        here = sum(counts["listed"] for counts in current.get("tallies", {}).values())
        kind, container = current.get("kind"), current.get("container")
        now = "" if kind is None else f", now {kind}" + (f" in {container}" if container else "")
        text = f"{run.mode}: {listed + here} things read{now}" + (" (held)" if run.state == "paused" else "")
        steps, step = run.progress.get("steps"), run.progress.get("step", 0)
        self._progress.update(self._task, description=text, total=steps, completed=step)


def _show_report(run: Run, error: MirrorError | None, as_json: bool) -> None:
    """Show what was found, then raise why it failed."""
    _print_report(run, as_json)
    if error is not None:
        raise error


def _print_report(run: Run, as_json: bool) -> None:
    report = run.progress.get("report", {})
    if as_json:
        print_json({"run": run.run_id, "mode": run.mode, "state": run.state, "reason": run.reason,
                    "kinds": report.get("kinds", {}), "problems": report.get("problems", []),
                    "braked": report.get("braked", [])})  # fmt: skip
        return
    rows = [(kind, *(counts[name] for name in COUNTS)) for kind, counts in report.get("kinds", {}).items()]
    repaired = {"done": ", now repaired", "failed": ", repaired but for deletions"}.get(run.state, "")
    title = "What was read" if run.mode == SNAPSHOT else "What differed" + (repaired if run.options["repair"] else "")
    show_table(title, ("kind", *COUNTS), rows, "The catalog has nothing that we may see.")
    for problem in report.get("problems", []):
        out.print(f"Not read: {problem}", markup=False)


def _show_estimate(told: tuple[list[Estimate], int], as_json: bool) -> None:
    estimates, calls_per_minute = told
    calls = sum(one.calls for one in estimates)
    minutes = calls / calls_per_minute
    if as_json:
        rows = [{"kind": one.kind, "container": one.where and one.where.id, "things": one.things, "calls": one.calls}
                for one in estimates]  # fmt: skip
        print_json({"calls": calls, "minutes": round(minutes, 1), "parts": rows})
        return
    by_kind: dict[str, list[int]] = {}
    for one in estimates:
        counts = by_kind.setdefault(one.kind, [0, 0])
        counts[0] += one.things
        counts[1] += one.calls
    show_table("Estimate", ("kind", "things", "calls"), [(kind, *counts) for kind, counts in by_kind.items()], "")
    time = f"{minutes:.1f} minutes" if minutes >= 1 else f"{minutes * 60:.0f} seconds"
    out.print(f"{calls} calls: at least {time} with CATALOG__CALLS_PER_MINUTE={calls_per_minute}.")
