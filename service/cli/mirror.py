"""`mirror rebuild`: derive again what is derived: columns from documents, lineage from OpenLineage events."""

from __future__ import annotations

from collections import Counter
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.cli.common import Json, err, opened_store, print_json, quiet_settings, run_async, show_table
from service.mirror.rebuild import rebuild as rebuilt
from service.openlineage.naming import Naming
from service.openlineage.renaming import Renaming
from service.pipeline.rederiving import rederive
from service.process.app import pipeline_of
from service.telemetry.metrics import Metrics

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
    counts: Counter[str] = Counter()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("rebuilding")
        settings = quiet_settings()
        naming = Naming(settings.openlineage.names, "CATALOG_MIRROR_OPENLINEAGE__NAMES")
        renaming = Renaming(settings.lineage.names)
        async with opened_store(settings, migrate=True) as store:
            async for kind, number in rebuilt(store, everything=everything):
                counts[kind] += number
                bar.update(task, description=f"rebuilding {kind}: {counts[kind]} rows")
            pipeline = pipeline_of(settings, store, Metrics())
            async for number in rederive(store, pipeline, naming, renaming):
                counts["lineage_event"] += number
                bar.update(task, description=f"rebuilding lineage: {counts['lineage_event']} events")
    return counts
