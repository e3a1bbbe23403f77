"""`db upgrade`, `db reader`: the store's schema, and who reads which of its rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer

from service.cli.common import acting, out, quiet_settings, run_async
from service.mirror import schema
from service.operations import readers
from service.operations import store as operations

app = typer.Typer(help="The store's schema.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The store's schema."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema of the store up to date; does nothing where it is."""
    done = run_async(operations.upgrade(quiet_settings(), acting()))
    out.print(f"{done.where}: schema {done.after}{_told(done.before, done.after)}.", markup=False)


@app.command("reader")
def reader(
    role: Annotated[str, typer.Argument(help="A role of PostgreSQL, which is there already.")],
    container: Annotated[list[str] | None, typer.Option("--container", help="Id of a container that it sees.")] = None,
    nowhere: Annotated[
        bool, typer.Option("--nowhere", help="Also what lives in no container: the glossary, data sets of lineage.")
    ] = False,
    apply: Annotated[bool, typer.Option("--apply", help="Do it; without it the SQL is printed.")] = False,
    drop: Annotated[bool, typer.Option("--drop", help="Take its views away instead; the role stays.")] = False,
) -> None:
    """Let a role of PostgreSQL see the rows of some containers alone, through views of its own."""
    settings = quiet_settings()
    who = readers.reader_of(settings, role, container or (["-"] if drop else []), nowhere=nowhere)
    if not apply:
        typer.echo(_script(who.dropped() if drop else who.statements()), nl=False)
        return
    if drop:
        run_async(readers.drop(settings, who, acting()))
        out.print(f"{role} sees nothing of the mirror any more.", markup=False)
        return
    run_async(readers.apply(settings, who, acting()))
    out.print(f"{role} reads {len(who.containers)} containers in the schema {who.own_schema}.", markup=False)


def _script(statements: Iterable[str]) -> str:
    """Statements as psql takes them: all of them, or none."""
    return "BEGIN;\n" + "".join(f"{statement};\n" for statement in statements) + "COMMIT;\n"


def _told(before: str | None, after: str) -> str:
    if after > schema.newest():
        return f", later than this version's {schema.newest()}: left as it is"
    return ", nothing to do" if before == after else f" (was {before or 'empty'})"
