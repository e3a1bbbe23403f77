"""What vanished from our queue, by figures that are some seconds old, each of another moment."""

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from service.amqp.tally import SKEW_S, Accounts, Tally


def _look(*tallies: Tally) -> list[int]:
    accounts = Accounts()
    return [accounts.vanished(number * SKEW_S, tally) for number, tally in enumerate(tallies)]


def test_what_was_purged_is_told_once() -> None:
    full, purged = Tally(300, 200, 100), Tally(300, 200, 0)
    assert _look(*[full] * 3, *[purged] * 4) == [0, 0, 0, 0, 100, 0, 0]


def test_a_broker_that_counts_anew_is_no_loss_and_later_losses_are_seen() -> None:
    before, anew, purged = Tally(1000, 900, 100), Tally(10, 5, 100), Tally(10, 5, 3)
    assert _look(*[before] * 3, *[anew] * 3, *[purged] * 2)[-1] == 97


def test_what_was_missing_when_we_came_is_not_told() -> None:
    assert sum(_look(*[Tally(500, 100, 0)] * 5)) == 0


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.integers(0, 2000), st.sampled_from([0, 0, 0, 7])), max_size=25),
    st.data(),
)
def test_a_loss_is_told_and_nothing_else_is_however_much_flows_and_whatever_lags(
    steps: list[tuple[int, int, int]], data: st.DataObject
) -> None:
    quiet = (0, 0, 0)
    true = [Tally(50, 20, 30)]
    gone = 0
    for arriving, taking, purging in [quiet, quiet, quiet, *steps, quiet, quiet, quiet, quiet]:
        last = true[-1]
        present = last.present + arriving
        taken = min(taking, present)
        purged = min(purging, present - taken)
        gone += purged
        true.append(Tally(last.published + arriving, last.taken + taken, present - taken - purged))
    seen = [true[0]]
    for old, new in pairwise(true):
        lags = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
        published, taken_, present_ = ((old if lag else new) for lag in lags)
        seen.append(Tally(published.published, taken_.taken, present_.present))
    told = sum(_look(*seen, true[-1], true[-1], true[-1]))
    assert told <= gone
    assert (told > 0) == (gone > 0)
