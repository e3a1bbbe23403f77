"""Where facts come from: lineage events, statistics and query logs; what is refused; that nothing counts twice."""

from __future__ import annotations

import io
import itertools
import json
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from service.changes import AssetSaved, Change, ConnectionDetails, Container, Origin, Rank, ThingSaved, Version
from service.errors import SettingInvalid
from service.events.message import Message
from service.kinds.assets import ASSET_STATISTIC
from service.mirror import writer
from service.mirror.retention import prune
from service.mirror.usage.importing import Importer, Taken, read_lines
from service.mirror.usage.people import People, people_of
from service.pipeline.building import pipeline_of
from service.pipeline.decoding import Read
from service.settings.model import PipelineSettings, RetentionSettings, Settings, UsageSettings, load
from service.telemetry.metrics import Metrics
from service.text.documents import document
from service.text.principals import Principals, without_principals

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

DAY_S = 86_400
FACTS = "SELECT asset_id, user_hash, number, source FROM usage_facts ORDER BY occurred_at, asset_id"


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


def settings(*types: str, statistics: Sequence[Any] = (), **pipeline: Any) -> Settings:
    usage = UsageSettings(lineage_events=list(types), statistics=list(statistics), salt=SecretStr("pinch"))
    return Settings(usage=usage, pipeline=PipelineSettings(**pipeline))


async def take(mirror: Mirror, chosen: Settings, *messages: Message, metrics: Metrics | None = None) -> None:
    await pipeline_of(chosen, mirror.store, metrics or Metrics()).process(messages, Origin.LIVE)


def with_user(message: Message, user: str) -> Message:
    return Message(message.routing_key, json.dumps({**json.loads(message.body), "user_id": user}).encode())


async def test_lineage_events_of_the_chosen_types_are_uses_of_what_they_use(mirror: Mirror, events: Events) -> None:
    queried = events.lineage("e1", ago(60), ["a", "b"], ["c"], event_type="DATASET_QUERIED")
    clicked = events.lineage("e2", ago(50), ["a"], event_type="DATASET_PREVIEWED")

    await take(mirror, settings("DATASET_QUERIED"), with_user(queried, "ada"), clicked, with_user(queried, "ada"))

    ada = People("pinch", Principals.KEEP).hash("ada")
    assert await mirror.all(FACTS) == [("a", ada, 1, "lineage"), ("b", ada, 1, "lineage")]


async def test_nothing_counts_unless_somebody_says_so(mirror: Mirror, events: Events) -> None:
    await take(mirror, Settings(), events.lineage("e1", ago(60), ["a"], event_type="DATASET_QUERIED"))
    assert await mirror.all(FACTS) == []


async def test_facts_go_with_what_their_event_says_last_in_any_order(mirror: Mirror, events: Events) -> None:
    chosen = settings("Q")
    told = [
        events.lineage("e1", ago(300), ["a", "b"], event_type="Q"),
        events.lineage("e1", ago(200), ["b", "c"], event_type="Q"),
        events.lineage("e2", ago(200), ["a"], event_type="Q"),
        events.lineage("e2", ago(100), ["a"], event_type="OTHER"),
    ]
    found = []
    for number, order in enumerate(itertools.permutations(told)):
        await mirror.clear()
        for batch in (order,) if number % 2 else ((message,) for message in order):
            await take(mirror, chosen, *batch)
        found.append(await mirror.all("SELECT fact_id, asset_id, occurred_at FROM usage_facts ORDER BY asset_id"))

    assert [asset for _, asset, _ in found[0]] == ["b", "c"]
    assert all(one == found[0] for one in found)


async def test_a_use_beyond_the_horizon_is_refused_and_counted_while_its_lineage_stays(
    mirror: Mirror, events: Events
) -> None:
    metrics = Metrics()
    old = events.lineage("e1", ago(401 * DAY_S), ["a", "b"], event_type="Q")

    await take(mirror, settings("Q"), old, metrics=metrics)

    assert await mirror.all(FACTS) == []
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 1
    assert metrics.registry.get_sample_value("catalog_mirror_expired_usage_total") == 2


def statistic(count: int, seconds_ago: float, which: str = "DOWNLOADS", asset: str = "a") -> Change:
    at_us = round((time.time() - seconds_ago) * 1_000_000)
    told = document({"count": count, "request_type": which})
    return ThingSaved(
        "asset_statistic",
        f"{asset}-{which}",
        Version(at_us, Rank.READ, told.digest),
        told,
        ASSET_STATISTIC.row(asset, which, count),
    )


async def test_the_growth_of_chosen_statistics_counts_without_users(mirror: Mirror) -> None:
    pipeline = pipeline_of(settings(statistics=["DOWNLOADS"]), mirror.store, Metrics())
    for change in (
        statistic(5, 400), statistic(5, 300), statistic(7, 200), statistic(8, 100), statistic(2, 50),
        statistic(9, 40, "EDITS"), statistic(30, 30, "EDITS"),
    ):  # fmt: skip
        await pipeline.commit([Read(Message("read", b"{}"), changes=(change,))], Origin.SYNC)

    assert await mirror.all("SELECT asset_id, uses, user_hash FROM v1_usage ORDER BY occurred_at") == [
        ("a", 2, None), ("a", 1, None),
    ]  # fmt: skip


LOG = """\
{"who": "ada", "what": "a1", "when": "%(yesterday)s"}
{"who": "bob", "what": "/sales/orders", "when": "%(yesterday)s"}
{"who": null, "what": "sales.orders", "when": "%(yesterday)s"}
{"who": "ada", "what": "a1", "when": "%(yesterday)s"}
{"who": "ada", "what": "key-of-a1", "when": "%(yesterday)s", "id": "q1"}
{"who": "ada", "what": "a1", "when": "%(yesterday)s", "id": "q2"}

{"who": "ada", "what": "a1", "when": "%(old)s"}
{"who": "ada", "what": "nothing", "when": "%(yesterday)s"}
{"who": "ada", "what": "/twice/told", "when": "%(yesterday)s"}
{"who": "ada", "what": "a1", "when": "%(tomorrow)s"}
{"who": 7, "what": "a1", "when": "%(yesterday)s"}
{"what": "a1", "when": "%(yesterday)s"}
{"who": "ada", "what": "a1", "when": "soon"}
{"who": "ada", "what": "a1"}
not json
[1]
"""


@pytest.fixture
async def assets(mirror: Mirror) -> None:
    """`a1` lies at a path, with a copy in a project; two assets lie at one path of different databases."""
    version = Version(1, Rank.READ)

    def lies(asset_id: str, path: str, link: str, kind: Any = "catalog", **more: Any) -> Change:
        place = Container(kind, f"{kind}-1")
        return AssetSaved(asset_id, version, document({}), place, connection_id=link, connection_path=path, **more)

    def link(asset_id: str, host: str) -> Change:
        return AssetSaved(
            asset_id, version, document({}), connection=ConnectionDetails("db2", None, host, None, "shop")
        )

    states = [
        link("k1", "one"), link("k2", "one"), link("k3", "two"),
        lies("a1", "/sales/orders", "k1", resource_key="key-of-a1"),
        lies("a0", "/sales/orders", "k2", "project"), lies("t1", "/twice/told", "k1"), lies("t2", "/twice/told", "k3"),
    ]  # fmt: skip
    async with mirror.store.write() as connection:
        await writer.apply(connection, enumerate(states))


async def import_log(mirror: Mirror, *, dry_run: bool = False, principals: Principals = Principals.KEEP) -> Taken:
    log = LOG % {"yesterday": ago(DAY_S)[:19] + "Z", "old": ago(401 * DAY_S), "tomorrow": ago(-2 * DAY_S)}
    people = await people_of(mirror.store, UsageSettings(), principals)
    importer = Importer(mirror.store, people, RetentionSettings().usage_s, dry_run=dry_run)
    return await importer.take(list(read_lines(io.BytesIO(log.encode()))))


async def test_a_query_log_is_taken_line_by_line_and_bad_lines_are_told(mirror: Mirror, assets: None) -> None:
    would = await import_log(mirror, dry_run=True)
    assert await mirror.all(FACTS) == []
    taken = await import_log(mirror)

    assert taken == would
    assert dict(taken.counts) == {"new": 5, "known": 1, "too_old": 1, "bad": 9}
    assert [line.number for line in taken.bad] == [9, 10, 11, 12, 13, 14, 15, 16, 17]
    problems = {line.number: line.problem for line in taken.bad}
    assert "'nothing'" in problems[9]
    assert "t1, t2" in problems[10]
    assert "ahead" in problems[11]
    assert "who" in problems[12]
    assert "who" in problems[13]
    assert "when" in problems[14]
    assert "when" in problems[15]
    assert "JSON" in problems[16]
    assert "a list" in problems[17]
    assert {asset for asset, *_ in await mirror.all(FACTS)} == {"a1"}
    assert await mirror.one("SELECT count(DISTINCT user_hash) FROM usage_facts") == 2


async def test_a_log_that_is_taken_twice_writes_nothing_the_second_time(mirror: Mirror, assets: None) -> None:
    log = b'{"who": "ada", "what": "a1", "when": "%s"}\n' % ago(DAY_S).encode()
    importer = Importer(mirror.store, People("s", Principals.KEEP), RetentionSettings().usage_s, dry_run=False)
    first, second = [await importer.take(list(read_lines(io.BytesIO(log)))) for _ in range(2)]
    assert (first.counts["new"], second.counts["new"], second.counts["known"]) == (1, 0, 1)


def test_a_line_without_end_costs_the_next_one_nothing() -> None:
    long = b'{"who": "' + b"x" * 200_000 + b'"}\n{"who": "ada", "what": "a", "when": "2026-05-10T15:04:15Z"}\n'
    first, second = read_lines(io.BytesIO(long))
    assert (first.number, second.number) == (1, 2)
    assert "longer" in getattr(first, "problem", "")
    assert getattr(second, "what", None) == "a"


async def test_no_name_of_a_user_is_in_the_facts_and_the_same_user_is_known_again(mirror: Mirror, assets: None) -> None:
    await import_log(mirror)
    one, two = [await people_of(mirror.store, UsageSettings(), Principals.KEEP) for _ in range(2)]
    assert one.hash("ada") == two.hash("ada") != one.hash("bob")
    assert one.hash("ada") != People("other", Principals.KEEP).hash("ada")
    content = str(await mirror.all("SELECT * FROM usage_facts"))
    assert str(one.hash("ada")) in content
    assert "'ada'" not in content


def test_users_that_are_hashed_or_dropped_elsewhere_are_so_here() -> None:
    hashed, dropped = People("s", Principals.HASH), People("s", Principals.DROP)
    seen = without_principals({"user_id": "ada"}, Principals.HASH)["user_id"]
    assert hashed.hash("ada") == hashed.hash(seen) is not None
    assert dropped.hash("ada") is None
    assert People("s", Principals.KEEP).hash("") is None


async def test_old_facts_go_and_the_reading_from_which_growth_is_counted_stays(mirror: Mirror, events: Events) -> None:
    await take(mirror, settings("Q"), events.lineage("e1", ago(390 * DAY_S), ["x"], event_type="Q"))
    observer = pipeline_of(settings(statistics=["DOWNLOADS"]), mirror.store, Metrics())._observer
    assert observer is not None
    readings = [statistic(5, 395 * DAY_S), statistic(7, 392 * DAY_S), statistic(9, 5 * DAY_S)]
    async with mirror.store.write() as connection:
        await writer.write_facts(connection, observer.readings(readings))

    assert await prune(mirror.store, RetentionSettings(usage_s=60 * DAY_S)) == {"usage_facts": 2}

    assert await mirror.all("SELECT number FROM usage_facts ORDER BY number") == [(7,), (9,)]
    assert await mirror.one("SELECT uses FROM v1_usage") == 2


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [("USAGE__STATISTICS", "CLICKS", "STATISTICS"), ("RETENTION__USAGE", "30d", "USAGE")],
)
def test_a_setting_that_cannot_be_used_is_named(
    name: str, value: str, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"CATALOG_MIRROR_{name}", value)
    with pytest.raises(SettingInvalid, match=says):
        load()
