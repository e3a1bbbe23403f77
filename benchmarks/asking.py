"""Questions to a small and a large store in turn, so that what else the machine does is the same for both."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median, quantiles
from typing import Any, Protocol

from service.mirror.lineage.walk import Direction

#: Questions per direction and store.
QUESTIONS = 120


@dataclass(frozen=True, slots=True)
class Figure:
    """Answers of one kind: milliseconds, and how many things were found."""

    p50_ms: float
    p95_ms: float
    found: float


@dataclass(slots=True)
class Answers:
    """How long each answer took, and how many things it found."""

    took_ms: list[float] = field(default_factory=list)
    found: list[int] = field(default_factory=list)

    def note(self, took_s: float, found: int) -> None:
        """One more answer."""
        self.took_ms.append(took_s * 1000)
        self.found.append(found)

    def figure(self) -> Figure:
        """What they came to."""
        return Figure(median(self.took_ms), quantiles(self.took_ms, n=20)[-1], median(self.found))


class Asking(Protocol):
    """Asks one store in one direction."""

    answers: Answers

    async def ask(self) -> None:
        """The next question."""


async def in_turn(asked: Mapping[int, Asking]) -> dict[int, Figure]:
    """Ask them all, one question each, again and again; answers figures by the same keys."""
    for _ in range(QUESTIONS):
        for one in asked.values():
            await one.ask()
    return {size: one.answers.figure() for size, one in asked.items()}


def growth(name: str, small: Mapping[str, Figure], large: Mapping[str, Figure]) -> dict[str, Any]:
    """For the last line: of the large store, and how figures by direction grew from the small one."""
    told: dict[str, Any] = {}
    for direction in Direction:
        figure = large[direction.value]
        told[f"{name}_{direction.value}_p95_ms"] = round(figure.p95_ms, 1)
        told[f"{name}_{direction.value}_growth"] = round(figure.p50_ms / small[direction.value].p50_ms, 2)
    return told
