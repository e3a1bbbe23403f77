"""Broker, store, catalog and service may start in any order, however long one waits for the other."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.postgres import PrivatePostgres
from service.amqp import consumer
from service.targets.circuit import _backoff as relay_backoff


async def test_the_service_first_then_the_store_then_the_broker_then_the_catalogs_exchange(
    rig: Callable[..., Any], private_broker: PrivateBroker, private_postgres: PrivatePostgres, mirror_process: Any
) -> None:
    store = await asyncio.to_thread(private_postgres.create_database, "order")
    broker = await asyncio.to_thread(private_broker.add_vhost, "order")
    await asyncio.to_thread(private_postgres.stop)
    await asyncio.to_thread(private_broker.stop)
    settings = {"AMQP__URL": broker, "STORE__URL": store, "STORE__TIMEOUT_S": "3"}
    async with mirror_process(**settings) as service:
        for part, start in (("store", private_postgres.start), ("broker", private_broker.start)):
            await service.wait_for(lambda status, body, part=part: status == 503 and part in str(body["reasons"]))
            await asyncio.to_thread(start)
        await service.wait_for(lambda status, body: status == 503 and "exchange" in str(body["reasons"]))
        assert (await service.get("/livez"))[0] == 200
        async with rig("service first, then store, broker, catalog", broker, store, replicas=0) as world:
            await service.wait_ready()
            await world.resumed()


@pytest.mark.parametrize("failures", [1, 10, 100, 10_000, 10**9])
def test_after_hours_of_waiting_it_looks_as_often_as_after_a_minute(failures: int) -> None:
    """What has waited for a night is back within seconds of the morning: every wait has an end."""
    assert consumer._backoff(failures) <= consumer.BACKOFF_MAX_S
    assert relay_backoff(failures, 60.0) <= 60.0
