"""`mirror rebuild`: derive again what is derived: columns from documents, lineage from OpenLineage events."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.cli.common import Json, acting, err, opened_store, print_json, quiet_settings, run_async, show_table
from service.operations import store as operations

app = typer.Typer(help="The mirror itself.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The mirror itself."""


@app.command("rebuild")
def rebuild(
    everything: Annotated[bool, typer.Option("--all", help="Also rows that this version of the code made.")] = False,
    as_json: Json = False,
) -> None:
    """Derive columns again from documents, and lineage from the OpenLineage events as they came.

    The catalog is not asked, and nobody is told. Versions stay, but those of lineage that comes out otherwise.
    """
    counts = run_async(_rebuild(everything))
    if as_json:
        print_json(counts)
    else:
        show_table("Rebuilt", ("kind", "rows"), sorted(counts.items()), "Every row is up to date.")


async def _rebuild(everything: bool) -> Counter[str]:
    settings = quiet_settings()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("rebuilding")

        def tell(counts: Counter[str], kind: str) -> None:
            bar.update(task, description=f"rebuilding {kind}: {counts[kind]}")

        async with opened_store(settings, migrate=True) as store:
            return await operations.rebuild(store, settings, acting(), everything=everything, tell=tell)
