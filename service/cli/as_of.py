"""`as-of`: the views as they were at a moment."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer

from service.cli.common import Json, err, opened_store, print_json, quiet_settings, run_async, show_table, utc
from service.errors import UsageError
from service.queries import as_of as past
from service.settings.model import Settings


def as_of(
    time: Annotated[str, typer.Argument(help="A moment on the catalog's clock: 2026-05-10, 2026-05-10T15:04:15Z.")],
    query: Annotated[str, typer.Argument(help="SQL that selects from the `v1_` views of what has a history.")],
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 1000,
    as_json: Json = False,
) -> None:
    """Ask the views as they were at a moment; needs RETENTION__HISTORY.

    Deletions, containers and who may see what count as they were then; what is hidden now is not shown either.
    """
    settings, moment = quiet_settings(), _moment(time)
    found = run_async(_asked(settings, moment, query, limit))
    if as_json:
        print_json([dict(zip(found.columns, row, strict=True)) for row in found.rows])
    else:
        show_table(f"As of {moment.isoformat()}", found.columns, found.rows, "Nothing was there then.")
    if found.is_cut:
        err.print(f"Only {limit} rows are shown; --limit shows more.")


async def _asked(settings: Settings, moment: datetime, query: str, limit: int) -> past.Rows:
    async with opened_store(settings) as store:
        since, keeps_s = await past.complete_since(store), settings.retention.history_s
        if keeps_s is None:
            err.print("RETENTION__HISTORY is not set: this is what was kept while it was.")
        elif since is None:
            err.print("The histories have not begun everywhere yet: `catalog-mirror run` sees to that.")
        elif moment < since:
            err.print(f"Histories are whole since {since.isoformat()}: what was replaced before may be missing.")
        if keeps_s is not None and moment < datetime.now(UTC) - timedelta(seconds=keeps_s):
            err.print("What ended that long ago is kept no longer, as RETENTION__HISTORY says.")
        return await past.ask(store, moment, query, limit)


def _moment(text: str) -> datetime:
    try:
        moment = utc(datetime.fromisoformat(text))
    except ValueError:
        moment = None
    if moment is None:
        raise UsageError(problem=f"{text[:100]!r} is no moment", advice="Write it as 2026-05-10T15:04:15Z.")
    return moment
