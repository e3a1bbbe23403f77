"""The target: plans each window once, sends its batches one by one, follows their jobs; turns come from the relay.

A submission has no key by which Collibra would know it again, so it must never be sent twice: the ledger
(`service.targets.collibra.batches`) says what may be sent, and what is in doubt.
"""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import sqlalchemy as sa
import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Origin
from service.errors import (
    AnswerLost,
    DeliveryRejected,
    MirrorError,
    SettingInvalid,
    StoreUnavailable,
    TargetUnavailable,
)
from service.mirror.deliveries import Delivery
from service.mirror.store import Store
from service.mirror.usage.window import Window, last_window
from service.settings.model import Settings
from service.settings.scope import Scope
from service.targets.base import Sending, Target
from service.targets.collibra import batches
from service.targets.collibra.batches import Item
from service.targets.collibra.jobs import COMPLETED, FAILED, Answer, Fate, Jobs
from service.targets.collibra.locators import Locators
from service.targets.collibra.options import Options
from service.targets.collibra.planning import Plan, plan_of
from service.targets.collibra.uncertain import taken_by
from service.targets.options import options_of, setting_of
from service.targets.posting import Poster
from service.targets.sign_in import user_or_token
from service.text.documents import canonical

log = structlog.get_logger(__name__)

#: Seconds between two turns at most.
TURN_S = 10.0
#: Seconds that a sender may need beyond two calls (the second after signing in anew), before its batch is in doubt.
LEASE_MARGIN_S = 5.0
#: Seconds after which a job that never ends is followed no longer.
JOB_AGE_S = 7 * 86_400.0
#: Bytes of an answer that are read: a job's report has no bound that is documented.
_MAX_ANSWER = 64 * 1024**2
#: A batch in doubt is looked for again after this share of the time that it has been in doubt.
LOOK_SHARE = 0.1


class Collibra(Target):
    """One Collibra."""

    def __init__(
        self, name: str, origins: Sequence[Origin], options: Options, jobs: Jobs, poster: Poster, scope: Scope
    ) -> None:
        super().__init__(name, origins)
        self._options = options
        self._jobs = jobs
        self._poster = poster
        self._scope = scope
        self._zone = ZoneInfo(options.zone)
        self._locators = Locators(options.locators)
        self.tends_every_s = min(TURN_S, options.poll)
        self._lease_s = 2 * options.timeout_s + LEASE_MARGIN_S
        self._sender = uuid4().hex
        self._store: Store | None = None

    @classmethod
    def create(cls, name: str, settings: Settings) -> Collibra | None:
        """On where a URL is set, unless turned off."""
        chosen = settings.target(name)
        if chosen.via == "off" or chosen.url is None:
            return None
        if chosen.via == "amqp":
            raise SettingInvalid(setting=setting_of(name, "VIA"), problem="Collibra is told over HTTP alone")
        options = options_of(name, chosen, Options)
        sign_in = user_or_token(name, chosen)
        poster = Poster(
            name, chosen.url, sign_in, options.timeout_s, chosen.ca_file, fresh=True, max_answer=_MAX_ANSWER
        )
        return cls(name, chosen.origins, options, Jobs(name, poster, options.path), poster, Scope(settings.scope))

    def attach(self, store: Store) -> None:
        """Facts and ledger are there."""
        self._store = store

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        """Nothing: it wants no change, time alone makes it speak."""
        return [None] * len(batch)

    async def tend(self) -> bool:
        """See to what is in doubt, plan the window that is over, send one batch, look at jobs."""
        await self._see_to_uncertain()
        if await self._plan_if_due():
            return True
        if await self._send_one():
            return True
        await self._follow_jobs()
        return False

    async def measure(self, connection: AsyncConnection) -> None:
        """How many batches are in which state."""
        if self.metrics is None:
            return
        known = await batches.counts(connection)
        for state in batches.STATES:
            self.metrics.usage_batches.labels(self.name, state).set(known.get((self.name, state), 0))

    async def plan(self, batch: Sequence[Delivery]) -> list[Sending]:
        """The submissions that wait, and those of a window that is due and was not planned yet."""
        async with self._attached.reading() as connection:
            rows = await batches.in_state(connection, self.name, batches.PREPARED)
            waiting = [row.body for row in reversed(rows)]
            window = await self._due(connection)
            if window is not None:  # planning it would supersede those
                waiting = [body for _, body in self._contents(await self._planned(connection, window))]
        return [Sending(f"POST {self._jobs.where}", body, ()) for body in waiting]

    async def remarks(self) -> list[str]:
        """What has no locator, what is in doubt."""
        async with self._attached.reading() as connection:
            missing = (await self.look(connection)).unlocated
            doubtful = await batches.in_state(connection, self.name, batches.UNCERTAIN)
        told = []
        if not self._options.locators:
            told.append("No locator is set (option `locators`), so nothing can be told: docs/collibra.md says how.")
        if missing:
            told.append(
                f"Used, but without a locator: {len(missing)} assets (`catalog-mirror usage locators` lists them)."
            )
        if doubtful:
            told.append(f"{len(doubtful)} batches are in doubt: `catalog-mirror usage batches --state uncertain`.")
        return told

    async def look(self, connection: AsyncConnection) -> Plan:
        """What the newest window that is over comes to, planned already or not."""
        return await self._planned(connection, await self._newest(connection))

    async def close(self) -> None:
        """Close the connections."""
        await self._poster.close()

    # Planning

    async def _plan_if_due(self) -> bool:
        """Plan the newest window that is over, once, whichever replica comes first; not while a batch is on its way."""
        async with self._attached.reading() as connection:
            if await self._due(connection) is None:
                return False
        async with self._attached.writing() as connection:
            await batches.lock(connection, self.name)
            window = await self._due(connection)
            if window is None or await batches.in_state(connection, self.name, batches.SENDING, limit=1):
                return False
            plan = await self._planned(connection, window)
            await batches.prepare(connection, self.name, window.end, self._contents(plan), plan.came_to)
        told = log.warning if plan.unlocated else log.info
        told("usage_planned", target=self.name, until=window.end.isoformat(), **plan.came_to)
        return bool(plan.items)

    async def _newest(self, connection: AsyncConnection) -> Window:
        now: datetime = (await connection.execute(sa.select(self._attached.now()))).scalar_one()
        return last_window(now, self._zone, self._options.delay)

    async def _due(self, connection: AsyncConnection) -> Window | None:
        """The newest window that is over, unless it, or a later one, was planned."""
        window = await self._newest(connection)
        mark = await batches.planned(connection, self.name)
        return None if mark and datetime.fromisoformat(mark["end"]) >= window.end else window

    async def _planned(self, connection: AsyncConnection, window: Window) -> Plan:
        plan = await plan_of(connection, self.name, window, self._locators, self._scope)
        if not self._options.locators:  # it would look as if nothing were used any more
            plan.items.clear()
        return plan

    def _contents(self, plan: Plan) -> list[tuple[list[Item], str]]:
        """The plan in batches, each with its body."""
        size, until = self._options.batch_max, plan.window.end
        parts = [plan.items[start : start + size] for start in range(0, len(plan.items), size)]
        return [(part, canonical([self._told(item, until) for item in part]).decode()) for part in parts]

    def _told(self, item: Item, until: datetime) -> dict[str, Any]:
        """One item as Collibra takes it; what nobody knows or set is left out."""
        told: dict[str, Any] = {
            "assetLocator": item.locator,
            "toDate": until.isoformat().replace("+00:00", "Z"),
            "queryCount": item.query_count,
        }
        if item.distinct_users is not None:
            told["distinctUsers"] = item.distinct_users
        return told if self._options.time_period is None else {**told, "timePeriod": self._options.time_period}

    # Sending

    async def _send_one(self) -> bool:
        """Send the oldest batch that waits; answers whether there was one.

        Raises:
            TargetUnavailable: it was not taken, or nobody knows.
        """
        began = time.monotonic()
        async with self._attached.writing() as connection:
            batch = await batches.claim(connection, self._attached, self.name, self._sender, self._lease_s)
        if batch is None:
            return False
        try:
            if time.monotonic() - began > LEASE_MARGIN_S:  # we were stopped: somebody may think that we are gone
                raise TargetUnavailable(target=self.name, problem="the process stood still before it sent anything")
            answer = await self._jobs.submit(json.loads(batch.body))
        except AnswerLost as error:
            answer = Answer(Fate.DOUBTFUL, f"it was sent figures and did not answer: {error.details['problem']}")
        except TargetUnavailable as error:
            answer = Answer(Fate.NOT_NOW, str(error.details["problem"]))
        await self._record(batch, answer)
        return True

    async def _record(self, batch: Any, answer: Answer) -> None:
        """Write down what became of a batch; raises `TargetUnavailable` where the next had better wait."""
        async with self._attached.writing() as connection:
            if answer.fate is Fate.TAKEN and answer.job:
                await batches.accept(connection, batch, answer.job)
            elif answer.fate is Fate.REFUSED:
                await batches.refuse(connection, batch, answer.told)
            elif answer.fate is Fate.NOT_NOW:
                await batches.give_back(connection, batch, answer.told)
            else:
                await batches.doubt(connection, batch, answer.told)
        told = log.info if answer.fate is Fate.TAKEN else log.warning
        told("usage_batch", target=self.name, batch=batch.batch_id, fate=answer.fate.name.lower(), items=batch.items)
        if answer.fate in (Fate.NOT_NOW, Fate.DOUBTFUL):
            raise TargetUnavailable(target=self.name, problem=answer.told)

    # What is in doubt

    async def _see_to_uncertain(self) -> None:
        """Mark what nobody is sending any more, close what is too old, and look for the jobs of the rest."""
        async with self._attached.writing() as connection:
            await self._mark_and_close(connection)
            doubtful = await batches.in_state(connection, self.name, batches.UNCERTAIN)
            now = (await connection.execute(sa.select(self._attached.now()))).scalar_one()
            if not any(_is_to_be_looked_for(row, now, self._options.poll) for row in doubtful):
                return
            await batches.due(connection, self._attached, self.name, batches.UNCERTAIN, 0)
        await self._look_for_jobs()

    async def _mark_and_close(self, connection: AsyncConnection) -> None:
        for row in await batches.lapse(connection, self._attached, self.name):
            log.warning("usage_batch_in_doubt", target=self.name, batch=row.batch_id)
        for state, after_s in ((batches.UNCERTAIN, self._options.deadline), (batches.ACCEPTED, JOB_AGE_S)):
            for row in await batches.give_up(connection, self._attached, self.name, state, after_s):
                log.warning("usage_batch_given_up", target=self.name, batch=row.batch_id)

    async def _look_for_jobs(self) -> None:
        listed = [one async for one in self._jobs.all()]
        async with self._attached.writing() as connection:
            makers = await batches.makers(connection, self.name)
            if self._options.created_by is not None:
                makers.add(str(self._options.created_by))
            known = await batches.known_jobs(connection)
            jobless = await batches.without_job(connection)
            for batch, job in taken_by(jobless, listed, makers, known):
                is_ours = batch.target == self.name and batch.state == batches.UNCERTAIN
                if is_ours and await batches.accept(connection, batch, job):
                    log.info("usage_batch_found", target=self.name, batch=batch.batch_id, job=job.job_id)

    # Jobs

    async def _follow_jobs(self) -> None:
        async with self._attached.writing() as connection:
            rows = await batches.due(connection, self._attached, self.name, batches.ACCEPTED, self._options.poll)
        for batch in rows:
            await self._follow(batch)

    async def _follow(self, batch: Any) -> None:
        try:
            job = await self._jobs.find(batch.job_id)
        except DeliveryRejected as error:
            async with self._attached.writing() as connection:
                await batches.note(connection, batch, str(error))
            return
        failed, ended = job.status == FAILED, job.status in (COMPLETED, FAILED)
        async with self._attached.writing() as connection:
            await batches.follow(connection, batch, job, failed=failed, ended=ended)
        if ended:
            told = log.warning if failed else log.info
            told("usage_job_ended", target=self.name, batch=batch.batch_id, job=job.job_id, status=job.status)

    # The store

    @property
    def _attached(self) -> Store:
        if self._store is None:
            raise StoreUnavailable(problem="the target was not attached to a store", where="nowhere")
        return self._store


def _is_to_be_looked_for(batch: Any, now: datetime, poll_s: float) -> bool:
    """Often at first, then more and more seldom."""
    if batch.looked_at is None or batch.looked_at < batch.sent_at:
        return True
    in_doubt_s = (batch.looked_at - batch.sent_at).total_seconds()
    return bool((now - batch.looked_at).total_seconds() >= max(poll_s, LOOK_SHARE * in_doubt_s))
