"""Collibra's Import API and what of its Core API belongs to it: an import, its job, its errors; what answers mean.

The facts are in docs/contract.md, "Collibra: assets".
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from uuid import UUID

import aiohttp

from service.errors import DeliveryRejected, TargetUnavailable
from service.targets.posting import Poster, Reply
from service.text.documents import canonical

#: Errors of one page.
PAGE = 1000
#: States in which a job stays.
_ENDED = frozenset({"COMPLETED", "CANCELED", "ERROR"})
_SUCCESS, _PARTIAL = "SUCCESS", ("COMPLETED_WITH_ERROR", "ABORTED")
#: Characters of what Collibra says that are kept.
_SHOWN = 300


@dataclass(frozen=True, slots=True)
class Job:
    """How a job stands."""

    state: str
    result: str
    message: str

    @property
    def has_ended(self) -> bool:
        """Nothing more comes of it."""
        return self.state in _ENDED

    @property
    def succeeded(self) -> bool:
        """All of it was taken."""
        return self.state == "COMPLETED" and self.result == _SUCCESS

    @property
    def has_errors(self) -> bool:
        """Some commands were taken, and errors tell of others."""
        return self.state == "COMPLETED" and self.result in _PARTIAL

    @property
    def is_cut_short(self) -> bool:
        """After too many errors the rest was not looked at."""
        return self.result == "ABORTED"


@dataclass(frozen=True, slots=True)
class Fault:
    """Why a command was not taken: the places of commands in the import, as far as they are told."""

    places: tuple[int, ...]
    problem: str


class Imports:
    """Calls the API of one Collibra."""

    def __init__(self, target: str, poster: Poster, path: str, poll_s: float) -> None:
        self._target = target
        self._poster = poster
        self._path = path
        self._poll_s = poll_s

    @property
    def where(self) -> str:
        """Where imports go."""
        return f"{self._poster.url}{self._path}/import/json-job"

    async def submit(self, commands: Sequence[dict[str, Any]], attempts: int = 0) -> str:
        """Hand an import in; answers its job. Commands that fail do not keep others from being taken.

        Raises:
            TargetUnavailable: nobody knows whether it was taken, or it was not, for now.
            DeliveryRejected: Collibra will not take it.
        """
        body = canonical(list(commands))

        def form() -> aiohttp.FormData:
            fields = {"sendNotification": "false", "continueOnError": "true", "deleteFile": "true"}
            data = aiohttp.FormData(fields, quote_fields=False)
            data.add_field("fileName", "catalog-mirror.json")
            data.add_field("file", body, filename="catalog-mirror.json", content_type="application/json")
            return data

        reply = await self._poster.post_form(f"{self._path}/import/json-job", form)
        if problem := self._poster.judge(reply, attempts):
            raise problem
        told = self._object(reply)
        try:
            return str(UUID(told.get("id")))
        except (ValueError, TypeError, AttributeError):
            raise self._unavailable(f"its answer names no job: {reply.told()}") from None

    async def follow(self, job_id: str, until: float) -> Job | None:
        """Look at a job until it ends; None: it had not by then (`time.monotonic`).

        Raises:
            TargetUnavailable: it cannot be asked for now.
            DeliveryRejected: there is no such job.
        """
        while True:
            job = await self.find(job_id)
            if job.has_ended:
                return job
            if time.monotonic() + self._poll_s > until:
                return None
            await asyncio.sleep(self._poll_s)

    async def find(self, job_id: str) -> Job:
        """A job as it stands now; raises as `follow`."""
        reply = await self._poster.get(f"{self._path}/jobs/{job_id}")
        if reply.status == 404:
            raise DeliveryRejected(target=self._target, problem=f"it knows no job {job_id}: {reply.told()}")
        told = self._object(reply)
        state, result, message = (_word(told.get(name)) for name in ("state", "result", "message"))
        if not state:
            raise self._unavailable(f"its answer is no job: {reply.told()}")
        return Job(state.upper(), result.upper(), message[:_SHOWN])

    async def faults(self, job_id: str) -> list[Fault]:
        """The errors of a job that has ended; raises as `follow`."""
        found: list[Fault] = []
        while True:
            page = {"offset": str(len(found)), "limit": str(PAGE)}
            reply = await self._poster.get(f"{self._path}/import/results/{job_id}/errors", page)
            results = self._object(reply).get("results")
            if not isinstance(results, list):
                raise self._unavailable(f"its answer lists no errors: {reply.told()}")
            found += [_fault(one) for one in results]
            if len(results) < PAGE:
                return found

    async def counted(self, job_id: str) -> dict[str, dict[str, int]]:
        """What a job that has ended added, changed and removed, by kind of resource; raises as `follow`."""
        reply = await self._poster.get(f"{self._path}/import/results/{job_id}/summary")
        told = self._object(reply).get("resourceTypes")
        kinds = [one for one in told if isinstance(one, dict)] if isinstance(told, list) else []
        return {_word(one.get("resourceType")).lower(): _counters(one.get("counters")) for one in kinds}

    async def ask(self, path: str, **parameters: str) -> list[dict[str, Any]] | None:
        """The results of a search of the Core API, or the one thing of an id; None: there is none of that id."""
        reply = await self._poster.get(f"{self._path}/{path}", parameters)
        if reply.status == 404:
            return None
        told = self._object(reply)
        results = told.get("results", [told])
        return [one for one in results if isinstance(one, dict)] if isinstance(results, list) else []

    async def asset_of(self, system: str, external: str) -> str | None:
        """Collibra's own id of what it keeps under an external id; None: it has nothing there, or not any more."""
        found = await self.ask(_mapping(system, external))
        resource = found[0].get("mappedResource") if found else None
        return _word(resource.get("id")) or None if isinstance(resource, dict) else None

    async def remove(self, asset_ids: Sequence[str]) -> None:
        """Remove assets.

        Raises:
            TargetUnavailable, DeliveryRejected: they may not have been.
        """
        reply = await self._poster.delete(f"{self._path}/assets/bulk", list(asset_ids))
        if problem := self._poster.judge(reply, 0):
            raise problem

    async def forget(self, system: str, external: str) -> None:
        """Remove what is kept of an external id; raises as `remove`."""
        reply = await self._poster.delete(f"{self._path}/{_mapping(system, external)}")
        if reply.status != 404 and (problem := self._poster.judge(reply, 0)):
            raise problem

    def _object(self, reply: Reply) -> dict[str, Any]:
        told = reply.data()
        if not reply.is_success or not isinstance(told, dict):
            raise self._unavailable(reply.told())
        return told

    def _unavailable(self, problem: str) -> TargetUnavailable:
        return TargetUnavailable(target=self._target, problem=problem)


def _mapping(system: str, external: str) -> str:
    """Where Collibra keeps what an external id stands for."""
    return f"mappings/externalSystem/{quote(system, safe='')}/externalEntity/{quote(external, safe='')}"


def _fault(told: Any) -> Fault:
    told = told if isinstance(told, dict) else {}
    reference = told.get("command")
    indices = reference.get("indices") if isinstance(reference, dict) else None
    places = tuple(one for one in indices if isinstance(one, int)) if isinstance(indices, list) else ()
    return Fault(places, f"{_word(told.get('resourceType'))}: {_word(told.get('errorMessage'))[:_SHOWN]}")


def _counters(told: Any) -> dict[str, int]:
    return {name: number for name, number in told.items() if isinstance(number, int)} if isinstance(told, dict) else {}


def _word(value: Any) -> str:
    return value if isinstance(value, str) else ""
