"""The server: signs people in, takes submissions as jobs, lets jobs go on; knobs let it fail as real ones do."""

from __future__ import annotations

import asyncio
import base64
import binascii
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from secrets import token_hex
from typing import Any
from uuid import UUID, uuid4, uuid5

import msgspec
from aiohttp import web

from sandbox.collibra import checks
from sandbox.collibra.imports import PocketImports
from sandbox.serving import serving

BASE = "/rest/dataUsage/v1"
#: Who may sign in: user and password. The second may sign in, and may do nothing.
USERNAME, PASSWORD = "popularity", "sesame-open-42"
VISITOR = "visitor"
_PEOPLE = UUID("7d7f6f2c-7a8e-4d55-9f16-6c8a6f0f8a11")


@dataclass
class Knobs:
    """How it behaves."""

    #: Seconds before each answer to a submission.
    delay_s: float = 0.0
    #: Answers to the next submissions; nothing is taken.
    refusals: list[int] = field(default_factory=list)
    #: Answers to the next submissions, although they are taken.
    broken: list[int] = field(default_factory=list)
    #: So many submissions are taken, and never answered.
    lost: int = 0
    #: So many submissions are neither taken nor answered.
    dropped: int = 0
    #: Answers to the next questions about jobs.
    job_refusals: list[int] = field(default_factory=list)
    #: How a submission's `Location` is: absolute, relative or none.
    location: str = "absolute"
    #: The 202 carries a body.
    bodies: bool = True
    #: Seconds that a job rests in each status; it goes on when somebody looks.
    step_s: float = 0.0
    #: So many jobs end as Failed.
    failing: int = 0
    #: Seconds that a token is good for.
    token_life_s: float = 3600.0
    #: Holds answers to submissions back, after they were taken, until it is set.
    answers: asyncio.Event | None = None


@dataclass
class Job:
    """One submission on its way."""

    job_id: str
    created_by: str
    created_on: str
    items: list[dict[str, Any]]
    fails: bool
    status: str = "Waiting"
    since: float = field(default_factory=time.monotonic)
    #: What its report says besides: no form of it is documented.
    remark: dict[str, Any] = field(default_factory=dict)

    def go_on(self, step_s: float) -> None:
        """To the next status, if it is time."""
        if self.status in ("Completed", "Failed") or time.monotonic() - self.since < step_s:
            return
        last = "Failed" if self.fails else "Completed"
        self.status, self.since = {"Waiting": "Running", "Running": last}[self.status], time.monotonic()

    def told(self, *, report: bool) -> dict[str, Any]:
        """As the API shows it."""
        told = {
            "id": self.job_id, "createdBy": self.created_by, "createdOn": self.created_on,
            "startDate": self.created_on, "status": self.status,
        }  # fmt: skip
        if self.status in ("Completed", "Failed"):
            told["endDate"] = self.created_on
            if report:
                problem = {"error": "the assets could not be matched"} if self.fails else {}
                return {**told, "report": {"processed": 0 if self.fails else len(self.items), **problem, **self.remark}}
        return told


class PocketCollibra:
    """One instance with its users, tokens and jobs."""

    def __init__(self, told: Callable[[str], None] | None = None) -> None:
        self.knobs = Knobs()
        self.jobs: dict[str, Job] = {}
        #: Bodies of all submissions that were taken, in their order.
        self.submissions: list[list[dict[str, Any]]] = []
        #: Is set when a submission has been taken.
        self.taken = asyncio.Event()
        #: Method and path of every call.
        self.calls: list[str] = []
        self._tokens: dict[str, tuple[str, float]] = {}
        self._told = told or (lambda line: None)
        #: Its assets, and the imports that made them.
        self.imports = PocketImports(self._told)

    def issue_token(self, username: str = USERNAME) -> str:
        """A JSON Web Token, as its documents ask for one without saying where it comes from."""
        token = f"eyJhbGciOiJub25lIn0.{token_hex(12)}.{token_hex(12)}"
        self._tokens[token] = username, time.monotonic() + self.knobs.token_life_s
        return token

    def user_id(self, username: str = USERNAME) -> str:
        """How jobs name a user."""
        return str(uuid5(_PEOPLE, username))

    def add_job(self, username: str = USERNAME, created_on: str | None = None, status: str = "Completed") -> str:
        """A job that somebody else's submission, or an earlier one, has made; answers its id."""
        job = Job(str(uuid4()), self.user_id(username), created_on or _now(), [], fails=False, status=status)
        self.jobs[job.job_id] = job
        return job.job_id

    def application(self) -> web.Application:
        """The three operations of its popularity, and those of its assets."""
        app = web.Application(client_max_size=64 * 1024**2, middlewares=[self._watched])
        app.router.add_post(f"{BASE}/aggregatedData/submit", self._submit)
        app.router.add_get(f"{BASE}/aggregatedData/jobs", self._find_jobs)
        app.router.add_get(f"{BASE}/aggregatedData/jobs/{{id}}", self._find_job)
        app.add_routes(self.imports.routes(self._guarded))
        return app

    def _guarded(self, handler: Any) -> Any:
        """Only for who is signed in, and may do something."""

        async def answer(request: web.Request) -> web.StreamResponse:
            who = self._signed_in(request)
            return who if isinstance(who, web.Response) else await handler(request)

        return answer

    @web.middleware
    async def _watched(self, request: web.Request, handler: Any) -> web.StreamResponse:
        self.calls.append(f"{request.method} {request.path}")
        try:
            response: web.StreamResponse = await handler(request)
        except checks.Invalid as problem:
            return _problem(400, f"Invalid request: {problem}")
        return response

    async def _submit(self, request: web.Request) -> web.StreamResponse:
        knobs = self.knobs
        body = await request.read()
        if knobs.dropped:
            knobs.dropped -= 1
            return _hung_up(request)
        if knobs.refusals:
            return _problem(knobs.refusals.pop(0), "It does not work now.")
        who = self._signed_in(request)
        if isinstance(who, web.Response):
            return who
        job = self._taken(request, body, who)
        await asyncio.sleep(knobs.delay_s)
        if knobs.answers is not None:
            await knobs.answers.wait()
        if knobs.lost:
            knobs.lost -= 1
            return _hung_up(request)
        if knobs.broken:
            return _problem(knobs.broken.pop(0), "It went wrong on the way back.")
        return self._accepted(request, job)

    def _taken(self, request: web.Request, body: bytes, who: str) -> Job:
        if request.content_type != "application/json":
            raise checks.Invalid("the body must be application/json")
        try:
            items = msgspec.json.decode(body)
        except msgspec.DecodeError:
            raise checks.Invalid("the body is not JSON") from None
        checks.check_submission(items)
        fails = self.knobs.failing > 0
        self.knobs.failing -= fails
        job = Job(str(uuid4()), self.user_id(who), _now(), items, fails)
        self.jobs[job.job_id] = job
        self.submissions.append(items)
        self.taken.set()
        self._told(msgspec.json.encode(items).decode())
        return job

    def _accepted(self, request: web.Request, job: Job) -> web.Response:
        path = f"{BASE}/aggregatedData/jobs/{job.job_id}"
        places = {"absolute": str(request.url.origin()) + path, "relative": path}
        headers = {"Location": places[self.knobs.location]} if self.knobs.location in places else {}
        if not self.knobs.bodies:
            return web.Response(status=202, headers=headers)
        return web.json_response(job.told(report=False), status=202, headers=headers)

    async def _find_jobs(self, request: web.Request) -> web.Response:
        if self.knobs.job_refusals:
            return _problem(self.knobs.job_refusals.pop(0), "It does not work now.")
        who = self._signed_in(request)
        if isinstance(who, web.Response):
            return who
        status, offset, limit = checks.page_of(request.query)
        # No order is documented: by id is as good as any, and no help to who hopes for the newest first.
        found = [job for _, job in sorted(self.jobs.items()) if status in (None, job.status)]
        return web.json_response({"results": [job.told(report=False) for job in found[offset : offset + limit]]})

    async def _find_job(self, request: web.Request) -> web.Response:
        if self.knobs.job_refusals:
            return _problem(self.knobs.job_refusals.pop(0), "It does not work now.")
        who = self._signed_in(request)
        if isinstance(who, web.Response):
            return who
        try:
            job = self.jobs.get(str(UUID(request.match_info["id"])))
        except ValueError:
            raise checks.Invalid("id must be a UUID") from None
        if job is None:
            return _problem(404, "There is no such job.")
        job.go_on(self.knobs.step_s)
        return web.json_response(job.told(report=True))

    def _signed_in(self, request: web.Request) -> str | web.Response:
        """The user's name, or why there is none."""
        kind, _, value = request.headers.get("Authorization", "").partition(" ")
        user, good_until = self._tokens.get(value, ("", 0.0)) if kind == "Bearer" else _basic(kind, value)
        if not user or time.monotonic() > good_until:
            return _problem(401, "You are not signed in.")
        return user if user != VISITOR else _problem(403, "You lack the permission.")


def _basic(kind: str, value: str) -> tuple[str, float]:
    try:
        name, _, password = base64.b64decode(value, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return "", 0.0
    is_known = kind == "Basic" and name in (USERNAME, VISITOR) and password == PASSWORD
    return (name, float("inf")) if is_known else ("", 0.0)


def _hung_up(request: web.Request) -> web.Response:
    """The connection ends without an answer."""
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


def _problem(status: int, message: str) -> web.Response:
    body = {
        "statusCode": status, "titleMessage": "Popularity", "helpMessage": "", "userMessage": message,
        "errorCode": f"pocket-{status}",
    }  # fmt: skip
    return web.json_response(body, status=status)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@asynccontextmanager
async def serve(collibra: PocketCollibra, port: int = 0, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Answer in the running event loop; gives the URL without the API's path."""
    async with serving(collibra.application(), port, host) as url:
        yield url
