"""Learning the shapes of recorded messages, as a running service learns those that come."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from service.events.message import Message
from service.mirror import contract
from service.mirror.store import Store
from service.pipeline.building import pipeline_of
from service.settings.model import Settings
from service.telemetry.metrics import Metrics
from service.text.shapes import Shapes


async def learn(settings: Settings, store: Store, messages: Iterator[Message]) -> int:
    """Look at every one of the messages; answers how many there were."""
    shapes = Shapes(every=1)
    pipeline = pipeline_of(settings, store, Metrics(), shapes=shapes)
    number = 0
    while batch := list(islice(messages, settings.pipeline.batch_max)):
        await pipeline.decode(batch)
        number += len(batch)
        async with store.writing() as connection:
            await contract.merge(connection, shapes.take(), settings.contract.learn_s)
    return number
