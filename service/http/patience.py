"""How long whoever posts has to wait for an answer: not longer than the clients of producers do.

A producer tells its lineage within somebody's task: a client that gets no answer waits for its own time-out, sends the
same again, and keeps the task waiting. So a post that takes longer is answered 503 before its client gives up; its
work goes on, and does no harm when it comes again. While one of those has not ended, the next are answered at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import structlog

from service.http.problems import Problem, try_again

log = structlog.get_logger(__name__)

T = TypeVar("T")


class Patience:
    """Lets callers wait for work, within bounds.

    Args:
        within_s: seconds for which a caller waits at most.
    """

    def __init__(self, within_s: float) -> None:
        self._within_s = within_s
        #: Work that has not ended, with the moment when it began, the oldest first.
        self._begun: dict[asyncio.Task[Any], float] = {}

    async def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """What the work answers; raises what it raises.

        Raises:
            Problem: 503, it is not done within our time, or others have waited for longer than that already.
        """
        if self._oldest_s() > self._within_s:
            work.close()
            raise self._put_off("Others wait, too.")
        task = asyncio.ensure_future(work)
        self._begun[task] = asyncio.get_running_loop().time()
        task.add_done_callback(self._ended)
        done, _ = await asyncio.wait({task}, timeout=self._within_s)
        if not done:
            raise self._put_off("What was sent may still be written; sending it again does no harm.")
        return task.result()

    def _oldest_s(self) -> float:
        oldest = next(iter(self._begun.values()), None)
        return 0.0 if oldest is None else asyncio.get_running_loop().time() - oldest

    def _put_off(self, more: str) -> Problem:
        log.warning("api_puts_off", waiting=len(self._begun), oldest_s=round(self._oldest_s(), 1))
        message = f"The mirror does not keep up: nothing was written within {self._within_s:g} s. {more}"
        return try_again("busy", message)

    def _ended(self, task: asyncio.Task[Any]) -> None:
        del self._begun[task]
        if not task.cancelled():
            task.exception()  # its caller was told, by it or by us
