"""What a million deliveries that wait make of a fresh one: `python -m benchmarks.outbox`, one full outbox, one empty.

Each has a database, a pipeline and a relay to a receiver of its own; one event goes through each in turn, and its clock
runs until the receiver has it. What waits is of another target, as when that is paused or away, or with `--same` of the
same one, which then has the backlog to bring as well. It prints one JSON line: milliseconds, the ratio of p95, and how
much of the backlog was brought meanwhile.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any

import asyncpg
from pydantic import SecretStr

from benchmarks.errors import BenchFailed
from benchmarks.inprocess import messages_of, migrate
from sandbox.parts.postgres import PrivatePostgres
from sandbox.webhook.receiver import PocketReceiver, serve
from service.changes import Origin
from service.events.message import Message
from service.mirror import controls
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings, StoreSettings, TargetSettings
from service.targets.changes.webhook import Webhook
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics

PENDING, FRESH, WARM_UP = 1_000_000, 400, 20
#: Seconds that one may take, and between two.
PATIENCE_S, PAUSE_S = 60.0, 0.02
NAME, OTHER = "webhook", "another"
#: How ids of what waits begin.
WAITING = "waiting-"
_FILL = """
    INSERT INTO deliveries (delivery_id, target, entity_kind, entity_id, change, created_at, due_at, document)
    SELECT 'waiting-' || n, $1, 'asset', 'asset-' || n, 'AssetSaved', now(), now(),
           '{"specversion": "1.0", "id": "waiting-' || n || '", "source": "urn:bench", "type": "bench",
             "subject": "asset/asset-' || n || '", "datacontenttype": "application/json", "data": {}}'
      FROM generate_series(1, $2::int) n
"""


@dataclass
class Side:
    """One outbox with all that is around it."""

    pipeline: Pipeline
    receiver: PocketReceiver
    came: asyncio.Event
    subject: str = ""
    #: Of what waited, how much the receiver has.
    brought: int = 0
    took_ms: list[float] = field(default_factory=list)

    async def take(self, message: Message) -> None:
        """An event in, and out at the receiver."""
        self.came.clear()
        self.subject = "data_profile/" + message.routing_key.split(".")[2]
        started = time.perf_counter()
        await self.pipeline.process([message], Origin.LIVE)
        async with asyncio.timeout(PATIENCE_S):
            await self.came.wait()
        self.took_ms.append((time.perf_counter() - started) * 1e3)

    def heard(self, event: dict[str, Any]) -> None:
        """What the receiver took."""
        if event["subject"] == self.subject:
            self.came.set()
        elif event["id"].startswith(WAITING):
            self.brought += 1


@asynccontextmanager
async def side(url: str, pending: int, of: str) -> AsyncIterator[Side]:
    """An outbox in which so many wait already."""
    await migrate(url)
    await _fill(url, pending, of)
    receiver, store = PocketReceiver(), Store(StoreSettings(url=SecretStr(url)))
    async with serve(receiver) as where:
        chosen = TargetSettings(url=where, options={"kinds": ["data_profile"], "parts": False})
        settings = Settings(targets={NAME: chosen})
        target = Webhook.create(NAME, settings)
        if target is None:
            raise BenchFailed("There is no webhook.")
        async with store.write() as connection:
            await controls.ensure_targets(connection, [NAME, OTHER])
        relay = Relay(store, [target], settings.relay, Metrics())
        made = Side(pipeline_of(settings, store, Metrics(), [target], outlet=relay), receiver, asyncio.Event())
        receiver.shows = made.heard
        running = asyncio.create_task(relay.run())
        try:
            yield made
        finally:
            relay.stop()
            await running
            await store.close()


async def _fill(url: str, pending: int, of: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_FILL, of, pending)
        await connection.execute("VACUUM ANALYZE deliveries")
    finally:
        await connection.close()


async def measure(pending: int, fresh: int, of: str) -> dict[str, Any]:
    """Both in turn."""
    with PrivatePostgres() as server:
        async with AsyncExitStack() as stack:
            empty = await stack.enter_async_context(side(server.create_database("empty"), 0, of))
            full = await stack.enter_async_context(side(server.create_database("full"), pending, of))
            for number, message in enumerate(messages_of(fresh + WARM_UP)):
                for one in (empty, full) if number % 2 else (full, empty):
                    await one.take(message)
                await asyncio.sleep(PAUSE_S)
    told = [one.took_ms[WARM_UP:] for one in (empty, full)]
    p95 = [quantiles(took, n=20)[-1] for took in told]
    return {
        "pending": pending, "of": of, "fresh": fresh, "load": round(os.getloadavg()[0], 2),
        "median_ms": [round(median(took), 2) for took in told], "p95_ms": [round(one, 2) for one in p95],
        "p95_ratio": round(p95[1] / p95[0], 3), "brought": full.brought,
    }  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--pending", type=int, default=PENDING)
    parser.add_argument("--fresh", type=int, default=FRESH)
    parser.add_argument("--same", action="store_true", help="What waits is of the same target.")
    chosen = parser.parse_args()
    print(json.dumps(asyncio.run(measure(chosen.pending, chosen.fresh, NAME if chosen.same else OTHER))))


if __name__ == "__main__":
    main()
