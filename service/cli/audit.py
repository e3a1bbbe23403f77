"""`audit`: what people did, and why."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer

from service.cli.common import Json, on_store, print_json, show_table
from service.operations import history


def audit(
    subject: Annotated[str | None, typer.Option(help="Only what was done to this, such as a dead letter's id.")] = None,
    action: Annotated[str | None, typer.Option(help="Only this action or family, such as dead_letter.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """Show what people did, the newest first; the log is only added to."""
    rows = on_store(lambda store: history.entries(store, subject, action, limit))
    details = [row.detail and json.dumps(row.detail) for row in rows]
    if as_json:
        print_json([asdict(row) | {"detail": detail} for row, detail in zip(rows, details, strict=True)])
        return
    cells = [(row.at, row.who, row.action, row.subject, row.reason, detail)
             for row, detail in zip(rows, details, strict=True)]  # fmt: skip
    columns = ("when", "who", "action", "to", "why", "detail")
    show_table("Audit log", columns, cells, "Nobody has done anything yet.")
