"""Long work: begun by a call and done in the process that took it; how far it is stands in the store.

So whichever replica is asked can tell. Work that was not heard of for a while is lost with its process: what it had not
done is as it was, and may be asked for again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import uuid4

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import MirrorError
from service.mirror import controls
from service.mirror.store import Store
from service.operations.acting import Act, Conflict, Unknown

log = structlog.get_logger(__name__)

#: What the names of controls of work begin with.
_WORK = "work"
#: Work that is remembered, the newest; and how much may go on at once in one process.
REMEMBERED, AT_ONCE = 50, 4
#: Seconds between two words of work that goes on, and seconds after which work that said nothing counts as lost.
TELL_S, LOST_S = 1.0, 30.0

State = Literal["running", "done", "failed", "lost"]
#: Tells how far the work is: what came of it so far.
Tell = Callable[[Mapping[str, Any]], None]
#: Does the work, and answers what came of it.
Job = Callable[[Tell], Awaitable[Mapping[str, Any]]]


class WorkUnknown(Unknown):
    """There is no work {work!r}, or it is forgotten."""

    remedy = f"The newest {REMEMBERED} are remembered."


class TooMuchWork(Conflict):
    """{number} pieces of work go on in this replica already."""

    remedy = "Wait until one of them is done."


@dataclass(frozen=True, slots=True)
class Work:
    """One piece of it."""

    work_id: str
    #: What is done: `replay`, `backfill`, `estimate`.
    what: str
    by: str
    state: State
    began_at: datetime
    #: When it was last heard of.
    at: datetime
    #: What came of it so far.
    told: dict[str, Any]
    #: Why it failed.
    problem: str | None = None


class Desk:
    """Does long work in this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._tasks: set[asyncio.Task[None]] = set()

    async def begin(self, what: str, act: Act, job: Job) -> Work:
        """Begin a job, which answers what came of it; gives the work as it stands.

        Raises:
            TooMuchWork: this process has enough to do.
        """
        if len(self._tasks) >= AT_ONCE:
            raise TooMuchWork(number=len(self._tasks))
        async with self._store.writing() as connection:
            now = await _now(connection, self._store)
            work = Work(uuid4().hex, what, act.by, "running", now, now, {})
            await _write(connection, work)
            await _forget_old(connection)
        task = asyncio.create_task(self._do(work, job), name=f"work {work.work_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return work

    async def stop(self) -> None:
        """Give up what goes on; it tells so."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _do(self, work: Work, job: Job) -> None:
        so_far: dict[str, Any] = {}
        over = asyncio.Event()
        telling = asyncio.create_task(self._keep_telling(work, so_far, over))
        try:
            ended = await _ended(work, job, so_far)
        finally:
            over.set()  # not cancelled: an SQLite that is left in the middle of writing stays locked for others
            await telling
        await self._tell(ended)

    async def _keep_telling(self, work: Work, so_far: dict[str, Any], over: asyncio.Event) -> None:
        while True:
            with suppress(TimeoutError):
                async with asyncio.timeout(TELL_S):
                    await over.wait()
                return  # the last word is another one
            await self._tell(replace(work, told=so_far))

    async def _tell(self, work: Work) -> None:
        """Write down how far it is; while the store is away nobody is told, and the work itself finds out."""
        try:
            async with self._store.writing() as connection:
                await _write(connection, replace(work, at=await _now(connection, self._store)))
        except MirrorError as error:
            log.warning("work_not_told", work=work.work_id, problem=str(error))


async def _ended(work: Work, job: Job, so_far: dict[str, Any]) -> Work:
    """The work at its end, however that came."""
    try:
        return replace(work, state="done", told=dict(await job(so_far.update)))
    except MirrorError as error:
        problem = " ".join(part for part in (str(error), error.advice()) if part)
    except asyncio.CancelledError:
        problem = "The service was stopped."
    except Exception as error:
        log.exception("work_failed", work=work.work_id, what=work.what)
        problem = f"This is a bug of the mirror: {type(error).__name__}."
    return replace(work, state="failed", told=so_far, problem=problem)


async def read(store: Store, work_id: str) -> Work:
    """One piece of work.

    Raises:
        WorkUnknown: nobody remembers it.
    """
    found = [work for work in await listed(store) if work.work_id == work_id]
    if not found:
        raise WorkUnknown(work=work_id)
    return found[0]


async def listed(store: Store) -> list[Work]:
    """All that is remembered, the newest first."""
    async with store.reading() as connection:
        now = await _now(connection, store)
        return [_heard(work, now) for work in await _all(connection)]


def _heard(work: Work, now: datetime) -> Work:
    if work.state == "running" and now - work.at > timedelta(seconds=LOST_S):
        return replace(work, state="lost", problem="Its process ended. What was not done may be asked for again.")
    return work


async def _all(connection: AsyncConnection) -> list[Work]:
    known = await controls.read_controls(connection)
    found = [_of_control(value) for name, (value, _) in known.items() if name.startswith(f"{_WORK}:")]
    return sorted(found, key=lambda work: work.began_at, reverse=True)


async def _write(connection: AsyncConnection, work: Work) -> None:
    value = asdict(work) | {"began_at": work.began_at.isoformat(), "at": work.at.isoformat()}
    await controls.set_control(connection, f"{_WORK}:{work.work_id}", value)


def _of_control(value: dict[str, Any]) -> Work:
    return Work(**(value | {name: datetime.fromisoformat(value[name]) for name in ("began_at", "at")}))


async def _forget_old(connection: AsyncConnection) -> None:
    for work in (await _all(connection))[REMEMBERED:]:
        await controls.clear_control(connection, f"{_WORK}:{work.work_id}")


async def _now(connection: AsyncConnection, store: Store) -> datetime:
    moment: datetime = (await connection.execute(sa.select(store.now()))).scalar_one()
    return moment
