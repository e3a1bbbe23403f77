"""The consumer between inbox and acknowledgement: what is not committed is never acknowledged."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from pamqp import commands as spec

from service.amqp.consumer import BRAKE, STORE, Consumer
from service.amqp.deliveries import Delivery
from service.amqp.gate import Gate
from service.amqp.inbox import Inbox
from service.amqp.topology import Former
from service.changes import Origin
from service.errors import BrakePulled, MirrorError, StoreUnavailable
from service.events.message import Message
from service.pipeline.committing import Outcome
from service.pipeline.decoding import Read
from service.settings.model import AmqpSettings, PipelineSettings


class FakePipeline:
    """Commits what it is given, but for the batch with this number, while the next is being decoded."""

    def __init__(self, fails_at: int, error: MirrorError) -> None:
        self.decoded = self.committed = 0
        self._fails_at = fails_at
        self._error = error

    async def decode(self, messages: list[Message], *, alone: bool) -> list[Read]:
        self.decoded += 1
        await asyncio.sleep(0)
        return [Read(message) for message in messages]

    async def commit(self, reads: list[Read], origin: Origin, *, braked: bool, alone: bool) -> Outcome:
        while self.decoded < min(self.committed + 2, 5):
            await asyncio.sleep(0)
        self.committed += 1
        if self.committed == self._fails_at:
            raise self._error
        return Outcome(read=len(reads))


class FakeChannel:
    """Remembers what was acknowledged."""

    def __init__(self) -> None:
        self.acked: list[int] = []

    async def basic_ack(self, tag: int, multiple: bool) -> None:
        assert multiple
        self.acked.append(tag)


@pytest.mark.parametrize(
    ("error", "who"),
    [(StoreUnavailable(problem="gone", where="there"), STORE), (BrakePulled(failed=41, seen=200), BRAKE)],
)
@pytest.mark.parametrize("fails_at", [1, 2, 4])
async def test_after_a_batch_that_did_not_commit_nothing_more_is_committed_or_acknowledged(
    error: MirrorError, who: str, fails_at: int
) -> None:
    pipeline: Any = FakePipeline(fails_at, error)
    gate, channel, inbox = Gate(), FakeChannel(), Inbox(1, 0, 1000)

    async def unused(_: Any) -> Former:
        raise AssertionError

    consumer = Consumer(AmqpSettings(), PipelineSettings(), pipeline, gate, [], unused, nullcontext)
    for tag in range(1, 6):
        inbox.put(Delivery(tag, False, "k", spec.Basic.Properties(), b"{}"))
    await asyncio.wait_for(consumer._consume(channel, inbox), 5)  # type: ignore[arg-type]
    assert channel.acked == list(range(1, fails_at)), "an acknowledgement through a later tag would lose this batch"
    assert pipeline.committed == fails_at
    assert who in gate.reasons
