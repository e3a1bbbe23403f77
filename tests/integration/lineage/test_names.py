"""One data set, several names: in any order, on either store, as long as an event says so."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import Origin
from service.events.message import Message
from service.mirror.lineage import identities
from service.mirror.lineage.graph import graph
from service.mirror.lineage.questions import LineageType, Question, answer, find_asset, find_named
from service.mirror.lineage.walk import Direction, walk
from service.mirror.retention import prune
from service.mirror.tables import dataset_identities, dataset_links
from service.openlineage import reading
from service.settings.model import RetentionSettings
from tests.integration.lineage.test_distinct_events import FACET, RUN
from tests.integration.mirror.test_any_order import batches

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.lineage.conftest import Client

PATH, TABLE = ("s3://lake", "orders"), ("hive://metastore:9083", "shop.orders")
PATH_ID, TABLE_ID = "s3://lake/orders", "hive://metastore:9083/shop.orders"


def dataset(name: tuple[str, str], *others: tuple[str, str], told: bool = True) -> dict[str, Any]:
    """A data set with its further names, as Spark tells them."""
    found: dict[str, Any] = {"namespace": name[0], "name": name[1]}
    if others or not told:
        identifiers = [{"namespace": other[0], "name": other[1], "type": "TABLE"} for other in others]
        found["facets"] = {"symlinks": {**FACET, "identifiers": identifiers}}
    return found


def run(number: int, job: str, uses: list[Any], makes: list[Any], second: int = 15, state: str = "COMPLETE") -> Any:
    return {
        "eventType": state, "eventTime": f"2026-05-10T15:04:{second:02}Z", "producer": "urn:x",
        "run": {"runId": RUN[:-4] + f"{number:04}"}, "job": {"namespace": "spark", "name": job},
        "inputs": uses, "outputs": makes,
    }  # fmt: skip


def message(event: dict[str, Any], **envelope: Any) -> Message:
    body = {**reading.envelope(event, []), **envelope}
    return Message("api.spark.openlineage.POST", json.dumps(body).encode())


async def take(mirror: Mirror, *events: dict[str, Any]) -> None:
    for event in events:
        await mirror.pipeline().process([message(event)], Origin.LIVE)


async def reached(mirror: Mirror, asset_id: str, direction: Direction = Direction.FORWARD) -> set[str]:
    async with mirror.store.read() as connection:
        return set((await walk(connection, asset_id, direction)).assets)


SPARK = run(1, "write", [dataset(("s3://lake", "raw"))], [dataset(PATH)])
TRINO = run(2, "read", [dataset(TABLE)], [dataset(("trino://t:8080", "shop.report"))])
LINK = run(3, "describe", [], [dataset(PATH, TABLE)])
REPORT = "trino://t:8080/shop.report"


@pytest.mark.parametrize("order", [(SPARK, TRINO, LINK), (LINK, TRINO, SPARK), (TRINO, LINK, SPARK)])
async def test_what_two_producers_name_in_two_ways_is_one_data_set_once_somebody_says_so(
    mirror: Mirror, order: tuple[Any, ...]
) -> None:
    await take(mirror, *order)

    for name in (PATH_ID, TABLE_ID):
        assert REPORT in await reached(mirror, name)
        assert "s3://lake/raw" in await reached(mirror, name, Direction.BACKWARD)
    assert await reached(mirror, "s3://lake/raw") == {"s3://lake/raw", TABLE_ID, REPORT}
    assert await reached(mirror, REPORT, Direction.BACKWARD) == {"s3://lake/raw", TABLE_ID, REPORT}
    async with mirror.store.read() as connection:
        drawn = await graph(connection, PATH_ID, 3)
    assert (drawn.asset_id, set(drawn.assets)) == (TABLE_ID, {"s3://lake/raw", TABLE_ID, REPORT})
    assert (drawn.known, drawn.also) == (True, [PATH_ID])


async def test_without_a_link_they_stay_two(mirror: Mirror) -> None:
    await take(mirror, SPARK, TRINO)
    assert await reached(mirror, PATH_ID) == {PATH_ID}
    assert await mirror.all("SELECT * FROM v1_dataset_names") == []


async def test_every_question_takes_every_name(api: Client, mirror: Mirror) -> None:
    for event in (SPARK, TRINO, LINK):
        assert (await api.post("/api/v1/lineage", event, "airflow"))[0] == 201
    async with mirror.store.read() as connection:
        found = [await find_asset(connection, name) for name in (PATH_ID, TABLE_ID)]
        assert found[0] == found[1] is not None
        for kind in LineageType:
            pages = [await answer(connection, Question(name, kind)) for name in (PATH_ID, TABLE_ID)]
            assert [row.event_id for row in pages[0].events] == [row.event_id for row in pages[1].events] != []
        # Two ends of names that are one data set are no two that have to be told apart.
        assert [one.asset_id for one in await find_named(connection, "orders", 5)] == [TABLE_ID]
    answers = []
    for name in ("s3:%2F%2Flake%2Forders", "S3A:%2F%2Flake%2Forders", "hive:%2F%2Fmetastore:9083%2Fshop.orders"):
        status, body = await api.get(f"/v2/asset_lineages/{name}/summary", "reader")
        assert status == 200
        answers.append(body["entity"])
    assert answers[0] == answers[1] == answers[2]
    assert (answers[0]["upstream"]["assets"], answers[0]["downstream"]["assets"]) == (1, 1)
    assert answers[0]["events"] == {"generation": 2, "modification": 0, "usage": 1}


async def test_an_asset_of_the_catalog_behind_any_of_the_names_is_the_data_set(mirror: Mirror) -> None:
    """Whether the event says so or the mirror knows it; also of names that came to hang together by others."""
    middle = ("hdfs://nn:8020", "/warehouse/orders")
    found = {
        "namespace": TABLE[0], "name": TABLE[1], "asset_id": "zz1", "title": "Orders",
        "container_kind": "catalog", "container_id": "c1",
    }  # fmt: skip
    await take(mirror, SPARK, TRINO, run(3, "a", [], [dataset(PATH, middle)]))
    await mirror.pipeline().process([message(run(4, "b", [], [dataset(middle, TABLE)]), assets=[found])], Origin.LIVE)

    names = [PATH_ID, TABLE_ID, "hdfs://nn:8020//warehouse/orders", "zz1"]
    assert sorted(await mirror.all("SELECT asset_id, identity_id FROM v1_dataset_names")) == [
        (name, "zz1") for name in sorted(names)
    ]
    assert await reached(mirror, "s3://lake/raw") == {"s3://lake/raw", "zz1", REPORT}
    async with mirror.store.read() as connection:
        for name in names:
            asset = await find_asset(connection, name)
            assert asset is not None
            assert (asset.asset_id, asset.container_id) == ("zz1", "c1")
        drawn = await graph(connection, PATH_ID, 3)
    assert (drawn.names["zz1"], drawn.also) == ("Orders", sorted(names[:3]))


async def test_names_part_again_when_no_event_links_them_any_more(mirror: Mirror) -> None:
    old, new = run(3, "a", [], [dataset(PATH, TABLE)]), run(4, "b", [dataset(TABLE, PATH)], [], 16)
    await take(mirror, SPARK, TRINO, old, new)
    assert REPORT in await reached(mirror, PATH_ID)

    # A later event of the same run that says nothing of names takes back nothing; one that lists none does.
    await take(mirror, run(3, "a", [], [dataset(PATH)], 17), run(3, "a", [], [dataset(PATH, told=False)], 18))
    assert REPORT in await reached(mirror, PATH_ID), "the other run still says so"
    assert await mirror.all("SELECT event_id FROM v1_dataset_links") == [(RUN[:-4] + "0004",)]
    await take(mirror, new, old)  # what is known already is no news

    deleted = run(4, "b", [dataset(TABLE, PATH)], [], 19)
    deleted["inputs"][0]["facets"]["symlinks"]["_deleted"] = True
    await take(mirror, deleted)
    assert await reached(mirror, PATH_ID) == {PATH_ID}
    assert await mirror.all("SELECT * FROM v1_dataset_names UNION ALL SELECT *, '', '' FROM v1_dataset_links") == []


async def test_links_go_with_the_lineage_that_told_them(mirror: Mirror) -> None:
    await take(mirror, SPARK, LINK)
    assert await mirror.one("SELECT count(*) FROM v1_dataset_names") == 2

    await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))

    assert await mirror.all(dataset_links.select()) == await mirror.all(dataset_identities.select()) == []


async def test_a_name_of_what_not_everybody_may_see_is_hidden_with_it(mirror: Mirror) -> None:
    secret = run(5, "hide", [], [dataset(PATH, ("catalog://catalog/c1", "zz1"))])
    await take(mirror, SPARK, secret)
    await mirror.execute("UPDATE assets SET visibility_mode = 8 WHERE asset_id = 'zz1'")

    assert await mirror.all("SELECT * FROM v1_dataset_names UNION ALL SELECT *, '', '' FROM v1_dataset_links") == []
    async with mirror.store.read() as connection:
        assert await find_asset(connection, PATH_ID) is None
        drawn = await graph(connection, "s3://lake/raw", 3)
        shown = await graph(connection, PATH_ID, 3)
    assert (drawn.assets, shown.known, shown.also) == (["s3://lake/raw"], False, [])


async def test_names_that_hang_together_by_thousands_each_stand_for_themselves(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever came first; and as soon as few enough are left they are one again."""
    monkeypatch.setattr(identities, "MAX_NAMES", 4)
    few = run(6, "few", [], [dataset(("n", "a"), ("n", "b"), ("n", "c"))])
    more = run(7, "more", [], [dataset(("n", "c"), ("n", "d"), ("n", "e"))])
    rest = run(8, "rest", [], [dataset(("n", "x"), ("n", "y"))])
    for order in (few, more, rest), (rest, more, few):
        await mirror.clear()
        await take(mirror, *order)
        assert sorted(await mirror.all(dataset_identities.select())) == [("n/x", "n/x"), ("n/y", "n/x")]
        await take(mirror, run(7, "more", [], [dataset(("n", "c"), ("n", "d"))], 16))
        assert {row[1] for row in await mirror.all(dataset_identities.select())} == {"n/a", "n/x"}
        assert await mirror.one("SELECT count(*) FROM dataset_identities WHERE identity_id = 'n/a'") == 4


async def test_of_one_facet_a_hundred_names_count_and_the_answer_says_so(api: Client, mirror: Mirror) -> None:
    others = [("n", f"t{number}") for number in range(150)]
    status, answer = await api.post("/api/v1/lineage", run(1, "j", [], [dataset(PATH, *others)]), "airflow")

    assert (status, answer["warnings"][0]["told"]) == (
        201, ["outputs.0.facets.symlinks: of 150 names the first 100 count"],
    )  # fmt: skip
    assert await mirror.one("SELECT count(*) FROM v1_dataset_names") == 101


async def test_two_replicas_that_link_at_once_end_as_one_after_the_other(mirror: Mirror) -> None:
    """Each would not see what the other links, and leave `a` and `c` apart."""
    for number in range(4):
        await mirror.clear()
        pairs = [(("n", "a"), ("n", "b")), (("n", "b"), ("n", "c")), (("n", "c"), ("n", "d"))]
        events = [run(place, "j", [], [dataset(*pair)]) for place, pair in enumerate(pairs, number)]
        await asyncio.gather(*(mirror.pipeline().process([message(one)], Origin.LIVE) for one in events))
        assert {row[1] for row in await mirror.all(dataset_identities.select())} == {"n/a"}


# Any order, against a reference.

NAMES = [("n", letter * 2**place) for place, letter in enumerate("abcde")]
ASSET = ("catalog://space/s1", "z" * 40)


@st.composite
def linking(draw: st.DrawFn) -> dict[str, Any]:
    def some() -> list[dict[str, Any]]:
        own = draw(st.sampled_from(NAMES))
        others = draw(st.lists(st.sampled_from([*NAMES, *NAMES, ASSET]), max_size=2, unique=True))
        return [dataset(own, *others, told=draw(st.booleans()))]

    state, second = draw(st.sampled_from(["START", "COMPLETE"])), draw(st.integers(10, 25))
    return run(draw(st.integers(0, 3)), "j", some(), some(), second, state)  # type: ignore[no-any-return]


def _id(name: tuple[str, str]) -> str:
    return name[1] if name == ASSET else "/".join(name)


def _told(event: dict[str, Any]) -> list[tuple[str, dict[str, Any], list[str] | None]]:
    """Role, data set, and all ids that its facet tells, if it has one."""
    found = []
    for role in ("inputs", "outputs"):
        for one in event[role]:
            own = (one["namespace"], one["name"])
            facet = one.get("facets", {}).get("symlinks")
            others = [(other["namespace"], other["name"]) for other in (facet or {}).get("identifiers", ())]
            found.append((role, one, [_id(name) for name in (own, *others)] if facet else None))
    return found


def expected(events: list[dict[str, Any]]) -> tuple[dict[str, str], dict[str, set[str]]] | None:
    """What stands for each name, and what each is made into, as one would say it without a store.

    None where a run says two things of a name in one moment: which says more is not for here.
    """
    facets: dict[tuple[str, str], tuple[str, set[str]]] = {}
    edges: dict[str, dict[str, set[str]]] = {}
    for event in events:
        of_event: dict[str, set[str]] = {}
        for role, one, ids in _told(event):
            named = ids or ["/".join((one["namespace"], one["name"]))]
            edge = ASSET[1] if ASSET[1] in named else named[0]
            edges.setdefault(event["run"]["runId"], {}).setdefault(role, set()).add(edge)
            if ids:
                of_event.setdefault(one["name"], set()).update(ids, [edge])
        for name, ids_of in of_event.items():
            key, at = (event["run"]["runId"], name), event["eventTime"]
            known_at, known = facets.get(key, ("", set()))
            if known_at == at and known != ids_of:
                return None
            if known_at < at:
                facets[key] = at, ids_of
    groups: list[set[str]] = []
    for _, ids_of in facets.values():
        touched = [group for group in groups if group & ids_of]
        groups = [group for group in groups if not group & ids_of] + [ids_of.union(*touched)]
    whole = {one: ASSET[1] if ASSET[1] in group else min(group) for group in groups if len(group) > 1 for one in group}
    made: dict[str, set[str]] = {}
    for of_run in edges.values():
        for used in of_run.get("inputs", ()):
            makes = {whole.get(one, one) for one in of_run.get("outputs", ())}
            made.setdefault(whole.get(used, used), set()).update(makes)
    return whole, made


def onward(start: str, made: dict[str, set[str]]) -> set[str]:
    seen, front = {start}, {start}
    while front := {one for near in front for one in made.get(near, ())} - seen:
        seen |= front
    return seen


_FILLED = (
    "lineage_events", "lineage_edges", "openlineage_events", "dataset_links", "dataset_identities", "assets",
    "containers",
)  # fmt: skip


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
async def test_any_order_gives_the_graph_that_a_person_would_draw(both: list[Mirror], data: st.DataObject) -> None:
    history = data.draw(st.lists(linking(), min_size=1, max_size=7))
    repeated = [*history, *data.draw(st.lists(st.sampled_from(history), max_size=3))]
    reference = expected(history)
    rows: list[Any] = []
    for mirror in both:
        for order in (history, data.draw(st.permutations(repeated))):
            await mirror.execute(*(f"DELETE FROM {name}" for name in _FILLED))
            pipeline = mirror.pipeline()
            for batch in data.draw(batches([message(event) for event in order])):
                await pipeline.process(batch, Origin.LIVE)
            derived = dict(await mirror.all(dataset_identities.select()))
            if reference is not None:
                whole, made = reference
                assert derived == whole
                for name in map(_id, [*NAMES, ASSET]):
                    assert await reached(mirror, name) == onward(whole.get(name, name), made)
            edges = await mirror.all("SELECT event_id, asset_id, role FROM lineage_edges")
            rows.append((sorted(await mirror.all(dataset_links.select())), sorted(edges), derived))
    assert all(one == rows[0] for one in rows)
