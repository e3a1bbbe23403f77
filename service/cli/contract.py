"""`contract`: what the catalog's events and answers look like, and what of it is not as it was."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from service.cli.common import (
    Json,
    acting,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
)
from service.cli.replay import messages_in
from service.errors import UsageError
from service.mirror.contract import ShapeDifference
from service.operations import contract as operations
from service.operations.learning import learn as learnt
from service.settings.model import Settings

app = typer.Typer(help="What the catalog sends that it did not send before.", no_args_is_help=True)


@app.command("report")
def report(
    strict: Annotated[bool, typer.Option("--strict", help="Exit 1 if anything differs.")] = False,
    as_json: Json = False,
) -> None:
    """Show which paths of events and answers are new, gone or of another type, with types instead of values."""
    found = on_store(operations.report)
    _show(found, as_json)
    if found and not as_json:
        out.print("`catalog-mirror contract accept` takes it as the normal.")
    if found and strict:
        raise typer.Exit(1)


@app.command("accept")
def accept(
    reason: Annotated[str | None, typer.Option(help="Why, for the audit log.")] = None, as_json: Json = False
) -> None:
    """Take what there is as the normal; what differs from it from now on is told."""
    found = on_store(lambda store: operations.accept(store, acting(reason)))
    _show(found, as_json)


@app.command("learn")
def learn(
    files: Annotated[list[str], typer.Argument(help="NDJSON files that `capture` wrote; - is stdin.")],
) -> None:
    """Look at the recorded messages as if they came from the broker now, every one; nothing is mirrored."""
    for name in files:
        if name != "-" and not Path(name).is_file():
            raise UsageError(problem=f"There is no file {name!r}", advice="Name NDJSON files, or - for stdin.")
    number = run_async(_learn(quiet_settings(), files))
    out.print(f"{number} messages looked at.")


async def _learn(settings: Settings, files: list[str]) -> int:
    async with opened_store(settings, migrate=True) as store:
        number = 0
        for name in files:
            with messages_in(name, settings) as messages:
                number += await learnt(settings, store, messages)
    return number


def _show(found: list[ShapeDifference], as_json: bool) -> None:
    if as_json:
        print_json([asdict(one) for one in found])
        return
    columns = ("source", "path", "what", "before", "now", "of samples", "since", "example")
    cells = [
        (one.source, one.path, one.what, one.before, one.types, f"{one.ratio:.0%}", one.since, one.example)
        for one in found
    ]
    show_table("The catalog's contract", columns, cells, "All is as it was.")
