"""Rules of names hold for what comes and for what is there: after a rebuild it is as if they had always been there."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, Version
from service.errors import SettingInvalid
from service.events.lineage import LineageEvent
from service.events.message import Event
from service.mirror import writer
from service.mirror.lineage.walk import Direction, walk
from service.mirror.tables import metadata
from service.openlineage import resolving
from service.openlineage.naming import Naming
from service.openlineage.renaming import Renaming
from service.pipeline.building import pipeline_of
from service.pipeline.rederiving import posted, rederive
from service.settings.model import Settings, UsageSettings
from service.telemetry.metrics import Metrics
from service.text.documents import document
from tests.integration.conftest import Subscriber
from tests.integration.lineage.test_assertions import NOT_NULL, UNIQUE
from tests.integration.lineage.test_distinct_events import FACET
from tests.integration.lineage.test_names import NAMES, dataset, run

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.lineage.conftest import Served

RULES = [{"rule": "dlt-duckdb", "file": "/path/shop.duckdb"}]
DLT, DBT = ("dlt.destinations.duckdb://duckdb", "raw.orders"), ("duckdb:///path/shop.duckdb", "shop.raw.orders")
LOADED = run(1, "load", [dataset(("dlt", "orders"))], [dataset(DLT)])
BUILT = run(2, "build", [dataset(DBT)], [dataset(("duckdb:///path/shop.duckdb", "shop.main.totals"))], 16)
TOTALS = "duckdb:///path/shop.duckdb/shop.main.totals"
#: What may differ: when a row was written, and over what.
INCIDENTAL = {"mirrored_at", "replaces"}
DERIVED = (
    "assets", "containers", "lineage_events", "lineage_edges", "openlineage_events", "dataset_links",
    "dataset_identities", "quality_assertions", "usage_facts", "column_facets", "column_flows", "run_facts",
)  # fmt: skip


async def take(mirror: Mirror, events: list[dict[str, Any]], rules: list[dict[str, str]]) -> None:
    """Each event as it would come over HTTP, where settings have these rules."""
    pipeline = pipeline_of(_USED, mirror.store, Metrics())
    for event in events:
        async with mirror.store.read() as connection:
            (envelope,) = await resolving.envelopes(connection, Naming(), Renaming(rules), [event])
        outcome = await pipeline.process([posted(envelope, "airflow")], Origin.LIVE)
        assert not outcome.failed


#: What completes counts as a use.
_USED = Settings(usage=UsageSettings(lineage_events=["JOB_COMPLETED"]))


async def rebuilt(mirror: Mirror, rules: list[dict[str, str]]) -> int:
    pipeline = pipeline_of(_USED, mirror.store, Metrics())
    return sum([number async for number in rederive(mirror.store, pipeline, Naming(), Renaming(rules))])


_NAMED = """
    asset_id IN (SELECT asset_id FROM lineage_edges UNION SELECT other_id FROM dataset_links)
"""


async def content(mirror: Mirror) -> dict[str, list[Any]]:
    found = {}
    for name in DERIVED:
        columns = [column for column in metadata.tables[name].c if column.name not in INCIDENTAL]
        query = sa.select(*columns)
        if name == "assets":  # of what nothing names any more a row may be left
            query = query.where(sa.text(_NAMED))
        if name == "column_flows":  # what no facet tells any more is there until retention takes it
            query = query.where(sa.text("flow_id IN (SELECT flow_id FROM column_facets)"))
        found[name] = sorted(map(repr, await mirror.all(query)))
    return found


async def made_into(mirror: Mirror, asset_id: str) -> set[str]:
    async with mirror.store.read() as connection:
        return set((await walk(connection, asset_id, Direction.FORWARD)).assets)


async def test_what_dlt_loads_and_dbt_reads_is_one_table(mirror: Mirror) -> None:
    await take(mirror, [LOADED, BUILT], [])
    assert TOTALS not in await made_into(mirror, "dlt/orders")

    assert await rebuilt(mirror, RULES) == 2

    assert TOTALS in await made_into(mirror, "dlt/orders")
    async with mirror.store.read() as connection:
        asked = await resolving.find_asset(connection, "/".join(DLT), Renaming(RULES))
        assert asked is not None
        assert asked.asset_id == "/".join(DBT)
    told = {row[0] for row in await mirror.all("SELECT document FROM openlineage_events")}
    assert {json.loads(text)["outputs"][0]["name"] for text in told} == {"raw.orders", "shop.main.totals"}
    assert await mirror.all("SELECT * FROM assets WHERE asset_id LIKE 'dlt.%'") == []

    assert await rebuilt(mirror, []) == 2
    assert TOTALS not in await made_into(mirror, "dlt/orders"), "without the rules it is as it was"


async def test_an_asset_that_was_mirrored_later_and_what_the_catalog_told(mirror: Mirror) -> None:
    """Rebuilding looks assets up anew; what the catalog itself says of lineage stays as it said it."""
    table = ("postgres://db:5432", "shop.public.orders")
    await take(mirror, [run(1, "load", [], [dataset(table)])], [])
    version, place = Version(1, Rank.READ), Container("catalog", "c1")
    link = ConnectionDetails("postgresql", None, "db", "5432", "shop")
    body = {"event_details": {"event_id": "e1", "event_time": "2026-05-10T15:04:15Z"}, "uses_assets": [{"id": "a9"}]}
    states: list[Change] = [
        AssetSaved("k", version, document({}), place, connection=link),
        AssetSaved("a1", version, document({}), place, "Orders", connection_id="k", connection_path="/public/orders"),
        LineageEvent.read(Event("", (), body)).recorded("catalog"),
    ]
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))

    assert await rebuilt(mirror, []) == 1

    assert sorted(await mirror.all("SELECT asset_id FROM lineage_edges")) == [("a1",), ("a9",)]
    assert await mirror.one("SELECT count(*) FROM assets WHERE asset_id LIKE 'postgres%'") == 0
    assert await mirror.one("SELECT name FROM assets WHERE asset_id = 'a1'") == "Orders"


async def test_the_command_tells_which_rule_fits_and_rebuilds(
    mirror: Mirror, run_command: Any, sqlite_url: str, tmp_path: Path
) -> None:
    if mirror.store.dialect != "sqlite":
        pytest.skip("the command is the same on either store")
    given_rules = {"LINEAGE__NAMES": json.dumps(RULES), "STORE__URL": sqlite_url}
    told = json.loads(await run_command("lineage", "names", "/".join(DLT), "--json", **given_rules))
    assert (told["number"], told["rule"]) == (1, RULES[0])
    assert told["called"] == {"namespace": DBT[0], "name": DBT[1]}
    assert "No rule" in await run_command("lineage", "names", *DBT, **given_rules)
    assert "rule 1: it has to have" in await run_command("lineage", "names", "x", expect=2, LINEAGE__NAMES="[{}]")

    await take(mirror, [LOADED, BUILT], [])
    assert json.loads(await run_command("mirror", "rebuild", "--json", **given_rules))["lineage_event"] == 2
    graph = json.loads(await run_command("lineage", "/".join(DLT), "--json", **given_rules))
    assert (graph["asset_id"], graph["also"]) == ("/".join(DBT), [])


async def test_what_is_posted_is_called_by_the_rules_of_settings_and_goes_on_as_it_came(
    mirror: Mirror, served: Served, tokens_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_LINEAGE__NAMES", json.dumps(RULES))
    async with served(Subscriber("marquez", forwards=True, takes_originals=True), tokens_file=tokens_file) as api:
        for event in (LOADED, BUILT):
            assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201
        told = "dlt.destinations.duckdb:%2F%2Fduckdb%2Fraw.orders"
        status, body = await api.get(f"/v2/asset_lineages/{told}/summary", "reader")
    assert (status, body["metadata"]["asset_id"]) == (200, "/".join(DBT))
    assert (body["entity"]["upstream"]["assets"], body["entity"]["downstream"]["assets"]) == (1, 1)
    kept = [json.loads(row[0]) for row in await mirror.all("SELECT document FROM openlineage_events")]
    assert (LOADED in kept, BUILT in kept, len(kept)) == (True, True, 2)

    monkeypatch.setenv("CATALOG_MIRROR_LINEAGE__NAMES", '[{"rule": "dlt"}]')
    with pytest.raises(SettingInvalid, match="rule 1: 'dlt' is none of those that are ready"):
        async with served(tokens_file=tokens_file):
            pass


# As if the rules had always been there.


@st.composite
def told(draw: st.DrawFn) -> dict[str, Any]:
    def some() -> list[dict[str, Any]]:
        others = draw(st.lists(st.sampled_from(NAMES), max_size=2, unique=True))
        found = dataset(draw(st.sampled_from(NAMES)), *others, told=draw(st.booleans()))
        if draw(st.booleans()):
            tests = draw(st.lists(st.sampled_from([NOT_NULL, UNIQUE]), max_size=2, unique_by=str))
            found.setdefault("facets", {})["dataQualityAssertions"] = {**FACET, "assertions": tests}
        if draw(st.booleans()):
            sources = draw(st.lists(st.sampled_from(NAMES), max_size=2))
            fields = [{"namespace": name[0], "name": name[1], "field": "x"} for name in sources]
            found.setdefault("facets", {})["columnLineage"] = {**FACET, "fields": {"y": {"inputFields": fields}}}
        return [found]

    state, second = draw(st.sampled_from([("START", 15), ("COMPLETE", 15), ("FAIL", 16), ("COMPLETE", 17)]))
    event = run(draw(st.integers(0, 3)), draw(st.sampled_from("jk")), some(), some(), second, state)
    if draw(st.integers(0, 5)) == 0:
        del event["run"], event["eventType"]
    elif draw(st.integers(0, 5)) == 0:
        event = {"eventTime": event["eventTime"], "producer": "urn:x", "dataset": event["inputs"][0]}
    return event  # type: ignore[no-any-return]


def _rule(name: str, to_name: str, to_namespace: str = "n") -> dict[str, str]:
    return {"namespace": "n", "name": name, "to_namespace": to_namespace, "to_name": to_name}


rules = st.lists(
    st.sampled_from([_rule("bb", "a"), _rule("c{rest}", "{rest}", "s3a://m"), _rule("*", "one"), _rule("a", "zz")]),
    max_size=3, unique_by=str,
)  # fmt: skip


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(history=st.lists(told(), min_size=1, max_size=6), before=rules, after=rules)
async def test_after_a_rebuild_every_row_is_as_if_the_rules_had_always_been_there(
    both: list[Mirror], history: list[dict[str, Any]], before: list[dict[str, str]], after: list[dict[str, str]]
) -> None:
    for mirror in both:
        found = []
        for first in (after, before):
            await mirror.execute(*(f"DELETE FROM {name}" for name in DERIVED))
            await take(mirror, history, first)
            if first is before:
                await rebuilt(mirror, after)
            found.append(await content(mirror))
        assert found[1] == found[0]


async def test_a_rebuild_beside_a_running_service_loses_nothing_of_either(mirror: Mirror) -> None:
    """What comes of the same runs meanwhile is there afterwards, as if one had come after the other."""
    names = [("n", f"t{number}") for number in range(6)]
    first = [run(number, "j", [dataset(names[number], names[(number + 1) % 6])], []) for number in range(6)]
    second = [run(number, "j", [], [dataset(names[(number + 2) % 6])], 16) for number in range(6)]
    rules = [_rule("t1", "t4")]
    await take(mirror, [*first, *second], rules)
    expected = await content(mirror)

    for _ in range(2):
        await mirror.execute(*(f"DELETE FROM {name}" for name in DERIVED))
        await take(mirror, first, [])
        await asyncio.gather(rebuilt(mirror, rules), *(take(mirror, [event], rules) for event in second))
        assert await content(mirror) == expected
