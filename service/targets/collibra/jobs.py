"""Collibra's "Catalog Popularity" API: a submission, one job, all jobs; what its answers mean.

The facts are in docs/contract.md, "Collibra".
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from typing import Any
from uuid import UUID

from service.errors import DataError, DeliveryRejected, TargetUnavailable
from service.targets.collibra.batches import Job
from service.targets.posting import Poster, Reply
from service.text.documents import canonical
from service.text.redaction import redact, redact_text
from service.text.times import read_time, to_datetime

#: Jobs of one page at most, and the largest offset.
PAGE, MAX_OFFSET = 500, 2_147_483_647
#: Characters of a report that are kept.
_REPORT_KEPT = 65_536
COMPLETED, FAILED = "Completed", "Failed"


class Fate(Enum):
    """What an answer to a submission says."""

    #: It is a job now.
    TAKEN = auto()
    #: Nothing was taken, and the same may be sent again.
    NOT_NOW = auto()
    #: Nothing was taken, and the same will never be.
    REFUSED = auto()
    #: It may have been taken.
    DOUBTFUL = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a submission: what it says, in words, and the job."""

    fate: Fate
    told: str
    job: Job | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """A job of the listing, and when it was made on Collibra's clock."""

    job: Job
    created_on: datetime | None


class Jobs:
    """Calls the API of one Collibra."""

    def __init__(self, target: str, poster: Poster, path: str) -> None:
        self._target = target
        self._poster = poster
        self._submit, self._jobs = f"{path}/aggregatedData/submit", f"{path}/aggregatedData/jobs"

    @property
    def where(self) -> str:
        """Where submissions go."""
        return self._poster.url + self._submit

    async def submit(self, items: list[dict[str, Any]]) -> Answer:
        """Submit some figures.

        Raises:
            AnswerLost: they may have been taken.
            TargetUnavailable: nothing was taken.
        """
        reply = await self._poster.post(self._submit, items)
        told = reply.told()
        if reply.status >= 500 or (reply.is_success and reply.is_page):
            return Answer(Fate.DOUBTFUL, told)
        if reply.is_success:
            job = _job(reply.data()) or _led_to(reply)
            return Answer(Fate.TAKEN, told, job) if job else Answer(Fate.DOUBTFUL, f"it names no job: {told}")
        verdict = self._poster.judge(reply, 0)
        return Answer(Fate.REFUSED if isinstance(verdict, DataError) else Fate.NOT_NOW, told)

    async def find(self, job_id: str) -> Job:
        """One job as it is now.

        Raises:
            DeliveryRejected: there is no such job.
            TargetUnavailable: it cannot be asked for now.
        """
        reply = await self._poster.get(f"{self._jobs}/{job_id}")
        if reply.status in (400, 404):
            raise DeliveryRejected(target=self._target, problem=f"it knows no job {job_id}: {reply.told()}")
        self._check(reply)
        found = _job(reply.data())
        if found is None:
            raise TargetUnavailable(target=self._target, problem=f"its answer is no job: {reply.told()}")
        return found

    async def all(self) -> AsyncIterator[Listed]:
        """Every job once, in no order: pages shift while others submit, so a job may be missed; raises as `find`."""
        seen: set[str] = set()
        offset, limit = 0, PAGE
        while offset <= MAX_OFFSET:
            reply = await self._poster.get(self._jobs, {"offset": str(offset), "limit": str(limit)})
            self._check(reply)
            data = reply.data()
            page = data.get("results") if isinstance(data, dict) else None
            if not isinstance(page, list):
                if reply.is_cut and limit > 1:  # long reports: fewer of them at once
                    limit //= 2
                    continue
                raise TargetUnavailable(target=self._target, problem=f"its answer is no list of jobs: {reply.told()}")
            fresh = [one for one in map(_listed, page) if one is not None and one.job.job_id not in seen]
            for one in fresh:
                seen.add(one.job.job_id)
                yield one
            if len(page) < limit or not fresh:
                return
            offset += limit

    def _check(self, reply: Reply) -> None:
        if not reply.is_success or reply.is_page:
            raise TargetUnavailable(target=self._target, problem=reply.told())


def _job(data: Any) -> Job | None:
    """The job that an answer shows; its report, of which no form is documented, as JSON."""
    if not isinstance(data, dict) or (job_id := _uuid(data.get("id"))) is None:
        return None
    return Job(job_id, _text(data.get("status")), _text(data.get("createdBy")), _report(data.get("report")))


def _report(told: Any) -> str | None:
    """A report as it is kept: of a long one the beginning, as one text."""
    if told is None:
        return None
    text = canonical(told).decode()
    if len(text) > _REPORT_KEPT:
        return canonical(redact_text(text[:_REPORT_KEPT]) + "…").decode()
    return canonical(redact(told)[0]).decode()


def _listed(data: Any) -> Listed | None:
    job = _job(data)
    if job is None:
        return None
    try:
        at_us = read_time(data.get("createdOn"), "createdOn")
    except DataError:
        at_us = None
    return Listed(job, None if at_us is None else to_datetime(at_us))


def _led_to(reply: Reply) -> Job | None:
    """The job that `Location` ends with; only its id is used: wherever it leads, our credentials do not go there."""
    job_id = _uuid(reply.headers.get("Location", "").partition("?")[0].rstrip("/").rpartition("/")[2])
    return Job(job_id) if job_id else None


def _uuid(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
