"""Several queues: each event lies on one of them, other settings lose nothing, and what is missing is said."""

import asyncio
import shlex
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import nullcontext, suppress
from functools import partial
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from aiormq.exceptions import AMQPConnectionError
from pydantic import SecretStr

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.management import ManagementApi
from sandbox.parts.providers import Broker
from service.amqp import queues, topology
from service.amqp.connection import Link, connected
from service.amqp.consumer import Consumer
from service.amqp.gate import Gate
from service.amqp.migration import Migration
from service.amqp.topology import Former
from service.errors import TopologyMissing
from service.mirror.store import Store
from service.mirror.turns import turn
from service.operations.broker_findings import broker_findings
from service.settings.model import AmqpSettings, PipelineSettings, Settings, StoreSettings

PATTERNS = ["v2.data_profiles.*.POST", "v2.data_profiles.*.PATCH"]
EVENTS = 200


@pytest.fixture
def settings(amqp_url: str, broker: Broker) -> AmqpSettings:
    management = SecretStr(str(broker.management_url))
    return AmqpSettings(url=SecretStr(amqp_url), management_url=management, queues=4)


@pytest.fixture
async def link(settings: AmqpSettings, catalog: Any) -> AsyncIterator[Link]:
    async with connected(settings, "test") as link:
        yield link


@pytest.fixture
def lie(link: Link, settings: AmqpSettings) -> Callable[[], Any]:
    """`await lie()`: how many messages lie in each of four queues; None where there is no such queue."""

    async def look() -> list[int | None]:
        return [await topology.ready_messages(link, settings, name) for name in queues.names(settings)]

    return look


async def test_each_event_lies_on_one_of_the_queues_and_each_queue_has_its_share(
    link: Link, settings: AmqpSettings, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any]
) -> None:
    for _ in range(2):  # a second replica changes nothing
        await topology.ensure(link, settings, PATTERNS)
    await catalog.publish([profile_event(number) for number in range(EVENTS)])
    shares = await lie()
    assert sum(shares) == EVENTS
    assert min(shares) > EVENTS / 8


async def test_events_of_one_key_stay_on_one_queue(
    link: Link, settings: AmqpSettings, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any]
) -> None:
    await topology.ensure(link, settings, PATTERNS)
    await catalog.publish([profile_event(7, at_s=second) for second in range(50)])
    assert sorted(await lie()) == [0, 0, 0, 50]


async def test_more_queues_and_fewer_again_get_every_event_at_every_moment(
    link: Link, settings: AmqpSettings, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any]
) -> None:
    """What lay on a queue lies there still, and nothing comes to those given up."""
    events = [profile_event(number) for number in range(EVENTS)]
    one, two = (settings.model_copy(update={"queues": number}) for number in (1, 2))
    bindings = [(settings.exchange, pattern) for pattern in PATTERNS]

    await topology.ensure(link, one, PATTERNS)
    await catalog.publish(events)
    await topology.ensure(link, settings, PATTERNS)
    await topology.leave(link, settings, PATTERNS, Former())
    assert await lie() == [EVENTS, 0, 0, 0]
    await catalog.publish(events)
    of_four = await lie()
    assert sum(of_four) == 2 * EVENTS, "the first queue is not bound beside the exchange any more"

    await topology.ensure(link, two, PATTERNS)
    await topology.leave(link, two, PATTERNS, Former(queues=("catalog-mirror.3", "catalog-mirror.4")))
    await catalog.publish(events)
    of_two = await lie()
    assert (sum(of_two), of_two[2:]) == (3 * EVENTS, of_four[2:])

    await topology.ensure(link, one, PATTERNS)
    await topology.leave(link, one, PATTERNS, Former(bindings, queues.names(settings)[1:]))
    await catalog.publish(events)
    assert await lie() == [of_two[0], *of_two[1:]], "its own bindings were among the former ones"


async def test_a_queue_that_holds_something_is_not_deleted(
    link: Link, settings: AmqpSettings, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any]
) -> None:
    await topology.ensure(link, settings, PATTERNS)
    await catalog.publish([profile_event(number) for number in range(20)])
    move = Migration(link, settings.model_copy(update={"queues": 3}), "catalog-mirror.4")
    assert not await move.delete_if_empty()
    async with link.channel() as channel:
        await (await channel.get_queue("catalog-mirror.4", ensure=False)).purge()
    assert await move.delete_if_empty()
    assert (await lie())[3] is None


async def test_doctor_tells_of_each_queue_and_looks_for_the_bindings_of_the_exchange_before_them(
    link: Link, settings: AmqpSettings
) -> None:
    await topology.ensure(link, settings, PATTERNS)
    amqp = settings.model_copy(update={"bindings": PATTERNS})
    found = [finding async for finding in broker_findings(Settings(amqp=amqp))]
    told = [one.detail.partition(" ")[0] for one in found if one.check == "queue"]
    assert told == ["catalog-mirror", "catalog-mirror.2", "catalog-mirror.3", "catalog-mirror.4"]
    assert {str(one.verdict) for one in found} == {"ok"}, found
    await topology.unbind(link, settings, queues.spreader(settings), [(settings.exchange, PATTERNS[1])])
    found = [finding async for finding in broker_findings(Settings(amqp=amqp))]
    assert [one.check for one in found if str(one.verdict) != "ok"] == ["bindings"]


async def test_the_rights_that_are_named_are_those_that_are_needed(
    settings: AmqpSettings, catalog: Any, broker: Broker, amqp_url: str
) -> None:
    """A user without any is told a command; what that gives is enough to make several queues, and to give one up."""
    api, vhost = ManagementApi(str(broker.management_url)), amqp_url.rpartition("/")[2]
    api.add_user("of-queues", "pw")
    narrow = settings.model_copy(update={"url": SecretStr(amqp_url.replace("guest:guest", "of-queues:pw"))})
    try:
        api.call("PUT", f"/api/permissions/{vhost}/of-queues", {"configure": "", "write": "", "read": "^Cat"})
        async with connected(narrow, "test") as link:
            with pytest.raises(TopologyMissing) as told:
                await topology.ensure(link, narrow, PATTERNS)
        configure, write, read = _rights(told.value.advice())
        api.call("PUT", f"/api/permissions/{vhost}/of-queues", {"configure": configure, "write": write, "read": read})
        async with connected(narrow, "test") as link:
            await topology.ensure(link, narrow, PATTERNS)
            await topology.leave(link, narrow, PATTERNS, Former(queues=("catalog-mirror.5",)))
    finally:
        api.delete_user("of-queues")


def _rights(advice: str) -> tuple[str, str, str]:
    configure, write, read = shlex.split(advice.partition("run: ")[2])[-3:]
    return configure, write, read


async def test_a_broker_without_the_plugin_is_told_with_the_command_for_it(private_broker: PrivateBroker) -> None:
    settings = AmqpSettings(url=SecretStr(private_broker.url), queues=2, declare_exchange=True)
    async with connected(settings, "test") as link:
        with pytest.raises(TopologyMissing, match="no exchanges of type x-consistent-hash") as told:
            await topology.ensure(link, settings, PATTERNS)
    assert "rabbitmq-plugins enable rabbitmq_consistent_hash_exchange" in told.value.advice()


async def test_replicas_of_different_settings_that_begin_at_once_leave_a_way_for_events(
    settings: AmqpSettings, postgres_url: str, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any]
) -> None:
    """One of them gives up the exchange before several queues, the other one the binding of a single queue."""
    store, both = Store(StoreSettings(url=SecretStr(postgres_url))), asyncio.Barrier(2)

    async def is_there(too_many: Sequence[str], _: topology.Topology) -> Former:
        with suppress(TimeoutError):
            async with asyncio.timeout(1):
                await both.wait()
        return Former((), too_many)

    pipeline: Any = SimpleNamespace(take_back=AsyncMock())
    consumers = [
        Consumer(
            settings.model_copy(update={"queues": number}), PipelineSettings(), pipeline, Gate(), PATTERNS,
            partial(is_there, too_many), partial(turn, store),
        )
        for number, too_many in ((2, []), (1, [f"{settings.queue}.2"]))
    ]  # fmt: skip
    async with asyncio.TaskGroup() as group:
        for consumer in consumers:
            group.create_task(consumer.run())
        while not all(consumer.has_consumed for consumer in consumers):
            await asyncio.sleep(0.05)
        for consumer in consumers:
            consumer.stop()
    await store.close()
    await catalog.publish([profile_event(number) for number in range(10)])
    assert sum(number or 0 for number in await lie()) >= 10


@pytest.mark.parametrize("waits", [False, True])
async def test_told_to_stop_while_it_makes_the_topology_ready_it_stops_at_once_and_consumes_nothing(
    settings: AmqpSettings, catalog: Any, profile_event: Callable[..., Any], lie: Callable[[], Any], waits: bool
) -> None:
    """For its turn it may wait for longer than there is time for draining."""
    begun = asyncio.Event()

    async def is_there(_: topology.Topology) -> Former:
        begun.set()
        if waits:
            await asyncio.sleep(60)
        else:
            consumer.stop()
        return Former((), [])

    pipeline: Any = SimpleNamespace(take_back=AsyncMock())
    consumer = Consumer(settings, PipelineSettings(), pipeline, Gate(), PATTERNS, is_there, nullcontext)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        group.create_task(consumer.run())
        await begun.wait()
        await catalog.publish([profile_event(1)])
        consumer.stop()
    assert (consumer.has_consumed, consumer.deliveries_seen) == (False, 0)
    assert sum(await lie()) == 1


async def test_a_link_that_breaks_in_a_turn_is_not_told_as_the_stores(postgres_url: str) -> None:
    """Both are errors of a connection: whoever is woken would look at the wrong one."""
    store = Store(StoreSettings(url=SecretStr(postgres_url)))
    with pytest.raises(AMQPConnectionError, match="unexpectedly closed"):
        async with turn(store):
            raise AMQPConnectionError("Server connection unexpectedly closed")
    await store.close()
