"""`scope purge`: remove what is no longer in scope, after a look."""

from __future__ import annotations

from typing import Annotated

import typer

from service.cli.common import Json, acting, on_store, out, print_json, quiet_settings, show_table
from service.operations import scope as operations
from service.settings.scope import Scope

app = typer.Typer(help="What of the catalog is mirrored.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """What of the catalog is mirrored."""


@app.command("purge")
def purge(
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would go is shown.")] = False,
    as_json: Json = False,
) -> None:
    """Remove rows that SCOPE__INCLUDE and SCOPE__EXCLUDE leave out; no target hears of it."""
    scope = Scope(quiet_settings().scope)
    counts = on_store(lambda store: operations.purge(store, scope, acting()) if yes else operations.look(store, scope))
    if as_json:
        print_json({"purged": yes, "rows": counts})
        return
    show_table("Out of scope" + (", removed" if yes else ""), ("table", "rows"), counts.items(), "All is in scope.")
    if counts and not yes:
        out.print("Nothing was removed. Run it again with --yes to remove them.")
