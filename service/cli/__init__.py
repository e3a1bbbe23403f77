"""The command `catalog-mirror`: one module per command group; the work is done by the rooms below."""

from __future__ import annotations

import sys

import typer

from service.cli import (
    audit,
    capture,
    dead_letters,
    deliveries,
    demo,
    docs,
    doctor,
    lineage,
    links,
    mirror,
    pentaho,
    reading,
    replay,
    run,
    scope,
    status,
    store,
    targets,
    topology,
    usage,
)
from service.cli.common import report
from service.errors import MirrorError

app = typer.Typer(
    name="catalog-mirror",
    help="Keeps a live copy of a data catalog outside of it, and passes its changes on.",
    epilog="Settings are environment variables CATALOG_MIRROR_<SECTION>__<NAME>: see `catalog-mirror docs settings`. "
    "Start with `catalog-mirror demo`, then `catalog-mirror doctor`.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
for group in (run, status, audit, demo, reading, replay, capture, lineage, doctor):
    group.register(app)
app.add_typer(dead_letters.app, name="dead-letters")
app.add_typer(deliveries.app, name="deliveries")
app.add_typer(targets.app, name="targets")
app.add_typer(links.app, name="links")
app.add_typer(pentaho.app, name="pentaho")
app.add_typer(topology.app, name="topology")
app.add_typer(usage.app, name="usage")
app.add_typer(store.app, name="db")
app.add_typer(mirror.app, name="mirror")
app.add_typer(scope.app, name="scope")
app.add_typer(docs.app, name="docs")


def main() -> None:
    """Run the command; exit 0 done, 1 failed, 2 wrong usage or settings."""
    try:
        app()
    except MirrorError as error:
        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)
