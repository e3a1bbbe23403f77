"""Large tables get parts while everybody goes on: nothing is lost or there twice, and what hangs on them stays."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.errors import UsageError
from service.mirror import indexes, patience, rights, schema
from service.mirror.partitions import moving
from service.mirror.partitions.moving import TABLES, CopyDiffers, PartitionRefused, move
from service.mirror.tables import assets, data_profiles, lineage_edges, lineage_events
from service.mirror.writer import INSERTS
from service.operations import readers
from service.operations import store as operations
from service.operations.acting import Act, Way
from service.queries.counting import Count, Precision, count_rows
from service.settings.model import Settings, StoreSettings
from tests.databases import PARTS
from tests.integration.mirror.test_databases_of_real_life import as_role, both, roles, upgrade_to
from tests.integration.mirror.test_schema import differences

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

__all__ = ["roles"]  # a fixture

pytestmark = pytest.mark.skipif(PARTS > 1, reason="tables are in parts already")

Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]
ACT = Act("dana", Way.COMMAND)
_FILL = """
    INSERT INTO assets (asset_id, name, version, mirrored_at, mapping, document)
    SELECT 'a' || lpad(n::text, 5, '0'), 'orders', '\\x01', now(), 3, repeat('x', 50) FROM generate_series(1, {}) n
"""
_PARTS = "SELECT count(*) FROM pg_inherits WHERE inhparent = '{}'::regclass"
_LEFT = "SELECT count(*) FROM pg_class WHERE relname ~ '_(parted|whole)'"
_INDEXES = "SELECT c.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid"


@pytest.fixture
async def mirror(postgres_url: str, opened: Opened) -> AsyncIterator[Mirror]:
    """An empty mirror on PostgreSQL."""
    async with opened(postgres_url, migrate=False) as ready:
        yield ready


async def test_what_is_written_meanwhile_is_there_once(
    mirror: Mirror, sqlite_url: str, opened: Opened, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 7)
    written: list[Any] = []
    done = asyncio.Event()

    async def write() -> None:
        while not done.is_set():
            number = len(written) // 2
            at = f"2026-05-10T{number // 3600:02d}:{number // 60 % 60:02d}:{number % 60:02d}Z"
            batch = [
                events.profile(f"p{number % 60}", published=at),
                events.lineage(f"e{number % 40}", at, (f"a{number % 9}",)),
            ]
            await mirror.take(*batch)
            written.extend(batch)

    async def heard(more: int) -> None:
        enough = len(written) + more
        while len(written) < enough and not writing.done():
            await asyncio.sleep(0.01)

    writing = asyncio.create_task(write())
    await heard(60)
    for table in (data_profiles, lineage_events, lineage_edges):
        assert (await move(mirror.store, table, 3)).rows > 0
        await heard(6)  # into what it became
    done.set()
    await writing
    async with opened(sqlite_url, migrate=False) as other:
        await other.take(*written)
        assert await mirror.content() == await other.content()
    assert [await mirror.one(_PARTS.format(table)) for table in ("data_profiles", "lineage_edges")] == [3, 3]
    assert await mirror.one(_LEFT) == 0


async def test_rows_that_come_change_and_go_meanwhile_end_as_they_were_left(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 20)
    await mirror.execute(_FILL.format(400))
    expected = dict(await mirror.all("SELECT asset_id, name FROM assets"))
    chosen = random.Random(1)

    async def write(number: int) -> None:
        for _ in range(4):
            key = f"a{chosen.randrange(1, 500):05d}"
            if key in expected and chosen.random() < 0.5:
                del expected[key]
                await mirror.execute(f"DELETE FROM assets WHERE asset_id = '{key}'")
            else:
                expected[key] = str(number)
                await mirror.execute(
                    "INSERT INTO assets (asset_id, name, version, mirrored_at, mapping) "
                    f"VALUES ('{key}', '{number}', '1', now(), 3) "
                    "ON CONFLICT (asset_id) DO UPDATE SET name = excluded.name"
                )

    pages = moving._copy

    async def copy(store: Any, twin: Any, tell: Any) -> None:
        places: list[int] = []
        await pages(store, twin, lambda _, rows: places.append(rows))
        for place in places:  # what a second copying, after an interruption, finds there
            await write(place)
        await pages(store, twin, tell)

    monkeypatch.setattr(moving, "_copy", copy)
    moved = await move(mirror.store, assets, 4)
    assert moved.rows == len(expected)
    assert dict(await mirror.all("SELECT asset_id, name FROM assets")) == expected


async def test_a_row_that_goes_while_it_is_copied_does_not_come_back(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirror.execute(_FILL.format(5))
    pages = moving._copy
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"

    async def copy(*arguments: Any) -> None:
        async with mirror.store.write() as writer:
            await writer.execute(sa.text("DELETE FROM assets WHERE asset_id = 'a00003'"))
            copying = asyncio.create_task(pages(*arguments))
            while not copying.done() and not await mirror.one(waiting):
                await asyncio.sleep(0.01)
        await copying

    monkeypatch.setattr(moving, "_copy", copy)
    assert (await move(mirror.store, assets, 2)).rows == 4
    assert await mirror.one("SELECT count(*) FROM assets WHERE asset_id = 'a00003'") == 0


async def test_what_was_interrupted_is_carried_on_and_may_be_given_up(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(moving, "BATCH_ROWS", 10)
    await mirror.execute(_FILL.format(100))

    def fall(_: str, rows: int) -> None:
        if rows == 50:
            raise KeyboardInterrupt

    async def interrupted() -> None:
        with pytest.raises(KeyboardInterrupt):
            await move(mirror.store, assets, 2, tell=fall)

    await interrupted()
    await mirror.execute("DELETE FROM assets WHERE asset_id < 'a00011'", "UPDATE assets SET name = 'x'")
    twin = await mirror.one("SELECT 'assets_parted'::regclass::oid")
    assert await mirror.one("SELECT count(*) FROM assets_parted") >= 40
    await interrupted()
    assert await mirror.one("SELECT 'assets_parted'::regclass::oid") == twin, "it goes on with what is there"
    assert (await move(mirror.store, assets, 2)).rows == 90
    assert await mirror.all("SELECT DISTINCT name FROM assets") == [("x",)]

    with pytest.raises(KeyboardInterrupt):
        await move(mirror.store, assets, 3, tell=fall)
    assert await mirror.one(_LEFT) > 0
    assert (await move(mirror.store, assets, 2)).before == 2
    assert await mirror.one(_LEFT) == 0
    assert await mirror.one("SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal AND tgname LIKE 'assets%'") == 0


async def test_a_long_report_neither_fails_the_swap_nor_has_everybody_wait_behind_it(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOCK_TIMEOUT_MS", 100)
    monkeypatch.setattr(patience, "LOCK_PAUSE_S", 0.1)
    await mirror.execute(_FILL.format(3))
    async with mirror.store.engine.connect() as report:
        comparing = moving._compare

        async def compare(*arguments: Any) -> int:
            rows = await comparing(*arguments)
            await report.execute(sa.text("SELECT count(*) FROM v1_assets"))  # its transaction stays open
            return rows

        refused = asyncio.Event()

        async def holders(_: Any) -> str:
            refused.set()
            return "the report"

        monkeypatch.setattr(moving, "_compare", compare)
        monkeypatch.setattr(rights, "holders", holders)
        moving_it = asyncio.create_task(move(mirror.store, assets, 2))
        while not refused.is_set() and not moving_it.done():
            async with asyncio.timeout(5):
                await mirror.one("SELECT count(*) FROM v1_assets")
            await asyncio.sleep(0.01)
        assert not moving_it.done()
        await report.rollback()
    assert (await moving_it).after == 2


async def test_a_copy_that_differs_is_not_taken(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    await mirror.execute(_FILL.format(5))
    pages = moving._copy

    async def copy(*arguments: Any) -> None:
        await pages(*arguments)
        await mirror.execute(
            "SET LOCAL session_replication_role = replica", "UPDATE assets SET name = 'y' WHERE asset_id = 'a00002'"
        )

    monkeypatch.setattr(moving, "_copy", copy)
    with pytest.raises(CopyDiffers, match="assets") as caught:
        await move(mirror.store, assets, 2)
    assert "db partition assets --parts 1" in caught.value.advice()
    assert await mirror.one(_PARTS.format("assets")) == 0
    monkeypatch.setattr(moving, "_copy", pages)
    await move(mirror.store, assets, 1)
    assert (await move(mirror.store, assets, 2)).rows == 5


_HANGS_ON = """
    SELECT 'view', c.oid::text, pg_get_viewdef(c.oid), c.reloptions::text, c.relacl::text, obj_description(c.oid)
      FROM pg_class c WHERE relkind = 'v' AND relnamespace::regnamespace::text !~ '^(pg_|information)'
    UNION ALL SELECT 'column', attname, attcompression::text, format_type(atttypid, atttypmod), attacl::text,
           concat(col_description(attrelid, attnum), attstattarget, attnotnull)
      FROM pg_attribute WHERE attrelid = to_regclass('catalog_mirror.assets') AND attnum > 0
    UNION ALL SELECT 'table', relowner::regrole::text, relname, '', relacl::text, obj_description(oid) FROM pg_class
     WHERE oid = 'catalog_mirror.assets'::regclass
    UNION ALL SELECT 'index', relname, '', '', '', '' FROM pg_index JOIN pg_class ON oid = indexrelid
     WHERE indrelid = 'catalog_mirror.assets'::regclass
    ORDER BY 1, 2
"""


async def test_whoever_reads_and_writes_has_the_same_rights_views_and_rows_afterwards(
    roles: tuple[str, str], empty_postgres_url: str, opened: Opened, events: Events
) -> None:
    settings = both(roles)
    runner = sa.make_url(roles[1]).username
    await schema.migrate(settings)
    async with (
        opened(roles[1], migrate=False, schema="catalog_mirror") as running,
        opened(empty_postgres_url, migrate=False, schema="catalog_mirror") as admin,
        opened(roles[0], migrate=False, schema="catalog_mirror") as owner,
    ):
        await running.take(events.profile())
        await admin.execute(
            f"CREATE ROLE {runner}_r LOGIN PASSWORD 'x'", f"GRANT CREATE ON DATABASE {_database(roles[0])} TO {runner}"
        )
        try:
            whole = Settings(store=settings)
            who = readers.reader_of(whole, f"{runner}_r", ["c1"], nowhere=True)
            async with owner.store.write() as connection:
                for statement in who.statements():
                    await connection.exec_driver_sql(statement)
            await owner.execute(
                "ALTER TABLE catalog_mirror.assets SET (fillfactor = 80, toast.autovacuum_vacuum_threshold = 77)",
                "ALTER TABLE catalog_mirror.assets ALTER COLUMN asset_type SET STATISTICS 300",
                "COMMENT ON TABLE catalog_mirror.assets IS 'one''s own'",
                f"GRANT SELECT (name) ON catalog_mirror.assets TO {runner} WITH GRANT OPTION",
                "CREATE VIEW catalog_mirror.mine WITH (security_barrier) AS SELECT count(*) FROM catalog_mirror.assets",
            )
            before = await owner.all(_HANGS_ON)
            with pytest.raises(PartitionRefused, match="permission denied to set role"):
                await move(running.store, assets, 2)
            await admin.execute("CREATE VIEW catalog_mirror.theirs AS SELECT name FROM catalog_mirror.assets")
            for mirror in (admin, owner):
                with pytest.raises(PartitionRefused, match=r"the view theirs of .* refers to it"):
                    await move(mirror.store, assets, 2)
            await admin.execute("DROP VIEW catalog_mirror.theirs")
            async with opened(as_role(empty_postgres_url, f"{runner}_r"), migrate=False) as reader:
                seen = await reader.all(f'SELECT * FROM "{who.own_schema}".v1_assets')
                assert seen
                for mirror in (admin, owner):  # whoever does it, it stays whose it was
                    await move(mirror.store, assets, 2 if mirror is admin else 3)
                    await running.take(events.profile("p2", details={"dataset_id": "a2", "catalog_id": "c1"}))
                    assert await owner.all(_HANGS_ON) == before
                assert len(await reader.all(f'SELECT * FROM "{who.own_schema}".v1_assets')) == len(seen) + 1
            leaves = await owner.all(
                "SELECT c.reloptions::text, t.reloptions::text, a.attcompression, c.relowner::regrole::text "
                "FROM pg_inherits JOIN pg_class c ON c.oid = inhrelid JOIN pg_class t ON t.oid = c.reltoastrelid "
                "JOIN pg_attribute a ON a.attrelid = c.oid AND attname = 'document' "
                "WHERE inhparent = 'catalog_mirror.assets'::regclass"
            )
            assert len(leaves) == 3
            owned = sa.make_url(roles[0]).username
            assert set(leaves) == {("{fillfactor=80}", "{autovacuum_vacuum_threshold=77}", b"l", owned)}
        finally:
            await admin.execute(f"DROP OWNED BY {runner}_r CASCADE", f"DROP ROLE {runner}_r")


def _database(url: str) -> str:
    return str(sa.make_url(url).database)


async def test_whole_again_it_is_the_table_that_migrations_made(mirror: Mirror) -> None:
    for table in (assets, lineage_edges):
        await move(mirror.store, table, 2, keep=True)
        with pytest.raises(PartitionRefused, match="_whole is still there"):
            await move(mirror.store, table, 1)
        await mirror.execute(f"DROP TABLE {table.name}_whole")
        await move(mirror.store, table, 5)
        await move(mirror.store, table, 1)
    async with mirror.store.read() as connection:
        assert await connection.run_sync(differences) == []
    assert await mirror.all("SELECT relname FROM pg_class WHERE relname ~ '_[0-9]+_[0-9]+'") == []


async def test_later_versions_migrate_tables_in_parts(empty_postgres_url: str, opened: Opened) -> None:
    async with opened(empty_postgres_url, migrate=False) as mirror:
        await upgrade_to(mirror.store, "0106")
        for name in ("assets", "lineage_events", "lineage_edges", "data_profiles", "openlineage_events"):
            await move(mirror.store, TABLES[name], 2)
        await mirror.execute(
            "INSERT INTO assets (asset_id, version, mirrored_at, mapping) VALUES ('a1', '1', now(), 2)"
        )
        await schema.upgrade(mirror.store)
        async with mirror.store.read() as connection:
            assert await connection.run_sync(differences) == []
        assert all(valid for _, valid in await mirror.all(_INDEXES))


async def test_an_index_of_a_table_in_parts_is_built_beside_whoever_writes_and_after_an_interruption(
    mirror: Mirror,
) -> None:
    await move(mirror.store, assets, 3)
    await mirror.execute(_FILL.format(30), "DROP INDEX assets_name", "DROP INDEX assets_written")
    await mirror.execute("CREATE INDEX assets_name ON ONLY assets USING hash (name)")  # what an interrupted one left
    await mirror.execute(
        "CREATE INDEX built ON assets_3_1 USING hash (name)", "ALTER INDEX assets_name ATTACH PARTITION built"
    )
    async with mirror.store.engine.connect() as writer:
        await writer.execute(sa.text("UPDATE assets_3_2 SET name = 'y'"))  # its transaction stays open
        building = asyncio.create_task(indexes.build_missing(mirror.store))
        waiting = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
        while not await mirror.one(waiting) and not building.done():
            await asyncio.sleep(0.01)
        async with asyncio.timeout(2):
            await mirror.execute("UPDATE assets SET name = 'z' WHERE asset_id = (SELECT min(asset_id) FROM assets_3_0)")
        assert not building.done()
        await writer.commit()
    assert await building == ["assets_name", "assets_written"]
    assert all(valid for _, valid in await mirror.all(_INDEXES))
    assert await mirror.one("SELECT count(*) FROM pg_inherits WHERE inhparent = 'assets_name'::regclass") == 3
    assert await mirror.one("SELECT to_regclass('built') IS NOT NULL"), "what was built is not built anew"
    assert await indexes.build_missing(mirror.store) == []


async def test_many_rows_in_parts_are_estimated(mirror: Mirror) -> None:
    await mirror.execute(_FILL.format(3000))
    await move(mirror.store, assets, 3)
    await mirror.execute("ANALYZE assets")
    async with mirror.store.read() as connection:
        told = await count_rows(connection, mirror.store, [assets])
    assert told == {"assets": Count(3000, Precision.ABOUT)}


async def test_a_batch_seeks_its_keys_and_reads_no_whole_table(mirror: Mirror) -> None:
    await mirror.execute(_FILL.format(6000))
    await move(mirror.store, assets, 2)
    insert = INSERTS["asset"]
    rows = [
        tuple({"asset_id": f"a{number:05d}", "version": b"\2"}.get(name) for name in insert.columns)
        for number in range(2900, 3100)
    ]
    scans = sa.text("SELECT sum(seq_scan) FROM pg_stat_xact_user_tables WHERE relname LIKE 'assets_2_%'")
    async with mirror.store.write() as connection:
        before = await connection.scalar(scans)
        assert len(await insert.run(connection, rows)) == 200
        assert await connection.scalar(scans) == before


#: What hangs on the table, how it goes again, and what is told of it.
_IN_THE_WAY = (
    ("CREATE MATERIALIZED VIEW mine AS SELECT * FROM assets", "DROP MATERIALIZED VIEW mine", "mine refers to it"),
    (
        "CREATE TRIGGER mine BEFORE TRUNCATE ON assets EXECUTE FUNCTION suppress_redundant_updates_trigger()",
        "DROP TRIGGER mine ON assets",
        "the trigger mine",
    ),
    ("CREATE UNIQUE INDEX mine ON assets (resource_key)", "DROP INDEX mine", "the unique index mine"),
    ("CREATE PUBLICATION mine FOR TABLE assets", "DROP PUBLICATION mine", "the publication mine"),
    (
        "ALTER TABLE assets ENABLE ROW LEVEL SECURITY",
        "ALTER TABLE assets DISABLE ROW LEVEL SECURITY",
        "row-level security",
    ),
    ("CREATE TABLE mine (asset_id text REFERENCES assets)", "DROP TABLE mine", "foreign key"),
    (
        "CREATE FUNCTION mine() RETURNS SETOF assets LANGUAGE sql AS 'SELECT * FROM assets'",
        "DROP FUNCTION mine()",
        "other objects",
    ),
)


async def test_what_cannot_come_along_is_told_and_nothing_is_changed(mirror: Mirror) -> None:
    for comes, goes, problem in _IN_THE_WAY:
        await mirror.execute(comes)
        with pytest.raises(PartitionRefused, match=problem):
            await move(mirror.store, assets, 2)
        assert await mirror.one(_PARTS.format("assets")) == 0
        await mirror.execute(goes)
    assert (await move(mirror.store, assets, 2)).after == 2


async def test_a_table_that_was_changed_meanwhile_is_copied_again(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    await mirror.execute(_FILL.format(3))
    pages = moving._copy

    async def copy(*arguments: Any) -> None:
        await pages(*arguments)
        await mirror.execute("ALTER TABLE assets ADD COLUMN later text DEFAULT 'x'")

    monkeypatch.setattr(moving, "_copy", copy)
    with pytest.raises(PartitionRefused, match="begin again"):
        await move(mirror.store, assets, 2)
    monkeypatch.setattr(moving, "_copy", pages)
    await move(mirror.store, assets, 2)
    assert await mirror.all("SELECT DISTINCT later FROM assets") == [("x",)]


async def test_only_tables_of_postgresql_that_grow_have_parts(mirror: Mirror, sqlite_url: str) -> None:
    here = mirror.store.url.set(drivername="postgresql").render_as_string(hide_password=False)
    for url, names, problem in (
        (sqlite_url, ["assets"], "SQLite has none"),
        (here, ["assets", "deliveries"], "deliveries cannot have parts"),
    ):
        settings = Settings(store=StoreSettings.model_validate({"url": url}))
        with pytest.raises(UsageError, match=problem):
            await operations.partition(settings, names, 2, ACT)
    settings = Settings(store=StoreSettings.model_validate({"url": here}))
    assert [moved.after for moved in await operations.partition(settings, ["assets", "assets"], 2, ACT)] == [2]
    assert await mirror.all("SELECT who, action, subject FROM audit_log") == [("dana", "store.partition", "assets")]


async def test_the_command_of_the_page_cuts_what_it_names(
    mirror: Mirror, postgres_url: str, run_command: Callable[..., Any]
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "scaling.md").read_text(encoding="utf-8")
    (line,) = re.findall(r"^\$ catalog-mirror (db partition .*)$", page, re.M)
    told = await run_command(*line.split(), STORE__URL=postgres_url)
    assert "assets is in 16 parts, with 0 rows." in told
    assert await mirror.one(_PARTS.format("lineage_events")) == 16
