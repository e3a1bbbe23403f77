"""The Import API of the pocket Collibra, and what of its Core API belongs to it: strict where its documents are.

What it refuses, and how a job ends, is told in docs/contract.md, "Collibra: assets"; fields are those of the published
client (`collibra-import-200` 2.0.0).
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from aiohttp import web

from sandbox.collibra.checks import Invalid
from sandbox.collibra.commands import external, read_commands, read_form

CORE = "/rest/2.0"
_OURS = UUID("5d3c9be4-6f0e-4e0b-8a53-0d4d2a7c7a10")
#: Characters of a name at most.
MAX_NAME = 255
#: What a fresh one has: names of types and statuses as Collibra ships them.
ASSET_TYPES = ("Table", "Column", "Database", "Business Term", "Data Set")
ATTRIBUTE_TYPES = ("Description", "Definition", "Technical Data Type", "Column Position", "Location")
STATUSES = ("Candidate", "Accepted", "Obsolete")
ROLES, USERS, GROUPS = ("Owner", "Steward"), ("Ann", "Bob"), ("Stewards of the shop",)
PART_OF, CONTAINS = "00000000-0000-0000-0000-000000007042", "00000000-0000-0000-0000-000000007043"
REPRESENTS = "00000000-0000-0000-0000-000000007038"


@dataclass
class Asset:
    """An asset that it has."""

    asset_id: str
    name: str
    domain: str
    type: str
    status: str = "Candidate"
    display_name: str = ""
    attributes: dict[str, list[str]] = field(default_factory=dict)
    relations: dict[str, list[str]] = field(default_factory=dict)
    tags: list[str] = field(default_factory=list)
    #: Role → the names of those who have it.
    responsibilities: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class ImportJob:
    """An import on its way; what it does it did when it came."""

    job_id: str
    result: str
    message: str = ""
    errors: list[dict[str, Any]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=lambda: {"added": 0, "removed": 0, "updated": 0})
    state: str = "WAITING"
    since: float = field(default_factory=time.monotonic)

    def go_on(self, step_s: float) -> None:
        """To the next state, if it is time."""
        last = "ERROR" if self.result == "FAILURE" else "COMPLETED"
        following = {"WAITING": "RUNNING", "RUNNING": last}
        if self.state in following and time.monotonic() - self.since >= step_s:
            self.state, self.since = following[self.state], time.monotonic()

    @property
    def has_ended(self) -> bool:
        """Its results can be asked for."""
        return self.state in ("COMPLETED", "ERROR")

    def told(self) -> dict[str, Any]:
        """As the Core API shows it."""
        shown = {"id": self.job_id, "resourceType": "Job", "type": "IMPORT", "state": self.state}
        return shown | {"result": self.result if self.has_ended else "NOT_SET", "message": self.message}


class PocketImports:
    """Assets, what they are made of, and the jobs that made them."""

    def __init__(self, told: Callable[[str], None]) -> None:
        self.assets: dict[str, Asset] = {}
        #: External system and entity → the asset; None: it was deleted, and the mapping stays.
        self.mappings: dict[tuple[str, str], str | None] = {}
        self.jobs: dict[str, ImportJob] = {}
        #: The commands of every import that was taken.
        self.imports: list[list[dict[str, Any]]] = []
        self.taken = asyncio.Event()
        self.types = {
            "assetTypes": _ids(ASSET_TYPES), "attributeTypes": _ids(ATTRIBUTE_TYPES), "statuses": _ids(STATUSES),
            "relationTypes": {"is part of": PART_OF, "contains": CONTAINS, "represents": REPRESENTS},
            "roles": _ids(ROLES), "users": _ids(USERS), "userGroups": _ids(GROUPS),
            "communities": _ids(("Shop",)), "domains": _ids(("Shop data", "Shop glossary")),
        }  # fmt: skip
        #: Seconds that a job rests in each state; it goes on when somebody looks.
        self.step_s = 0.0
        #: Failed commands after which a job stops.
        self.most_failures = 100
        #: Answers to the next imports; nothing is taken.
        self.refusals: list[int] = []
        #: So many imports are taken, and never answered.
        self.lost = 0
        #: Holds answers to imports back, after they were taken, until it is set.
        self.answers: asyncio.Event | None = None
        #: Where the next import is sent on to.
        self.redirect: str | None = None
        #: So many jobs fail as a whole.
        self.failing = 0
        self._told = told

    def routes(self, guarded: Callable[[Any], Any]) -> list[web.RouteDef]:
        """Its operations; each is asked for by somebody who is signed in."""
        results = f"{CORE}/import/results/{{id}}"
        mapping = f"{CORE}/mappings/externalSystem/{{system}}/externalEntity/{{entity}}"
        return [
            web.post(f"{CORE}/import/json-job", guarded(self._import)),
            web.get(f"{CORE}/jobs/{{id}}", guarded(self._job)),
            web.get(f"{results}/errors", guarded(self._errors)),
            web.get(f"{results}/summary", guarded(self._summary)),
            web.get(mapping, guarded(self._mapping)),
            web.delete(mapping, guarded(self._unmap)),
            web.delete(f"{CORE}/assets/bulk", guarded(self._remove)),
            *(
                route
                for what in self.types
                for route in (
                    web.get(f"{CORE}/{what}", guarded(self._search)),
                    web.get(f"{CORE}/{what}/{{id}}", guarded(self._find)),
                )
            ),
        ]

    def of(self, system: str, entity: str) -> Asset | None:
        """The asset of an external id."""
        return self.assets.get(self.mappings.get((system, entity)) or "")

    # Imports

    async def _import(self, request: web.Request) -> web.StreamResponse:
        form = await read_form(request)
        if self.refusals:
            return _problem(self.refusals.pop(0), "It does not work now.")
        if self.redirect:
            raise web.HTTPTemporaryRedirect(self.redirect)
        job = self._run(form)
        self.jobs[job.job_id] = job
        self.taken.set()
        if self.answers is not None:
            await self.answers.wait()
        if self.lost:
            self.lost -= 1
            if request.transport is not None:
                request.transport.abort()
        return web.json_response(job.told())

    def _run(self, form: dict[str, Any]) -> ImportJob:
        """Carry an import out."""
        job = ImportJob(str(uuid4()), "SUCCESS")
        try:
            commands = read_commands(form["file"])
        except Invalid as problem:
            job.result, job.message = "FAILURE", f"The content of the input file has an invalid structure: {problem}"
            return job
        self.imports.append(commands)
        self._told(msgspec.json.encode(commands).decode())
        if self.failing:
            self.failing -= 1
            job.result, job.message = "FAILURE", "Something went wrong."
            return job
        before = _copied(self.assets), dict(self.mappings)
        for place, command in enumerate(commands):
            try:
                self._carry_out(command, job)
            except Invalid as problem:
                job.errors.append(_error(place, command, str(problem)))
                if len(job.errors) >= self.most_failures:
                    break
        stops = job.errors and not form["continueOnError"]
        if stops or form["simulation"]:
            self.assets, self.mappings = before
        if job.errors:
            cut = len(job.errors) >= self.most_failures
            job.result = "FAILURE" if stops else "ABORTED" if cut else "COMPLETED_WITH_ERROR"
        return job

    def _carry_out(self, command: dict[str, Any], job: ImportJob) -> None:
        """One command: all of it, or nothing."""
        key = external(command["identifier"])
        known = self.of(*key)
        asset = _copied({"": known})[""] if known else self._created(command)
        asset.name = command.get("name", asset.name)
        asset.display_name = command.get("displayName", asset.display_name)
        if not 0 < len(asset.name) <= MAX_NAME:
            raise Invalid("The name of the asset is empty, or too long")
        asset.domain = self._domain(command["domain"]) if "domain" in command else asset.domain
        asset.type = self._named("assetTypes", command["type"]) if "type" in command else asset.type
        asset.status = self._named("statuses", command["status"]) if "status" in command else asset.status
        for name, values in command.get("attributes", {}).items():
            asset.attributes[self._name("attributeTypes", name)] = [one["value"] for one in values]
        for name, ends in command.get("relations", {}).items():
            asset.relations[self._relation(name)] = [self._end(end) for end in ends]
        asset.tags = command.get("tags", asset.tags)
        for role, owners in command.get("responsibilities", {}).items():
            asset.responsibilities[self._name("roles", role)] = [self._owner(owner) for owner in owners]
        twin = [one for one in self.assets.values() if (one.name, one.domain) == (asset.name, asset.domain)]
        if any(one.asset_id != asset.asset_id for one in twin):
            raise Invalid(f"An asset called {asset.name!r} is in the domain already")
        asset.attributes = {name: values for name, values in asset.attributes.items() if values}
        asset.responsibilities = {role: owners for role, owners in asset.responsibilities.items() if owners}
        job.counters["updated" if known else "added"] += 1
        self.assets[asset.asset_id], self.mappings[key] = asset, asset.asset_id

    def _created(self, command: dict[str, Any]) -> Asset:
        lacks = [name for name in ("name", "domain", "type") if name not in command]
        if lacks:
            raise Invalid(f"No asset matches the specified criteria, and without {lacks[0]} none can be created")
        return Asset(str(uuid4()), command["name"], "", "")

    def _named(self, what: str, identifier: dict[str, str]) -> str:
        return self._name(what, identifier.get("id") or identifier.get("name") or "")

    def _name(self, what: str, text: str) -> str:
        for name, id_ in self.types[what].items():
            if text in (name, id_):
                return name
        raise Invalid(f"No {what} matches the specified criteria: {text!r}")

    def _domain(self, identifier: dict[str, Any]) -> str:
        if "community" in identifier:
            self._named("communities", identifier["community"])
        return self._named("domains", identifier)

    def _relation(self, key: str) -> str:
        type_, _, direction = key.partition(":")
        if type_ not in self.types["relationTypes"].values() or direction not in ("SOURCE", "TARGET"):
            raise Invalid(f"No relation type matches the specified criteria: {key!r}")
        return key

    def _owner(self, told: dict[str, dict[str, str]]) -> str:
        ((what, identifier),) = told.items()
        return self._name({"user": "users", "userGroup": "userGroups"}[what], identifier["id"])

    def _end(self, identifier: dict[str, Any]) -> str:
        found = self.of(*external(identifier))
        if found is None:
            raise Invalid(f"No asset matches the specified criteria: {external(identifier)}")
        return found.asset_id

    # Jobs and their results

    async def _job(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return _problem(404, "There is no such job.")
        job.go_on(self.step_s)
        return web.json_response(job.told())

    async def _errors(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None or not job.has_ended:
            return _problem(404, "There is no such finished import.")
        offset, limit = int(request.query.get("offset", "0")), int(request.query.get("limit", "1000"))
        page = {"total": len(job.errors), "offset": offset, "limit": limit}
        return web.json_response({**page, "results": job.errors[offset : offset + limit]})

    async def _summary(self, request: web.Request) -> web.Response:
        job = self.jobs.get(request.match_info["id"])
        if job is None or not job.has_ended:
            return _problem(404, "There is no such finished import.")
        state = {"SUCCESS": "COMPLETED", "FAILURE": "FAILED", "ABORTED": "ABORTED"}.get(
            job.result, "COMPLETED_WITH_ERRORS"
        )
        kinds = [{"resourceType": "ASSET", "counters": job.counters, "subcategories": []}]
        return web.json_response({"resourceTypes": kinds, "errorsCount": len(job.errors), "importJobState": state})

    # What it has

    async def _search(self, request: web.Request) -> web.Response:
        if request.query.get("nameMatchMode", "EXACT") != "EXACT":
            raise Invalid("the pocket matches names exactly")
        known = self.types[request.path.rpartition("/")[2]]
        name = request.query.get("name")
        found = [{"id": id_, "name": one} for one, id_ in known.items() if name in (None, one)]
        return web.json_response({"total": len(found), "offset": 0, "limit": 1000, "results": found})

    async def _find(self, request: web.Request) -> web.Response:
        known = self.types[request.path.rpartition("/")[0].rpartition("/")[2]]
        found = [{"id": id_, "name": name} for name, id_ in known.items() if id_ == request.match_info["id"]]
        return web.json_response(found[0]) if found else _problem(404, "There is none of that id.")

    async def _mapping(self, request: web.Request) -> web.Response:
        key = request.match_info["system"], request.match_info["entity"]
        if key not in self.mappings:
            return _problem(404, "There is no such mapping.")
        asset = self.of(*key)
        resource = {"id": asset.asset_id, "name": asset.name, "resourceType": "Asset"} if asset else None
        told = {"id": str(uuid5(_OURS, str(key))), "externalSystemId": key[0], "externalEntityId": key[1]}
        return web.json_response({**told, "mappedResource": resource})

    async def _unmap(self, request: web.Request) -> web.Response:
        key = request.match_info["system"], request.match_info["entity"]
        if key not in self.mappings:
            return _problem(404, "There is no such mapping.")
        del self.mappings[key]
        return web.Response(status=204)

    async def _remove(self, request: web.Request) -> web.Response:
        ids = msgspec.json.decode(await request.read(), type=list[str])
        if unknown := [one for one in ids if one not in self.assets]:
            return _problem(404, f"There is no asset {unknown[0]}.")
        for one in ids:
            del self.assets[one]
        self.mappings = {key: None if id_ in ids else id_ for key, id_ in self.mappings.items()}
        return web.Response(status=204)


def _error(place: int, command: dict[str, Any], problem: str) -> dict[str, Any]:
    reference = {"indices": [place], "identifier": str(command["identifier"])}
    return {"errorType": "VALIDATION", "resourceType": "ASSET", "errorMessage": problem, "command": reference}


def _copied(assets: dict[str, Asset]) -> dict[str, Asset]:
    return msgspec.convert(msgspec.to_builtins(assets), dict[str, Asset])


def _ids(names: tuple[str, ...]) -> dict[str, str]:
    return {name: str(uuid5(_OURS, name)) for name in names}


def _problem(status: int, message: str) -> web.Response:
    body = {"statusCode": status, "titleMessage": "Import", "userMessage": message, "errorCode": f"pocket-{status}"}
    return web.json_response(body, status=status)
