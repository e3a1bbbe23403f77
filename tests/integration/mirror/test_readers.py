"""A reader of PostgreSQL sees the rows of its containers alone, through every view, and cannot lift that."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from service.changes import (
    AssetColumn,
    AssetSaved,
    Attached,
    AttributeLeaf,
    Change,
    Classified,
    ConnectionDetails,
    Container,
    ContainerSaved,
    LineageEdge,
    LineageRecorded,
    ProfileSaved,
    Rank,
    TermAssigned,
    ThingSaved,
    Version,
)
from service.errors import UsageError
from service.kinds import THINGS
from service.mirror import writer
from service.mirror.described import VIEWS
from service.mirror.readers import Reader
from service.mirror.tables import (
    HISTORIES,
    STATES,
    column_facets,
    column_flows,
    data_profiles,
    dataset_identities,
    dataset_links,
    profile_classes,
    profile_drift,
    profile_runs,
    quality_assertions,
    run_facts,
    sync_states,
    usage_facts,
)
from service.operations import readers
from service.operations.acting import Act, Way
from service.operations.readers import ReaderRefused
from service.settings.model import Settings, StoreSettings
from service.text.documents import document
from tests.integration.mirror.test_databases_of_real_life import as_role

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

ACT = Act("dana", Way.COMMAND)
AT_US = 1_778_425_455_000_000
AT = datetime(2026, 5, 10, 15, 4, 15, tzinfo=UTC)
#: What everything of a container has in it.
OURS, THEIRS, NOBODYS = "sales", "salaries", "outside"
PLACES = {OURS: Container("catalog", "c-sales"), THEIRS: Container("project", "c-salaries"), NOBODYS: None}
_VALUES: dict[str, Any] = {"integer": 1, "number": 1.0, "truth": True, "time": AT}


def version() -> Version:
    return Version(AT_US, Rank.READ)


def changes(mark: str) -> list[Change]:
    """One of everything, in one place; every text tells which place it is."""
    where = PLACES[mark]
    told = document({"metadata": {"name": mark}})
    asset = AssetSaved(
        f"a-{mark}", version(), told, where, name=mark, asset_type="connection",
        columns=(AssetColumn(mark, 1),), terms=(TermAssigned(f"t-{mark}", mark),),
        classifications=(Classified(f"k-{mark}", mark), Classified(f"k-{mark}", mark, column=mark)),
        attributes=(AttributeLeaf(mark, mark, mark),), attachments=(Attached(f"at-{mark}", name=mark),),
        connection=ConnectionDetails(host=mark), visibility_mode=0,
    )  # fmt: skip
    other = AssetSaved(f"b-{mark}", version(), told, where, name=mark, visibility_mode=0)
    profile = ProfileSaved(f"p-{mark}", version(), told, f"a-{mark}", where, status="finished")
    edges = (LineageEdge(f"a-{mark}", "uses", name=mark), LineageEdge(f"p-{mark}", "generates", name=mark))
    event = LineageRecorded(f"e-{mark}", version(), document({"x": mark}), mark, (), mark, edges=edges)
    containers = [ContainerSaved(where, version(), document({}), name=mark)] if where else []
    return [*containers, asset, other, profile, event, *(_thing(kind, mark) for kind in THINGS)]


def _thing(kind: str, mark: str) -> ThingSaved:
    declared = THINGS[kind]
    of_asset = {declared.asset: f"a-{mark}"} if declared.asset else {}
    place = getattr(PLACES[mark], "id", None)
    ends = {"source_container_id": place, "target_container_id": place}
    category = {"parent_category_id": f"category-{mark}"} if kind == "artifact" else {}
    by_name = {"source_id": f"a-{mark}", "target_id": f"b-{mark}", **ends, **of_asset, **category}
    row = tuple(by_name.get(field.name, _VALUES.get(field.type, mark)) for field in declared.fields)
    return ThingSaved(kind, f"{kind}-{mark}", version(), document({"x": mark}), row, PLACES[mark])


def rows(mark: str, now: Any) -> list[tuple[sa.Table, dict[str, Any]]]:
    """What events and readings leave beside states."""
    a, b, event = f"a-{mark}", f"b-{mark}", f"e-{mark}"
    where = PLACES[mark]
    place = {"container_kind": where.kind, "container_id": where.id} if where else {}
    figures = json.dumps([{"column_name": mark, "position": 1}])
    return [
        (profile_classes, {"profile_id": f"p-{mark}", "attachment_id": "", "column_name": mark, "class_code": mark,
                           "chosen": True}),
        (profile_runs, {"profile_id": f"p-{mark}", "run_id": f"r-{mark}", "asset_id": a, "finished_at": now,
                        "figures": figures, "version": b"1", **place}),
        (profile_drift, {"asset_id": a, "column_name": mark, "change": "gone", "profile_id": f"p-{mark}",
                         "run_id": f"r-{mark}", "before_at": now, "after_at": now, "crossed": True}),
        (usage_facts, {"fact_id": f"f-{mark}", "asset_id": a, "occurred_at": now, "number": 1, "source": "import",
                       "version": b"1", "mirrored_at": now, "user_hash": mark}),
        (quality_assertions, {"assertion_id": f"q-{mark}", "version": b"1", "facet_id": f"q-{mark}", "event_id": event,
                              "namespace": mark, "name": mark, "asset_id": a, "assertion": mark, "occurred_at": now,
                              "mirrored_at": now}),
        (dataset_links, {"facet_id": f"l-{mark}", "version": b"1", "asset_id": a, "other_id": b, "event_id": event,
                         "is_asset": True, "other_is_asset": True}),
        (dataset_identities, {"asset_id": a, "identity_id": b}),
        (run_facts, {"event_id": event, "fact": "job", "version": b"1", "job_namespace": mark, "job_name": mark,
                     "mirrored_at": now, "moment": now}),
        (run_facts, {"event_id": event, "fact": "start", "version": b"1", "moment": now, "mirrored_at": now}),
        (column_facets, {"facet_id": f"cf-{mark}", "version": b"1", "event_id": event, "flow_id": f"fl-{mark}",
                         "mirrored_at": now}),
        (column_flows, {"flow_id": f"fl-{mark}", "number": 1, "from_asset_id": a, "from_column": mark, "from_key": mark,
                        "to_asset_id": b, "to_column": mark, "to_key": mark, "is_direct": True}),
        (sync_states, {"container_id": where.id if where else "", "container_kind": where and where.kind,
                       "kind": "asset" if where else "artifact", "problem": mark}),
    ]  # fmt: skip


Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]


@pytest.fixture
async def mirror(postgres_url: str, opened: Opened) -> AsyncIterator[Mirror]:
    """A mirror with one of everything in two containers and in none, and an event that spans both containers."""
    async with opened(postgres_url) as ready:
        edges = (LineageEdge("a-sales", "uses"), LineageEdge("a-salaries", "generates", name=THEIRS))
        spanning = LineageRecorded("e-both", version(), document({"x": THEIRS}), "JOB", (), "airflow", edges=edges)
        hidden = AssetSaved("a-hidden", version(), document({}), PLACES[OURS], name="salaries too", visibility_mode=8)
        everything = [change for mark in PLACES for change in changes(mark)] + [spanning, hidden]
        async with ready.store.write() as connection:
            await writer.apply(connection, enumerate(everything))
            for mark in PLACES:
                figures = json.dumps([{"column_name": mark, "position": 1}])
                mine = data_profiles.c.profile_id == f"p-{mark}"
                await connection.execute(sa.update(data_profiles).where(mine).values(figures=figures))
                for table, row in rows(mark, ready.store.now()):
                    await connection.execute(sa.insert(table).values(row))
            for kind, kept in HISTORIES.items():
                names = [column.name for column in kept.c if column.name != "is_exact"]
                now = sa.select(*(STATES[kind].c[name] for name in names), sa.true())
                now = now.where(STATES[kind].c.document.is_not(None))  # what is only referred to is no state
                await connection.execute(sa.insert(kept).from_select([*names, "is_exact"], now))
        yield ready


@pytest.fixture
async def role(mirror: Mirror) -> AsyncIterator[str]:
    """A role that may do nothing yet."""
    database = sa.make_url(str(mirror.store.url)).database
    name = f"Reader {database}"[:40]
    await mirror.execute(f"CREATE ROLE \"{name}\" LOGIN PASSWORD 'x'")
    yield name
    await mirror.execute(f'DROP OWNED BY "{name}" CASCADE', f'DROP ROLE "{name}"')


@pytest.fixture
def settings(postgres_url: str) -> Settings:
    return Settings(store=StoreSettings(url=SecretStr(postgres_url)))


async def seen(reader: Mirror, who: Reader) -> dict[str, list[str]]:
    """Every row of every view, as text."""
    found = {}
    for view in VIEWS:
        told = await reader.all(f'SELECT * FROM "{who.own_schema}".{view}')
        found[view] = [repr(row) for row in told]
    return found


async def test_through_every_view_a_reader_sees_its_containers_and_nothing_else(
    mirror: Mirror, opened: Opened, settings: Settings, postgres_url: str, role: str
) -> None:
    who = await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=False), ACT)
    columns = {view.name: ", ".join(f'"{name}"' for name in view.columns) for view in VIEWS.values()}
    everything = {
        view: [repr(row) for row in await mirror.all(f"SELECT {columns[view]} FROM {view}")] for view in VIEWS
    }
    for view, told in everything.items():
        assert any(THEIRS in row for row in told), f"{view} has nothing to hide: the test would see nothing"

    async with opened(as_role(postgres_url, role), migrate=False) as reader:
        found = await seen(reader, who)

    for view, told in found.items():
        assert not [row for row in told if THEIRS in row or NOBODYS in row], view
        stub = "('p-"  # lineage refers to a profile as to an asset that lives nobody knows where
        ours = {row for row in everything[view] if OURS in row and THEIRS not in row}
        ours = {row for row in ours if view != "v1_assets" or not row.startswith(stub)}
        assert ours, f"{view} has nothing to show"
        assert set(told) == ours, view


async def test_what_lives_in_no_container_is_seen_where_that_is_asked_for(
    mirror: Mirror, opened: Opened, settings: Settings, postgres_url: str, role: str
) -> None:
    who = await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=True), ACT)
    async with opened(as_role(postgres_url, role), migrate=False) as reader:
        found = await seen(reader, who)
    assert not [row for told in found.values() for row in told if THEIRS in row]
    for view, told in found.items():
        assert view in ("v1_containers", "v1_containers_history") or any(NOBODYS in row for row in told), view


async def test_a_reader_cannot_lift_it(
    mirror: Mirror, opened: Opened, settings: Settings, postgres_url: str, role: str
) -> None:
    who = await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=False), ACT)
    owner = sa.make_url(postgres_url).username
    mine = f'"{who.own_schema}"'
    async with opened(as_role(postgres_url, role), migrate=False) as reader:
        for forbidden in (
            "SELECT * FROM v1_assets", "SELECT * FROM assets", "SELECT * FROM audit_log", f'SET ROLE "{owner}"',
            f"CREATE OR REPLACE VIEW {mine}.v1_assets AS SELECT 1", f"DELETE FROM {mine}.v1_assets",
            f"ALTER VIEW {mine}.v1_assets RESET (security_barrier)",
            f"DROP VIEW {mine}.v1_assets", f"CREATE TABLE {mine}.x (y int)",
            f"GRANT SELECT ON {mine}.v1_assets TO PUBLIC WITH GRANT OPTION",
        ):  # fmt: skip
            with pytest.raises(sa.exc.DBAPIError):
                await reader.execute(forbidden)
        # A cheap function of the reader's own is asked about rows before the condition, unless the view is a barrier.
        async with reader.store.write() as connection:
            await connection.exec_driver_sql(_LEAK)
            told = (
                await connection.exec_driver_sql(f"SELECT name FROM {mine}.v1_assets WHERE pg_temp.leak(name)")
            ).all()
        assert {name for (name,) in told} == {OURS}


_LEAK = (
    "CREATE OR REPLACE FUNCTION pg_temp.leak(text) RETURNS boolean LANGUAGE plpgsql COST 0.0000001 AS "
    "'BEGIN IF $1 LIKE ''%salaries%'' THEN RAISE EXCEPTION ''leaked %'', $1; END IF; RETURN true; END'"
)


async def test_without_the_barrier_the_function_would_leak(mirror: Mirror, settings: Settings, role: str) -> None:
    who = readers.reader_of(settings, role, ["c-sales"], nowhere=False)
    await readers.apply(settings, who, ACT)
    async with mirror.store.write() as connection:
        await connection.exec_driver_sql(f'ALTER VIEW "{who.own_schema}".v1_assets RESET (security_barrier)')
        await connection.exec_driver_sql(_LEAK)
        with pytest.raises(sa.exc.DBAPIError, match="leaked"):
            await connection.exec_driver_sql(f'SELECT 1 FROM "{who.own_schema}".v1_assets WHERE pg_temp.leak(name)')


async def test_a_role_that_reads_the_mirror_itself_is_refused_and_nothing_is_made(
    mirror: Mirror, settings: Settings, role: str
) -> None:
    await mirror.execute(f'GRANT SELECT (name) ON assets TO "{role}"')
    with pytest.raises(ReaderRefused, match=r"may read public\.assets itself"):
        await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=False), ACT)
    assert await mirror.all("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'mirror_for_%'") == []
    await mirror.execute(f'REVOKE SELECT (name) ON assets FROM "{role}"')
    superuser = str(sa.make_url(str(mirror.store.url)).username)
    with pytest.raises(ReaderRefused, match="itself"):
        await readers.apply(settings, readers.reader_of(settings, superuser, ["c-sales"], nowhere=False), ACT)


async def test_its_containers_change_and_it_is_taken_away_and_both_are_audited(
    mirror: Mirror, opened: Opened, settings: Settings, postgres_url: str, role: str
) -> None:
    await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=False), ACT)
    who = await readers.apply(settings, readers.reader_of(settings, role, ["c-salaries"], nowhere=False), ACT)
    async with opened(as_role(postgres_url, role), migrate=False) as reader:
        assert await reader.all(f'SELECT DISTINCT name FROM "{who.own_schema}".v1_assets') == [(THEIRS,)]
    await readers.drop(settings, who, ACT)
    assert await mirror.all("SELECT 1 FROM pg_namespace WHERE nspname LIKE 'mirror_for_%'") == []
    told = await mirror.all("SELECT action, subject FROM audit_log ORDER BY seq")
    assert told == [("store.reader", role)] * 2 + [("store.reader_drop", role)]


async def test_what_cannot_be_used_is_refused(mirror: Mirror, settings: Settings, role: str, sqlite_url: str) -> None:
    sqlite = Settings(store=StoreSettings(url=SecretStr(sqlite_url)))
    for given, who, containers in ((sqlite, role, ["c"]), (settings, "", ["c"]), (settings, role, []),
                                   (settings, "x" * 60, ["c"])):  # fmt: skip
        with pytest.raises(UsageError):
            readers.reader_of(given, who, containers, nowhere=False)
    with pytest.raises(UsageError, match="no container nowhere-to-be-found"):
        await readers.apply(settings, readers.reader_of(settings, role, ["nowhere-to-be-found"], nowhere=False), ACT)
    with pytest.raises(ReaderRefused, match="does not exist"):
        await readers.apply(settings, readers.reader_of(settings, "nobody-at-all", ["c-sales"], nowhere=False), ACT)


async def test_names_that_try_to_be_sql_are_names(
    mirror: Mirror, settings: Settings, role: str, opened: Opened
) -> None:
    hostile = "c'); DROP TABLE assets; --{seen:x}$$"
    async with mirror.store.write() as connection:
        told = ContainerSaved(Container("catalog", hostile), version(), document({}), name="x")
        await writer.apply(connection, [(0, told)])
    who = await readers.apply(settings, readers.reader_of(settings, role, [hostile], nowhere=False), ACT)
    assert await mirror.one(f'SELECT container_id FROM "{who.own_schema}".v1_containers') == hostile


async def test_a_later_version_of_a_view_is_not_held_up_by_readers(
    mirror: Mirror, settings: Settings, role: str
) -> None:
    await readers.apply(settings, readers.reader_of(settings, role, ["c-sales"], nowhere=False), ACT)
    query = await mirror.one("SELECT pg_get_viewdef('v1_usage'::regclass)")
    columns = ", ".join(f"x.{name}" for name in VIEWS["v1_usage"].columns)
    await mirror.execute(f"CREATE OR REPLACE VIEW v1_usage AS SELECT {columns}, 1 AS more FROM ({query.rstrip(';')}) x")


async def test_the_printed_script_is_what_psql_takes(
    mirror: Mirror, settings: Settings, role: str, run_command: Any, postgres_url: str
) -> None:
    script = await run_command("db", "reader", role, "--container", "c-sales", STORE__URL=postgres_url)
    assert script.startswith("BEGIN;\nCREATE SCHEMA IF NOT EXISTS")
    assert script.endswith("COMMIT;\n")
    assert script.count("WITH (security_barrier = true)") == len(VIEWS)
    said = await run_command("db", "reader", role, "--container", "c-sales", "--apply", STORE__URL=postgres_url)
    assert "reads 1 containers" in said
    assert "sees nothing" in await run_command("db", "reader", role, "--drop", "--apply", STORE__URL=postgres_url)


async def test_the_story_of_the_page(
    mirror: Mirror, run_command: Any, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (Path(__file__).parents[3] / "docs" / "readers.md").read_text(encoding="utf-8")
    name = f"sales_{sa.make_url(postgres_url).database}"[:40]  # roles are the server's, and other tests tell it, too
    seen: list[Any] = []
    async with mirror.store.engine.connect() as plain:
        connection = await plain.execution_options(isolation_level="AUTOCOMMIT")
        try:
            for kind, block in re.findall(r"^```(postgresql|console)\n(.*?)^```", page, re.M | re.S):
                for line in (
                    re.sub(r"\b(mirror_for_)?sales\b(?!-)", rf"\1{name}", block)
                    .replace("c-" + name, "c-sales")
                    .splitlines()
                ):
                    if kind == "console":
                        await run_command(*line.removeprefix("$ catalog-mirror ").split(), STORE__URL=postgres_url)
                        continue
                    told = await connection.exec_driver_sql(line)
                    seen += told.scalars().all() if told.returns_rows else []
        finally:
            await connection.exec_driver_sql("RESET ROLE")
            await connection.exec_driver_sql(f"DROP ROLE IF EXISTS {name}")
    assert sorted(seen) == sorted([OURS, OURS, OURS])
