"""What `benchmarks.instructions` runs under Valgrind: `python -m benchmarks.counted DATABASE_URL`.

Instructions are counted only between the two calls of `vgdb` around a part, so that starting, importing and warming up
(caches, statements that are built once) are left out. Each part ends with a dump of its own, in the order of `PARTS`.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.inprocess import messages_of, pipeline, telling
from benchmarks.taking import taking
from service.changes import Origin
from service.events.message import Message
from service.process.garbage import spare_the_garbage_collector

#: What is counted: reading bytes into changes; the transaction of a batch, our side of it; the same with lineage back;
#: the same with changes told to a webhook; telling them.
PARTS = ("decode", "commit", "commit_with_lineage", "commit_with_changes", "tell_changes")
#: Events before counting begins, and events of a part.
WARM_UP, EVENTS = 100, 250


def main() -> None:
    """Run every part once."""
    asyncio.run(_run(sys.argv[1]))


async def _run(database_url: str) -> None:
    messages = iter(messages_of(3 * (WARM_UP + EVENTS)))

    def some(number: int) -> list[Message]:
        return [next(messages) for _ in range(number)]

    spare_the_garbage_collector()
    async with pipeline(database_url, answers=False) as mirror:
        await mirror.process(some(WARM_UP), Origin.LIVE)
        batch = some(EVENTS)
        with _counted("decode"):
            reads = await mirror.decode(batch)
        with _counted("commit"):
            await mirror.commit(reads, Origin.LIVE)
    async with pipeline(database_url, answers=True) as main_job:
        await main_job.process(some(WARM_UP), Origin.LIVE)
        reads = await main_job.decode(some(EVENTS))
        with _counted("commit_with_lineage"):
            await main_job.commit(reads, Origin.LIVE)
    with taking() as url:
        async with telling(database_url, url) as (mirror, lane):
            await mirror.process(some(WARM_UP), Origin.LIVE)
            await lane.deliver_memory()
            reads = await mirror.decode(some(EVENTS))
            with _counted("commit_with_changes"):
                await mirror.commit(reads, Origin.LIVE)
            with _counted("tell_changes"):
                await lane.deliver_memory()


@contextmanager
def _counted(part: str) -> Iterator[None]:
    _tell_valgrind("instrumentation", "on")
    yield
    _tell_valgrind("dump", part)
    _tell_valgrind("instrumentation", "off")


def _tell_valgrind(*command: str) -> None:
    """Have the Valgrind that we run under do something (its manual, "Callgrind: Monitor commands")."""
    subprocess.run(["vgdb", f"--pid={os.getpid()}", *command], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
