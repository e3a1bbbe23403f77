"""The brake stops at more failures than allowed among the last events, and remembers only what was committed."""

from collections import deque

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import BrakePulled
from service.pipeline.brake import Brake


def test_forty_failures_are_borne_and_the_next_pulls() -> None:
    brake = Brake(200, 40)
    brake.keep(brake.check([True] * 40))

    with pytest.raises(BrakePulled, match="41 of the last 41 events"):
        brake.check([True])


def test_what_was_not_committed_is_not_remembered() -> None:
    brake = Brake(200, 40)
    brake.keep(brake.check([True] * 40))
    with pytest.raises(BrakePulled):
        brake.check([False] * 100 + [True])

    assert sum(brake.check([False])) == 40
    assert len(brake.check([])) == 40


def test_failures_are_forgotten_when_the_window_has_moved_on() -> None:
    brake = Brake(200, 40)
    brake.keep(brake.check([True] * 40 + [False] * 200))

    assert sum(brake.check([True] * 40)) == 40


def test_a_person_lifts_it_and_the_window_starts_anew() -> None:
    brake = Brake(200, 40)
    brake.keep(brake.check([True] * 40))
    brake.release()

    assert len(brake.check([True] * 40)) == 40


@given(st.lists(st.lists(st.booleans(), max_size=8)), st.integers(1, 6), st.integers(1, 4))
def test_it_pulls_exactly_when_some_window_holds_too_many(
    batches: list[list[bool]], window: int, failures: int
) -> None:
    brake = Brake(window, failures)
    plain: deque[bool] = deque(maxlen=window)
    for batch in batches:
        expected = False
        for failed in batch:
            plain.append(failed)
            expected = expected or sum(plain) > failures
        if expected:
            with pytest.raises(BrakePulled):
                brake.check(batch)
            return
        brake.keep(brake.check(batch))
