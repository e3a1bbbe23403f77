"""Whatever bytes come in are used or refused by an error of ours, at a cost in proportion to their length.

A small part of what `make fuzz` does, the same each time: every input that is kept, some that are made of them, and
what hypothesis makes. The ten million of `make soak` are guided by what code they reach.
"""

from __future__ import annotations

import random
import sys
from functools import cache

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz import __main__ as fuzz
from tests.fuzz import harness, mutating
from tests.fuzz.harness import Bound, Entry, Fault

#: Inputs made of the corpus for each entry, of which one in so many is counted; and examples of hypothesis.
MADE, COUNTED_EVERY, EXAMPLES = 250, 10, 15
every_entry = pytest.mark.parametrize("name", harness.NAMES)
KEPT = [(name, seed) for name in harness.NAMES for seed in harness.seeds(name)]


@pytest.mark.parametrize(("name", "seed"), KEPT, ids=["-".join(one) for one in KEPT])
def test_what_is_kept_is_used_or_refused_at_a_cost_in_proportion(name: str, seed: str) -> None:
    harness.judge_cost(harness.entry(name), harness.seeds(name)[seed])


@every_entry
def test_most_of_the_forms_that_are_usual_are_used(name: str) -> None:
    kept = harness.seeds(name)
    used = [harness.judge(harness.entry(name), raw) for seed, raw in kept.items() if not seed.startswith("odd")]

    assert sum(used) > len(used) // 2, "what is refused at the door reaches nothing behind it"


@every_entry
def test_what_is_made_of_them_is_used_or_refused(name: str) -> None:
    one, kept, chance = harness.entry(name), list(harness.seeds(name).values()), random.Random(2026)
    for number in range(MADE):
        raw = mutating.mutated(chance.choice(kept), chance.choice(kept), chance, harness.MAX_BYTES)
        (harness.judge if number % COUNTED_EVERY else harness.judge_cost)(one, raw)


@cache
def heads(name: str) -> tuple[bytes, ...]:
    """First lines of what is kept."""
    return tuple({raw.partition(b"\n")[0][:200] + b"\n" for raw in harness.seeds(name).values()})


@every_entry
@settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_any_bytes_behind_a_first_line_that_is_usual_are_used_or_refused(name: str, data: st.DataObject) -> None:
    head = data.draw(st.sampled_from(heads(name)) | st.just(b""))
    rest = st.binary(max_size=300) | st.text(max_size=200).map(lambda text: text.encode("utf-8", "surrogatepass"))

    harness.judge(harness.entry(name), head + data.draw(rest))


LARGE = [(name, number) for name in harness.NAMES for number in range(len(harness.entry(name).large))]


@pytest.mark.parametrize(("name", "number"), LARGE)
def test_what_is_large_beyond_reason_is_used_or_refused(name: str, number: int) -> None:
    one = harness.entry(name)

    harness.judge(one, one.large[number]())


@pytest.mark.parametrize(
    ("take", "problem"),
    [
        (lambda raw: [len(raw) for _ in raw * 2], "calls"),
        (lambda raw: [raw * 1000], "memory"),
        (lambda raw: raw.decode("ascii"), "UnicodeDecodeError"),
    ],
)
def test_what_breaks_or_costs_too_much_is_a_fault(take: object, problem: str) -> None:
    one = Entry(take, (KeyError,), Bound(calls=100, calls_per_byte=1, memory=100_000, memory_per_byte=100))  # type: ignore[arg-type]
    with pytest.raises(Fault, match=problem):
        harness.judge_cost(one, b"\xff" * 2000)


def test_what_is_refused_is_no_fault_and_what_is_counted_ends() -> None:
    def take(raw: bytes) -> None:
        raise KeyError(raw)

    assert not harness.judge_cost(Entry(take, (KeyError,)), b"x")
    assert sys.getprofile() is None


@pytest.mark.slow
@pytest.mark.timeout(0)
def test_ten_million_inputs_break_nothing() -> None:
    outcomes = fuzz.campaign(harness.NAMES, 10_000_000, fuzz.FOLDER, jobs=2)

    assert not [one.fault for one in outcomes if one.fault]
    assert sum(one.runs for one in outcomes) >= 10_000_000
