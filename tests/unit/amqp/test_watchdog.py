"""The watchdog: what counts as dead, and what is done about it, in order."""

import pytest

from service.amqp.consumer import State
from service.amqp.management import report_of
from service.amqp.tally import SKEW_S
from service.amqp.watchdog import Watchdog
from service.settings.model import AmqpSettings
from service.telemetry.metrics import Metrics


class FakeConsumer:
    """What the watchdog sees of a consumer."""

    def __init__(self) -> None:
        self.state = State.CONSUMING
        self.deliveries_seen = 0
        self.oldest_in_hand_s = 0.0
        self.restarts: list[str] = []
        self.queues = ("catalog-mirror",)

    def restart(self, what: str) -> None:
        self.restarts.append(what)


async def _unused(kind: str, detail: str) -> None:
    raise AssertionError("nothing is lost")


@pytest.fixture
def consumer() -> FakeConsumer:
    return FakeConsumer()


@pytest.fixture
def watchdog(consumer: FakeConsumer) -> Watchdog:
    watchdog = Watchdog(AmqpSettings(), consumer, 60.0, Metrics(), _unused)  # type: ignore[arg-type]
    watchdog.judge()
    return watchdog


def test_messages_that_lie_ready_undelivered_restart_channel_then_connection_then_fail_liveness(
    watchdog: Watchdog, consumer: FakeConsumer
) -> None:
    watchdog.ready_messages = 5
    watchdog.judge()
    assert (consumer.restarts, watchdog.alive) == (["channel"], True)
    watchdog.judge()
    assert (consumer.restarts, watchdog.alive) == (["channel", "connection"], True)
    watchdog.judge()
    assert watchdog.alive is False


def test_one_delivery_is_proof_of_life(watchdog: Watchdog, consumer: FakeConsumer) -> None:
    watchdog.ready_messages = 5
    watchdog.judge()
    consumer.deliveries_seen += 1
    watchdog.judge()
    watchdog.judge()
    assert consumer.restarts == ["channel", "channel"], "the count of strikes starts anew"
    assert watchdog.alive


def test_a_message_held_for_longer_than_the_deadline_counts_as_dead(watchdog: Watchdog, consumer: FakeConsumer) -> None:
    consumer.oldest_in_hand_s = 61
    watchdog.judge()
    assert consumer.restarts == ["channel"]


@pytest.mark.parametrize("state", [State.STARTING, State.PAUSED, State.WAITING, State.STOPPED])
def test_who_does_not_consume_on_purpose_is_not_dead(watchdog: Watchdog, consumer: FakeConsumer, state: State) -> None:
    consumer.state, watchdog.ready_messages, consumer.oldest_in_hand_s = state, 5, 1000
    watchdog.judge()
    assert consumer.restarts == []


def test_a_broker_that_cannot_be_asked_proves_nothing(watchdog: Watchdog, consumer: FakeConsumer) -> None:
    watchdog.ready_messages = None
    watchdog.judge()
    assert consumer.restarts == []


class Told:
    """Has a watchdog look at a queue of 50,000 bytes, and keeps the gaps that it told."""

    def __init__(self, consumer: FakeConsumer) -> None:
        self.gaps: list[str] = []
        self._watchdog = Watchdog(AmqpSettings(), consumer, 60.0, Metrics(), self._on_gap)  # type: ignore[arg-type]
        self._at_s = 0.0

    async def _on_gap(self, kind: str, detail: str) -> None:
        self.gaps.append(f"{kind}: {detail}")

    async def look(
        self, published: int, present: int, each: int = 5000, *, counts: bool = True, times: int = 4
    ) -> None:
        stats = {"message_stats": {"publish": published}} if counts else {}
        queue = {"type": "quorum", "messages": present, "message_bytes": present * each, **stats}
        for _ in range(times):
            await self._watchdog.look_for_gaps("catalog-mirror", report_of(queue, 50_000, 4), self._at_s)
            self._at_s += SKEW_S


@pytest.fixture
def told(consumer: FakeConsumer) -> Told:
    return Told(consumer)


async def test_a_queue_that_is_nearly_full_and_lost_nothing_is_no_gap(told: Told) -> None:
    await told.look(1, 1)
    await told.look(9, 9, each=5530)
    assert told.gaps == []


@pytest.mark.parametrize("each", [5000, 5036], ids=["3.10", "4.3"])
async def test_a_queue_that_drops_its_oldest_is_seen_by_what_vanished(told: Told, each: int) -> None:
    await told.look(1, 1, each)
    await told.look(30, 50_000 // each, each)
    await told.look(60, 50_000 // each, each)
    assert told.gaps == ["queue_full: queue catalog-mirror is full (50000 bytes): its oldest messages are dropped"] * 2


async def test_a_queue_that_was_full_before_anybody_could_count_is_a_gap(told: Told) -> None:
    await told.look(30, 10, times=1)
    assert "nobody counted" in told.gaps[0]


async def test_a_queue_that_fills_up_while_the_first_figures_are_compared_is_a_gap(told: Told) -> None:
    await told.look(8, 8, times=2)
    await told.look(30, 10)
    assert told.gaps


async def test_a_broker_that_counts_nothing_is_believed_by_what_lies_there(told: Told) -> None:
    await told.look(30, 10, counts=False)
    assert "nobody counted" in told.gaps[0]
