"""`/api/admin/pentaho/{target}/jobs`: jobs at Pentaho Data Catalog by hand."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field, JsonValue

from service.errors import UsageError
from service.http.admin.calls import Asked, Body, Call, Limit, Parameters, Word
from service.operations import pentaho as operations
from service.operations.pentaho import JobUnknown, PentahoJob, Wish, WouldSend
from service.targets.pentaho.ledger import State
from service.targets.pentaho.operations import OPERATIONS, Takes

_PATH = "/api/admin/pentaho/{target}/jobs"
#: Ids that one call may name.
_MOST_IDS = 10_000
#: Of which kind a link has to be, by what an operation takes; what is not here is named as Pentaho has it.
_LINKED = {Takes.ENTITIES: "asset", Takes.COLLECTION: "list", Takes.DATA_SOURCE: "connection"}

Ids = Annotated[tuple[Word, ...], Field(max_length=_MOST_IDS)]


class Jobs(Parameters):
    """Which jobs, the newest first."""

    state: str | None = Field(None, pattern=f"^({'|'.join(State)})$", description="Only in this state.")
    limit: Limit = 50


class Plan(Body):
    """An operation on things at Pentaho, or on what things of the catalog are linked to."""

    operation: str = Field(pattern=f"^({'|'.join(OPERATIONS)})$")
    ids: Ids = Field((), description="Entities, collections, rules or data sources at Pentaho.")
    linked: Ids = Field((), description="Assets, lists or connections of the catalog that are linked.")
    more: dict[str, JsonValue] = Field({}, description="More members of Pentaho's request; never a secret.")


class Ask(Plan):
    """The same, to be done."""

    sure: bool = Field(False, description="Yes, a data source goes with its metadata and data.")


@dataclass(frozen=True, slots=True)
class JobsAsked:
    """Jobs that a running service asks Pentaho for with its next turn, by their keys."""

    target: str
    jobs: list[str]


@dataclass(frozen=True, slots=True)
class JobStatus:
    """What Pentaho says how a job stands."""

    told: Any


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many open jobs were forgotten."""

    jobs: int


async def target_of(asked: Asked[Any, Any]) -> str:
    """The Pentaho that the path names: what is kept under a name that settings do not have would be nobody's."""
    async with operations.opened(asked.means.settings, asked.means.store, asked.names["target"]) as target:
        return target.name


def _wish(told: Plan, *, sure: bool = False) -> Wish:
    operation = OPERATIONS[told.operation]
    kind = None if operation.destroys else _LINKED.get(operation.takes)
    if told.linked and kind is None:
        raise UsageError(f"{told.operation} takes no `linked`", "Name `ids`, as Pentaho has them.")
    return Wish(operation, told.ids, (kind or "", "`ids` or `linked`", told.linked), dict(told.more), sure=sure)


async def _plan(asked: Asked[Parameters, Plan]) -> list[WouldSend]:
    means = asked.means
    async with operations.opened(means.settings, means.store, asked.names["target"]) as target:
        return await operations.plan(means.store, target, _wish(asked.body), asked.act.by)


async def _ask(asked: Asked[Parameters, Ask]) -> JobsAsked:
    means, name = asked.means, asked.names["target"]
    async with operations.opened(means.settings, means.store, name) as target:
        wish = _wish(asked.body, sure=asked.body.sure)
        return JobsAsked(name, await operations.ask(means.store, target, wish, asked.act))


async def _jobs(asked: Asked[Jobs, Body]) -> list[PentahoJob]:
    return await operations.jobs(asked.means.store, await target_of(asked), asked.query.state, asked.query.limit)


async def _job(asked: Asked[Parameters, Body]) -> list[PentahoJob]:
    name, job = await target_of(asked), asked.names["job"]
    found = await operations.jobs(asked.means.store, name, job=job)
    if not found:
        raise JobUnknown(name=name, job=job)
    return found


async def _status(asked: Asked[Parameters, Body]) -> JobStatus:
    means = asked.means
    async with operations.opened(means.settings, means.store, asked.names["target"]) as target:
        return JobStatus(await operations.status(target, asked.names["job"]))


async def _forget(asked: Asked[Parameters, Body]) -> Forgotten:
    name, job = await target_of(asked), asked.names["job"]
    number = await operations.forget(asked.means.store, name, job, asked.act)
    if not number:
        raise JobUnknown(name=name, job=job)
    return Forgotten(number)


#: In the order in which they are described; `{job}` is a key or Pentaho's id, or how one begins.
CALLS: tuple[Call, ...] = (
    Call("GET", _PATH, "listPentahoJobs", "Jobs that were asked for, the newest first", list[PentahoJob], _jobs, Jobs,
         refusals=(404,)),
    Call("POST", _PATH, "askPentaho", "Have Pentaho asked for an operation", JobsAsked, _ask, body=Ask, status=202,
         look=_PATH, refusals=(404,)),
    Call("POST", f"{_PATH}/plan", "planPentaho", "What would be sent for it", list[WouldSend], _plan, body=Plan,
         refusals=(404,)),
    Call("GET", f"{_PATH}/{{job}}", "getPentahoJob", "All that is known of it", list[PentahoJob], _job,
         refusals=(404,)),
    Call("GET", f"{_PATH}/{{job}}/status", "getPentahoJobStatus", "What Pentaho says how it stands, by its id there",
         JobStatus, _status, refusals=(404, 409)),
    Call("POST", f"{_PATH}/{{job}}/forget", "forgetPentahoJob", "Neither ask for an open one nor look at it any more",
         Forgotten, _forget, refusals=(404,)),
)  # fmt: skip
