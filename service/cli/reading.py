"""`snapshot`, `reconcile`, `refresh`: read the catalog, in a running service where there is one, else here."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from service.cli.common import (
    Json,
    acting,
    err,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
)
from service.errors import MirrorError, UsageError
from service.mirror.progress import RECONCILE, SNAPSHOT, Run
from service.mirror.tables import VERSIONED
from service.operations import reading as operations
from service.operations import runs
from service.sync.runs import COUNTS
from service.sync.sweep import Estimate, Options


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
        hold = operations.stop if stop else operations.hold if pause else operations.let_go
        on_store(lambda store: hold(store, acting()))
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
    kind: Annotated[str, typer.Option(help=f"What it is: {', '.join(VERSIONED)}.")] = "asset",
    container: Annotated[
        str | None, typer.Option(help="Where it lives, such as catalog:ID, where the mirror does not know.")
    ] = None,
) -> None:
    """Read one thing again: in a running service, else here."""
    settings = quiet_settings()
    done = on_store(
        lambda store: runs.refresh_here(store, settings, kind, entity_id, container, acting()), migrate=True
    )
    out.print("It was read." if done else "A running service reads it within seconds.")


async def _estimate() -> tuple[list[Estimate], int]:
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store, runs.directing(settings, store) as director:
        return await director.runner.estimate(), settings.catalog.calls_per_minute


async def _carry_out(mode: str, options: Options, as_json: bool) -> tuple[Run, MirrorError | None]:
    """The run, and why it failed if it did."""
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store:
        with _Display(mode, hidden=as_json) as display:
            watch = runs.Watch(display.show, display.say)
            return await runs.carry_out(store, settings, mode, options, acting(), watch)


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
