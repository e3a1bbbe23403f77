"""Jobs of projects and spaces, and their runs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found

#: All states of a run.
STATES = (
    "Queued",
    "Starting",
    "Running",
    "Paused",
    "Resuming",
    "Canceling",
    "Canceled",
    "Failed",
    "Completed",
    "CompletedWithErrors",
    "CompletedWithWarnings",
)
#: States that a run does not leave.
FINAL_STATES = frozenset({"Canceled", "Failed", "Completed", "CompletedWithErrors", "CompletedWithWarnings"})


@dataclass(slots=True)
class Run:
    """One run of a job."""

    id: str
    started_s: float
    changed_s: float
    state: str = "Starting"


@dataclass(slots=True)
class Job:
    """Something that can be run again and again."""

    id: str
    container_id: str
    name: str
    asset_ref: str
    asset_ref_type: str
    created_s: float
    runs: dict[str, Run] = field(default_factory=dict)


class Jobs:
    """All jobs; nothing on the broker tells of them."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self._jobs: dict[str, Job] = {}

    def of(self, container_id: str) -> list[Job]:
        """Jobs of a project or space."""
        return [job for job in self._jobs.values() if job.container_id == container_id]

    def get(self, job_id: str, container_id: str) -> Job:
        """One job; raises Problem 404."""
        job = self._jobs.get(job_id)
        if job is None or job.container_id != container_id:
            raise not_found("job", job_id)
        return job

    def create(self, container_id: str, name: str, asset_ref: str, asset_ref_type: str) -> str:
        """Make a job; answers its id."""
        job_id = self._ids.new(Kind.JOB)
        self._jobs[job_id] = Job(job_id, container_id, name, asset_ref, asset_ref_type, self._clock.now())
        return job_id

    def delete(self, job_id: str) -> None:
        """Remove a job with its runs."""
        del self._jobs[job_id]

    def run(self, job_id: str) -> str:
        """Start a run; answers its id."""
        run_id, now_s = self._ids.new(Kind.RUN), self._clock.now()
        self._jobs[job_id].runs[run_id] = Run(run_id, now_s, now_s)
        return run_id

    def set_state(self, job_id: str, run_id: str, state: str) -> None:
        """A run goes on to another state."""
        run = self._jobs[job_id].runs[run_id]
        run.state, run.changed_s = state, self._clock.now()


def job_document(job: Job) -> dict[str, Any]:
    """A job as the service lists it."""
    last = max(job.runs.values(), key=lambda run: run.started_s, default=None)
    about: dict[str, Any] = {"asset_ref": job.asset_ref, "asset_ref_type": job.asset_ref_type, "schedule": ""}
    if last is not None:
        about |= {"last_run_status": last.state, "last_run_time": iso_millis(last.started_s)}
    return {"metadata": _metadata(job.id, job.name, job.created_s), "entity": {"job": about}}


def run_document(job: Job, run: Run) -> dict[str, Any]:
    """A run as the service lists it."""
    about = {
        "job_ref": job.id,
        "state": run.state,
        "last_state_change_timestamp": iso_millis(run.changed_s),
        "isScheduledRun": False,
        "configuration": {},
    }
    return {"metadata": _metadata(run.id, "job run", run.started_s), "entity": {"job_run": about}}


def _metadata(asset_id: str, name: str, created_s: float) -> dict[str, Any]:
    at = iso_millis(created_s)
    return {"asset_id": asset_id, "name": name, "created_at": at, "usage": {"last_updated_at": at}}
