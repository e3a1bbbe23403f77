"""What is told of the views is what the views are."""

from __future__ import annotations

from typing import TYPE_CHECKING

import sqlalchemy as sa

from sandbox.catalog.model import PocketCatalog
from service.mirror.described import HISTORY_VIEWS, VIEWS
from service.settings.model import SyncSettings

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.sync.conftest import Reading


def _columns(connection: sa.Connection) -> dict[str, list[str]]:
    found = sa.inspect(connection)
    return {name: [column["name"] for column in found.get_columns(name)] for name in found.get_view_names()}


async def test_every_view_and_every_column_of_it_is_described_and_nothing_else(mirror: Mirror) -> None:
    async with mirror.store.read() as connection:
        there = await connection.run_sync(_columns)
    assert {name: sorted(columns) for name, columns in there.items()} == {
        name: sorted(view.columns) for name, view in VIEWS.items()
    }
    for view in VIEWS.values():
        assert view.comment
        assert all(meaning.strip() for meaning in view.columns.values()), view.name


async def test_the_key_that_is_told_of_a_view_names_its_rows(reading: Reading) -> None:
    """No view joins in a way that shows a row twice."""
    async with reading(PocketCatalog(seed=1, assets=60), SyncSettings(skip=[])) as reader:
        await reader.snapshot()
        shown = 0
        for view in VIEWS.values():
            names = ", ".join(view.key)
            query = f"SELECT count(*) FROM (SELECT {names} FROM {view.name} GROUP BY {names} HAVING count(*) > 1) AS t"
            assert await reader.mirror.one(query) == 0, view.name
            shown += await reader.mirror.one(f"SELECT count(*) > 0 FROM {view.name}")
        # Nothing is remembered here; nothing tells of lineage, its columns, runs and names, usage, tests, findings.
        assert shown == len(VIEWS) - len(HISTORY_VIEWS) - 13
