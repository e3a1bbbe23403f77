"""Changes to an exchange of a real broker, read there by the official SDK."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import aio_pika
import pytest
from cloudevents.core.bindings import amqp
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from yarl import URL

from service.errors import SettingInvalid
from service.settings.model import Settings, TargetSettings
from service.targets.changes.amqp import Amqp
from tests.integration.changes.conftest import Way, asset, gone

Open = Callable[..., AbstractAsyncContextManager[Way]]


@pytest.fixture
async def channel(amqp_url: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """A channel of the receiver's own, with the exchange declared."""
    async with await aio_pika.connect(amqp_url) as connection:
        channel = await connection.channel()
        await channel.declare_exchange("changes", aio_pika.ExchangeType.TOPIC)
        yield channel


@pytest.fixture
def chosen(amqp_url: str, tmp_path: Path) -> dict[str, Any]:
    """Settings of the target: the password is in a file."""
    url = URL(amqp_url)
    file = tmp_path / "password"
    file.write_text(url.password or "guest")
    plain = str(url.with_user(None))
    return {"url": plain, "username": url.user or "guest", "password_file": file, "options": {"exchange": "changes"}}


async def _bound(channel: aio_pika.abc.AbstractChannel, key: str) -> aio_pika.abc.AbstractQueue:
    queue = await channel.declare_queue(key)
    await queue.bind("changes", key)
    return queue


async def _taken(queue: aio_pika.abc.AbstractQueue) -> aio_pika.abc.AbstractIncomingMessage:
    message = await queue.get(timeout=20)
    assert message is not None
    await message.ack()
    return message


async def test_a_change_is_a_message_in_binary_mode_whose_key_says_kind_and_what_happened(
    open_way: Open, channel: aio_pika.abc.AbstractChannel, chosen: dict[str, Any]
) -> None:
    updates, deletions = await _bound(channel, "asset.created"), await _bound(channel, "asset.deleted")
    async with open_way(Amqp, **chosen) as way:
        await way.take(asset(at_s=1, name="Orders"))
        await way.take(gone(at_s=2))
        await way.emptied()
    message = await _taken(updates)
    assert (message.content_type, message.delivery_mode) == ("application/json", 2)
    assert set(message.headers) == {
        f"cloudEvents:{name}" for name in ("specversion", "id", "source", "type", "subject", "time")
    }
    told = amqp.AMQPMessage({"content-type": message.content_type}, dict(message.headers), message.body)
    event = amqp.from_binary(told, JSONFormat(), CloudEvent)
    assert (event.get_type(), event.get_subject()) == ("catalog-mirror.asset.created", "asset/a1")
    assert message.message_id == event.get_id()
    data = event.get_data()
    assert isinstance(data, dict)
    assert data["after"]["name"] == "Orders"
    assert (await _taken(deletions)).headers["cloudEvents:type"] == "catalog-mirror.asset.deleted"


async def test_in_structured_mode_the_body_is_the_event(
    open_way: Open, channel: aio_pika.abc.AbstractChannel, chosen: dict[str, Any]
) -> None:
    queue = await _bound(channel, "changes.asset")
    options = {"exchange": "changes", "mode": "structured", "routing_key": "changes.{kind}"}
    async with open_way(Amqp, **chosen | {"options": options}) as way:
        await way.take(asset())
        await way.emptied()
    message = await _taken(queue)
    assert message.content_type == "application/cloudevents+json"
    assert JSONFormat().read(CloudEvent, message.body).get_subject() == "asset/a1"


async def test_an_exchange_that_nobody_is_bound_to_is_told_and_nothing_is_lost(
    open_way: Open, channel: aio_pika.abc.AbstractChannel, chosen: dict[str, Any]
) -> None:
    async with open_way(Amqp, **chosen) as way:
        await way.take(asset())
        await way.until(
            "SELECT count(*) FROM target_states WHERE notice LIKE '%no queue for the key%asset.created%'", 1
        )
        assert await way.mirror.one("SELECT count(*) FROM dead_letters") == 0
        queue = await _bound(channel, "#")
        await way.emptied()
    assert (await _taken(queue)).headers["cloudEvents:subject"] == "asset/a1"


@pytest.mark.parametrize(
    ("more", "problem"),
    [
        ({"url": "https://broker.example"}, "must start with amqp"),
        ({"options": {}}, "exchange"),
        ({"options": {"exchange": "x", "routing_key": "{id}"}}, "there are kind, what"),
    ],
)
def test_what_cannot_be_used_is_named(more: dict[str, Any], problem: str) -> None:
    chosen = {"url": "amqp://broker.example", "options": {"exchange": "changes"}} | more
    with pytest.raises(SettingInvalid, match=problem):
        Amqp.create("amqp", Settings(targets={"amqp": TargetSettings(**chosen)}))


def test_a_password_in_the_url_is_refused_and_not_shown() -> None:
    with pytest.raises(ValueError, match="neither user nor password") as refusal:
        TargetSettings(url="amqp://user:secret-word@broker.example")
    assert "user nor password" in str(refusal.value)
