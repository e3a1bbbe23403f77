"""What every entry of the fuzzing shares: what an entry is, and how one input of it is judged.

An input is bytes from outside. What takes it may use it or refuse it by an error of the product's own; anything else
is a fault, and so is work or memory out of proportion to the input's length. Both are counted: work in calls of
functions, Python's and C's, memory in bytes at its highest. What a single call of C does, such as a search by a
pattern, is bounded by the CPU time of this thread, which other work on the machine does not lengthen.
"""

from __future__ import annotations

import importlib
import sys
import time
import tracemalloc
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

CORPUS = Path(__file__).parent / "corpus"
#: The modules of `entries`, each with an `ENTRY`.
NAMES = tuple(sorted(path.stem for path in (Path(__file__).parent / "entries").glob("[a-z]*.py")))
#: Bytes of an input that is made; what grows faster than it should shows long before.
MAX_BYTES = 8192
#: Seconds of CPU that any input may take: quadratic work on `MAX_BYTES` takes less, exponential work never ends.
MAX_CPU_S = 10.0


@dataclass(frozen=True, slots=True)
class Bound:
    """What one input may cost: so much whatever it is, and so much for each of its bytes."""

    calls: int = 20_000
    calls_per_byte: int = 100
    memory: int = 4_000_000
    memory_per_byte: int = 2_000

    def excess(self, size: int, calls: int, memory: int, cpu_s: float) -> str | None:
        """What is beyond it, in words."""
        most_calls = self.calls + size * self.calls_per_byte
        most_memory = self.memory + size * self.memory_per_byte
        if calls > most_calls:
            return f"{calls:,} calls for {size} bytes, more than {most_calls:,}"
        if memory > most_memory:
            return f"{memory:,} bytes of memory for {size} bytes, more than {most_memory:,}"
        return f"{cpu_s:.0f} s of CPU for {size} bytes" if cpu_s > MAX_CPU_S else None


@dataclass(frozen=True, slots=True)
class Entry:
    """One way into the product.

    Args:
        take: uses an input as the product would, or raises.
        refused: the product's own errors for what it cannot use.
        large: inputs that are too large to be kept, made anew.
    """

    take: Callable[[bytes], object]
    refused: tuple[type[Exception], ...]
    bound: Bound = Bound()
    large: tuple[Callable[[], bytes], ...] = ()


class Fault(Exception):
    """An input that broke its entry, or cost more than it may."""


def entry(name: str) -> Entry:
    """The entry of this name."""
    found: Entry = importlib.import_module(f"tests.fuzz.entries.{name}").ENTRY
    return found


def seeds(name: str) -> dict[str, bytes]:
    """What is kept for an entry, by the name of its file: forms that are usual, and what broke something once."""
    return {path.name: path.read_bytes() for path in sorted((CORPUS / name).iterdir())}


def judge(one: Entry, raw: bytes) -> bool:
    """Whether an input was used; False where it was refused.

    Raises:
        Fault: it was neither.
    """
    try:
        one.take(raw)
    except one.refused:
        return False
    except Exception as error:
        raise Fault(f"{type(error).__name__}: {error}") from error
    return True


def judge_cost(one: Entry, raw: bytes) -> bool:
    """The same, counted: about three times as slow.

    Raises:
        Fault: it was neither used nor refused, or cost more than it may.
    """
    with Meter() as meter:
        used = judge(one, raw)
    if excess := one.bound.excess(len(raw), meter.calls, meter.memory, meter.cpu_s):
        raise Fault(excess)
    return used


class Meter:
    """Counts what happens within: calls, bytes of memory at the highest, seconds of this thread's CPU."""

    def __init__(self) -> None:
        self.calls = self.memory = 0
        self.cpu_s = 0.0

    def __enter__(self) -> Meter:
        tracemalloc.start(1)
        self._before: Any = sys.getprofile()
        self.cpu_s = time.thread_time()
        sys.setprofile(self._count)
        return self

    def __exit__(self, *_: object) -> None:
        sys.setprofile(self._before)
        self.cpu_s = time.thread_time() - self.cpu_s
        self.memory = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()

    def _count(self, frame: Any, event: str, argument: Any) -> None:
        if event in ("call", "c_call"):
            self.calls += 1


def headed(raw: bytes) -> tuple[str, bytes]:
    """An input that says in its first line what the rest is: a routing key, a kind, a path."""
    head, _, rest = raw.partition(b"\n")
    return head.decode("utf-8", "replace"), rest
