"""`privacy report`, `privacy forget`: where the mirror has somebody, and taking them out."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from service.cli.common import Json, acting, on_store, out, print_json, quiet_settings, show_table
from service.operations import privacy as operations
from service.operations.privacy import Report

app = typer.Typer(help="People in the mirror.", no_args_is_help=True)

User = Annotated[
    str, typer.Argument(help="A name, id or address; - reads one a line, so that no shell remembers them.")
]
Also = Annotated[list[str] | None, typer.Option("--also", help="Another name, id or address of theirs.")]


@app.callback()
def group() -> None:
    """People in the mirror."""


@app.command("report")
def report(user: User, also: Also = None, as_json: Json = False) -> None:
    """Show where the mirror has somebody, and what would stay; changes nothing."""
    settings, names = quiet_settings(), _names(user, also)
    found = on_store(lambda store: operations.report(store, settings, names))
    print_json(asdict(found)) if as_json else _show(found, done=False)


@app.command("forget")
def forget(
    user: User,
    also: Also = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do it; without it only what would change is shown.")] = False,
    reason: Annotated[str | None, typer.Option(help="Why, for the audit log; never with the name in it.")] = None,
    as_json: Json = False,
) -> None:
    """Take somebody out of the mirror, and keep them out of it."""
    settings, names = quiet_settings(), _names(user, also)
    found = on_store(
        lambda store: (
            operations.forget(store, settings, names, acting(reason))
            if yes
            else operations.report(store, settings, names)
        )
    )
    print_json({"forgotten": yes, **asdict(found)}) if as_json else _show(found, done=yes)
    if not yes and not as_json:
        out.print("Nothing was changed. Run it again with --yes to forget them; this cannot be undone.")


def _names(user: str, also: Sequence[str] | None) -> list[str]:
    told = [line.strip() for line in sys.stdin if line.strip()] if user == "-" else [user]
    return [*told, *(also or ())]


def _show(found: Report, *, done: bool) -> None:
    tables = sorted({*found.rewritten, *found.removed})
    rows = [(name, found.rewritten.get(name, 0), found.removed.get(name, 0)) for name in tables]
    columns = ("table", "rewritten" if done else "to rewrite", "removed" if done else "to remove")
    show_table("Rows", columns, rows, "The mirror does not have them.")
    if not done:
        places = [(place.table, place.key, ", ".join(place.columns)) for place in found.places]
        show_table("The first places", ("table", "row", "columns"), places, "")
    show_table("What stays", ("what",), [(one,) for one in _stays(found)], "")
    show_table("What keeps them out" if found.is_held else "What would keep them out", ("how",),
               [(one,) for one in found.held], "")  # fmt: skip


def _stays(found: Report) -> list[str]:
    first, *others = found.stays
    return [f"{found.audited} entries that name them. {first}" if found.audited else first, *others]
