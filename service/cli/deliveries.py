"""`deliveries`: what is on its way to targets."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from service.cli.common import Json, acting, on_store, out, print_json, show_table
from service.operations import deliveries as operations

app = typer.Typer(help="Changes on their way to targets.", no_args_is_help=True)
OfTarget = Annotated[str | None, typer.Option("--target", help="Only of this target.")]


@app.command("list")
def list_(
    target: OfTarget = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List pending deliveries, the oldest first; delivered ones are gone, refused ones are dead letters."""
    rows = on_store(lambda store: operations.pending(store, target, limit))
    if as_json:
        print_json([asdict(row) for row in rows])
        return
    columns = ("id", "target", "what", "since", "due", "attempts", "last error")
    cells = [
        (r.delivery_id, r.target, f"{r.change} {r.entity_id}", r.created_at, r.due_at, r.attempts, r.last_error)
        for r in rows
    ]
    show_table("Pending deliveries", columns, cells, "No delivery is pending.")


@app.command("release")
def release(
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
) -> None:
    """Let deliveries go out again that were held because the store had been restored from a backup.

    Some of them may have gone out before; look at `deliveries list` first.
    """
    number = on_store(lambda store: operations.release(store, acting(reason)), migrate=True).number
    out.print("Nothing was held." if number is None else f"{number} deliveries may go out.")


@app.command("retry")
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters; none: all.")] = None,
    target: OfTarget = None,
) -> None:
    """Make pending deliveries due at once, instead of after their pause."""
    done = on_store(lambda store: operations.retry(store, target, ids or [], acting()))
    out.print(f"{done.number} due now.")
