"""The watchdog: what counts as dead, and what is done about it, in order."""

import pytest

from service.amqp.consumer import State
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
