"""What a command has read: by a running service, where it looks on through the store, or else here."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from uuid import uuid4

from service.errors import MassDeletion, MirrorError, RunFailed
from service.mirror import controls, progress, refreshes
from service.mirror.progress import RECONCILE, Run
from service.mirror.store import Store
from service.operations.acting import Act
from service.operations.reading import ask, record, refresh
from service.pipeline.building import pipeline_of
from service.settings.model import Settings
from service.sync.director import ASKED, LEAD_S, Director, director_of
from service.sync.runs import Stopped
from service.sync.sweep import Options
from service.telemetry.metrics import Metrics

#: Seconds between two looks at a run that another process does.
LOOK_S = 0.5
#: Seconds without anybody who reads after which nobody looks on any more; another replica takes over before that.
ALONE_S = 40.0
_NOBODY = "the service that was to do it is gone; start it again, or run this command again."
#: What the names of commands that read begin with.
_COMMAND = "command-"


@dataclass(frozen=True, slots=True)
class Watch:
    """What is told of a run while it is looked on: how far it is, and what is waited for."""

    show: Callable[[Run], Awaitable[None]]
    say: Callable[[str], None]


async def refresh_here(
    store: Store, settings: Settings, kind: str, entity_id: str, container: str | None, act: Act
) -> bool:
    """The same, read here where no service runs; answers whether it was.

    Raises:
        UsageError: as `refresh`.
        RunFailed: it could not be read.
    """
    await refresh(store, kind, entity_id, container, act)
    leader = await _leader(store)
    if leader is not None and not leader.startswith(_COMMAND):
        return False
    async with directing(settings, store) as director:
        while await director.refresher.once():
            pass
    async with store.reading() as connection:
        problem = await refreshes.waiting(connection, kind, entity_id)
    if problem is not None:
        raise RunFailed(mode="refresh", problem=problem or "somebody else reads it just now")
    return True


@asynccontextmanager
async def directing(settings: Settings, store: Store) -> AsyncIterator[Director]:
    """What reads the catalog, in this process; its client is open."""
    metrics = Metrics()
    pipeline = pipeline_of(settings, store, metrics)
    director = director_of(settings, store, pipeline, metrics, f"{_COMMAND}{uuid4().hex[:8]}")
    async with director.client:
        yield director


async def carry_out(
    store: Store, settings: Settings, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None]:
    """Have a run done, by a running service or else here, and look on to its end.

    Returns:
        The run, and why it failed if it did.
    """
    while True:
        leader = await _leader(store)
        if leader is None:
            if done := await _here(store, settings, mode, options, act, watch):
                return done
        elif leader.startswith(_COMMAND):
            watch.say(f"{mode}: waits for another command that reads the catalog")
        else:
            return await _there(store, mode, options, act, watch)
        await asyncio.sleep(LOOK_S)


async def _leader(store: Store) -> str | None:
    """Who reads the catalog: a running service, or another command."""
    async with store.reading() as connection:
        return await progress.leader(connection, store)


async def _there(
    store: Store, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None]:  # fmt: skip
    """Have a running service do it."""
    try:
        return await watched(store, mode, options, act, watch.show), None
    except RunFailed as error:
        async with store.reading() as connection:
            run = await progress.newest(connection, mode, ("failed",))
        if run is None:
            raise
        return run, error


async def _here(
    store: Store, settings: Settings, mode: str, options: Options, act: Act, watch: Watch
) -> tuple[Run, MirrorError | None] | None:
    """Do the run in this process, which leads meanwhile; None where somebody else was quicker."""
    async with directing(settings, store) as director:
        if not await director.lead():
            return None
        leading = asyncio.create_task(_keep_leading(director))
        try:
            async with store.writing() as connection:
                await record(connection, mode, options, act)
            run = await director.runner.begin(mode, f"asked by {act.by}", options)
            try:
                await director.runner.carry_out(run, watch.show)
            except MassDeletion as error:
                return run, error
            except Stopped:
                return run, None
            if mode == RECONCILE and options.repair:
                async with store.writing() as connection:
                    await controls.close_gaps(connection, run.started_at)
            return run, None
        finally:
            leading.cancel()
            with suppress(asyncio.CancelledError):
                await leading
            await director.step_down()


async def _keep_leading(director: Director) -> None:
    while True:
        await asyncio.sleep(LEAD_S)
        await director.lead()


async def watched(
    store: Store, mode: str, options: Options, act: Act, show: Callable[[Run], Awaitable[None]]
) -> Run:  # fmt: skip
    """Ask the running service for the run, unless it is doing just that, and look on until it is over.

    Raises:
        RunFailed: it failed, or nobody does it any more.
    """
    async with store.reading() as connection:
        before = await progress.newest(connection, mode)
    await ask(store, mode, options, act)
    alone_s = 0.0
    while True:
        await asyncio.sleep(LOOK_S)
        async with store.reading() as connection:
            run = await progress.newest(connection, mode)
            pending = ASKED in await controls.read_controls(connection)
            alone_s = 0.0 if await progress.leader(connection, store) else alone_s + LOOK_S
        if alone_s > ALONE_S:
            raise RunFailed(mode=mode, problem=_NOBODY)
        if run is None or pending or (before and run.run_id == before.run_id and before.finished_at):
            continue
        await show(run)
        if run.finished_at is not None:
            if run.state == "failed":
                raise RunFailed(mode=mode, problem=run.problem or "it does not say why")
            return run
