"""`db upgrade`: the store's schema."""

from __future__ import annotations

import typer

from service.cli.common import out, quiet_settings, run_async
from service.mirror import schema
from service.mirror.store import Store

app = typer.Typer(help="The store's schema.", no_args_is_help=True)


@app.callback()
def group() -> None:
    """The store's schema."""


@app.command("upgrade")
def upgrade() -> None:
    """Bring the schema of the store up to date; does nothing where it is."""
    out.print(run_async(_upgrade()), markup=False)


def _told(before: str | None, after: str) -> str:
    if after > schema.newest():
        return f", later than this version's {schema.newest()}: left as it is"
    return ", nothing to do" if before == after else f" (was {before or 'empty'})"


async def _upgrade() -> str:
    store = Store(quiet_settings().store, migrating=True)
    try:
        store.check_writable()
        before = await schema.current(store)
        after = await schema.upgrade(store)
        return f"{store.where}: schema {after}{_told(before, after)}."
    finally:
        await store.close()
