"""`targets`: the destinations, and their switches."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.common import Json, opened_store, out, print_json, quiet_settings, run_async, show_table, who
from service.errors import MirrorError
from service.mirror import audit, controls
from service.targets.base import installed_targets

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
