"""Asks Pentaho for jobs and follows them to their end; every step is written down."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import product
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import structlog
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import AnswerLost, TargetUnavailable, TransientError
from service.mirror.deliveries import Lease
from service.mirror.store import Store
from service.targets.pentaho import answers, ledger, planning
from service.targets.pentaho.announcing import Announcer
from service.targets.pentaho.answers import Answer, Meaning
from service.targets.pentaho.data_sources import DataSources
from service.targets.pentaho.ledger import Job, State, Verdict
from service.targets.pentaho.operations import EXECUTE_PATH, OPERATIONS, STATUS_PATH, Takes
from service.targets.pentaho.options import Options
from service.targets.pentaho.planning import Planned
from service.targets.pentaho.rules import next_request
from service.targets.posting import Poster
from service.telemetry.metrics import Metrics
from service.text import documents

log = structlog.get_logger(__name__)

#: Slow calls that a job in hand may need: signing in, and the call; more must fit in the same time.
_CALLS = 2
#: Seconds by which a lease outlasts them.
_SPARE_S = 5.0
#: Seconds before a job that was not taken is asked for again: the first time, and at most.
_RETRY_S, _RETRY_MAX_S = 1.0, 300.0
_UNKNOWN = "it was asked for before and nobody knows whether it was taken; what destroys is not asked for twice"


class Runner:
    """The way of a job, from the ledger to Pentaho and back."""

    def __init__(
        self, target: str, store: Store, options: Options, data_sources: DataSources, poster: Poster,
        announcer: Announcer, metrics: Metrics | None,
    ) -> None:  # fmt: skip
        self._target = target
        self._store = store
        self._options = options
        self._data_sources = data_sources
        self._poster = poster
        self._announcer = announcer
        self._metrics = metrics
        self._patience_s = _CALLS * options.timeout_s
        self._lease = Lease(uuid4().hex, self._patience_s + _SPARE_S)
        #: What became of jobs, as long as the store does not take it.
        self._unwritten: dict[str, tuple[Job, Verdict]] = {}
        if metrics:  # there from the start: the first one of a kind has to count as growth
            for name, state in product(OPERATIONS, ledger.BAD):
                metrics.target_jobs.labels(target, name, state.value)

    async def work(self, job_keys: Sequence[str]) -> TransientError | None:
        """Ask for, or look at, each of these jobs, a few at a time; answers why the rest had better wait.

        Raises:
            StoreUnavailable: what became of a job is kept in mind, and written by the next call.
        """
        await self.flush()
        waiting, obstacles = iter(job_keys), list[TransientError]()

        async def worker() -> None:
            for key in waiting:
                if obstacles:
                    return
                if obstacle := await self._step(key):
                    obstacles.append(obstacle)

        workers = [asyncio.create_task(worker()) for _ in range(min(self._options.concurrency, len(job_keys)))]
        results = await asyncio.gather(*workers, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        return obstacles[0] if obstacles else None

    async def flush(self) -> None:
        """Write down what the store did not take before; raises as `work` does."""
        for job, verdict in list(self._unwritten.values()):
            await self._write(job, verdict)

    async def _step(self, job_key: str) -> TransientError | None:
        async with self._store.writing() as connection:
            job = await ledger.take(connection, self._store, job_key, self._lease)
        if job is None:
            return None
        verdict, obstacle = await (self._ask(job) if job.state is State.ASKING else self._look(job))
        self._unwritten[job_key] = job, verdict
        await self._write(job, verdict)
        return obstacle

    async def _ask(self, job: Job) -> tuple[Verdict, TransientError | None]:
        if job.operation.destroys and job.was_asked:
            return Verdict(State.LOST, problem=_UNKNOWN), None
        again_s = min(_RETRY_MAX_S, _RETRY_S * 2.0 ** min(job.attempts, 20))
        try:
            async with asyncio.timeout(self._patience_s):
                reply = await self._poster.post(EXECUTE_PATH + job.operation.path, self.dressed(job))
        except (AnswerLost, TimeoutError) as error:
            lost = error if isinstance(error, AnswerLost) else self.unavailable("no answer in time")
            return self._unknown(job, str(lost), again_s), lost
        except TransientError as error:
            return Verdict(State.ASKING, problem=str(error), untaken=True, again_s=again_s), error
        shown = self._data_sources.scrubbed(reply, _data_source(job.operation.name, job.request))
        return self._judge(job, answers.read(reply, job.failures, shown), again_s)

    def _unknown(self, job: Job, problem: str, again_s: float) -> Verdict:
        """It may have been taken: asked for again, unless that could destroy twice."""
        if job.operation.destroys:
            return Verdict(State.LOST, problem=f"{problem}; {_UNKNOWN}")
        return Verdict(State.ASKING, problem=problem, again_s=again_s)

    def _judge(self, job: Job, answer: Answer, again_s: float) -> tuple[Verdict, TransientError | None]:
        told = answer.told
        match answer.meaning:
            case Meaning.TAKEN:
                job_id = documents.column_text(answer.job_id or "")
                again_s = self._options.poll_s
                return Verdict(State.RUNNING, job_id, answer.status, again_s=again_s), None
            case Meaning.TAKEN_WITHOUT_ID if answer.status and self._state(answer.status) is State.FAILED:
                return Verdict(State.REFUSED, status=answer.status, problem=told, untaken=True), None
            case Meaning.TAKEN_WITHOUT_ID:
                return Verdict(State.LOST, status=answer.status, problem=f"the answer names no job: {told}"), None
            case Meaning.REFUSED:
                return Verdict(State.REFUSED, problem=told, untaken=True), None
            case Meaning.LATER:
                return Verdict(State.ASKING, problem=told, untaken=True, again_s=again_s), self.unavailable(told)
            case Meaning.FAILED:
                unknown = self._unknown(job, told, again_s)
                return replace(unknown, failed=answer.is_internal), self.unavailable(told)

    async def _look(self, job: Job) -> tuple[Verdict, TransientError | None]:
        """How it stands; an answer that says nothing usable leaves it running until its deadline."""
        again_s = min(self._options.poll_max_s, self._options.poll_s * 2.0 ** min(job.polls, 20))
        try:
            async with asyncio.timeout(self._patience_s):
                reply = await self._poster.get(STATUS_PATH.format(id=quote(job.pentaho_job_id or "", safe="")))
        except (TransientError, TimeoutError) as error:
            told = error if isinstance(error, TransientError) else self.unavailable("no answer in time")
            return self._still(job, None, str(told), again_s), told
        word = answers.status_word(reply.data()) if reply.is_success else None
        if word is None:
            return self._still(job, None, f"its status is not told: {answers.told_of(reply)}", again_s), None
        state = self._state(word)
        return (self._still(job, word, None, again_s) if state is None else Verdict(state, status=word)), None

    def _still(self, job: Job, word: str | None, problem: str | None, again_s: float) -> Verdict:
        if job.is_overdue:
            return Verdict(State.OVERDUE, status=word, problem=problem or "its deadline has passed")
        return Verdict(State.RUNNING, status=word, problem=problem, again_s=again_s)

    def _state(self, word: str) -> State | None:
        """What a status means; None: it runs, for all we know.

        Words are free text: `COMPLETED_WITH_ERRORS`, `TIMED_OUT` and `JOB_FAILED` are told by the words that they are
        made of, the first of which counts most: what is retried after an error goes on.
        """
        whole, words = word.casefold(), re.findall(r"[^\W\d_]+", word.casefold()) or [""]
        done, failed = self._options.done_words, self._options.failed_words
        if whole in done:
            return State.SUCCEEDED
        ends = words[-1] in failed and words[-1].endswith("ed")
        if whole in failed or words[0] in failed or ends or (words[0] in done and failed.intersection(words)):
            return State.FAILED
        return State.SUCCEEDED if words[0] in done else None

    async def _write(self, job: Job, verdict: Verdict) -> None:
        async with self._store.writing() as connection:
            taken = await self._wind_up(connection, job, verdict)
        self._unwritten.pop(job.job_key, None)
        if taken and verdict.state is not job.state:
            log.log(
                logging.WARNING if verdict.state in ledger.BAD else logging.INFO,
                "pentaho_job", target=self._target, job=job.job_key, operation=job.operation.name,
                state=verdict.state.value, pentaho_job_id=verdict.job_id or job.pentaho_job_id,
                **({"problem": verdict.problem} if verdict.problem else {}),
            )  # fmt: skip
            if self._metrics and verdict.state is not State.ASKING:
                self._metrics.target_jobs.labels(self._target, job.operation.name, verdict.state.value).inc()
        elif not taken:
            log.warning("pentaho_job_taken_over", target=self._target, job=job.job_key, pentaho_job_id=verdict.job_id)

    async def _wind_up(self, connection: AsyncConnection, job: Job, verdict: Verdict) -> bool:
        """Write a verdict with all that follows from it, in one transaction."""
        halves = None
        if verdict.state is State.REFUSED and not job.asked_by.startswith(ledger.BY_HAND):
            halves = planning.halves(job.operation.name, job.request)
        if halves:
            verdict = Verdict(State.DIVIDED, problem=verdict.problem)
        token, deadline_s = self._lease.token, self._options.deadline_s
        if not await ledger.write(connection, self._store, job, verdict, token, deadline_s):
            return False
        if halves:
            await ledger.divide(connection, self._target, job, halves)
        if verdict.state is State.SUCCEEDED and job.follows:
            await ledger.insert(connection, self._target, [self._next(job)], after=job.job_key)
        if verdict.state in (State.SUCCEEDED, State.FAILED):
            await self._announcer.announce(connection, self._store, job, verdict.state)
        return True

    def _next(self, job: Job) -> Planned:
        following = OPERATIONS[job.follows[0]]
        request = next_request(job.request, job.operation, following, self._options, self._data_sources)
        return Planned(following.name, request, job.follows[1:], f"{job.operation.name} {job.job_key}")

    def dressed(self, job: Job) -> dict[str, Any]:
        """The body with what is secret in it: made when it is sent, kept nowhere."""
        return job.request | self._data_sources.secrets(_data_source(job.operation.name, job.request))

    def shown(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """The body as people may see it."""
        return request | self._data_sources.hidden(_data_source(operation, request))

    def unavailable(self, problem: str) -> TargetUnavailable:
        """The target cannot be told now."""
        return TargetUnavailable(target=self._target, problem=problem)


def _data_source(operation: str, request: dict[str, Any]) -> str:
    """The data source whose secrets the operation needs; empty where it needs none."""
    what = OPERATIONS[operation]
    needs = what.takes is Takes.DATA_SOURCE and not what.destroys
    return str(request.get(what.ids) or "") if needs else ""
