"""What is in nobody's hand that we know: told when it has been so all the time, and not for what only flows by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.amqp import management
from service.amqp.hands import HELD_S, TAG, Hands, elsewhere
from service.settings.model import AmqpSettings

#: Seconds between two looks.
_EVERY_S = 5.0


def _told(*elsewhere: int | None) -> list[int]:
    hands = Hands()
    return [hands.held(number * _EVERY_S, one) for number, one in enumerate(elsewhere)]


def test_what_is_held_is_told_after_half_a_minute_and_no_more_once_it_is_back() -> None:
    assert _told(*[5] * 8, 0) == [0] * 6 + [5, 5, 0]


def test_the_least_of_all_looks_counts_as_the_figures_are_of_other_moments() -> None:
    assert _told(5, 900, 40, 5, 700, 5, 300)[-1] == 5


def test_one_look_that_nobody_can_tell_starts_the_wait_anew() -> None:
    assert _told(5, 5, 5, 5, None, 5, 5, 5) == [0] * 8


@given(st.lists(st.integers(-2000, 2000), max_size=40))
def test_nothing_is_told_where_a_look_within_the_time_found_nothing(looks: list[int]) -> None:
    for number, told in enumerate(_told(*looks)):
        within = looks[max(0, number - int(HELD_S / _EVERY_S)) : number + 1]
        assert told == (min(within) if len(within) * _EVERY_S > HELD_S and min(within) > 0 else 0)


async def test_a_channel_that_consumes_several_queues_counts_once(monkeypatch: pytest.MonkeyPatch) -> None:
    async def in_hand(_: AmqpSettings, channel: str) -> int:
        return {"ours": 7, "our replica's": 2}[channel]

    monkeypatch.setattr(management, "channel_unacknowledged", in_hand)
    channels = ("ours", "our replica's", "a stranger's")
    consumers = [{"consumer_tag": f"{TAG}{n}", "channel_details": {"name": name}} for n, name in enumerate(channels)]
    consumers[2]["consumer_tag"] = "somebody"
    queue = {"type": "quorum", "messages_unacknowledged": 6, "consumer_details": consumers}
    reports = [management.report_of(queue, 50_000, 4)] * 2
    assert await elsewhere(AmqpSettings(), reports) == 12 - 9
