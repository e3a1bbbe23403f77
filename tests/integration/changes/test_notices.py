"""What else a target can be told of: each once, and only to who asked."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from sandbox.webhook.receiver import PocketReceiver
from service.changes import DriftFound, Rank, ThingSaved, Version
from service.kinds import THINGS
from service.mirror import controls
from service.targets.changes import notices
from service.targets.changes.webhook import Webhook
from service.text.documents import document
from tests.integration.changes.conftest import PLACE, Way, asset

Open = Callable[..., AbstractAsyncContextManager[Way]]


def _contract_test(test_id: str, result: str) -> ThingSaved:
    kind = THINGS["data_contract_test"]
    values = kind.row(data_contract_id="k1", result=result)
    return ThingSaved(kind.name, test_id, Version(1, Rank.READ), document({"id": test_id}), values, PLACE)


async def test_gaps_brakes_refusals_and_broken_contracts_are_told_once_to_who_asked(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    options = {"kinds": ["container"], "notices": ["gaps", "brakes", "refused", "contracts"]}
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options=options) as way:
        store = way.mirror.store
        await way.until("SELECT count(*) FROM controls WHERE name = 'notices:webhook'", 1)
        async with store.write() as connection:
            await controls.record_gap(connection, "absence", "nobody consumed for 2 h", None)
            await controls.set_control(connection, f"{controls.BRAKE}:r1", {"reason": "40 of 200 failed"})
        await way.take(_contract_test("t1", "failed"), _contract_test("t2", "passed"))
        way.target.tends_every_s = 0.01
        await way.until("SELECT delivered FROM target_states", 3)
        await way.emptied()
        assert await notices.look(store, "webhook", options["notices"], "urn:catalog-mirror") == 0, "told already"
    told = {event["type"].rsplit(".", 1)[1]: event["data"] for event in receiver.events}
    assert told.keys() == {"gaps", "brakes", "contracts"}
    assert (told["gaps"]["title"], told["gaps"]["about"]["kind"]) == ("Events may have been lost", "absence")
    assert "40 of 200 failed" in told["brakes"]["about"]["reason"]
    assert told["contracts"]["about"]["data_contract_id"] == "k1"
    assert (receiver.refusals, receiver.again) == ([], [])


async def test_a_refused_delivery_is_told_but_not_that_a_notice_was_refused(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    receiver.unwanted = {"asset/a1"}
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options={"notices": ["refused"]}) as way:
        await way.until("SELECT count(*) FROM controls WHERE name = 'notices:webhook'", 1)
        way.target.tends_every_s = 0.01
        await way.take(asset("a1"))
        await way.until("SELECT delivered FROM target_states", 1)
        await way.emptied()
        (notice,) = receiver.events
        assert (notice["data"]["about"]["id"], notice["data"]["title"]) == ("a1", "webhook refused a delivery")
        for kind, number in (("asset", 1), ("notice", 0)):
            await way.mirror.execute(f"UPDATE dead_letters SET entity_kind = '{kind}'")
            async with way.mirror.store.write() as connection:
                long_ago = {"since": "2020-01-01T00:00:00+00:00", "told": {}}
                await controls.set_control(connection, "notices:another", long_ago)
            assert await notices.look(way.mirror.store, "another", ["refused"], "urn:x") == number
            await way.mirror.execute("DELETE FROM deliveries")


async def test_drift_is_told_as_it_is_found(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    drift = DriftFound(
        "a1", "email", "nulls", Version(5_000_000, Rank.EVENT), PLACE, "p1", "r2", 1_000_000, 5_000_000,
        before_number=0.1, after_number=0.4,
    )  # fmt: skip
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options={"notices": ["drift"]}) as way:
        assert way.target.wants(drift)
        text: Any = way.target.tells(drift, None, next(iter(way.target.origins)))
        assert text is not None
        assert '"before":0.1,"after":0.4' in text
        assert '"time":"1970-01-01T00:00:05Z"' in text
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file) as way:
        assert not way.target.wants(drift), "nobody asked"
