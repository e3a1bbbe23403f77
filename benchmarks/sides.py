"""What a choice of the settings costs per event: `python -m benchmarks.sides`, a pipeline with it beside one without.

Both take the same batches in turn, each into a database of its own, and CPU time is counted, so that what else the
machine does falls on both alike. It prints one JSON line: microseconds per event and their ratio, by choice.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from pydantic import SecretStr

from benchmarks.inprocess import messages_of, migrate, telling
from benchmarks.taking import taking
from sandbox.parts.postgres import PrivatePostgres
from service.changes import Origin
from service.events.message import Message
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.pipeline.pipeline import Pipeline
from service.process.garbage import spare_the_garbage_collector
from service.settings.model import ContractSettings, RetentionSettings, Settings, StoreSettings
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes

#: Events of a batch, batches of each side, and those before that are not counted.
BATCH, BATCHES, WARM_UP = 250, 40, 4
#: What is chosen, by its name.
CHOICES: dict[str, dict[str, Any]] = {
    "history": {"retention": RetentionSettings(history_s=365 * 86_400)},
    "contract": {"contract": ContractSettings(sample=100)},
}
#: Each change told to a receiver in a process of its own, whose CPU is not counted.
WEBHOOK = "webhook"
#: Where nothing else is chosen.
PLAIN: dict[str, Any] = {"contract": ContractSettings(sample=0)}


@dataclass(frozen=True, slots=True)
class Side:
    """One pipeline, with what each batch cost it: our CPU and that of the server, seconds."""

    pipeline: Pipeline
    #: Takes to their targets what a batch made.
    tell: Callable[[], Awaitable[None]] | None = None
    ours: list[float] = field(default_factory=list)
    servers: list[float] = field(default_factory=list)

    async def take(self, batch: list[Message], server: PrivatePostgres) -> None:
        """Carry a batch into the mirror, and count."""
        servers, ours = server.cpu_s(), time.process_time()  # to look at the server costs us, too
        await self.pipeline.process(batch, Origin.LIVE)
        if self.tell:
            await self.tell()
        self.ours.append(time.process_time() - ours)
        self.servers.append(server.cpu_s() - servers)


async def measure(choice: str) -> dict[str, float]:
    """Both sides in turn; answers microseconds per event, and how many times as much the choice costs."""
    async with AsyncExitStack() as stack:
        server = stack.enter_context(PrivatePostgres())
        plain, chosen = [server.create_database(name) for name in ("plain", "chosen")]
        for url in (plain, chosen):
            await migrate(url)
        sides = [await _side(stack, plain, {}), await _side(stack, chosen, CHOICES.get(choice))]
        messages = messages_of(BATCH * (BATCHES + WARM_UP))
        for start in range(0, len(messages), BATCH):
            order = sides if start // BATCH % 2 else sides[::-1]
            for side in order:
                await side.take(messages[start : start + BATCH], server)
    return _told(*sides)


async def _side(stack: AsyncExitStack, url: str, more: dict[str, Any] | None) -> Side:
    """A pipeline with these settings; None: with a webhook that is told of all."""
    if more is None:
        receiver = stack.enter_context(taking())
        pipeline, telling_it = await stack.enter_async_context(telling(url, receiver))
        return Side(pipeline, telling_it.deliver_memory)
    settings = Settings(store=StoreSettings(url=SecretStr(url)), **(PLAIN | more))
    store = Store(settings.store)
    stack.push_async_callback(store.close)
    return Side(pipeline_of(settings, store, Metrics(), shapes=Shapes(settings.contract.sample)))


def _told(plain: Side, chosen: Side) -> dict[str, float]:
    told: dict[str, float] = {}
    for name in ("ours", "servers"):
        without, with_it = (sum(getattr(side, name)[WARM_UP:]) for side in (plain, chosen))
        told[f"{name}_us"] = round(without / (BATCH * BATCHES) * 1e6, 1)
        told[f"{name}_us_chosen"] = round(with_it / (BATCH * BATCHES) * 1e6, 1)
        told[f"{name}_ratio"] = round(with_it / without, 3)
    pairs = zip(plain.ours[WARM_UP:], chosen.ours[WARM_UP:], strict=True)
    return told | {"median_ratio": round(median(with_it / without for without, with_it in pairs), 3)}


def main() -> None:
    """Measure every choice, or those that are named."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sides", description="What a choice costs per event.")
    parser.add_argument("choices", nargs="*", choices=[*CHOICES, WEBHOOK], default=[*CHOICES, WEBHOOK])
    chosen = parser.parse_args().choices
    spare_the_garbage_collector()
    print(json.dumps({choice: asyncio.run(measure(choice)) for choice in chosen}))


if __name__ == "__main__":
    main()
