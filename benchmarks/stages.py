"""A clock around the stages of the pipeline, for `make profile`: which functions are a stage, and what each took.

`time.thread_time_ns` stands around each call (cProfile would make every Python call dearer, and C ones not). A stage's
time is its own: what a stage within it took is not counted twice. Of coroutines each step is timed by itself, and the
time between the steps is waiting: for the database, as nothing else runs.
"""

from __future__ import annotations

import importlib
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import wraps
from typing import Any

from benchmarks.errors import BenchFailed

#: Where no stage is.
OUTSIDE = ""
#: Calls by which the clock's own cost is measured.
_CALLS = 20_000


@dataclass(frozen=True, slots=True)
class Stage:
    """Functions whose time is told under one name: `module:name` or `module:Class.name`, where callers look it up."""

    name: str
    places: tuple[str, ...]
    #: They answer coroutines.
    waits: bool = False
    #: What is done before such a coroutine waits for the first time, where that has a name of its own.
    first_step: str | None = None


DECODE = (
    Stage("parse", ("service.text.documents:read",)),
    Stage("secrets", ("service.pipeline.decoding:may_hold_secrets", "service.pipeline.decoding:redact")),
    Stage("people's values", ("service.text.privacy:Privacy.hidden",)),
    Stage("typed body", ("service.events.profiles:typed",)),
    Stage(
        "documents, digests",
        (
            "service.events.profiles:documents_of",
            "service.events.profiles:digest_of",
            "service.events.profiles:canonical",
        ),
    ),
    Stage("figures of columns", ("handlers.data_profiles:findings_in",)),
)
COMMIT = (
    Stage("plan", ("service.mirror.writer:plan_of",)),
    Stage("rows to columns", ("service.mirror.bulk:BulkInsert._parameters",)),
    Stage("answers", ("service.pipeline.answers:Answerer.answer",)),
    Stage("begin", ("asyncpg.transaction:Transaction.start",), waits=True),
    Stage("prepare", ("asyncpg.connection:Connection.prepare",), waits=True),
    Stage("execute", ("asyncpg.prepared_stmt:PreparedStatement.fetch",), waits=True, first_step="encode, send"),
    Stage("commit", ("asyncpg.transaction:Transaction.commit",), waits=True),
)


@dataclass(slots=True)
class Clock:
    """What was spent, by stage: CPU of this thread, and waiting, in nanoseconds."""

    cpu_ns: Counter[str] = field(default_factory=Counter)
    waited_ns: Counter[str] = field(default_factory=Counter)
    #: How often each stage began, and how often others began within it, by `OUTSIDE` within none.
    entered: Counter[str] = field(default_factory=Counter)
    around: Counter[str] = field(default_factory=Counter)
    _open: list[str] = field(default_factory=list)
    _mark_ns: int = 0

    def enter(self, name: str) -> None:
        """A stage begins; the one around it stands still."""
        now = time.thread_time_ns()
        if self._open:
            self.cpu_ns[self._open[-1]] += now - self._mark_ns
        self.around[self._open[-1] if self._open else OUTSIDE] += 1
        self.entered[name] += 1
        self._open.append(name)
        self._mark_ns = now

    def leave(self) -> None:
        """The innermost stage ends."""
        now = time.thread_time_ns()
        self.cpu_ns[self._open.pop()] += now - self._mark_ns
        self._mark_ns = now


@dataclass(frozen=True, slots=True)
class Cost:
    """What the clock itself takes each time, in nanoseconds: of the stage that begins, and of what is around it."""

    within_ns: float
    around_ns: float

    @classmethod
    def measured(cls) -> Cost:
        """By stages in which nothing happens."""
        clock, began_ns = Clock(), time.thread_time_ns()
        for _ in range(_CALLS):
            clock.enter("")
            clock.leave()
        both_ns = (time.thread_time_ns() - began_ns) / _CALLS
        within_ns = clock.cpu_ns[""] / _CALLS
        return cls(within_ns, both_ns - within_ns)

    def of(self, clock: Clock, name: str) -> float:
        """What is to be taken from a stage's time."""
        return clock.entered[name] * self.within_ns + clock.around[name] * self.around_ns


@contextmanager
def timed(stages: tuple[Stage, ...], clock: Clock) -> Iterator[None]:
    """The functions of these stages are timed in here.

    Raises:
        BenchFailed: one of them is no longer where it is said to be.
    """
    undo: list[tuple[Any, str, Any]] = []
    try:
        for stage in stages:
            for place in stage.places:
                owner, name, function = _found(place)
                setattr(owner, name, (_stepwise if stage.waits else _whole)(function, stage, clock))
                undo.append((owner, name, function))
        yield
    finally:
        for owner, name, function in reversed(undo):
            setattr(owner, name, function)


def _found(place: str) -> tuple[Any, str, Callable[..., Any]]:
    module, _, path = place.partition(":")
    *within, name = path.split(".")
    try:
        owner: Any = importlib.import_module(module)
        for part in within:
            owner = getattr(owner, part)
        return owner, name, getattr(owner, name)
    except (ImportError, AttributeError):
        raise BenchFailed(f"{place} is not there: tell benchmarks/stages.py where that stage is now.") from None


def _whole(function: Callable[..., Any], stage: Stage, clock: Clock) -> Callable[..., Any]:
    @wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        clock.enter(stage.name)
        try:
            return function(*args, **kwargs)
        finally:
            clock.leave()

    return call


def _stepwise(function: Callable[..., Awaitable[Any]], stage: Stage, clock: Clock) -> Callable[..., Any]:
    @wraps(function)
    async def call(*args: Any, **kwargs: Any) -> Any:
        return await _Steps(function(*args, **kwargs), stage, clock)

    return call


@dataclass(slots=True)
class _Steps:
    """Drives a coroutine, with the clock running in its steps."""

    of: Awaitable[Any]
    stage: Stage
    clock: Clock

    def __await__(self) -> Generator[Any, Any, Any]:
        steps = self.of.__await__()
        name = self.stage.first_step or self.stage.name
        while True:
            self.clock.enter(name)
            try:
                awaited = next(steps)
            except StopIteration as done:
                return done.value
            finally:
                self.clock.leave()
            name = self.stage.name
            since_ns = time.perf_counter_ns()
            yield awaited
            self.clock.waited_ns[name] += time.perf_counter_ns() - since_ns
