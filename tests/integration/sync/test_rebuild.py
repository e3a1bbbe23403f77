"""Columns are derived again from documents; what the documents do not say stays."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from sandbox.catalog.model import PocketCatalog
from service.mirror.rebuild import rebuild
from service.mirror.tables import metadata
from tests.integration.sync.kinds import on_one_store, only

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

#: What may differ: when a row was written.
INCIDENTAL = {"mirrored_at", "replaces"}
PARTS = (
    "asset_columns", "asset_terms", "asset_classifications", "connections", "asset_attributes", "asset_attachments",
)  # fmt: skip


async def content(reader: Reader) -> dict[str, Any]:
    """Every row of every state table and what belongs to assets."""
    found = {}
    for name, table in metadata.tables.items():
        if name in PARTS or "document" in table.c:
            columns = ", ".join(f'"{column.name}"' for column in table.c if column.name not in INCIDENTAL)
            found[name] = sorted(map(repr, await reader.mirror.all(f"SELECT {columns} FROM {name}")))
    return found


async def rebuilt(reader: Reader, **how: Any) -> dict[str, int]:
    counts: dict[str, int] = {}
    async for kind, number in rebuild(reader.mirror.store, **how):
        counts[kind] = counts.get(kind, 0) + number
    return counts


async def test_what_was_changed_behind_its_back_is_as_it_was_and_versions_stay(reading: Reading) -> None:
    catalog = PocketCatalog(seed=3, assets=60)
    async with reading(catalog) as reader:
        await reader.snapshot()
        gone = catalog.container_ids("catalog")[1]
        catalog.delete_asset(next(c["metadata"]["asset_id"] for _, place, c in catalog.true_assets() if place == gone))
        await reader.reconcile()
        before = await content(reader)
        await reader.mirror.execute(
            "UPDATE assets SET name = 'x', tags = 'x', updated_at = NULL, mapping = 0 WHERE document IS NOT NULL",
            "UPDATE containers SET name = 'x', mapping = 0 WHERE document IS NOT NULL",
            "UPDATE data_profiles SET status = 'x', mapping = 0 WHERE document IS NOT NULL",
            "UPDATE job_runs SET state = 'x', mapping = 0 WHERE document IS NOT NULL",
            "UPDATE asset_list_items SET asset_type = 'x', mapping = 0 WHERE document IS NOT NULL",
            "UPDATE relationships SET source_id = 'x', mapping = 0 WHERE document IS NOT NULL",
            "UPDATE asset_columns SET description = 'x', position = 9",
            "DELETE FROM asset_terms",
            "DELETE FROM connections",
            "UPDATE asset_classifications SET classification = 'x'",
            "UPDATE asset_attributes SET text_value = 'x', number = number + 1000",
            "DELETE FROM asset_attachments",
        )
        counts = await rebuilt(reader)
        assert counts["asset"] > 0
        assert await content(reader) == before
        assert await rebuilt(reader) == {}  # all of it is of this mapping now
        await rebuilt(reader, everything=True)
        assert await content(reader) == before


@on_one_store
async def test_what_an_item_was_listed_below_stays_though_it_does_not_say_so(reading: Reading) -> None:
    async with reading(PocketCatalog(seed=3, assets=20), only("job", "job_run")) as reader:
        await reader.snapshot()
        before = await reader.mirror.all("SELECT run_id, job_id FROM job_runs ORDER BY run_id")
        await reader.mirror.execute(
            'UPDATE job_runs SET document = \'{"metadata":{"asset_id":"\' || run_id || \'"}}\', mapping = 0'
        )
        await rebuilt(reader)
        assert await reader.mirror.all("SELECT run_id, job_id FROM job_runs ORDER BY run_id") == before


@on_one_store
async def test_a_document_that_cannot_be_read_any_more_stops_nobody(reading: Reading) -> None:
    async with reading(PocketCatalog(seed=3, assets=20), only("asset")) as reader:
        await reader.snapshot()
        before = await reader.mirror.one("SELECT count(*) FROM v1_assets")
        await reader.mirror.execute(
            "UPDATE assets SET document = '{}', mapping = 0 WHERE asset_id = (SELECT min(asset_id) FROM assets)",
            "UPDATE assets SET name = 'x', mapping = 0",
        )
        await rebuilt(reader)
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets WHERE name = 'x'") == 1
        assert await reader.mirror.one("SELECT count(*) FROM v1_assets") == before
