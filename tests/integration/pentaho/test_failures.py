"""When Pentaho, the way to it, or one of its ids fails: nothing is lost, nothing whose answer arrived is doubled."""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.pentaho.server import PASSWORD
from service.errors import SettingInvalid
from service.mirror import deliveries
from service.mirror.deliveries import Lease
from service.settings.model import RelaySettings, Settings, TargetSettings
from service.targets.pentaho import ledger
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import OPERATIONS
from service.targets.pentaho.planning import Planned
from service.targets.pentaho.target import Pentaho
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics
from tests.integration.pentaho.conftest import target_of

if TYPE_CHECKING:
    from sandbox.pentaho.server import PocketPentaho
    from tests.integration.conftest import Mirror
    from tests.integration.pentaho.conftest import Made
    from tests.integration.pentaho.conftest import Running as Here

Running = Callable[..., AbstractAsyncContextManager["Here"]]
DATA_SOURCE = "65f0aa11bb22cc33dd44ee55"


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """What is between us and Pentaho does not depend on the store."""
    return sqlite_url


async def test_outages_limits_and_expired_tokens_delay_a_job_and_do_not_double_it(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.failures, pocket.pages, pocket.token_calls = [503, 429, 500, 502, 408], 1, 2
    pocket.sign_in_failures = [500, 503, 401, 400]
    async with running(*(Link("asset", f"a{n}", made.uuid(n)) for n in range(3)), scope_max=1) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(3)))
        await here.at_rest()
        assert await here.jobs() == [("metadata_re_ingest", "succeeded")] * 3
        assert await here.mirror.one("SELECT count(*) FROM dead_letters") == 0
    assert len(pocket.taken) == 3
    assert pocket.sign_ins > 2, "a token that has expired is renewed"


async def test_a_lost_answer_is_asked_for_again_and_one_job_is_followed(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.lost_answers = 1
    async with running(Link("asset", "a1", made.uuid(1))) as here:
        await here.change(made.asset("a1"))
        await here.at_rest()
        assert await here.jobs() == [("metadata_re_ingest", "succeeded")]
    assert len(pocket.taken) == 2


async def test_what_destroys_is_not_asked_for_twice_but_left_for_a_person(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.lost_answers = 1
    async with running() as here:
        await _insert(here.mirror, Planned("remove_datasource", {"id": DATA_SOURCE, "fqdnId": "1"}, (), "test"))
        await here.at_rest()
        assert await here.jobs() == [("remove_datasource", "lost")]
    assert len(pocket.taken) == 1


async def test_what_destroys_waits_where_it_was_surely_not_taken(running: Running, pocket: PocketPentaho) -> None:
    pocket.failures = [429, 429]
    async with running() as here:
        await _insert(here.mirror, Planned("remove_datasource", {"id": DATA_SOURCE, "fqdnId": "1"}, (), "test"))
        await here.at_rest()
        assert await here.jobs() == [("remove_datasource", "succeeded")]


async def _insert(mirror: Mirror, *planned: Planned) -> list[str]:
    async with mirror.store.write() as connection:
        return await ledger.insert(connection, "pentaho", planned)


async def test_a_redelivery_finds_the_job_whose_answer_arrived_whatever_its_batch(
    mirror: Mirror, running: Running, pocket: PocketPentaho, made: Made
) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in range(6)]
    async with running(*linked, settle=600) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(5)))
        async with mirror.store.write() as connection:  # as a replica that dies before it settles
            batch = await deliveries.peek(connection, mirror.store, "pentaho", 4)
        other = target_of(pocket.url)
        other.attach(mirror.store)
        # The service may have its turn first, and have asked already: then the answer is waited for, as the relay does.
        async with asyncio.timeout(20):
            while await other.deliver(batch) != [None] * 4:
                await asyncio.sleep(0.05)
        await other.close()
        await here.change(made.asset("a5"))
        await here.mirror.execute("UPDATE deliveries SET due_at = created_at")
        await here.at_rest()
    assert pocket.scopes("metadata/re-ingest") == [
        sorted(made.uuid(n) for n in range(4)), sorted(made.uuid(n) for n in (4, 5)),
    ]  # fmt: skip


async def test_what_is_told_again_by_a_person_is_asked_for_again(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    async with running(Link("asset", "a1", made.uuid(1))) as here:
        await here.change(made.asset("a1"))
        await here.at_rest()
        again = deliveries.of_state("pentaho", made.asset("a1"))
        async with here.mirror.store.write() as connection:
            await deliveries.create(connection, [again])
        await here.at_rest()
    assert len(pocket.taken) == 2


async def test_one_id_that_is_refused_is_found_and_hurts_nobody_else(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.unknown, pocket.messages = {made.uuid(13)}, "list"
    async with running(*(Link("asset", f"a{n}", made.uuid(n)) for n in range(20))) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(20)))
        await here.at_rest()
        ((entity, reason),) = await here.mirror.all("SELECT entity_id, reason FROM dead_letters")
    assert entity == "a13"
    assert f"HTTP 400 {made.uuid(13)} was not found" in reason
    arrived = [one for scope in pocket.scopes("metadata/re-ingest") for one in scope]
    assert sorted(arrived) == sorted(made.uuid(n) for n in range(20) if n != 13)


async def test_an_id_that_fails_inside_for_ever_holds_the_others_up_for_a_while_only(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.cursed = {made.uuid(2)}
    async with running(*(Link("asset", f"a{n}", made.uuid(n)) for n in range(4))) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(4)))
        await here.at_rest()
        ((entity, reason),) = await here.mirror.all("SELECT entity_id, reason FROM dead_letters")
    assert entity == "a2"
    assert "HTTP 500" in reason
    assert "8 times" in reason
    assert sorted(one for scope in pocket.scopes("metadata/re-ingest") for one in scope) == [
        made.uuid(n) for n in (0, 1, 3)
    ]


async def test_a_limit_of_ids_that_nobody_documents_divides_the_job(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.scope_max = 6
    async with running(*(Link("asset", f"a{n}", made.uuid(n)) for n in range(20))) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(20)))
        await here.at_rest()
        assert await here.mirror.one("SELECT count(*) FROM dead_letters") == 0
    assert [len(scope) for scope in pocket.scopes("metadata/re-ingest")] == [5, 5, 5, 5]


async def test_other_answers_are_understood_and_one_without_an_id_is_not_asked_for_twice(
    running: Running, pocket: PocketPentaho, made: Made
) -> None:
    async with running() as here:
        names = ["data_profiling", "data_discovery", "pii_detection", "usage_statistics", "metadata_re_ingest"]
        pocket.other_answers = [{"_id": "x1"}, {"data": [{"id": 7}]}, {"status": "OK"}, ["?"], {"status": "Error"}]
        for name in names:
            (key,) = await _insert(here.mirror, Planned(name, {"scope": [made.uuid(1)]}, (), "test"))
            await here.until(f"SELECT count(*) FROM pentaho_jobs WHERE job_key = '{key}' AND state = 'asking'", 0)
        rows = dict(await here.mirror.all("SELECT operation, coalesce(pentaho_job_id, state) FROM pentaho_jobs"))
        assert rows == dict(zip(names, ["x1", "7", "lost", "lost", "refused"], strict=True))
        await here.mirror.execute("UPDATE pentaho_jobs SET state = 'overdue'")
    assert len(pocket.taken) == 5


@pytest.mark.parametrize("form", ["text", "list", "object"])
async def test_an_error_is_told_in_whatever_form_it_comes_and_without_our_secrets(
    running: Running, pocket: PocketPentaho, form: str, tmp_path: Any
) -> None:
    pocket.messages = form
    secret_file = tmp_path / "secret.json"
    secret_file.write_text(json.dumps({"password": "open-sesame"}))
    known = {"open-sesame": {"port": "5432", "secret_file": str(secret_file)}}
    pocket.unknown = {"open-sesame"}  # what Pentaho says holds the secret
    async with running(data_sources=known) as here:
        await _insert(here.mirror, Planned("test_connection", {"resourceId": "open-sesame"}, (), "test"))
        await here.at_rest()
        problem = await here.mirror.one("SELECT problem FROM pentaho_jobs")
    assert "HTTP 400" in problem
    assert "*** was not found" in problem


@pytest.mark.parametrize(("word", "says"), [("wrong", "Invalid user credentials"), ("", "should not be empty")])
async def test_who_cannot_sign_in_says_so_keeps_everything_and_goes_on_with_the_right_password(
    running: Running, pocket: PocketPentaho, made: Made, tmp_path: Path, word: str, says: str
) -> None:
    password = tmp_path / "password"
    password.write_text(word)
    async with running(Link("asset", "a1", made.uuid(1)), password_file=password) as here:
        await here.change(made.asset("a1"))
        await here.until("SELECT count(*) FROM target_states WHERE notice IS NOT NULL", 1)
        assert says in await here.mirror.one("SELECT notice FROM target_states WHERE target = 'pentaho'")
        password.write_text(PASSWORD)
        await here.at_rest()
    assert len(pocket.taken) == 1


async def test_two_replicas_ask_for_each_job_once(
    mirror: Mirror, running: Running, pocket: PocketPentaho, made: Made
) -> None:
    pocket.delay_s = 0.05
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in range(30)]
    async with running(*linked, scope_max=2) as here:
        relay = Relay(mirror.store, [target_of(pocket.url, scope_max=2)], RelaySettings(poll_s=0.03), Metrics())
        task = asyncio.create_task(relay.run())
        await here.change(*(made.asset(f"a{n}") for n in range(30)))
        await here.at_rest()
        relay.stop()
        await task
    taken = [one for scope in pocket.scopes("metadata/re-ingest") for one in scope]
    assert sorted(taken) == sorted(link.pentaho_id for link in linked)


async def test_a_job_in_hand_is_nobody_elses_until_its_lease_lapses(mirror: Mirror) -> None:
    (key,) = await _insert(mirror, Planned("data_profiling", {"scope": ["x"]}, (), "test"))
    async with mirror.store.write() as connection:
        first = await ledger.take(connection, mirror.store, key, Lease("one", 60))
        assert first is not None
        assert not first.was_asked
    async with mirror.store.write() as connection:
        assert await ledger.take(connection, mirror.store, key, Lease("two", 60)) is None
    await mirror.execute("UPDATE pentaho_jobs SET lease_until = created_at")
    async with mirror.store.write() as connection:
        second = await ledger.take(connection, mirror.store, key, Lease("two", 60))
        assert second is not None
        assert second.was_asked


@pytest.mark.parametrize("seed", range(2))
async def test_whatever_fails_each_change_is_followed_by_a_job(
    running: Running, pocket: PocketPentaho, made: Made, seed: int
) -> None:
    chance, taken_before = random.Random(seed), dict[str, int]()
    linked = [Link("asset", f"a{n}", made.uuid(n // 2)) for n in range(20)]
    async with running(*linked, scope_max=3, settle=0.05) as here:
        for at in range(1, 9):
            for _ in range(chance.randrange(4)):
                pocket.failures.append(chance.choice([401, 408, 429, 500, 502, 503]))
            pocket.lost_answers += chance.random() < 0.2
            pocket.pages += chance.random() < 0.2
            if chance.random() < 0.2:
                pocket.expire_tokens()
            changed = chance.sample(range(20), chance.randrange(1, 8))
            await here.change(*(made.asset(f"a{n}", f"state {at}", at) for n in changed))
            taken_before |= {made.uuid(n // 2): len(pocket.taken) for n in changed}
            await asyncio.sleep(chance.random() / 20)
        await here.at_rest()
        assert await here.mirror.one("SELECT count(*) FROM dead_letters") == 0
        assert {state for _, state in await here.jobs()} == {"succeeded"}
    for entity, before in taken_before.items():
        later = [one for _, body in pocket.taken[before:] for one in body["scope"]]
        assert entity in later, f"nothing was asked for after the last change of {entity}"


async def test_what_is_planned_is_exactly_what_is_sent(running: Running, pocket: PocketPentaho, made: Made) -> None:
    linked = [Link("asset", f"a{n}", made.uuid(n)) for n in range(5)]
    async with running(*linked, scope_max=2, settle=600, bodies={"data_profiling": {"configs": {"x": 1}}}) as here:
        await here.change(*(made.asset(f"a{n}") for n in range(4)), made.profile("p", "a4", "finished"))
        async with here.mirror.store.read() as connection:
            batch = await deliveries.peek(connection, here.mirror.store, "pentaho", 10)
        planned = await here.target.plan(batch)
        await here.mirror.execute("UPDATE deliveries SET due_at = created_at")
        await here.at_rest()
    prefix = f"POST {pocket.url}/api/public/v1/jobs/execute/"
    told = [(one.to.removeprefix(prefix), json.loads(one.body)) for one in planned]
    assert sorted(told, key=str) == sorted(pocket.taken, key=str)


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ({}, "USERNAME"),
        ({"username": "u"}, "USERNAME"),
        ({"token": "t", "options": {"rules": {"asset_saved": [["fly"]]}}}, "there is no operation 'fly'"),
        ({"token": "t", "options": {"rules": {"asset_saved": [["business_rule"]]}}}, "asset_saved"),
        ({"token": "t", "options": {"rules": {"connection_saved": [["remove_datasource"]]}}}, "stands alone"),
        ({"token": "t", "options": {"rules": {"typo": []}}}, "typo"),
        ({"token": "t", "options": {"bodies": {"data_profiling": {"cfg": 1}}}}, "cfg"),
        ({"token": "t", "options": {"done_words": ["Error"]}}, "error"),
        ({"token": "t", "options": {"scope_max": 0}}, "scope_max"),
        ({"token": "t", "options": {"data_sources": {"d": {"port": 5432}}}}, "port"),
        ({"token": "t", "options": {"bodies": {"metadata_ingest": {"password": "p"}}}}, "secret_file"),
        ({"token": "t", "options": {"data_sources": {"d": {"secret_file": "/nowhere"}}}}, "secret_file"),
    ],
)
def test_settings_that_cannot_work_are_refused_with_their_place(chosen: dict[str, Any], says: str) -> None:
    settings = Settings(targets={"pentaho": TargetSettings(url="https://pdc.example.com", **chosen)})
    with pytest.raises(SettingInvalid, match=says):
        Pentaho.create("pentaho", settings)


def test_it_is_off_until_it_has_a_url() -> None:
    assert Pentaho.create("pentaho", Settings()) is None
    assert len(OPERATIONS) == 13, "and the status of a job: fourteen"
