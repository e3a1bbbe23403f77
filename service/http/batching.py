"""One piece of work for what several requests wait for: a commit costs the same for one event and for hundreds."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


@dataclass(slots=True)
class _Share(Generic[T, R]):
    """What one request brought, and what came of it."""

    items: Sequence[T]
    results: list[R] = field(default_factory=list)
    error: BaseException | None = None
    done: bool = False


class Batcher(Generic[T, R]):
    """Whoever comes while the work is done for others shares the next turn, in which one does it for all.

    Args:
        work: takes the items of several requests; answers a result for each.
        at_most: items after which a turn is full; one request's items are never divided.
    """

    def __init__(self, work: Callable[[list[T]], Awaitable[list[R]]], at_most: int) -> None:
        self._work = work
        self._at_most = at_most
        self._waiting: list[_Share[T, R]] = []
        self._turn = asyncio.Lock()

    async def do(self, items: Sequence[T]) -> list[R]:
        """The results of these items; raises what the work raised, for all who shared the turn."""
        mine: _Share[T, R] = _Share(items)
        self._waiting.append(mine)
        async with self._turn:
            while not mine.done:
                await self._take_turn()
        if mine.error is not None:
            raise mine.error
        return mine.results

    async def _take_turn(self) -> None:
        shares = self._next()
        items = [item for share in shares for item in share.items]
        try:
            (results,) = await asyncio.gather(self._work(items), return_exceptions=True)
        except asyncio.CancelledError:  # whoever does it for all went away: the next one does it
            self._waiting[:0] = shares
            raise
        for share in shares:
            if isinstance(results, BaseException):
                share.error = results
            else:
                share.results, results = results[: len(share.items)], results[len(share.items) :]
            share.done = True

    def _next(self) -> list[_Share[T, R]]:
        """Those who have waited longest, as many as fit."""
        shares = [self._waiting.pop(0)]
        number = len(shares[0].items)
        while self._waiting and number + len(self._waiting[0].items) <= self._at_most:
            shares.append(self._waiting.pop(0))
            number += len(shares[-1].items)
        return shares
