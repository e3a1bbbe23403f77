"""Changes to Kafka, as far as librdkafka's own mock cluster is one: no broker of Kafka runs here (docs/changes.md)."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from cloudevents.core.bindings import kafka
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from confluent_kafka import Consumer, Message, Producer

from service.errors import SettingInvalid
from service.settings.model import Settings, TargetSettings
from service.targets.changes.kafka import Kafka
from tests.integration.changes.conftest import Way, asset, gone

Open = Callable[..., AbstractAsyncContextManager[Way]]


@pytest.fixture
def brokers() -> Iterator[str]:
    """Where the mock cluster is; it lives as long as the client that holds it."""
    holder = Producer({"bootstrap.servers": "", "test.mock.num.brokers": 2, "log_level": 0})
    told = holder.list_topics(timeout=20).brokers.values()
    yield ",".join(f"{one.host}:{one.port}" for one in told)
    holder.flush(1)


def _read(brokers: str, number: int) -> list[Message]:
    """So many records of the topic."""
    consumer = Consumer({"bootstrap.servers": brokers, "group.id": "g", "auto.offset.reset": "earliest"})
    try:
        consumer.subscribe(["changes"])
        found: list[Message] = []
        for _ in range(600):
            message = consumer.poll(0.1)
            if message is not None and message.error() is None:
                found.append(message)
            if len(found) == number:
                return found
        raise AssertionError(f"{len(found)} of {number} came")
    finally:
        consumer.close()


@pytest.mark.parametrize("mode", ["binary", "structured"])
async def test_changes_of_a_thing_are_records_of_one_key_in_their_order(
    open_way: Open, brokers: str, mode: str
) -> None:
    options = {"brokers": brokers, "topic": "changes", "mode": mode}
    async with open_way(Kafka, options=options) as way:
        for at_s in range(1, 6):
            await way.take(asset("a1", at_s, name=f"N{at_s}"), asset("a2", at_s, name=f"N{at_s}"))
        await way.take(gone("a1"))
        await way.emptied()
    records = await asyncio.to_thread(_read, brokers, 11)
    told: dict[str, list[CloudEvent]] = {}
    for record in records:
        headers: Any = dict(record.headers() or [])
        key, value = record.key() or b"", record.value() or b""
        event = kafka.from_kafka(kafka.KafkaMessage(headers, key, value), JSONFormat(), CloudEvent)
        assert event.get_subject() == f"asset/{key.decode()}"
        told.setdefault(key.decode(), []).append(event)  # type: ignore[arg-type]
    whats = [str(event.get_type()).rsplit(".", 1)[1] for event in told["a1"]]
    assert whats == ["created", *["updated"] * 4, "deleted"]
    data: Any = told["a2"][-1].get_data()
    assert (data["before"]["name"], data["after"]["name"]) == ("N4", "N5")
    assert len({event.get_id() for one in told.values() for event in one}) == 11


async def test_without_brokers_nothing_is_lost_and_the_notice_says_why(open_way: Open) -> None:
    options = {"brokers": "127.0.0.1:1", "topic": "changes", "timeout_s": 0.5}
    async with open_way(Kafka, options=options) as way:
        await way.take(asset())
        await way.until("SELECT count(*) FROM target_states WHERE notice LIKE '%kafka%'", 1)
        assert await way.mirror.one("SELECT count(*) FROM deliveries") == 1


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"topic": "t"}, "brokers"),
        ({"brokers": "a:1", "topic": "no topic"}, "topic"),
        ({"brokers": "user:word@a:1", "topic": "t"}, "brokers"),
        ({"brokers": "a:1", "topic": "t", "client": {"sasl.password": "x"}}, "PASSWORD_FILE"),
        ({"brokers": "a:1", "topic": "t", "client": {"ssl.key.password": "x"}}, "PASSWORD_FILE"),
        ({"brokers": "a:1", "topic": "t", "client": {"no.such.setting": "x"}}, "no.such.setting"),
    ],
)
def test_options_that_cannot_be_used_are_named(options: dict[str, Any], problem: str) -> None:
    with pytest.raises(SettingInvalid, match=problem):
        Kafka.create("kafka", Settings(targets={"kafka": TargetSettings(options=options)}))
