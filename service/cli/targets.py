"""`targets`: the destinations, and their switches."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

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
    utc,
)
from service.operations import targets as operations
from service.targets.backfill import Chosen
from service.text.visible import visible

app = typer.Typer(help="Destinations of changes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The target's name.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List targets with their state and what they were delivered."""
    rows = on_store(lambda store: operations.listed(store, quiet_settings()), migrate=True)
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    cells = [(row.target, row.origins, row.state, row.delivered, row.last_delivered_at) for row in rows]
    show_table("Targets", ("target", "origins", "state", "delivered", "last"), cells, "No target is installed.")


@app.command("pause")
def pause(
    name: Name, reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = "no reason given"
) -> None:
    """Stop delivering to a target; deliveries wait in the store."""
    on_store(lambda store: operations.pause(store, name, acting(reason)))
    out.print(f"{name} is paused.", markup=False)


@app.command("resume")
def resume(name: Name) -> None:
    """Deliver to a target again."""
    on_store(lambda store: operations.resume(store, name, acting()))
    out.print(f"{name} goes on.", markup=False)


@app.command("plan")
def plan(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="Deliveries at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Print exactly what would be sent to a target now, oldest first; sends nothing."""
    told = on_store(lambda store: operations.plan(store, quiet_settings(), name, limit))
    if as_json:
        print_json([asdict(one) | {"body": _parsed(one.body)} for one in told.sendings])
        return
    if told.waiting:
        out.print(f"{name} is not being told now: {told.waiting}.", markup=False)
    for one in told.sendings:
        out.print(one.to, style="bold", markup=False)
        for change in one.changes:
            out.print(visible(change), markup=False, soft_wrap=True)
        out.print(json.dumps(_parsed(one.body), indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
    if not told.sendings:
        out.print("Nothing would be sent.")
    for remark in told.remarks:
        out.print(remark, markup=False, soft_wrap=True)


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


@app.command("backfill")
def backfill(
    name: Name,
    container: Annotated[str | None, typer.Option(help="Only what lives in this container (its id).")] = None,
    since: Annotated[datetime | None, typer.Option(help="Only what changed at or after this moment (UTC).")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
    as_json: Json = False,
) -> None:
    """Send a target what the mirror holds already, as if it had just changed; a running service delivers it.

    For a target that was added later, or lost what it was told. What it was told before it is told again.
    """
    chosen = Chosen(container, utc(since))
    counts = run_async(_backfill(name, chosen, dry_run, reason))
    if as_json:
        print_json({"dry_run": dry_run, "deliveries": counts})
        return
    show_table("Would be delivered" if dry_run else "To be delivered", ("kind", "number"), counts.items(), "Nothing.")


async def _backfill(name: str, chosen: Chosen, dry_run: bool, reason: str | None) -> Counter[str]:
    settings = quiet_settings()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"reading the mirror for {name}")

        def tell(counts: Counter[str], kind: str) -> None:
            bar.update(task, description=f"{counts.total()} deliveries for {name}, now {kind}")

        async with opened_store(settings, migrate=True) as store:
            return await operations.backfill(
                store, settings, name, chosen, acting(reason), dry_run=dry_run, tell=tell
            )  # fmt: skip
