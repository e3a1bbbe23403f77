"""The command `catalog-mirror`: one module per command group; the work is done by the rooms below.

Comes in: words of a command line. Goes out: tables, JSON for machines, exit codes, the audit log. Nothing imports it.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Annotated, Any, cast

import typer
from typer.core import TyperGroup

from service.errors import MirrorError

#: Where each command is, in the order in which `--help` lists them: a function, or the program of a group.
PLACES = {
    "run": "run:run",
    "status": "status:status",
    "pause": "status:pause",
    "resume": "status:resume",
    "audit": "audit:audit",
    "demo": "demo:demo",
    "snapshot": "reading:snapshot",
    "reconcile": "reading:reconcile",
    "refresh": "reading:refresh",
    "replay": "replay:replay",
    "capture": "capture:capture",
    "rehearse": "rehearse:rehearse",
    "as-of": "as_of:as_of",
    "lineage": "lineage:app",
    "explain": "explain:explain",
    "mcp": "mcp:mcp",
    "doctor": "doctor:doctor",
    "contract": "contract:app",
    "dead-letters": "dead_letters:app",
    "deliveries": "deliveries:app",
    "targets": "targets:app",
    "links": "links:app",
    "pentaho": "pentaho:app",
    "collibra": "collibra:app",
    "topology": "topology:app",
    "usage": "usage:app",
    "db": "store:app",
    "mirror": "mirror:app",
    "scope": "scope:app",
    "privacy": "privacy:app",
    "attest": "attest:attest",
    "docs": "docs:app",
}


#: For every command, as people type it.
_CONTEXT = {"help_option_names": ["-h", "--help"]}


def _program(*, add_completion: bool = False, **options: Any) -> typer.Typer:
    return typer.Typer(
        rich_markup_mode=None, pretty_exceptions_enable=False, add_completion=add_completion,
        context_settings=_CONTEXT, **options,
    )  # fmt: skip


class _Commands(Mapping[str, Any]):
    """Commands by name; a module is imported when its command is asked for, as none needs what all others do."""

    def __getitem__(self, name: str) -> Any:
        module, _, attribute = PLACES[name].partition(":")
        found = getattr(import_module(f"{__name__}.{module}"), attribute)
        holder = _program()
        if isinstance(found, typer.Typer):
            holder.add_typer(found, name=name)
        else:
            holder.command(name)(found)
        return typer.main.get_group(holder).commands[name]

    def __iter__(self) -> Iterator[str]:
        return iter(PLACES)

    def __len__(self) -> int:
        return len(PLACES)


class _Program(TyperGroup):
    """The program itself, whose commands are those of `PLACES`."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.commands = cast(Any, _Commands())


app = _program(
    name="catalog-mirror",
    help="Keeps a live copy of a data catalog outside of it, and passes its changes on.",
    epilog="Settings are environment variables CATALOG_MIRROR_<SECTION>__<NAME>: see `catalog-mirror docs settings`. "
    "Start with `catalog-mirror demo`, then `catalog-mirror doctor`.",
    no_args_is_help=True,
    add_completion=True,
    cls=_Program,
)


def _say_version(wanted: bool) -> None:
    if wanted:
        from service.cli.version import version

        typer.echo(version())
        raise typer.Exit


@app.callback()
def _program_itself(
    version: Annotated[
        bool, typer.Option("--version", callback=_say_version, is_eager=True, help="Say version and revision, and end.")
    ] = False,
) -> None:
    """So that there is a program around the commands."""


def main() -> None:
    """Run the command; exit 0 done, 1 failed, 2 wrong usage or settings."""
    try:
        app()
    except MirrorError as error:
        from service.cli.common import report  # with all that it needs, only when it is needed

        sys.exit(report(error))
    except KeyboardInterrupt:
        sys.exit(130)
