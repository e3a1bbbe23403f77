"""Who reads the catalog, and when: one replica leads, polls, and starts the runs that are due; all of them refresh.

A first `run` with a catalog starts a snapshot by itself; after that a reconcile is due at start, after an interval,
after a gap, and when a person asks for one through the store.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import structlog

from service.catalog.client import CatalogClient
from service.catalog.turns import Lane
from service.changes import Container, Origin
from service.errors import MassDeletion, MirrorError, ReadingFailed, TransientError
from service.mirror import controls, progress
from service.mirror.progress import RECONCILE, SNAPSHOT, Run
from service.mirror.store import Store
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings, SyncSettings
from service.settings.scope import Scope
from service.sync.containers import Containers
from service.sync.poll import Poller
from service.sync.refresh import Refresher
from service.sync.rotation import Rotation
from service.sync.runs import Runner, Stopped
from service.sync.sweep import Options, Sweeper
from service.telemetry.metrics import Metrics
from service.text.privacy import Privacy
from service.text.shapes import Shapes

log = structlog.get_logger(__name__)

#: The control by which a person asks the leading replica for a run.
ASKED = "sync_asked"
#: Seconds between two claims of the lead.
LEAD_S = 5.0
#: Seconds between two looks whether a run is due.
DUE_LOOK_S = 2.0
#: Seconds after which the containers are listed again for polling.
CONTAINERS_S = 300.0
#: A reconcile at start waits so many seconds after the last run, so that a service that keeps dying does not keep
#: reading.
CALM_S = 600.0
_PAUSE_S = 15.0


@dataclass(frozen=True, slots=True)
class Due:
    """A run that is due, and why; `asked`: a person asked for it through the store."""

    mode: str
    reason: str
    options: Options
    asked: bool = False


class Director:
    """Leads reading the catalog, as one of many replicas."""

    def __init__(
        self, client: CatalogClient, store: Store, pipeline: Pipeline, settings: SyncSettings, scope: Scope,
        privacy: Privacy, replica_id: str, *, polls: bool = True, metrics: Metrics | None = None,
    ) -> None:  # fmt: skip
        self.client = client
        self._store = store
        self._settings = settings
        self._scope = scope
        self._who = replica_id
        urgent = client.on(Lane.REFRESH)
        sweeper = Sweeper(client, store, pipeline, settings, scope, privacy)
        urgent_sweeper = Sweeper(urgent, store, pipeline, settings, scope, privacy)
        self._containers = Containers(client, store, sweeper, scope, privacy)
        self.runner = Runner(store, sweeper, self._containers, settings, scope)
        self.refresher = Refresher(urgent, store, urgent_sweeper, settings, privacy)
        self.poller = Poller(urgent, store, urgent_sweeper, settings, scope, metrics)
        self._rotation = Rotation(store, sweeper, settings)
        self._polls = polls
        self._stop = asyncio.Event()
        self._may_read = asyncio.Event()
        self._started = True
        self._readable: list[Container] = []
        self._listed_at = -CONTAINERS_S
        self.leads = False
        #: It has read something of the catalog since it started.
        self.has_read = False
        #: What each part of leading waits for, by its name.
        self._problems: dict[str, MirrorError] = {}

    @property
    def problem(self) -> MirrorError | None:
        """What reading waits for just now."""
        return next(iter(self._problems.values()), None)

    def allow(self) -> None:
        """The queue is bound (or there is none): what is read from now on cannot miss an event."""
        self._may_read.set()

    def stop(self) -> None:
        """Finish the page in hand and return from `run`."""
        self._stop.set()
        self.refresher.stop()

    def status(self) -> dict[str, Any]:
        """How reading is going, as `status` shows it."""
        return {
            "leads": self.leads,
            "problem": f"{self.problem} {self.problem.advice()}" if self.problem else self.refresher.count.problem,
            "refreshed": self.refresher.count.read,
        }

    async def run(self) -> None:
        """Read the catalog until stopped."""
        async with self.client, asyncio.TaskGroup() as group:
            group.create_task(self.refresher.run(), name="refresher")
            leading: list[asyncio.Task[None]] = []
            while not self._stop.is_set():
                self.leads = await self.lead()
                if self.leads and not leading and self._may_read.is_set():
                    work = {"runs": self._runs, "poll": self._poll, "rotation": self._rotate}
                    leading = [group.create_task(self._for_ever(name, step), name=name) for name, step in work.items()]
                elif not self.leads:
                    await _cancel(leading)
                    leading = []
                    self._problems.clear()
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stop.wait(), LEAD_S)
            await _cancel(leading)
            await self.step_down()

    async def lead(self) -> bool:
        """Take or keep the lead; answers whether we have it. Who stands by while another one leads has begun, too."""
        try:
            async with self._store.writing() as connection:
                leads = await progress.lead(connection, self._store, self._who)
            self.has_read = self.has_read or not leads
            return leads
        except TransientError as error:
            log.warning("lead_unknown", problem=str(error))
            return False

    async def step_down(self) -> None:
        """Give the lead back."""
        with suppress(TransientError):
            async with self._store.writing() as connection:
                await progress.step_down(connection, self._who)

    async def _runs(self) -> None:
        """Do the run that is due, if one is."""
        try:
            due = await self._due()
            if due is None:
                await asyncio.sleep(DUE_LOOK_S)
                return
            run = await self.runner.begin(due.mode, due.reason, due.options)
            if due.asked:
                async with self._store.writing() as connection:
                    await controls.clear_control(connection, ASKED)  # it is on record now
            await self.runner.carry_out(run)
            self.has_read = True
            self._problems.pop("runs", None)
            if run.mode == RECONCILE and run.options["repair"]:
                async with self._store.writing() as connection:
                    await controls.close_gaps(connection, run.started_at)
        except Stopped:
            log.info("run_stopped")
        except MassDeletion as error:
            self._problems["runs"] = error
        except TransientError as error:
            self._problems["runs"] = error
            log.warning("reading_waits", problem=str(error), remedy=error.advice())
            await asyncio.sleep(_PAUSE_S)

    async def _due(self) -> Due | None:
        """The run that is due, and why."""
        async with self._store.reading() as connection:
            known = await controls.read_controls(connection)
            unfinished = await progress.newest(connection, states=progress.OPEN)
            last = await progress.last_repair(connection)
            snapshot = await progress.newest(connection, SNAPSHOT, ("done", "stopped"))
            gaps = await controls.open_gaps(connection)
            now = await progress.store_time(connection)
        if ASKED in known:
            return _asked(known[ASKED][0])
        if unfinished is not None:
            return Due(unfinished.mode, unfinished.reason, _options_of(unfinished))
        if snapshot is None and last is None:
            return Due(SNAPSHOT, "the first run", Options()) if self._settings.snapshot else None
        reason = self._reason(last, gaps, now)
        return Due(RECONCILE, reason, Options(deletions=True)) if reason else None

    def _reason(self, last: Run | None, gaps: list[Any], now: datetime) -> str | None:
        ended = last.finished_at if last else None
        started, self._started = self._started, False
        if any(ended is None or gap.noticed_at > (last.started_at if last else now) for gap in gaps):
            return "a gap"
        if ended is None or now - ended > timedelta(seconds=self._settings.reconcile_s):
            return "the interval is over"
        return "the start" if started and now - ended > timedelta(seconds=CALM_S) else None

    async def _poll(self) -> None:
        """One look for changes, then a pause."""
        try:
            if self._polls:
                broken = await self.poller.once(await self._known_containers())
                self.has_read = True
                self._note("poll", broken)
        except TransientError as error:
            self._problems["poll"] = error
            log.warning("poll_waits", problem=str(error), remedy=error.advice())
        await asyncio.sleep(self._settings.poll_s)

    async def _rotate(self) -> None:
        """A piece of what has no time filter, once there was a snapshot."""
        try:
            async with self._store.reading() as connection:
                ready = await progress.newest(connection, SNAPSHOT, ("done",)) is not None
            if ready and await self._rotation.once(await self._known_containers()):
                return
        except TransientError as error:
            log.warning("rotation_waits", problem=str(error), remedy=error.advice())
        await asyncio.sleep(DUE_LOOK_S)

    def _note(self, part: str, problem: MirrorError | None) -> None:
        if problem is None:
            self._problems.pop(part, None)
        else:
            self._problems[part] = problem

    async def _for_ever(self, part: str, step: Callable[[], Awaitable[None]]) -> None:
        """Do a step again and again; one that fails as nobody foresaw stops neither the others nor the consumer."""
        while True:
            try:
                await step()
                if isinstance(self._problems.get(part), ReadingFailed):
                    del self._problems[part]
            except Exception as error:
                log.exception("reading_failed", part=part)
                problem = f"{type(error).__name__}: {str(error)[:200]}"
                self._problems[part] = ReadingFailed(what=part, problem=problem)
                await asyncio.sleep(_PAUSE_S)

    async def _known_containers(self) -> list[Container]:
        """The containers that can be read, listed again every few minutes."""
        now = asyncio.get_running_loop().time()
        if now - self._listed_at > CONTAINERS_S:
            found = await self._containers.read(Options(repair=True, origin=Origin.SYNC))
            self._readable, self._listed_at = found.readable, now
        return self._readable


def director_of(
    settings: Settings, store: Store, pipeline: Pipeline, metrics: Metrics, replica_id: str,
    shapes: Shapes | None = None,
) -> Director:  # fmt: skip
    """What reads the catalog that these settings describe.

    Raises:
        SettingInvalid: no catalog, or no credentials for it.
    """
    return Director(
        CatalogClient(settings.catalog, metrics, shapes=shapes),
        store,
        pipeline,
        settings.sync,
        Scope(settings.scope),
        settings.pipeline.privacy(store.forgotten),
        replica_id,
        metrics=metrics,
    )


def _options_of(run: Run) -> Options:
    return Options(run.options["repair"], run.mode == RECONCILE, run.options["accept_deletions"])


def _asked(asked: dict[str, Any]) -> Due:
    mode = asked["mode"]
    options = Options(asked["repair"], mode == RECONCILE, asked["accept_deletions"])
    return Due(mode, f"asked by {asked['who']}", options, asked=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
