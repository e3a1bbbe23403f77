"""`targets`: the destinations, and their switches."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.cli.common import (
    Json,
    err,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
    utc,
    who,
)
from service.errors import MirrorError
from service.mirror import audit, controls, deliveries
from service.pipeline.answers import LINEAGE_TARGET, Answerer
from service.settings.model import Settings
from service.settings.scope import Scope
from service.targets.backfill import Backfill, Chosen
from service.targets.base import Sending, Target, installed_targets

app = typer.Typer(help="Destinations of changes.", no_args_is_help=True)
Name = Annotated[str, typer.Argument(help="The target's name.")]


class TargetUnknown(MirrorError):
    """There is no target {name!r}."""

    remedy = "`catalog-mirror targets list` shows them; one that never ran is not known to the store."


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List targets with their state and what they were delivered."""
    rows = run_async(_list())
    if as_json:
        print_json(rows)
        return
    cells = [(r["target"], r["origins"], _state(r), r["delivered"], r["last_delivered_at"]) for r in rows]
    show_table("Targets", ("target", "origins", "state", "delivered", "last"), cells, "No target is installed.")


def _state(row: dict[str, Any]) -> str:
    if row["paused"]:
        return f"paused: {row['pause_reason']}"
    return row["notice"] or "open"


async def _list() -> list[dict[str, Any]]:
    settings = quiet_settings()
    origins = {target.name: ",".join(sorted(target.origins)) for target in installed_targets(settings)}
    async with opened_store(settings, migrate=True) as store, store.write() as connection:
        await controls.ensure_targets(connection, list(origins))
        rows = await controls.read_targets(connection)
    return [dict(row._mapping) | {"origins": origins.get(row.target, "turned off")} for row in rows]


@app.command("pause")
def pause(
    name: Name, reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = "no reason given"
) -> None:
    """Stop delivering to a target; deliveries wait in the store."""
    run_async(_set(name, paused=True, reason=f"{reason} ({who()})"))
    out.print(f"{name} is paused.", markup=False)


@app.command("resume")
def resume(name: Name) -> None:
    """Deliver to a target again."""
    run_async(_set(name, paused=False, reason=None))
    out.print(f"{name} goes on.", markup=False)


async def _set(name: str, *, paused: bool, reason: str | None) -> None:
    async with opened_store(quiet_settings()) as store, store.write() as connection:
        if not await controls.pause_target(connection, name, paused=paused, reason=reason):
            raise TargetUnknown(name=name)
        await audit.record(connection, who(), f"target.{'pause' if paused else 'resume'}", name, reason)


@app.command("plan")
def plan(
    name: Name,
    limit: Annotated[int, typer.Option(min=1, help="Deliveries at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Print exactly what would be sent to a target now, oldest first; sends nothing."""
    waiting, sendings, remarks = run_async(_plan(name, limit))
    if as_json:
        print_json([{"to": one.to, "deliveries": one.deliveries, "body": _parsed(one.body)} for one in sendings])
        return
    if waiting:
        out.print(f"{name} is not being told now: {waiting}.", markup=False)
    for one in sendings:
        out.print(one.to, style="bold", markup=False)
        out.print(json.dumps(_parsed(one.body), indent=2, ensure_ascii=False), markup=False, soft_wrap=True)
    if not sendings:
        out.print("Nothing would be sent.")
    for remark in remarks:
        out.print(remark, markup=False, soft_wrap=True)


def _parsed(body: str) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body


async def _plan(name: str, limit: int) -> tuple[str | None, list[Sending], list[str]]:
    settings = quiet_settings()
    target = installed(settings, name)
    async with opened_store(settings) as store:
        target.attach(store)
        async with store.read() as connection:
            batch = await deliveries.peek(connection, store, name, limit)
            rows = {row.target: dict(row._mapping) for row in await controls.read_targets(connection)}
            held = controls.HELD in await controls.read_controls(connection)
        try:
            sendings, remarks = await target.plan(batch), await target.remarks()
        finally:
            await target.close()
    state = _state(rows[name]) if name in rows else "open"
    waiting = "deliveries are held" if held else state
    return (None if waiting == "open" else waiting), sendings, remarks


def installed(settings: Settings, name: str) -> Target:
    """The target of this name, as settings describe it.

    Raises:
        TargetUnknown: there is none, or it is turned off.
    """
    found = [target for target in installed_targets(settings) if target.name == name]
    if not found:
        raise TargetUnknown(name=name)
    return found[0]


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
    target = installed(settings, name)
    counts: Counter[str] = Counter()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(f"reading the mirror for {name}")
        async with opened_store(settings, migrate=True) as store:
            target.attach(store)
            answerer = Answerer(settings.target(LINEAGE_TARGET))
            work = Backfill(store, target, answerer, Scope(settings.scope), chosen, dry_run=dry_run)
            async for kind, number in work.run():
                counts[kind] += number
                bar.update(task, description=f"{counts.total()} deliveries for {name}, now {kind}")
            if not dry_run:
                async with store.write() as connection:
                    await audit.record(connection, who(), "target.backfill", name, reason, dict(counts))
    return +counts
