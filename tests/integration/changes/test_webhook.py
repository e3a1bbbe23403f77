"""Changes to a receiver that checks signatures and events with the official libraries."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.webhook.receiver import Failure, PocketReceiver
from service.changes import ContainerSaved, Origin, ProfileSaved, Rank, Version
from service.errors import SettingInvalid
from service.operations import acting
from service.operations import targets as operations
from service.operations.acting import Act
from service.settings.model import Settings, TargetSettings
from service.targets.backfill import Chosen
from service.targets.changes.webhook import Webhook
from service.text.documents import document
from tests.integration.changes.conftest import PLACE, SECRET, Way, asset, columns, gone

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

Open = Callable[..., AbstractAsyncContextManager[Way]]
OTHER = "whsec_" + base64.b64encode(b"another secret, of forty bytes, or so...").decode()


def _whats(receiver: PocketReceiver, subject: str = "asset/a1") -> list[str]:
    return [event["data"]["what"] for event in receiver.told(subject)]


@pytest.mark.parametrize("mode", ["batched", "structured", "binary"])
async def test_a_change_is_told_with_what_was_before_and_what_is_after(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path, mode: str
) -> None:
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options={"mode": mode}) as way:
        await way.take(asset(at_s=1, name="Orders", tags=("pii",), columns=columns("id", "email")))
        await way.take(asset(at_s=2, name="Old orders", tags=("pii",), columns=columns("id", "phone")))
        await way.take(gone(at_s=3))
        await way.emptied()
    created, updated, deleted = receiver.told("asset/a1")
    assert (receiver.refusals, receiver.again) == ([], [])
    assert [event["type"] for event in (created, updated, deleted)] == [
        "catalog-mirror.asset.created", "catalog-mirror.asset.updated", "catalog-mirror.asset.deleted",
    ]  # fmt: skip
    assert (created["data"]["after"]["name"], "before" in created["data"]) == ("Orders", False)
    about = updated["data"]
    assert (about["before"], about["after"]) == (
        {"name": "Orders", "columns": [{"name": "email", "position": 2, "data_type": "VARCHAR"}]},
        {"name": "Old orders", "columns": [{"name": "phone", "position": 2, "data_type": "VARCHAR"}]},
    )
    assert (deleted["data"]["before"]["name"], "after" in deleted["data"]) == ("Old orders", False)
    assert [one["name"] for one in deleted["data"]["before"]["columns"]] == ["id", "phone"]
    assert (about["kind"], about["id"], about["origin"], about["name"]) == ("asset", "a1", "live", "Old orders")
    assert about["container"] == {"kind": "catalog", "id": "c1"}
    assert about["version"]["at"] == updated["time"] == "1970-01-01T00:00:02Z"
    assert deleted["data"]["container"] == {"kind": "catalog", "id": "c1"}, "a deletion does not say where"


async def test_kinds_beside_assets_are_told_too(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    version = Version(1_000_000, Rank.EVENT)
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        await way.take(
            ContainerSaved(PLACE, version, document({}), "Sales"),
            ProfileSaved("p1", version, document({}), "a1", PLACE, "finished", column_count=3),
        )
        await way.emptied()
    (container,), (profile,) = receiver.told("container/c1"), receiver.told("data_profile/p1")
    assert container["data"]["container"] == {"kind": "catalog", "id": "c1"}
    assert container["data"]["after"]["name"] == "Sales"
    assert (profile["data"]["asset_id"], profile["data"]["after"]["column_count"]) == ("a1", 3)
    assert "figures" not in profile["data"]["after"]


async def test_what_not_everybody_may_see_is_not_told_and_what_is_hidden_is_gone(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        await way.take(asset("private", name="Salaries", visibility_mode=8))
        await way.take(asset("private", at_s=2, name="Wages", visibility_mode=16))
        await way.take(asset(at_s=1, columns=columns("id")))
        await way.take(asset(at_s=2, name="A secret", visibility_mode=8, columns=columns("hidden")))
        await way.take(asset(at_s=3, name="Open again", columns=columns("id")))
        await way.emptied()
    assert receiver.told("asset/private") == []
    assert _whats(receiver) == ["created", "deleted", "created"]
    assert "A secret" not in json.dumps(receiver.events)
    assert [one["name"] for one in receiver.events[1]["data"]["before"]["columns"]] == ["id"]


async def test_order_holds_for_one_thing_and_a_repetition_is_known_by_its_id(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    """The receiver refuses what is older than what it has, so any disorder would be a dead letter."""
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options={"batch_max": 7}) as way:
        receiver.failures = [Failure(503)] * 5
        for at_s in range(1, 21):
            await way.take(*(asset(f"a{number}", at_s, name=f"N{at_s}") for number in range(10)))
        await way.emptied()
    assert (receiver.refusals, await way.mirror.one("SELECT count(*) FROM dead_letters")) == ([], 0)
    for number in range(10):
        told = [event["data"] for event in receiver.told(f"asset/a{number}")]
        assert [one["after"]["name"] for one in told] == [f"N{at_s}" for at_s in range(1, 21)]
        assert [one["before"]["name"] for one in told[1:]] == [one["after"]["name"] for one in told[:-1]]


async def test_two_replicas_at_one_thing_tell_an_unbroken_chain(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    """What another transaction wrote in between is seen, and looked at anew (`Overtaken`)."""
    chosen: dict[str, Any] = {"url": receiver_url, "secret_file": secret_file}
    async with open_way(Webhook, **chosen) as one, open_way(Webhook, runs=False, **chosen) as other:

        async def write(way: Way, seconds: range) -> None:
            for at_s in seconds:
                await way.take(asset(at_s=at_s, name=f"N{at_s}", columns=columns(f"c{at_s}")))

        await asyncio.gather(write(one, range(1, 60, 2)), write(other, range(2, 60, 2)))
        await one.emptied()
    told = [event["data"] for event in receiver.told("asset/a1")]
    assert (receiver.refusals, told[-1]["after"]["name"]) == ([], "N59")
    for first, then in itertools.pairwise(told):
        assert then["before"] == {name: first["after"][name] for name in then["before"]}


async def test_secrets_rotate_with_two_valid_at_once(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        await way.take(asset(at_s=1))
        await way.emptied()
        secret_file.write_text(f"{OTHER}\n{SECRET}\n")
        await way.take(asset(at_s=2))
        await way.emptied()
        receiver.secrets = [OTHER]
        await way.take(asset(at_s=3))
        await way.emptied()
        secret_file.write_text(f"{OTHER}\n")
        await way.take(asset(at_s=4))
        await way.emptied()
    assert (len(receiver.events), receiver.refusals) == (4, [])
    assert [len(one["webhook-signature"].split()) for one in receiver.headers] == [1, 2, 2, 1]


async def test_a_signature_of_another_secret_is_refused_and_the_event_is_a_dead_letter_to_replay(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    secret_file.write_text(OTHER)
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        await way.take(asset())
        await way.emptied()
        assert await way.mirror.one("SELECT reason FROM dead_letters") == (
            "The target webhook refuses the delivery for good: HTTP 400 {\"error\": \"No matching signature found\"}."
        )  # fmt: skip


@pytest.mark.parametrize("hours", [1, -1])
async def test_a_clock_of_ours_that_is_off_costs_a_refusal_and_no_event(
    open_way: Open,
    receiver: PocketReceiver,
    receiver_url: str,
    secret_file: Path,
    monkeypatch: pytest.MonkeyPatch,
    hours: int,
) -> None:
    class Off(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> Any:
            return datetime.now(tz) + timedelta(hours=hours)

    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        monkeypatch.setattr("service.targets.changes.signing.datetime", Off)
        for at_s in (1, 2):
            await way.take(asset(at_s=at_s))
            await way.emptied()
        assert receiver.refusals == [f"Message timestamp too {'new' if hours > 0 else 'old'}"]
        monkeypatch.undo()  # as when it is set right
        await way.take(asset(at_s=3))
        await way.emptied()
    assert (len(receiver.events), len(receiver.refusals), receiver.again) == (3, 2, [])
    assert await way.mirror.all("SELECT reason FROM dead_letters") == []


async def test_a_date_that_is_not_the_receivers_changes_nothing(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    """It may be a proxy's, whose clock nobody looks after."""
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        receiver.failures = [Failure(400, {"Date": "Mon, 06 May 2024 10:00:00 GMT"})]
        for at_s in (1, 2):
            await way.take(asset(at_s=at_s))
            await way.emptied()
    assert (len(receiver.events), receiver.refusals) == (1, ["Message timestamp too old"])
    assert await way.mirror.one("SELECT count(*) FROM dead_letters") == 1


@pytest.mark.parametrize(
    ("failure", "problem"),
    [
        (Failure(302, {"Location": "http://elsewhere.example"}), "is not where it takes events"),
        (Failure(429, {"Retry-After": "1"}), "HTTP 429"),
        (Failure(500), "HTTP 500"),
        (Failure(401), "does not accept our token"),
        (Failure(200, body="<html>Please sign in</html>"), "a page answers"),
        (Failure(204, after_s=0.6), "TimeoutError"),
    ],
)
async def test_an_obstacle_loses_nothing_and_says_what_it_is(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path, failure: Failure, problem: str
) -> None:
    options = {"timeout_s": 0.2 if failure.after_s else 30}
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options=options) as way:
        receiver.failures = [failure] * 2
        await way.take(asset())
        await way.until(f"SELECT count(*) FROM deliveries WHERE last_error LIKE '%{problem}%'", 1)
        await way.emptied()
    assert (len(receiver.events), receiver.again) == (1, [])


async def test_a_receiver_that_is_gone_is_told_nothing_more_until_a_person_says_so(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        receiver.failures = [Failure(410)]
        await way.take(asset())
        await way.until("SELECT count(*) FROM target_states WHERE pause_reason LIKE '%410%'", 1)
        assert await way.mirror.one("SELECT count(*) FROM deliveries") == 1
        (lane,) = way.relay.lanes
        assert "targets resume webhook" in (lane.notice.advice() if lane.notice else "")


async def test_of_an_array_that_is_refused_only_what_is_not_wanted_is_a_dead_letter(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    receiver.unwanted = {"asset/a3"}
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        await way.take(*(asset(f"a{number}") for number in range(8)))
        await way.emptied()
        assert len(receiver.events) == 7
        assert await way.mirror.one("SELECT entity_id FROM dead_letters") == "a3"
        letter = json.loads(await way.mirror.one("SELECT body FROM dead_letters"))
        assert letter["data"]["id"] == "a3", "it is kept as it was told, to be told again"


async def test_a_plan_shows_what_would_be_sent_and_a_backfill_tells_states(
    open_way: Open, mirror: Mirror, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    options = {"kinds": ["asset"], "asset_types": ["data_asset"]}
    chosen: dict[str, Any] = {"url": receiver_url, "secret_file": secret_file, "options": options}
    settings = Settings(targets={"webhook": TargetSettings(**chosen)})
    async with open_way(Webhook, runs=False, **chosen) as way:
        await way.take(asset("a1"), asset("other", asset_type="connection"), origin=Origin.SYNC)
        await way.take(asset("a2", at_s=2))
        (sending,) = (await operations.plan(mirror.store, settings, "webhook")).sendings
        (event,) = json.loads(sending.body)
        assert (sending.to, event["subject"]) == (f"POST {receiver_url}", "asset/a2")
        await mirror.execute("DELETE FROM deliveries")
    act = Act("somebody", acting.Way.COMMAND)
    counts = await operations.backfill(mirror.store, settings, "webhook", Chosen(), act)
    assert counts == {"asset": 3}
    async with open_way(Webhook, **chosen) as way:
        await way.emptied()
    assert {event["subject"]: event["data"]["what"] for event in receiver.events} == {
        "asset/a1": "state", "asset/a2": "state",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"kinds": ["assets"]}, "did you mean asset"),
        ({"fields": ["nane"]}, "did you mean name"),
        ({"where": "data.["}, "where: it does not compile"),
        ({"where": "data && foo(@)"}, "there is no function foo()"),
        ({"where": "x" * 3000}, "more than 2000"),
        ({"mode": "parcel"}, "mode"),
        ({"source": "with a space"}, "source"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], problem: str) -> None:
    chosen = TargetSettings(url="https://receiver.example", options=options)
    with pytest.raises(SettingInvalid) as refusal:
        Webhook.create("webhook", Settings(targets={"webhook": chosen}))
    assert problem in str(refusal.value)


def test_a_url_of_another_protocol_is_refused() -> None:
    with pytest.raises(SettingInvalid, match="http://"):
        Webhook.create("webhook", Settings(targets={"webhook": TargetSettings(url="amqp://broker.example")}))


def test_without_the_extra_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.targets.changes.options.find_spec", lambda _: None)
    with pytest.raises(SettingInvalid, match=r"pip install 'catalog-mirror\[events\]'"):
        Webhook.create("webhook", Settings(targets={"webhook": TargetSettings(url="https://receiver.example")}))


@pytest.mark.parametrize(
    ("text", "problem"),
    [("", "0 secrets"), ("a\nb\nc", "3 secrets"), ("whsec_!!", "line 1 is no secret"), ("whsec_QUJD", "3 bytes")],
)
def test_secrets_that_cannot_be_used_are_named_and_never_shown(tmp_path: Path, text: str, problem: str) -> None:
    file = tmp_path / "secrets"
    file.write_text(text)
    chosen = TargetSettings(url="https://receiver.example", secret_file=file)
    with pytest.raises(SettingInvalid) as refusal:
        Webhook.create("webhook", Settings(targets={"webhook": chosen}))
    assert problem in str(refusal.value)
    assert "QUJD" not in str(refusal.value)
