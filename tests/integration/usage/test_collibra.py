"""What Collibra is told: figures of a window once, then what changed; what is missing; and what becomes of jobs."""

from __future__ import annotations

import asyncio
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from sandbox.collibra.backend import BASE, PASSWORD, VISITOR
from service.changes import AssetDeleted, Container, Rank, Version
from service.errors import SettingInvalid
from service.settings.model import Settings, TargetSettings
from service.targets.base import installed_targets

if TYPE_CHECKING:
    from tests.integration.usage.conftest import World

#: The test is not about the store, so one kind of it will do.
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


async def test_the_figures_of_a_window_are_told_once_and_their_job_is_followed_to_its_end(world: World) -> None:
    await world.use("orders", "ada", "ada", "bob", None)
    await world.use("customers", "ada")
    await world.use("customers", "ada", days_ago=31)

    assert await world.run() == []
    (submission,) = world.pocket.submissions
    assert submission[1] == {
        "assetLocator": {"type": "DB2", "product": "Db2 LUW", "keys": ["SHOP", "SALES", "ORDERS"]},
        "toDate": submission[0]["toDate"], "queryCount": 4, "distinctUsers": 2,
    }  # fmt: skip
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00Z", submission[0]["toDate"])
    assert world.counts() == [("CUSTOMERS", 1, 1), ("ORDERS", 4, 2)]

    for _ in range(4):
        await world.run()
    assert len(world.pocket.submissions) == 1
    row = await world.mirror.one("SELECT state, job_status, report, problem FROM collibra_batches")
    assert row == ("completed", "Completed", '{"processed":2}', None)
    assert await world.mirror.one("SELECT delivered FROM target_states") == 2


async def test_the_next_window_tells_only_what_changed_and_what_fell_to_nothing_once(world: World) -> None:
    await world.asset("quiet", "/SALES/QUIET")
    await world.use("orders", "ada", days_ago=3)
    await world.use("customers", "ada", days_ago=3)
    await world.use("quiet", "bob", days_ago=3)
    await world.run()
    first = len(world.told())
    await world.next_day()
    await world.use("orders", "bob")
    await world.mirror.execute("DELETE FROM usage_facts WHERE asset_id = 'quiet'")

    await world.run()
    assert world.counts()[first:] == [("ORDERS", 2, 2), ("QUIET", 0, 0)]

    await world.next_day()
    await world.run()
    assert len(world.pocket.submissions) == 2, "nothing changed, so nothing is sent"


@on_one_store
async def test_uses_that_nobody_signed_have_no_users_rather_than_none(world: World) -> None:
    await world.use("orders", None, None)
    await world.run()
    assert world.told()[0]["queryCount"] == 2
    assert "distinctUsers" not in world.told()[0]


async def test_copies_of_one_data_set_are_one_item_and_a_user_of_both_is_one_user(world: World) -> None:
    await world.asset("copy", "/SALES/ORDERS", container=Container("project", "p1"))
    await world.use("orders", "ada", "bob")
    await world.use("copy", "ada", "ada")
    await world.run()
    assert world.counts() == [("ORDERS", 4, 2)]


async def test_a_thousand_items_at_most_go_at_once(world: World) -> None:
    names = [f"a{number}" for number in range(1001)]
    await world.apply(*(world.lies(name, f"/S/{name}") for name in names))
    await world.use_each(names, "ada")
    await world.run()
    assert [len(submission) for submission in world.pocket.submissions] == [1000, 1]
    assert len({json.dumps(item["assetLocator"]) for item in world.told()}) == 1001


@on_one_store
async def test_without_locators_nothing_is_sent_and_what_is_missing_is_told(world: World) -> None:
    bare = world.another(options={"locators": {}})
    await world.use("orders", "ada")

    assert await world.run(bare) == []
    assert world.pocket.calls == []
    assert await bare.plan([]) == []
    remarks = await bare.remarks()
    assert "No locator is set" in remarks[0]
    assert "1 assets" in remarks[1]
    async with world.mirror.store.read() as connection:
        (missing,) = (await bare.look(connection)).unlocated
    assert (missing.asset_id, missing.uses, "'db2'" in missing.why) == ("orders", 1, True)


@on_one_store
async def test_assets_that_cannot_be_located_are_listed_with_the_reason_and_never_told_as_unused(world: World) -> None:
    await world.asset("loose", None, None)
    await world.asset("flat", "/ORDERS")
    await world.asset("lost", None)
    for asset in ("loose", "flat", "lost", "orders"):
        await world.use(asset, "ada")
    await world.run()
    async with world.mirror.store.read() as connection:
        missing = {one.asset_id: one.why for one in (await world.target.look(connection)).unlocated}
    assert set(missing) == {"loose", "flat", "lost"}
    assert "no connection" in missing["loose"]
    assert "schema" in missing["flat"]
    assert "where" in missing["lost"]

    await world.asset("orders", None)  # from now on nobody knows where it lies
    await world.next_day()
    await world.run()
    assert world.counts() == [("ORDERS", 1, 1)]


async def test_deleted_hidden_and_foreign_assets_are_not_told(world: World) -> None:
    await world.asset("secret", "/SALES/SECRET", visibility_mode=8)
    await world.use("secret", "ada")
    await world.use("orders", "ada")
    await world.use("customers", "ada")
    await world.run()
    assert world.counts() == [("CUSTOMERS", 1, 1), ("ORDERS", 1, 1)]

    await world.apply(AssetDeleted("orders", Version(4_000_000_000_000_000, Rank.DELETED)))
    await world.next_day()
    await world.run()
    assert world.counts()[2:] == [("ORDERS", 0, 0)]


async def test_the_plan_is_exactly_what_is_sent(world: World) -> None:
    await world.use("orders", "ada")
    await world.use("customers", "bob")
    small = world.another(options={"batch_max": 1, "time_period": "P30D"})
    before = await small.plan([])
    assert world.pocket.calls == []
    world.pocket.knobs.refusals = [429, 429, 429]
    await world.run(small)
    waiting = await small.plan([])
    await world.run(small)

    assert (
        [json.loads(one.body) for one in before]
        == [json.loads(one.body) for one in waiting]
        == world.pocket.submissions
    )
    assert {one.to for one in before} == {f"POST {world.url}{BASE}/aggregatedData/submit"}
    assert all(item["timePeriod"] == "P30D" for item in world.told())


@pytest.mark.parametrize(
    "knobs", [{"location": "absolute"}, {"location": "relative"}, {"location": "none"}, {"bodies": False}]
)
@on_one_store
async def test_the_job_is_known_by_its_id_or_by_location(world: World, knobs: dict[str, Any]) -> None:
    vars(world.pocket.knobs).update(knobs)
    await world.use("orders", "ada")
    await world.run()
    assert await world.mirror.one("SELECT job_id FROM collibra_batches") == next(iter(world.pocket.jobs))


async def test_a_failed_job_keeps_its_report_and_the_next_window_tells_all_of_it_anew(world: World) -> None:
    world.pocket.knobs.failing = 1
    await world.use("orders", "ada")
    for _ in range(3):
        await world.run()
    state, report = await world.mirror.one("SELECT state, report FROM collibra_batches")
    assert (state, json.loads(report)["error"]) == ("failed", "the assets could not be matched")

    await world.next_day()
    await world.run()
    assert world.counts() == [("ORDERS", 1, 1)] * 2


@on_one_store
async def test_a_report_is_kept_without_the_secrets_that_it_tells(world: World) -> None:
    await world.use("orders", "ada")
    await world.run()
    (job,) = world.pocket.jobs.values()
    job.remark = {"password": "s3cr3t-42", "note": "Authorization: Basic czNjcjN0LTQyOng=", "rows": [1, None, "ok"]}
    for _ in range(2):
        await world.run()
    report = await world.mirror.one("SELECT report FROM collibra_batches")
    assert json.loads(report)["rows"] == [1, None, "ok"]
    assert "s3cr3t" not in report
    assert "czNj" not in report


@on_one_store
@pytest.mark.parametrize("status", [301, 401, 403, 404, 429])
async def test_what_was_refused_for_now_was_not_taken_and_is_sent_again(world: World, status: int) -> None:
    world.pocket.knobs.refusals = [status, status]  # 401 is tried twice in one go
    await world.use("orders", "ada")
    problems = await world.run()

    assert any(f"HTTP {status}" in problem for problem in problems)
    assert world.counts() == [("ORDERS", 1, 1)]
    assert await world.states() == ["accepted"]


@on_one_store
@pytest.mark.parametrize("status", [400, 413])
async def test_what_is_refused_for_good_fails_with_the_reason_and_keeps_nobody_waiting(
    world: World, status: int
) -> None:
    world.pocket.knobs.refusals = [status]
    await world.use("orders", "ada")
    await world.use("customers", "ada")
    small = world.another(options={"batch_max": 1})

    assert await world.run(small) == []
    assert await world.states() == ["failed", "accepted"]
    assert f"HTTP {status}" in str(await world.mirror.all("SELECT problem FROM collibra_batches"))

    await world.next_day()
    await world.run()
    assert world.counts() == [("ORDERS", 1, 1), ("CUSTOMERS", 1, 1)]


@on_one_store
async def test_nobody_listening_is_not_a_submission(world: World) -> None:
    gone = world.another("http://127.0.0.1:9")
    await world.use("orders", "ada")
    assert await world.run(gone)
    assert await world.states() == ["prepared"]
    await world.run()
    assert world.counts() == [("ORDERS", 1, 1)]


@on_one_store
async def test_a_token_that_ran_out_is_read_again_from_its_file(world: World, tmp_path: Path) -> None:
    file = tmp_path / "token"
    world.pocket.knobs.token_life_s = -1
    file.write_text(world.pocket.issue_token())
    target = world.another(username=None, password=None, token_file=file)
    await world.use("orders", "ada")
    assert any("401" in problem for problem in await world.run(target))

    world.pocket.knobs.token_life_s = 60
    file.write_text(world.pocket.issue_token() + "\n")
    assert await world.run(target) == []
    assert world.counts() == [("ORDERS", 1, 1)]


@on_one_store
async def test_a_user_without_the_right_is_told_so(world: World) -> None:
    target = world.another(username=VISITOR, password=SecretStr(PASSWORD))
    await world.use("orders", "ada")
    assert any("lack the permission" in problem for problem in await world.run(target))
    assert world.pocket.submissions == []


@on_one_store
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_a_job_that_cannot_be_asked_for_now_is_asked_for_later(world: World, status: int) -> None:
    await world.use("orders", "ada")
    assert await world.run() == []
    world.pocket.knobs.job_refusals = [status, status]
    problems = await world.run()
    noted = await world.mirror.one("SELECT problem FROM collibra_batches")
    assert any(f"HTTP {status}" in str(told) for told in (*problems, noted))
    for _ in range(4):
        await world.run()
    assert await world.states() == ["completed"]


async def test_a_job_that_collibra_forgot_is_noted_and_closed_after_its_time(world: World) -> None:
    await world.use("orders", "ada")
    await world.run()
    world.pocket.jobs.clear()
    await world.run()
    state, problem = await world.mirror.one("SELECT state, problem FROM collibra_batches")
    assert (state, "knows no job" in problem) == ("accepted", True)

    await world.age("sent_at", 8 * 86_400)
    await world.run()
    assert await world.states() == ["given_up"]


async def test_two_replicas_plan_a_window_once_and_send_each_batch_once(world: World) -> None:
    for number in range(12):
        await world.asset(f"a{number}", f"/S/T{number}")
        await world.use(f"a{number}", "ada")
    replicas = [world.another(options={"batch_max": 1}) for _ in range(3)]
    await asyncio.gather(*(world.run(replica) for replica in replicas))

    assert len(world.pocket.submissions) == 12
    assert len({json.dumps(item["assetLocator"]) for item in world.told()}) == 12


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"options": {"locators": {"db2": {"type": "t", "keys": []}}}}, "keys"),
        ({"options": {"locators": {"db2": {"keys": ["{name}"]}}}}, "type"),
        ({"options": {"locators": {"db2": {"type": "t", "keys": ["{nam}"]}}}}, "nam"),
        ({"options": {"locators": {"db2": {"type": "t", "keys": ["{name.real}"]}}}}, "name.real"),
        ({"options": {"locators": {"db2": {"type": "t", "keys": ["{name"]}}}}, "template"),
        ({"options": {"locators": {"db2": {"type": "t", "keys": [""]}}}}, "empty"),
        ({"options": {"zone": "Mars/Olympus"}}, "Mars/Olympus"),
        ({"options": {"batch_max": 1001}}, "batch_max"),
        ({"options": {"nonsense": 1}}, "nonsense"),
        ({"via": "amqp"}, "HTTP alone"),
        ({"username": "ada"}, "PASSWORD"),
        ({"username": "a:b", "password": SecretStr("s3cr3t-x")}, "colon"),
        ({}, "TOKEN"),
    ],
)
def test_settings_that_cannot_be_used_are_named_without_their_secrets(more: dict[str, Any], says: str) -> None:
    signed: dict[str, Any] = {} if "username" in more or not more else {"token": SecretStr("s3cr3t-x")}
    chosen = TargetSettings(url="https://collibra.example.com", **signed, **more)
    with pytest.raises(SettingInvalid, match=re.escape(says)) as caught:
        installed_targets(Settings(targets={"collibra": chosen}))
    assert "s3cr3t" not in f"{caught.value} {caught.value.advice()}"


def test_it_is_off_until_a_url_is_set() -> None:
    assert [target.name for target in installed_targets(Settings())].count("collibra") == 0
