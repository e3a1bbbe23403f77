"""`deliveries`: what is on its way to targets."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.common import Json, opened_store, out, print_json, quiet_settings, run_async, show_table, who
from service.mirror import audit, controls, deliveries

app = typer.Typer(help="Changes on their way to targets.", no_args_is_help=True)
OfTarget = Annotated[str | None, typer.Option("--target", help="Only of this target.")]


@app.command("list")
def list_(
    target: OfTarget = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List pending deliveries, the oldest first; delivered ones are gone, refused ones are dead letters."""
    rows = run_async(_list(target, limit))
    if as_json:
        print_json([dict(row._mapping) for row in rows])
        return
    columns = ("id", "target", "what", "since", "due", "attempts", "last error")
    cells = [
        (r.delivery_id, r.target, f"{r.change} {r.entity_id}", r.created_at, r.due_at, r.attempts, r.last_error)
        for r in rows
    ]
    show_table("Pending deliveries", columns, cells, "No delivery is pending.")


async def _list(target: str | None, limit: int) -> list[Any]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await deliveries.pending(connection, target, limit)


@app.command("release")
def release(
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
) -> None:
    """Let deliveries go out again that were held because the store had been restored from a backup.

    Some of them may have gone out before; look at `deliveries list` first.
    """
    number = run_async(_release(reason))
    out.print("Nothing was held." if number is None else f"{number} deliveries may go out.")


async def _release(reason: str | None) -> int | None:
    async with opened_store(quiet_settings(), migrate=True) as store, store.write() as connection:
        if not await controls.clear_control(connection, controls.HELD):
            return None
        number = await deliveries.count(connection)
        await audit.record(connection, who(), "deliveries.release", "every target", reason, {"number": number})
        return number


@app.command("retry")
def retry(
    ids: Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters; none: all.")] = None,
    target: OfTarget = None,
) -> None:
    """Make pending deliveries due at once, instead of after their pause."""
    out.print(f"{run_async(_retry(target, ids or []))} due now.")


async def _retry(target: str | None, ids: list[str]) -> int:
    async with opened_store(quiet_settings()) as store, store.write() as connection:
        number = await deliveries.retry_now(connection, target, ids)
        await audit.record(connection, who(), "deliveries.retry", target or "every target", detail={"number": number})
        return number
