"""`db upgrade`, `db partition`, `db reader`: the store's schema, the form of its tables, and who reads which rows."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn

from service.cli.common import acting, err, out, quiet_settings, run_async
from service.mirror import schema
from service.mirror.partitions.moving import MAX_PARTS, Moved
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


@app.command("partition")
def partition(
    tables: Annotated[list[str], typer.Argument(help="Tables that get so many parts, such as assets.")],
    parts: Annotated[int, typer.Option("--parts", min=1, max=MAX_PARTS, help="How many; 1 has them whole again.")] = 16,
    keep: Annotated[
        bool, typer.Option("--keep", help="Leave what was the table before, as TABLE_whole; drop it yourself.")
    ] = False,
) -> None:
    """Cut large tables of PostgreSQL into parts by the hash of their key, beside everybody who reads and writes them.

    What was interrupted goes on when it is called again. With the number of parts that a table has, what was left
    half-way is taken away, and the planner looks at the whole table anew.
    """
    settings = quiet_settings()
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("looking")

        def tell(table: str, rows: int) -> None:
            bar.update(task, description=f"copying {table}: {rows} rows")

        for moved in run_async(operations.partition(settings, tables, parts, acting(), keep=keep, tell=tell)):
            out.print(_moved(moved), markup=False)


def _moved(moved: Moved) -> str:
    form = "whole" if moved.after == 1 else f"in {moved.after} parts"
    if moved.before == moved.after:
        return f"{moved.table} is {form}, nothing to do."
    return f"{moved.table} is {form}, with {moved.rows} rows."


def _script(statements: Iterable[str]) -> str:
    """Statements as psql takes them: all of them, or none."""
    return "BEGIN;\n" + "".join(f"{statement};\n" for statement in statements) + "COMMIT;\n"


def _told(before: str | None, after: str) -> str:
    if after > schema.newest():
        return f", later than this version's {schema.newest()}: left as it is"
    return ", nothing to do" if before == after else f" (was {before or 'empty'})"
