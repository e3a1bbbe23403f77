"""`mirror rebuild`: derive the columns again from the documents."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.cli.common import Json, err, opened_store, print_json, quiet_settings, run_async, show_table
from service.mirror.rebuild import rebuild as rebuilt

app = typer.Typer(help="The mirror itself.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The mirror itself."""


@app.command("rebuild")
def rebuild(
    everything: Annotated[bool, typer.Option("--all", help="Also rows that this version of the code made.")] = False,
    as_json: Json = False,
) -> None:
    """Derive the columns of rows again from their documents; the catalog is not asked, versions stay."""
    counts = run_async(_rebuild(everything))
    if as_json:
        print_json(counts)
    else:
        show_table("Rebuilt", ("kind", "rows"), sorted(counts.items()), "Every row is up to date.")


async def _rebuild(everything: bool) -> Counter[str]:
    counts: Counter[str] = Counter()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("rebuilding")
        async with opened_store(quiet_settings(), migrate=True) as store:
            async for kind, number in rebuilt(store, everything=everything):
                counts[kind] += number
                bar.update(task, description=f"rebuilding {kind}: {counts[kind]} rows")
    return counts
