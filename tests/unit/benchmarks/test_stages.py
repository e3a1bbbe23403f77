"""The clock of the profile: each stage has its own time, once, and the stages are where they are said to be."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from benchmarks import stages
from benchmarks.errors import BenchFailed
from service.text import documents

#: Seconds of CPU that a stage of these tests takes.
LONG_S = 0.02


def _work() -> None:
    until = time.thread_time() + LONG_S
    while time.thread_time() < until:
        pass


def test_every_stage_is_where_it_is_said_to_be() -> None:
    with stages.timed((*stages.DECODE, *stages.COMMIT), stages.Clock()):
        pass


def test_a_stage_that_is_gone_is_told() -> None:
    gone = stages.Stage("gone", ("service.text.documents:no_such_function",))
    with pytest.raises(BenchFailed, match="no_such_function is not there"), stages.timed((gone,), stages.Clock()):
        pass


def test_functions_are_as_they_were_afterwards() -> None:
    before = documents.read
    with stages.timed(stages.DECODE, stages.Clock()):
        assert documents.read is not before
    assert documents.read is before


def test_the_time_of_an_inner_stage_is_not_that_of_the_outer_one_too() -> None:
    clock = stages.Clock()
    clock.enter("outer")
    _work()
    clock.enter("inner")
    _work()
    clock.leave()
    clock.leave()
    for name in ("outer", "inner"):
        assert clock.cpu_ns[name] / 1e9 == pytest.approx(LONG_S, rel=0.3)


async def test_of_a_coroutine_its_steps_are_timed_and_its_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    async def ask() -> int:
        _work()
        await asyncio.sleep(LONG_S)
        _work()
        return 7

    owner = SimpleNamespace(ask=ask)
    stage = stages.Stage("answer", ("somewhere:ask",), waits=True, first_step="question")
    monkeypatch.setattr(stages, "_found", lambda place: (owner, "ask", ask))
    clock = stages.Clock()
    with stages.timed((stage,), clock):
        assert await owner.ask() == 7
    assert clock.cpu_ns["question"] / 1e9 == pytest.approx(LONG_S, rel=0.3)
    assert clock.cpu_ns["answer"] / 1e9 == pytest.approx(LONG_S, rel=0.3)
    assert clock.waited_ns["answer"] / 1e9 >= LONG_S * 0.9
