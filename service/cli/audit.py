"""`audit`: what people did, and why."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from service.cli.common import Json, opened_store, print_json, quiet_settings, run_async, show_table
from service.mirror import audit as log


def audit(
    subject: Annotated[str | None, typer.Option(help="Only what was done to this, such as a dead letter's id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action or family, such as dead_letter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what people did, the newest first; the log is only added to."""
    rows = run_async(_entries(subject, action, limit))
    if as_json:
        print_json([dict(row._mapping) for row in rows])
        return
    cells = [(row.at, row.who, row.action, row.subject, row.reason, row.detail) for row in rows]
    columns = ("when", "who", "action", "to", "why", "detail")
    show_table("Audit log", columns, cells, "Nobody has done anything yet.")


async def _entries(subject: str | None, action: str | None, limit: int) -> list[Any]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await log.entries(connection, subject, action, limit)
