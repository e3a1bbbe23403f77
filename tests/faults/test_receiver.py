"""A receiver of lineage that fails in every way: its circuit opens, nothing becomes a dead letter, nothing is lost."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.proxy import TcpProxy

EVENTS = 6


@asynccontextmanager
async def failing(catalog: PocketCatalog, status: int) -> AsyncIterator[None]:
    """Every call is answered with this status; half of the failures, and a success that is none, with a page."""
    catalog.knobs.failure_rate, catalog.knobs.failure_statuses = 1.0, (status,)
    try:
        yield
    finally:
        catalog.knobs.failure_rate = 0.0


@asynccontextmanager
async def slow(catalog: PocketCatalog) -> AsyncIterator[None]:
    catalog.knobs.latency_s = 0.7
    try:
        yield
    finally:
        catalog.knobs.latency_s = 0.0


@pytest.mark.timeout(240)
async def test_a_receiver_that_fails_in_every_way_gets_everything_in_the_end(
    catalog: Any,
    profile_event: Callable[..., tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    write_figures: Callable[..., None],
) -> None:
    receiver, rows, sent = PocketCatalog(seed=1, assets=1), rows_of(sqlite_url), 0
    receiver.knobs.token_life_s = 2.0
    resumed_s: list[float] = []

    async def tell() -> None:
        nonlocal sent
        await catalog.publish(profile_event(sent + number, at_s=sent + number) for number in range(EVENTS))
        sent += EVENTS
        await rows.until(
            "SELECT count(*) FROM data_profiles WHERE profile_id LIKE 'p%' AND length(profile_id) < 5", sent
        )

    async def told() -> None:
        began = time.monotonic()
        await rows.until("SELECT count(*) FROM deliveries", 0)
        resumed_s.append(round(time.monotonic() - began, 2))

    async with serve(receiver) as url, TcpProxy.before(url) as proxy:
        settings = {
            "AMQP__URL": amqp_url, "STORE__URL": sqlite_url, "RELAY__RETRY_MAX_S": "1",
            "CATALOG__URL": proxy.through(url), "CATALOG__IAM_URL": url, "CATALOG__API_KEY": access.API_KEY,
            "CATALOG__CALLS_PER_MINUTE": "100000", "CATALOG__TIMEOUT_S": "2", "SYNC__POLL": "1h",
        }  # fmt: skip
        async with mirror_process(**settings) as service:
            await service.wait_ready()
            await rows.until("SELECT count(*) FROM sync_runs WHERE state = 'done'", 1)
            await tell()
            await told()
            for status in (500, 503, 429, 401, 403, 404, 200):
                async with failing(receiver, status):
                    await tell()
                    await rows.until("SELECT notice IS NOT NULL FROM target_states", True)
                    await service.wait_for(lambda _, body: body["status"] == "degraded")
                await told()
            with proxy.stalled():
                await tell()
                await rows.until("SELECT notice IS NOT NULL FROM target_states", True)
            await told()
            async with slow(receiver):
                await tell()
                await told()
            await asyncio.sleep(2)  # the token has run out
            await tell()
            await told()
            proxy.cut()
            await tell()
            await told()
            assert (await service.get("/livez"))[0] == 200
    assert await rows.all("SELECT reason FROM dead_letters") == []
    own = {event_id for (event_id,) in await rows.all("SELECT event_id FROM lineage_events WHERE own")}
    received = [body["event_details"]["event_id"] for body in receiver.received_lineage()]
    lost, repeated = len(own - set(received)), len(received) - len(set(received))
    write_figures(
        "receiver that fails", faults=11, sent=sent, lineage_lost=lost, lineage_repeated=repeated, resumed_s=resumed_s
    )
    assert len(own) >= sent
    assert lost == 0
