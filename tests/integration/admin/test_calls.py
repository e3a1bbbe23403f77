"""What the calls do; each is in the audit log with who did it, by which way and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from service.changes import AssetMentioned, Container, Origin
from service.errors import DeliveryRejected
from service.events.message import Message
from service.mirror import controls, dead_letters, deliveries, progress, writer
from service.mirror.tables import collibra_batches
from service.operations import logs
from service.settings.model import CatalogSettings, LogSettings, ScopeSettings, StoreSettings, TargetSettings

if TYPE_CHECKING:
    from tests.integration.admin.conftest import Client, Served
    from tests.integration.conftest import Events, Mirror, Subscriber

CATALOG = CatalogSettings(url="https://catalog.example")
KEY = "v2.data_profiles.p1.PATCH"
BROKEN = {"published": "yesterday", "state": {"metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1"}}}
MENDED = BROKEN | {"published": "2026-05-10T15:04:15Z"}


#: For what asks nothing of a store that other tests do not.
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def audited(mirror: Mirror) -> list[tuple[Any, ...]]:
    """Who did what to what, why, and what else is told, the oldest first."""
    rows = await mirror.all("SELECT who, action, subject, reason, detail FROM audit_log ORDER BY seq")
    return [(*row[:4], json.loads(row[4])) for row in rows]


@pytest.fixture
async def letter(mirror: Mirror) -> str:
    """The id of a dead letter: a profile event without a usable `published`, with a secret in it."""
    message = Message(KEY, json.dumps(BROKEN | {"password": "hush-hush"}).encode())
    await mirror.take(message)
    return message.key


# Dead letters.


async def test_a_letter_is_found_looked_at_mended_and_replayed(admin: Client, mirror: Mirror, letter: str) -> None:
    (group,) = await admin.get("/dead-letters/groups")
    page = await admin.get(f"/dead-letters?fingerprint={group['fingerprint']}&entity=p1")
    assert (group["letters"], page["total"], [one["dead_letter_id"] for one in page["letters"]]) == (1, 1, [letter])
    shown = await admin.get(f"/dead-letters/{letter[:10]}")
    assert "hush-hush" not in json.dumps(shown)

    told = await admin.post(f"/dead-letters/{letter}/diff", {"body": json.dumps(MENDED | {"token": "abc"})})
    assert next(line["text"].strip() for line in told["lines"] if line["what"] == "added").startswith('"published"')
    assert "yesterday" in (await admin.get(f"/dead-letters/{letter}"))["body"], "a look saves nothing"

    edit = {"body": json.dumps(MENDED), "digest": shown["digest"], "reason": "a typing mistake"}
    edited = await admin.post(f"/dead-letters/{letter}/edit", edit)
    assert edited["digest"] == (await admin.get(f"/dead-letters/{letter}"))["digest"] != shown["digest"]
    replayed = await admin.post(f"/dead-letters/{letter}/replay", {"reason": "mended"})

    assert {name: number for name, number in replayed.items() if number} == {"replayed": 1}
    assert await mirror.one("SELECT profile_id FROM v1_data_profiles WHERE NOT is_stub") == "p1"
    shown = await admin.get(f"/dead-letters/{letter}")
    assert (shown["letter"]["state"], "yesterday" in shown["original_body"]) == ("replayed", True)
    assert [(one["who"], one["action"], one["reason"], one["detail"]["way"]) for one in shown["history"]] == [
        ("dana", "dead_letter.replay", "mended", "api"), ("dana", "dead_letter.edit", "a typing mistake", "api"),
    ]  # fmt: skip


@on_one_store
async def test_two_people_at_once_do_not_overwrite_each_other(admin: Client, mirror: Mirror, letter: str) -> None:
    digest = (await admin.get(f"/dead-letters/{letter}"))["digest"]
    await admin.post(f"/dead-letters/{letter}/edit", {"body": "{}", "digest": digest}, token="erik")

    told = await admin.refused(f"/dead-letters/{letter}/edit", {"body": "[]", "digest": digest}, 409)

    assert "erik, at 20" in told
    assert "Look at it again" in told
    assert (await admin.get(f"/dead-letters/{letter}"))["body"] == "{}"
    assert [entry[:2] for entry in await audited(mirror)] == [("erik", "dead_letter.edit")]


async def test_many_letters_are_replayed_as_work_that_tells_how_far_it_is(admin: Client, mirror: Mirror) -> None:
    await mirror.take(*(Message(f"v2.data_profiles.p{number}.PATCH", b"nul") for number in range(5)))
    assert await admin.post("/dead-letters/count", {"error_class": "not_json"}) == {"letters": 5}

    work = await admin.post("/dead-letters/replay", {"error_class": "not_json", "reason": "again"}, expect=202)

    assert (work["what"], work["by"], work["state"]) == ("replay", "dana", "running")
    assert admin.location == f"/api/admin/work/{work['work_id']}"
    done = await admin.until(f"/work/{work['work_id']}", lambda found: found["state"] != "running")
    assert (done["state"], done["told"]["failed_again"]) == ("done", 5)
    assert await admin.get("/work") == [done]
    assert len(await audited(mirror)) == 5
    assert await admin.refused("/dead-letters/replay", {"ids": ["0000"]}, 404)
    status, problem = await admin.call("GET", "/work/0000")
    assert (status, "forgotten" in problem["errors"][0]["message"]) == (404, True)


@on_one_store
async def test_a_choice_or_one_is_discarded(admin: Client, mirror: Mirror, letter: str) -> None:
    await mirror.take(Message("v2.data_profiles.p2.PATCH", b"nul"))
    assert await admin.post(f"/dead-letters/{letter}/discard", {"reason": "a test"}) == {"letters": 1}
    await admin.refused(f"/dead-letters/{letter}/discard", {}, 404)
    assert await admin.post("/dead-letters/discard", {"all": True}) == {"letters": 1}
    assert (await admin.get("/dead-letters"))["total"] == 0
    assert (await admin.get("/dead-letters?state=discarded"))["total"] == 2


async def test_a_listing_goes_on_behind_its_last_letter(admin: Client, mirror: Mirror) -> None:
    await mirror.take(*(Message(f"v2.data_profiles.p{number}.PATCH", b"nul") for number in range(7)))
    seen: list[str] = []
    after = ""
    while letters := (await admin.get(f"/dead-letters?limit=3{after}"))["letters"]:
        seen += [one["dead_letter_id"] for one in letters]
        after = f"&after={seen[-1]}"
    assert len(seen) == len(set(seen)) == 7
    status, problem = await admin.call("GET", "/dead-letters?after=0000")
    assert (status, "no dead letter '0000'" in problem["errors"][0]["message"]) == (404, True)


async def test_a_delivery_whose_id_begins_as_anothers_is_replayed_alone(admin: Client, mirror: Mirror) -> None:
    sent = [deliveries.of_lineage("lineage", name, None) for name in ("e1", "e10")]
    async with mirror.store.write() as connection:
        for one in sent:
            await dead_letters.store_delivery(connection, one, DeliveryRejected(target="lineage", problem="no"))

    await admin.refused("/dead-letters/lineage%3Ae1/edit", {"body": "{}", "digest": "0"})
    await admin.post("/dead-letters/lineage%3Ae1/replay")

    assert await mirror.all("SELECT delivery_id FROM deliveries") == [("lineage:e1",)]
    assert (await admin.get("/dead-letters"))["letters"][0]["dead_letter_id"] == "lineage:e10"


# Switches.


@on_one_store
async def test_consuming_is_paused_and_resumed(admin: Client, mirror: Mirror) -> None:
    assert await admin.post("/consuming/pause", {"reason": "maintenance"}) == {"reason": "maintenance (dana)"}
    async with mirror.store.write() as connection:
        await controls.set_control(connection, f"{controls.BRAKE}:r1", {"reason": "too many"})
    stops = (await admin.get("/consuming"))["stops"]
    assert [(stop["name"], stop["reason"]) for stop in stops] == [
        ("brake:r1", "too many"), ("pause", "maintenance (dana)"),
    ]  # fmt: skip
    assert await admin.post("/consuming/resume") == {"lifted": ["brake:r1", "pause"]}
    assert await admin.post("/consuming/resume") == {"lifted": []}
    assert await audited(mirror) == [
        ("dana", "consuming.pause", "every replica", "maintenance", {"way": "api"}),
        ("dana", "consuming.resume", "every replica", None, {"way": "api", "lifted": ["brake:r1", "pause"]}),
    ]


async def test_a_target_is_switched_planned_and_told_what_is_there(
    admin: Client, mirror: Mirror, events: Events, subscriber: type[Subscriber]
) -> None:
    await mirror.pipeline(subscriber("catalog_lineage")).process([events.profile()], Origin.LIVE)
    await mirror.execute("UPDATE deliveries SET last_error = 'away', attempts = 3")
    assert [one["target"] for one in await admin.get("/targets")] == ["catalog_lineage"]
    assert await admin.post("/targets/catalog_lineage/pause", {"reason": "upgrade"}) == {
        "target": "catalog_lineage", "paused": True,
    }  # fmt: skip
    (state,) = await admin.get("/targets")
    assert (state["paused"], state["pause_reason"]) == (True, "upgrade (dana)")
    plan = await admin.get("/targets/catalog_lineage/plan?limit=1")
    assert (plan["waiting"], len(plan["sendings"])) == ("paused: upgrade (dana)", 1)
    await admin.post("/targets/catalog_lineage/resume")
    (pending,) = await admin.get("/deliveries?target=catalog_lineage")
    assert (pending["last_error"], await admin.get(f"/deliveries?after={pending['seq']}")) == ("away", [])
    assert await admin.post("/deliveries/retry", {"ids": [pending["delivery_id"]]}) == {"number": 1}
    await mirror.execute("DELETE FROM deliveries")
    work = await admin.post("/targets/catalog_lineage/backfill", {}, expect=202)
    done = await admin.until(f"/work/{work['work_id']}", lambda found: found["state"] != "running")
    assert (
        done["told"] == {"lineage_event": await mirror.one("SELECT count(*) FROM deliveries")} == {"lineage_event": 1}
    )
    assert [action for _, action, *_ in await audited(mirror)] == [
        "target.pause", "target.resume", "deliveries.retry", "target.backfill",
    ]  # fmt: skip
    for path in ("/targets/nobody/pause", "/targets/nobody/backfill"):
        assert "There is no target 'nobody'" in await admin.refused(path, {}, 404)


@on_one_store
async def test_held_deliveries_are_let_go(admin: Client, mirror: Mirror) -> None:
    assert await admin.post("/deliveries/release") == {"number": None}
    async with mirror.store.write() as connection:
        await controls.set_control(connection, controls.HELD, {"reason": "restored"})
    assert (await admin.get("/consuming"))["deliveries_held"] == "restored"
    assert await admin.post("/deliveries/release") == {"number": 0}
    assert (await admin.get("/consuming"))["deliveries_held"] is None


@on_one_store
async def test_the_log_shows_more_for_a_while(served: Served, mirror: Mirror) -> None:
    async with served(log=LogSettings(level="warning")) as admin:
        assert await admin.get("/log-level") == {"usual": "warning", "chosen": None}
        chosen = (await admin.post("/log-level", {"level": "debug", "lasts_s": 60}))["chosen"]
        left = datetime.fromisoformat(chosen["until"]) - datetime.now(UTC)
        assert timedelta(seconds=50) < left < timedelta(seconds=70)
        async with mirror.store.read() as connection:
            value = await controls.read_control(connection, controls.LOG_LEVEL)
        assert logs.of_control(value, datetime.now(UTC)) == "debug"
        assert logs.of_control(value, datetime.now(UTC) + timedelta(seconds=70)) is None, "nobody forgets it"
        assert (await admin.get("/log-level"))["chosen"] == chosen
        assert (await admin.post("/log-level/reset"))["chosen"] is None
    assert [(action, detail) for _, action, _, _, detail in await audited(mirror)] == [
        ("log_level.set", {"way": "api", "level": "debug", "lasts_s": 60}), ("log_level.reset", {"way": "api"}),
    ]  # fmt: skip


# Reading.


async def test_a_run_is_asked_for_held_let_go_and_stopped(served: Served, mirror: Mirror) -> None:
    async with served(catalog=CATALOG) as admin:
        told = {"repair": True, "accept_deletions": True, "reason": "looked at"}
        asked = await admin.post("/reading/reconcile", told, expect=202)
        assert (asked, admin.location) == ({"mode": "reconcile", "run_id": None}, "/api/admin/reading")
        assert (await admin.get("/reading"))["asked"] == "reconcile"
        assert "No run is going on" in await admin.refused("/reading/pause", {}, 409)
        async with mirror.store.write() as connection:
            await controls.clear_control(connection, "sync_asked")
            options = {"repair": True, "accept_deletions": False}
            run = await progress.begin(connection, "snapshot", "a test", options)
        assert await admin.post("/reading/snapshot", expect=202) == {"mode": "snapshot", "run_id": run.run_id}
        assert (await admin.post("/reading/pause"))["held"] is True
        assert (await admin.post("/reading/resume"))["held"] is False
        assert (await admin.post("/reading/stop"))["runs"][0]["run_id"] == run.run_id
    assert [(action, reason) for _, action, _, reason, _ in await audited(mirror)] == [
        ("reading.reconcile", "looked at"), ("reading.pause", None), ("reading.resume", None), ("reading.stop", None),
    ]  # fmt: skip


@on_one_store
async def test_one_thing_is_read_again_at_once(served: Served, mirror: Mirror) -> None:
    async with served(catalog=CATALOG) as admin:
        told = {"id": "a1", "container": "catalog:c1", "reason": "stale"}
        assert await admin.post("/refresh", told, expect=202) == {"kind": "asset", "id": "a1"}
        assert "container is not usable" in await admin.refused("/refresh", told | {"container": "c1"})
    assert await mirror.all("SELECT kind, entity_id, container_id, reason FROM refreshes") == [
        ("asset", "a1", "c1", "asked by dana")
    ]
    assert [entry[1:4] for entry in await audited(mirror)] == [("reading.refresh", "asset a1", "stale")]


@on_one_store
@pytest.mark.parametrize("path", ["/reading/snapshot", "/reading/reconcile", "/reading/estimate", "/refresh"])
async def test_without_a_catalog_nothing_is_asked_for(admin: Client, mirror: Mirror, path: str) -> None:
    assert "CATALOG__URL" in await admin.refused(path, {"id": "a1"} if path == "/refresh" else {}, 409)
    assert await audited(mirror) == []


@on_one_store
async def test_a_gap_is_closed_by_somebody_who_knows(admin: Client, mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        await controls.record_gap(connection, "absence", "nothing was consumed", None)
    (gap,) = await admin.get("/gaps")
    closed = await admin.post(f"/gaps/{gap['gap_id']}/close", {"reason": "replayed from the archive"})
    assert closed == gap
    assert await admin.get("/gaps") == []
    await admin.refused(f"/gaps/{gap['gap_id']}/close", {}, 404)
    (entry,) = await audited(mirror)
    assert entry[1:4] == ("gap.close", gap["gap_id"], "replayed from the archive")


# Usage.


async def test_uses_of_a_query_log_are_brought(admin: Client, mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        await writer.apply(connection, [(0, AssetMentioned("a1", Container("catalog", "c1")))])
    now = datetime.now(UTC).isoformat()
    lines = [
        {"who": "ada", "what": "a1", "when": now}, {"who": None, "what": "elsewhere", "when": now},
        {"who": "ada", "what": "a1", "when": "2001-01-01T00:00:00Z"}, {"who": "ada", "what": "a1", "when": now},
        {"what": "a1"},
    ]  # fmt: skip

    tried = await admin.post("/usage/import", {"lines": lines, "dry_run": True})
    assert (tried["new"], tried["known"], tried["too_old"], tried["bad"], tried["dry_run"]) == (1, 1, 1, 2, True)
    assert (await admin.get("/usage"))["facts"] == [] == await audited(mirror)

    taken = await admin.post("/usage/import", {"lines": lines, "reason": "warehouse"})
    assert {**tried, "dry_run": False} == taken
    assert [line["number"] for line in taken["lines"]] == [2, 5]
    assert "elsewhere" in taken["lines"][0]["problem"]
    assert (await admin.get("/usage"))["facts"][0]["facts"] == 1
    assert (await admin.post("/usage/import", {"lines": lines[:1]}))["known"] == 1
    first, again = await audited(mirror)
    assert first[1:4] == ("usage.import", "usage", "warehouse")
    assert again[1] == "usage.import"
    await admin.refused("/usage/import", {"lines": []})


async def test_a_batch_in_doubt_is_settled_and_a_window_counted_again(admin: Client, mirror: Mirror) -> None:
    now = datetime.now(UTC)
    row = {"batch_id": "b1", "target": "collibra", "window_end": now, "number": 1, "state": "uncertain", "items": 3,
           "body": "{}", "assets": "[]", "prepared_at": now}  # fmt: skip
    async with mirror.store.write() as connection:
        await connection.execute(sa.insert(collibra_batches).values(row))
        await controls.set_control(connection, "usage_window:collibra", {"end": now.isoformat()})

    (batch,) = await admin.get("/usage/batches?state=uncertain")
    assert (batch["batch_id"], batch["items"], batch["job_id"]) == ("b1", 3, None)
    standing = await admin.get("/usage")
    assert standing["batches"] == [{"target": "collibra", "state": "uncertain", "batches": 1}]
    assert standing["planned"] == {"collibra": {"end": now.isoformat()}}
    whole = await admin.get("/usage/batches/b")
    assert (whole["batch"], whole["body"], whole["report"]) == (batch, {}, None)
    status, problem = await admin.call("GET", "/usage/locators?target=elsewhere")
    assert (status, "elsewhere" in problem["errors"][0]["message"]) == (404, True)
    assert "b1 is on its way or uncertain" in await admin.refused("/usage/replan", {}, 409)
    assert "goes with" in await admin.refused("/usage/batches/b1/settle", {"sent": False, "job": f"{uuid4()}"})
    settled = {"sent": False, "reason": "not at Collibra"}
    assert await admin.post("/usage/batches/b/settle", settled) == {"batch_id": "b1", "state": "prepared"}
    assert "not uncertain" in await admin.refused("/usage/batches/b1/settle", settled, 409)
    assert "No batch begins" in await admin.refused("/usage/batches/c/settle", settled, 404)
    assert await admin.post("/usage/replan", {}, expect=202) == {"target": "collibra"}
    assert [entry[1:4] for entry in await audited(mirror)] == [
        ("usage.settle", "b1", "not at Collibra"), ("usage.replan", "collibra", None),
    ]  # fmt: skip


# What is wrong, what was done.


async def test_the_doctor_says_what_it_finds(served: Served, mirror: Mirror) -> None:
    url = SecretStr(mirror.store.url.render_as_string(hide_password=False))
    async with served(store=StoreSettings(url=url)) as admin:
        found = {finding["check"]: finding for finding in await admin.get("/doctor")}
    assert found["store"]["verdict"] == "ok"
    assert found["broker"]["verdict"] == "failed"
    assert found["api"]["detail"].startswith("answers whoever has a token")


async def test_the_audit_log_is_read_page_by_page(admin: Client) -> None:
    for number in range(5):
        await admin.post("/consuming/pause", {"reason": f"{number}"})
    first = await admin.get("/audit?limit=3&action=consuming")
    rest = await admin.get(f"/audit?before={first[-1]['seq']}")
    assert [entry["reason"] for entry in [*first, *rest]] == ["4", "3", "2", "1", "0"]
    assert await admin.get("/audit?subject=nobody") == []


# People.


async def test_somebody_is_found_and_forgotten_with_the_names_in_bodies_alone(
    admin: Client, mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.lineage(user_id="IBMid-ann"))
    found = await admin.post("/privacy/report", {"names": ["IBMid-ann"]})
    assert found["rewritten"] == {"lineage_events": 1}

    work = await admin.post("/privacy/forget", {"names": ["IBMid-ann"], "reason": "letter 17"}, expect=202)
    done = await admin.until(f"/work/{work['work_id']}", lambda work: work["state"] != "running")

    assert (done["state"], done["told"]["rewritten"]) == ("done", {"lineage_events": 1})
    assert "[forgotten]" in await mirror.one("SELECT document FROM lineage_events")
    assert "names the person" in await admin.refused(
        "/privacy/forget", {"names": ["Ann Lee"], "reason": "Ann Lee asks"}
    )
    assert "at least 3 characters" in await admin.refused("/privacy/report", {"names": ["Al"]})
    assert "3 to 320" in await admin.refused("/privacy/report", {"names": ["Al "]})
    assert (await admin.call("POST", "/privacy/report", {"names": ["Ann Lee"]}, token="reader"))[0] == 403
    assert "IBMid" not in str(await audited(mirror))


# What happened to one thing.


async def test_a_thing_is_explained_with_who_did_what_to_it(admin: Client, mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())
    found = await admin.get("/explain/p1")
    assert [state["rule"] for state in found["states"]] == ["first"]
    assert {"state", "lineage"} <= {step["source"] for step in found["steps"]}
    assert (await admin.call("GET", "/explain/nobody"))[0] == 404
    assert (await admin.call("GET", "/explain/p1", token="reader"))[0] == 403


# Pentaho.


PENTAHO = {"pentaho": TargetSettings(url="http://127.0.0.1:1", token=SecretStr("a-token-of-pentaho"))}


@on_one_store
async def test_links_are_taken_in_as_a_whole_looked_at_and_removed(served: Served, mirror: Mirror) -> None:
    path = "/pentaho/pentaho/links"
    told = [{"kind": "asset", "catalog_id": f"a{number}", "pentaho_id": f"{uuid4()}"} for number in range(2)]
    wrong = [*told, told[0], {"kind": "rule", "catalog_id": "r", "pentaho_id": "x", "fqdn_id": "9"}]
    counts = {"added": 2, "changed": 0, "unchanged": 0, "removed": 0}
    async with served(targets=PENTAHO) as admin:
        refused = await admin.refused(f"{path}/import", {"links": wrong})
        assert "member 3: it says the same as member 1; member 4: a connection, and nothing else" in refused
        assert await admin.post(f"{path}/import", {"links": told, "dry_run": True}) == counts
        assert await admin.get(path) == []
        assert "no Pentaho called 'other'" in await admin.refused("/pentaho/other/links/import", {"links": told}, 404)

        assert await admin.post(f"{path}/import", {"links": told, "reason": "the migration"}) == counts
        assert [one["catalog_id"] for one in await admin.get(f"{path}?kind=asset")] == ["a0", "a1"]
        assert await admin.get(f"{path}?kind=rule") == []
        (found,) = await admin.get(f"{path}/check")
        assert (found["problem"], found["number"], found["is_fault"]) == ("not in the mirror", 2, True)
        assert await admin.post(f"{path}/remove", {"kind": "asset", "catalog_id": "a0"}) == {"links": 1}
        assert "no such link" in await admin.refused(f"{path}/remove", {"kind": "asset", "catalog_id": "a0"}, 404)
    assert [entry[:4] for entry in await audited(mirror)] == [
        ("dana", "links.import", "pentaho", "the migration"), ("dana", "links.remove", "pentaho", None),
    ]  # fmt: skip


@on_one_store
async def test_pentaho_is_asked_by_hand_and_a_job_is_forgotten(served: Served, mirror: Mirror) -> None:
    path, entity = "/pentaho/pentaho/jobs", f"{uuid4()}"
    linked = {"links": [{"kind": "asset", "catalog_id": "a1", "pentaho_id": entity}]}
    profiling = {"operation": "data_profiling", "linked": ["a1"]}
    removal = {"operation": "remove_datasource", "ids": ["x"], "more": {"fqdnId": "9"}}
    async with served(targets=PENTAHO) as admin:
        assert "a1 is not linked as asset" in await admin.refused(path, profiling)
        await admin.post("/pentaho/pentaho/links/import", linked)
        would = [{"to": "data_profiling", "body": {"scope": [entity]}}]
        assert await admin.post(f"{path}/plan", profiling) == would
        assert await admin.get(path) == []

        asked = await admin.post(path, profiling | {"reason": "a new column"}, expect=202)
        assert admin.location == f"/api/admin{path}"
        (job,) = await admin.get(f"{path}?state=asking")
        assert (asked["jobs"], job["request"], job["asked_by"]) == ([job["job_key"]], would[0]["body"], "by dana")
        assert await admin.get(f"{path}/{job['job_key'][:8]}") == [job]
        status, _ = await admin.call("GET", f"{path}/{job['job_key']}/status")
        assert status == 503, "nobody answers there"
        assert await admin.post(f"{path}/{job['job_key']}/forget", {"reason": "too early"}) == {"jobs": 1}
        assert (await admin.get(path))[0]["state"] == "lost"
        assert "begins with" in await admin.refused(f"{path}/{job['job_key']}x/forget", {}, 404)

        assert "would be deleted at Pentaho" in await admin.refused(path, removal)
        assert "takes no `linked`" in await admin.refused(path, removal | {"linked": ["k"], "sure": True})
        secret = {"operation": "metadata_ingest", "ids": ["x"], "more": {"password": "hush-hush"}}
        assert "password would be stored" in await admin.refused(path, secret)
        assert "fqdnId" in await admin.refused(path, removal | {"more": {}, "sure": True})
        assert "no Pentaho called 'other'" in await admin.refused("/pentaho/other/jobs", profiling, 404)
    assert [(entry[1], entry[3], entry[4]["way"]) for entry in await audited(mirror)] == [
        ("links.import", None, "api"), ("pentaho.ask", "a new column", "api"), ("pentaho.forget", "too early", "api"),
    ]  # fmt: skip


# The mirror itself.


@on_one_store
async def test_what_is_out_of_scope_is_shown_and_removed_and_columns_are_derived_again(
    served: Served, mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.profile())
    async with served(scope=ScopeSettings(include=["catalog:other"])) as admin:
        outside = await admin.get("/scope")
        assert outside["rows"]["data_profiles"] == 1
        assert await mirror.one("SELECT count(*) FROM data_profiles") == 1, "a look removes nothing"
        for path, told in (("/scope/purge", outside["rows"]), ("/mirror/rebuild", {})):
            work = await admin.post(path, {"reason": "the settings are new"}, expect=202)
            assert admin.location == f"/api/admin/work/{work['work_id']}"
            done = await admin.until(f"/work/{work['work_id']}", lambda found: found["state"] != "running")
            assert (done["state"], done["told"]) == ("done", told)
    assert await mirror.one("SELECT count(*) FROM data_profiles") == 0
    assert [entry[:4] for entry in await audited(mirror)] == [
        ("dana", "scope.purge", "the mirror", "the settings are new"),
        ("dana", "mirror.rebuild", "the mirror", "the settings are new"),
    ]  # fmt: skip
