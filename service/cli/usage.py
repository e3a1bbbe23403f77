"""`usage`: who used which asset, and what became of telling it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

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
from service.cli.replay import reading_along
from service.errors import UsageError
from service.mirror.usage.importing import BAD, KNOWN, NEW, TOO_OLD, BadLine, UsageLine, read_lines
from service.operations import usage as operations
from service.settings.model import Settings
from service.targets.collibra import batches
from service.targets.collibra.batches import STATES

app = typer.Typer(help="Who used which asset, and who was told of it.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The target's name.")]


#: Lines that one transaction takes.
_LINES = 5000


@app.command("import")
def import_(
    files: Annotated[list[str], typer.Argument(help="NDJSON files of query logs; - is stdin.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only look what would become of each line.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if there was any bad line.")] = False,
    as_json: Json = False,
) -> None:
    """Take query logs in: lines such as {"who": "ada", "what": "/sales/orders", "when": "2026-05-10T15:04:15Z"}.

    `what` is an asset's id, its resource key, or the path of its data. May be repeated: what is known already is not
    written again. Bad lines are told with their numbers and cost the others nothing.
    """
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise UsageError(problem=f"There is no file {name!r}", advice="Name NDJSON files, or - for stdin.")
    counts, bad = run_async(_import(quiet_settings(), files, dry_run=dry_run, tell=not as_json))
    if as_json:
        print_json({**counts, "dry_run": dry_run, "lines": bad})
    else:
        out.print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()))
        if dry_run:
            out.print("Nothing was written.")
    if strict and counts[BAD]:
        raise typer.Exit(1)


async def _import(
    settings: Settings, files: list[str], *, dry_run: bool, tell: bool
) -> tuple[dict[str, int], list[dict[str, Any]]]:
    counts: Counter[str] = Counter()
    bad: list[dict[str, Any]] = []
    async with opened_store(settings, migrate=True) as store:
        importer = await operations.importer_of(store, settings, dry_run=dry_run)
        for name in files:
            with _opened(name) as lines:
                while chunk := list(islice(lines, _LINES)):
                    taken = await importer.take(chunk)
                    counts += taken.counts
                    for line in taken.bad:
                        _tell(name, line, bad, aloud=tell)
        if not dry_run:
            await operations.note_import(store, counts, acting())
    return {key: counts[key] for key in (NEW, KNOWN, TOO_OLD, BAD)}, bad


def _tell(name: str, line: BadLine, bad: list[dict[str, Any]], *, aloud: bool) -> None:
    """Say which line is bad at once, or remember it for the JSON."""
    if aloud:
        err.print(f"{name}:{line.number}: {line.problem}", markup=False, soft_wrap=True)
    else:
        bad.append({"file": name, "line": line.number, "problem": line.problem})


@app.command("locators")
def locators(
    name: Name = "collibra",
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List assets that were used in the newest window and have no locator, the most used first, and what is missing."""
    settings = quiet_settings()
    plan = on_store(lambda store: operations.look(store, settings, name))
    if as_json:
        rows = [{"asset_id": m.asset_id, "name": m.name, "uses": m.uses, "why": m.why} for m in plan.unlocated]
        print_json({"until": plan.window.end, "located": plan.located, "unlocated": rows})
        return
    cells = [(missing.asset_id, missing.name, missing.uses, missing.why) for missing in plan.unlocated[:limit]]
    empty = "Every asset that was used has a locator." if plan.located else "No asset was used in the newest window."
    show_table("Used, and without a locator", ("asset", "name", "uses", "what is missing"), cells, empty)
    if len(plan.unlocated) > limit:
        out.print(f"… and {len(plan.unlocated) - limit} more.")


@app.command("status")
def status(as_json: Json = False) -> None:
    """Show how many facts there are, which window was planned last, and how the batches are."""
    found = on_store(operations.standing)
    if as_json:
        print_json(asdict(found))
        return
    cells = [(row.source, row.facts, row.first, row.last) for row in found.facts]
    show_table("Uses of assets", ("source", "facts", "first", "last"), cells, "No use of any asset is known.")
    for target, mark in found.planned.items():
        numbers = f"{mark['located']} located, {mark['items']} changed, {mark['unlocated']} without locator"
        out.print(f"{target}: the 30 days until {mark['end']} are planned: {numbers}.", markup=False)
    batch_cells = [(row.target, row.state, row.batches) for row in found.batches]
    show_table("Batches", ("target", "state", "number"), batch_cells, "No batch was made yet.")


@app.command("batches")
def list_batches(
    state: Annotated[
        list[str] | None, typer.Option("--state", help=f"Only in this state: {', '.join(STATES)}.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List batches of figures, the newest first, and what became of each."""
    unknown = set(state or ()) - set(STATES)
    if unknown:
        raise UsageError(problem=f"There is no state {min(unknown)!r}", advice=f"There are {', '.join(STATES)}.")
    rows = run_async(_batches(state or [], limit))
    if as_json:
        print_json([_shown(row) for row in rows])
        return
    cells = [(r.batch_id[:8], r.target, r.window_end, r.items, r.state, r.sent_at, r.job_id, r.problem) for r in rows]
    columns = ("batch", "target", "until", "items", "state", "sent", "job", "problem")
    show_table("Batches", columns, cells, "No such batch.")


async def _batches(states: list[str], limit: int) -> list[Any]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await batches.in_state(connection, None, *states, limit=limit)


def _shown(row: Any) -> dict[str, Any]:
    return {name: value for name, value in row._mapping.items() if name not in ("body", "assets")}


Beginning = Annotated[str, typer.Argument(help="The batch's id, or its first characters.")]


@app.command("show")
def show(batch: Beginning) -> None:
    """Print all that is known of one batch as JSON: what it holds, and the report of its job."""
    row = run_async(_one(batch))
    report = json.loads(row.report) if row.report else None
    print_json({**_shown(row), "report": report, "body": json.loads(row.body), "assets": json.loads(row.assets)})


async def _one(beginning: str) -> Any:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await operations.batch(connection, beginning)


@app.command("settle")
def settle(
    batch: Beginning,
    sent: Annotated[bool, typer.Option("--sent/--not-sent", help="Whether Collibra took it.")],
    job: Annotated[str | None, typer.Option("--job", help="The job that took it, to be followed.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="How you know, for the audit log.")] = None,
) -> None:
    """Say what became of a batch that is uncertain; one that was not sent goes again while its window is the newest."""
    done = on_store(lambda store: operations.settle(store, batch, sent, job, acting(reason)))
    out.print(f"It is {done.state} now.")


@app.command("replan")
def replan(
    name: Name = "collibra",
    everything: Annotated[bool, typer.Option("--all", help="Tell what did not change, too.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
) -> None:
    """Have the newest window counted again, after logs or locators came late; a running service sends what changed."""
    on_store(lambda store: operations.replan(store, name, acting(reason), everything=everything))
    out.print("The running service counts it again with its next turn.")


@contextmanager
def _opened(name: str) -> Iterator[Iterator[UsageLine | BadLine]]:
    with reading_along(name) as (stream, along):
        yield along(read_lines(stream))
