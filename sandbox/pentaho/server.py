"""The server: signs in, takes jobs, lets them progress; knobs let it fail as real ones do."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from sandbox.pentaho import bodies
from sandbox.serving import serving

USERNAME, PASSWORD = "mirror", "pocket-password"
_JOBS = "/api/public/v1/jobs"
#: Seconds for which a lost answer keeps its caller waiting before the connection ends.
_LOST_S = 0.05


@dataclass
class Job:
    """One job, and how far it is."""

    job_id: str
    path: str
    body: dict[str, Any]
    words: list[str]
    created_at: str
    looks: int = 0

    @property
    def status(self) -> str:
        """The word of this moment; each look takes it one further."""
        return self.words[min(self.looks, len(self.words) - 1)]


@dataclass
class PocketPentaho:
    """What it holds, and how it behaves."""

    #: How jobs progress, a word a look; those of some operations otherwise.
    words: list[str] = field(default_factory=lambda: ["QUEUED", "IN_PROGRESS", "COMPLETED"])
    words_of: dict[str, list[str]] = field(default_factory=dict)
    #: Ids that there are not: a body that names one is refused as a whole.
    unknown: set[str] = field(default_factory=set)
    #: Ids at which it fails inside, for ever.
    cursed: set[str] = field(default_factory=set)
    #: Ids of a scope at most.
    scope_max: int | None = None
    #: Collections that are not of type dataset cannot be aggregated.
    no_datasets: set[str] = field(default_factory=set)
    #: Seconds that each answer takes.
    delay_s: float = 0.0
    #: Seconds between taking a job and answering.
    answer_delay_s: float = 0.0
    #: So many jobs are taken, and their answers lost.
    lost_answers: int = 0
    #: Answers of this status, one after the other, before it works again; nothing is taken meanwhile.
    failures: list[int] = field(default_factory=list)
    #: The same for signing in.
    sign_in_failures: list[int] = field(default_factory=list)
    #: So many calls are answered by a page for people, with 200.
    pages: int = 0
    #: Calls that a token is good for; None: for ever.
    token_calls: int | None = None
    #: How the message of an error looks: text, list or object.
    messages: str = "text"
    #: Answers to what starts a job that take the place of the documented one.
    other_answers: list[Any] = field(default_factory=list)
    jobs: dict[str, Job] = field(default_factory=dict)
    #: (path, body) of every job that was taken.
    taken: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    sign_ins: int = 0
    #: Where it is served.
    url: str = ""
    #: Is told of each job that was taken.
    told: Callable[[Job], None] | None = None
    _tokens: dict[str, int] = field(default_factory=dict)

    def scopes(self, path: str) -> list[list[str]]:
        """Scopes of the jobs of one operation, in the order in which they were taken."""
        return [body["scope"] for taken, body in self.taken if taken == path]

    def expire_tokens(self) -> None:
        """No token is good any more."""
        self._tokens.clear()

    def application(self) -> web.Application:
        """Its paths."""
        app = web.Application(client_max_size=64 * 1024**2)
        app.router.add_post("/api/public/v1/auth", self._sign_in)
        app.router.add_get(f"{_JOBS}/{{id}}/status", self._status)
        for path in bodies.BODIES:
            app.router.add_post(f"{_JOBS}/execute/{path}", self._starter(path))
        return app

    async def _sign_in(self, request: web.Request) -> web.Response:
        if self.sign_in_failures:
            return self._error(self.sign_in_failures.pop(0), "It does not work now.")
        if request.content_type != "application/x-www-form-urlencoded":
            return self._error(400, "the body must be form-encoded")
        form = await request.post()
        if not form.get("username") or not form.get("password"):
            return self._error(400, "username and password should not be empty")
        if (form["username"], form["password"]) != (USERNAME, PASSWORD):
            return self._error(401, "Invalid user credentials")
        self.sign_ins += 1
        token = f"eyJhbGciOiJub25lIn0.{uuid.uuid4().hex}.pocket"
        self._tokens[token] = 0
        return web.json_response({"message": "OK", "data": {"accessToken": token}})

    async def _hindered(self, request: web.Request) -> web.Response | None:
        """An answer that takes the place of the right one, if there is one."""
        await asyncio.sleep(self.delay_s)
        if self.pages:
            self.pages -= 1
            return web.Response(text="<html>Please sign in.</html>", content_type="text/html")
        if self.failures:
            return self._error(self.failures.pop(0), "It does not work now.")
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        used = self._tokens.get(token)
        if used is None or (self.token_calls is not None and used >= self.token_calls):
            return self._error(401, "Unauthorized")
        self._tokens[token] = used + 1
        return None

    def _starter(self, path: str) -> Callable[[web.Request], Any]:
        async def start(request: web.Request) -> web.StreamResponse:
            if hindrance := await self._hindered(request):
                return hindrance
            try:
                body = json.loads(await request.read())
            except ValueError:
                return self._error(400, "the body is no JSON")
            if wrong := bodies.problems(path, body) or self._wrong(path, body):
                return self._error(400, *wrong)
            if self.cursed & set(body.get("scope", [])):
                return self._error(500, "Internal server error")
            return await self._take(request, path, body)

        return start

    def _wrong(self, path: str, body: dict[str, Any]) -> list[str]:
        """What cannot be done with things as they are."""
        scope = body.get("scope", [])
        named = [*scope, *body.get("ruleId", []), body.get("collectionId"), body.get("id"), body.get("resourceId")]
        if missing := [one for one in named if one in self.unknown]:
            return [f"{missing[0]} was not found"]
        if self.scope_max is not None and len(scope) > self.scope_max:
            return [f"scope must contain at most {self.scope_max} elements"]
        if len(set(scope)) < len(scope):
            return ["scope must not name anything twice"]
        if path == "collections/data-aggregation" and body["collectionId"] in self.no_datasets:
            return ["the collection must be of type dataset"]
        if path == "data-identification" and (late := set(scope) - self._done("data-profiling", "data-discovery")):
            return [f"{min(late)} must have been profiled and discovered"]
        return []

    def _done(self, *paths: str) -> set[str]:
        """Entities for which each of these operations has been completed."""
        done = [
            {one for job in self.jobs.values() if job.path == path and job.status == "COMPLETED"
             for one in job.body["scope"]}
            for path in paths
        ]  # fmt: skip
        return set.intersection(*done)

    async def _take(self, request: web.Request, path: str, body: dict[str, Any]) -> web.StreamResponse:
        words = self.words_of.get(path, self.words)
        job = Job(uuid.uuid4().hex[:24], path, body, list(words), _now())
        self.jobs[job.job_id] = job
        self.taken.append((path, body))
        if self.told is not None:
            self.told(job)
        await asyncio.sleep(self.answer_delay_s)
        if self.lost_answers:
            self.lost_answers -= 1
            await asyncio.sleep(_LOST_S)
            if request.transport is not None:
                request.transport.abort()
        if self.other_answers:
            return web.json_response(self.other_answers.pop(0))
        return web.json_response(_started(job))

    async def _status(self, request: web.Request) -> web.Response:
        if hindrance := await self._hindered(request):
            return hindrance
        job = self.jobs.get(request.match_info["id"])
        if job is None:
            return self._error(404, "Job not found")
        job.looks += 1
        return web.json_response(
            {
                "workerId": "w1", "workerName": job.path, "activity": job.path, "status": job.status,
                "user": {"name": USERNAME, "email": "", "firstName": "", "lastName": ""},
                "createdAt": job.created_at, "duration": job.looks, "scope": _scope(job),
            }
        )  # fmt: skip

    def _error(self, status: int, *messages: str) -> web.Response:
        shapes: dict[str, Any] = {
            "text": "; ".join(messages), "list": list(messages), "object": {"errors": list(messages)}
        }  # fmt: skip
        return web.json_response({"status": status, "message": shapes[self.messages]}, status=status)


def _scope(job: Job) -> dict[str, Any]:
    ids = job.body.get("scope", [])
    return {"dataSources": [], "scope": [{"type": "TABLE", "_id": one, "title": f"table {one[:8]}"} for one in ids]}


def _started(job: Job) -> dict[str, Any]:
    """The documented answer."""
    return {
        "status": "OK", "message": "Job submitted",
        "data": {
            "userId": "00000000-0000-4000-8000-000000000001", "resourceIds": [], "scope": _scope(job),
            "_id": job.job_id, "date": job.created_at, "workerName": job.path, "activity": job.path,
            "createdAt": job.created_at, "updatedAt": job.created_at, "pId": 1, "__v": 0,
        },
    }  # fmt: skip


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def serve(pocket: PocketPentaho, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Answer in the running event loop; gives the base URL."""
    async with serving(pocket.application(), port, host) as url:
        pocket.url = url
        yield url
