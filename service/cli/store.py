"""`db upgrade`: the store's schema."""

from __future__ import annotations

import typer

from service.cli.common import acting, out, quiet_settings, run_async
from service.mirror import schema
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


def _told(before: str | None, after: str) -> str:
    if after > schema.newest():
        return f", later than this version's {schema.newest()}: left as it is"
    return ", nothing to do" if before == after else f" (was {before or 'empty'})"
