"""The commands, as a person or a script calls them."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from service.cli.demo import STORIES

PROFILE = {
    "routing_key": "v2.data_profiles.p1.POST",
    "body": {
        "published": "2026-05-10T15:04:15Z",
        "state": {"metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1"}},
    },
}
OLDER = {**PROFILE, "body": {**PROFILE["body"], "published": "2026-05-09T00:00:00Z"}}  # type: ignore[dict-item]
LINES = [
    PROFILE,
    OLDER,
    {"routing_key": "unknown", "body": ""},
    {"routing_key": "v2.data_profiles.p2.POST", "body": "{"},
]


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    path = tmp_path / "events.ndjson"
    path.write_text("\n".join([*map(json.dumps, LINES), "no line", ""]))
    return path


async def test_replay_counts_each_line_once_and_twice_is_unchanged(
    recording: Path, store_url: str, run_command: Callable[..., Any]
) -> None:
    first = await run_command("replay", str(recording), "--json", STORE__URL=store_url)
    assert json.loads(first.splitlines()[-1]) == {
        "read": 5, "applied": 1, "unchanged": 1, "ignored": 1, "dead_lettered": 2, "deliveries": 0,
    }  # fmt: skip
    second = await run_command("replay", str(recording), "--json", "--deliver", STORE__URL=store_url)
    assert json.loads(second.splitlines()[-1]) == {
        "read": 5, "applied": 0, "unchanged": 2, "ignored": 1, "dead_lettered": 2, "deliveries": 2,
    }  # fmt: skip
    third = await run_command("replay", str(recording), "--json", "--deliver", STORE__URL=store_url)
    assert json.loads(third.splitlines()[-1])["deliveries"] == 0, "answered once, however often it is replayed"
    await run_command("replay", str(recording), "--strict", expect=1, STORE__URL=store_url)


async def test_dead_letters_are_listed_shown_replayed_and_discarded(
    recording: Path, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    await run_command("replay", str(recording), STORE__URL=sqlite_url)
    letters = json.loads(await run_command("dead-letters", "list", "--json", STORE__URL=sqlite_url))
    assert {letter["error_class"] for letter in letters} == {"not_json", "line"}
    one = next(letter["dead_letter_id"] for letter in letters if letter["error_class"] == "not_json")
    shown = await run_command("dead-letters", "show", one[:10], STORE__URL=sqlite_url)
    assert "v2.data_profiles.p2.POST" in shown
    replayed = await run_command("dead-letters", "replay", "--all", "--json", STORE__URL=sqlite_url)
    assert json.loads(replayed.splitlines()[-1])["failed_again"] == 2, "neither is lost by trying again"
    assert "1 discarded" in await run_command("dead-letters", "discard", one, STORE__URL=sqlite_url)
    left = json.loads(await run_command("dead-letters", "list", "--json", STORE__URL=sqlite_url))
    assert [letter["error_class"] for letter in left] == ["line"]
    await run_command("dead-letters", "replay", expect=2, STORE__URL=sqlite_url)
    await run_command("dead-letters", "show", "nothing", expect=1, STORE__URL=sqlite_url)


async def test_lineage_is_a_tree_or_json_and_an_unknown_asset_fails(
    recording: Path, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    await run_command("replay", str(recording), "--deliver", STORE__URL=sqlite_url)
    tree = await run_command("lineage", "a1", STORE__URL=sqlite_url)
    assert "DATASET_PROFILED" in tree
    assert "p1" in tree
    graph = json.loads(await run_command("lineage", "a1", "--json", STORE__URL=sqlite_url))
    assert {(edge["asset_id"], edge["role"]) for edge in graph["edges"]} == {("a1", "uses"), ("p1", "generates")}
    assert "Nothing is known" in await run_command("lineage", "nobody", expect=1, STORE__URL=sqlite_url)


async def test_lineage_is_asked_for_by_name_and_several_of_one_name_are_listed(
    tmp_path: Path, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    def named(asset_id: str, name: str) -> dict[str, Any]:
        value = {"id": asset_id, "name": name, "catalog_id": "c1"}
        return {"id": asset_id, "properties": {"dataset": {"type": "dataset", "value": value}}}

    details = {"event_id": "e1", "event_time": "2026-05-10T15:04:15Z"}
    body = {
        "event_details": details, "uses_assets": [named("a1", "ORDERS"), named("a2", "orders")],
        "generates_assets": [named("a3", "TOTALS")],
    }  # fmt: skip
    recorded = tmp_path / "events.ndjson"
    recorded.write_text(json.dumps({"routing_key": "v2.lineage_events.e1.POST", "body": body}))
    await run_command("replay", str(recorded), STORE__URL=sqlite_url)

    graph = json.loads(await run_command("lineage", "totals", "--json", STORE__URL=sqlite_url))
    assert graph["asset_id"] == "a3"
    told = await run_command("lineage", "Orders", expect=1, STORE__URL=sqlite_url)
    assert "2 assets are called 'Orders': a1 (ORDERS); a2 (orders)" in " ".join(told.split())


async def test_status_and_targets_tell_of_a_store_that_nobody_uses_yet(
    recording: Path, sqlite_url: str, run_command: Callable[..., Any]
) -> None:
    await run_command("replay", str(recording), STORE__URL=sqlite_url)
    status = json.loads(await run_command("status", "--json", STORE__URL=sqlite_url))
    assert status["mirror"]["data_profiles"] == 1
    assert status["dead_letters"] == 2
    targets = json.loads(await run_command("targets", "list", "--json", STORE__URL=sqlite_url))
    assert [target["target"] for target in targets] == ["catalog_lineage"]
    assert json.loads(await run_command("deliveries", "list", "--json", STORE__URL=sqlite_url)) == []


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (("run",), {}, "CATALOG_MIRROR_AMQP__URL"),
        (("run",), {"AMQP__URL": "http://x"}, "amqp:// or amqps://"),
        (("run",), {"AMQP__PREFETCH": "many"}, "CATALOG_MIRROR_AMQP__PREFETCH"),
        (("status",), {"AMQP__URI": "amqp://x"}, "has no URI"),
        (("status",), {"STORE__URL": "mysql://x/y"}, "mysql is not supported"),
        (("replay", "/nowhere.ndjson"), {}, "There is no file"),
        (("replay",), {}, "Missing argument"),
        (("no-such-command",), {}, "No such command"),
    ],
)
async def test_wrong_usage_or_settings_end_with_exit_2_and_say_what_to_do(
    arguments: tuple[str, ...], settings: dict[str, str], says: str, run_command: Callable[..., Any], sqlite_url: str
) -> None:
    output = await run_command(*arguments, expect=2, **{"STORE__URL": sqlite_url, **settings})
    assert says in " ".join(output.split())
    assert "Traceback" not in output


async def test_a_store_that_cannot_be_written_is_named_with_its_path(
    run_command: Callable[..., Any], tmp_path: Path
) -> None:
    url = f"sqlite:///{tmp_path}/no/such/place.db"
    output = await run_command("run", expect=2, AMQP__URL="amqp://localhost/", STORE__URL=url)
    assert f"{tmp_path}/no/such/place.db" in output.replace("\n", "")
    if os.geteuid():
        (tmp_path / "locked").mkdir(mode=0o500)
        locked = f"sqlite:///{tmp_path}/locked/mirror.db"
        assert "cannot be written" in await run_command(
            "run", expect=2, AMQP__URL="amqp://localhost/", STORE__URL=locked
        )


async def test_an_empty_store_says_to_upgrade(run_command: Callable[..., Any], empty_postgres_url: str) -> None:
    output = await run_command("status", expect=1, STORE__URL=empty_postgres_url)
    assert "catalog-mirror db upgrade" in output
    await run_command("db", "upgrade", STORE__URL=empty_postgres_url)
    assert "nothing to do" in await run_command("db", "upgrade", STORE__URL=empty_postgres_url)
    await run_command("status", STORE__URL=empty_postgres_url)


async def test_doctor_and_topology_go_hand_in_hand(
    run_command: Callable[..., Any], amqp_url: str, sqlite_url: str
) -> None:
    settings = {"AMQP__URL": amqp_url, "STORE__URL": sqlite_url}
    sick = json.loads(await run_command("doctor", "--json", expect=1, **settings))
    assert next(f for f in sick if f["check"] == "exchange")["verdict"] == "failed"
    await run_command("topology", "apply", expect=1, **settings)
    assert "was made" in await run_command("topology", "apply", **settings, AMQP__DECLARE_EXCHANGE="true")
    assert "is there" in await run_command("topology", "apply", **settings)
    await run_command("db", "upgrade", **settings)
    well = json.loads(await run_command("doctor", "--json", **settings))
    assert {finding["verdict"] for finding in well} == {"ok"}
    shown = json.loads(await run_command("topology", "show", "--json", **settings))
    assert shown["queue_arguments"]["x-overflow"] == "drop-head"


async def test_doctor_sees_whether_a_queue_of_somebody_elses_is_bound(
    run_command: Callable[..., Any], amqp_url: str, broker: Any, catalog: Any, sqlite_url: str
) -> None:
    settings = {
        "AMQP__URL": amqp_url,
        "STORE__URL": sqlite_url,
        "AMQP__DECLARE_QUEUE": "false",
        "AMQP__MANAGEMENT_URL": broker.management_url,
        "AMQP__BINDINGS": '["v2.data_profiles.*.POST", "v2.lineage_events.*.POST"]',
    }

    async def found() -> tuple[str, str]:
        findings = json.loads(await run_command("doctor", "--json", expect=None, **settings))
        (one,) = [finding for finding in findings if finding["check"] == "bindings"]
        return one["verdict"], one["detail"]

    arguments = {"x-queue-type": "quorum", "x-delivery-limit": 10_000}
    queue = await catalog.channel.declare_queue("catalog-mirror", durable=True, arguments=arguments)
    verdict, detail = await found()
    assert verdict == "failed"
    assert detail.endswith("with v2.data_profiles.*.POST, v2.lineage_events.*.POST")
    await queue.bind(catalog.exchange, "v2.data_profiles.#")
    verdict, detail = await found()
    assert (verdict, "v2.data_profiles" in detail, "v2.lineage_events" in detail) == ("warning", False, True)
    await queue.bind(catalog.exchange, "v2.*.*.POST")
    assert (await found())[0] == "ok"


@pytest.mark.parametrize("story", STORIES)
async def test_the_demo_tells_one_story_alone(story: str, run_command: Callable[..., Any]) -> None:
    assert "All of it was checked" in await run_command("demo", "--story", story)


async def test_the_demo_tells_its_story_with_and_without_a_broker(
    run_command: Callable[..., Any], amqp_url: str
) -> None:
    assert "All of it was checked" in await run_command("demo", "--no-broker")
    told = await run_command("demo", "--broker", amqp_url)
    assert "5 lineage events came back" in told
    assert "All of it was checked" in told
