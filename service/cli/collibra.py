"""`collibra`: what Collibra has of the catalog's assets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from service.cli.common import Json, acting, on_store, out, print_json, quiet_settings, show_table
from service.errors import UsageError
from service.operations import collibra_assets as operations
from service.text.visible import visible

app = typer.Typer(help="Assets in Collibra.", no_args_is_help=True)
OfTarget = Annotated[str, typer.Option("--target", help="Which Collibra, where there are several.")]


@app.callback()
def collibra() -> None:
    """Assets in Collibra."""


@app.command("deletions")
def deletions(
    accept: Annotated[
        bool, typer.Option("--accept-deletions", help="Remove them there. Without it they are only listed.")
    ] = False,
    beyond: Annotated[bool, typer.Option("--beyond-brake", help="Also where they are a large part of all.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
    target: OfTarget = "collibra_assets",
    as_json: Json = False,
) -> None:
    """List what Collibra has and the catalog has no longer; with --accept-deletions remove it there."""
    if beyond and not accept:
        raise UsageError("--beyond-brake needs --accept-deletions", "Say both, or neither.")
    settings = quiet_settings()
    if accept:
        told = on_store(
            lambda store: operations.remove(store, settings, target, acting(reason), beyond_brake=beyond), migrate=True
        )
    else:
        told = on_store(lambda store: operations.deletions(store, settings, target), migrate=True)
    if as_json:
        print_json(asdict(told))
        return
    cells = [(one.kind, visible(one.name), one.external_id) for one in told.orphans]
    title = "Removed in Collibra" if accept else "In Collibra, and gone in the catalog"
    show_table(title, ("kind", "name", "external id"), cells, "Collibra has nothing that is gone in the catalog.")
    if told.orphans and not accept:
        out.print(f"{len(told.orphans)} of {told.all}. `--accept-deletions` removes them there.", markup=False)
