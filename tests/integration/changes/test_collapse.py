"""Changes of a thing that wait go out as one, where a target wants that."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from sandbox.webhook.receiver import Failure, PocketReceiver
from service.operations import targets as operations
from service.settings.model import Settings, TargetSettings
from service.targets.changes.webhook import Webhook
from tests.integration.changes.conftest import Way, asset, columns, gone

Open = Callable[..., AbstractAsyncContextManager[Way]]


async def test_what_waits_for_one_thing_goes_out_as_one_change_and_a_plan_shows_it(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    chosen: dict[str, Any] = {"url": receiver_url, "secret_file": secret_file, "options": {"collapse": True}}
    async with open_way(Webhook, runs=False, **chosen) as way:
        await way.take(asset(at_s=1, name="A", tags=("x",), columns=columns("id", "email")))
        await way.take(asset("other", at_s=1))
        await way.take(asset(at_s=2, name="B", tags=("x",), columns=columns("id", "phone")))
        await way.take(asset(at_s=3, name="C", tags=("x",), columns=columns("id", "phone")))
        settings = Settings(targets={"webhook": TargetSettings(**chosen)})
        (sending,) = (await operations.plan(way.mirror.store, settings, "webhook")).sendings
        planned = {event["subject"]: event for event in json.loads(sending.body)}
        assert await way.mirror.one("SELECT count(*) FROM deliveries") == 4
    async with open_way(Webhook, **chosen) as way:
        await way.emptied()
    (told,) = receiver.told("asset/a1")
    data = told["data"]
    assert (data["what"], data["after"]["name"], data["collapsed"], "before" in data) == ("created", "C", 3, False)
    assert [one["name"] for one in data["after"]["columns"]] == ["id", "phone"]
    assert {event["subject"]: event for event in receiver.events} == planned


@pytest.mark.parametrize("collapse", [False, True])
async def test_back_and_forth_is_told_in_steps_or_not_at_all(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path, collapse: bool
) -> None:
    options = {"collapse": collapse}
    async with open_way(Webhook, url=receiver_url, secret_file=secret_file, options=options) as way:
        await way.take(asset(at_s=1, name="A", columns=columns("id")))
        await way.emptied()
        receiver.failures = [Failure(503)]
        await way.take(asset(at_s=2, name="B", columns=columns("id", "x")))
        await way.until("SELECT count(*) FROM deliveries WHERE attempts > 0", 1)
        receiver.failures = [Failure(503)] * 3
        await way.take(asset(at_s=3, name="A", columns=columns("id")))
        await way.take(asset(at_s=4, name="A", description="New", columns=columns("id")))
        await way.emptied()
    told = [(event["data"].get("before"), event["data"]["after"]) for event in receiver.told("asset/a1")][1:]
    if collapse:
        # Of how many waited when it was claimed, the clock decides; what they are together, nobody does.
        before: dict[str, Any] = {}
        after: dict[str, Any] = {}
        for was, now in told:
            before = {**was, **before}
            after |= now
        assert (after["description"], after.get("name", "A")) == ("New", "A")
    else:
        assert [now.get("name") for _, now in told] == ["B", "A", None]


async def test_a_deletion_after_what_waits_is_told_as_the_deletion(
    open_way: Open, receiver: PocketReceiver, receiver_url: str, secret_file: Path
) -> None:
    chosen: dict[str, Any] = {"url": receiver_url, "secret_file": secret_file, "options": {"collapse": True}}
    async with open_way(Webhook, **chosen) as way:
        await way.take(asset(at_s=1, name="A"))
        await way.emptied()
    async with open_way(Webhook, runs=False, **chosen) as way:
        await way.take(asset(at_s=2, name="B"))
        await way.take(gone(at_s=3))
    async with open_way(Webhook, **chosen) as way:
        await way.emptied()
    data = receiver.told("asset/a1")[-1]["data"]
    assert (data["what"], data["before"]["name"], "after" in data) == ("deleted", "A", False)
