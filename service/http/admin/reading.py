"""`/api/admin/reading`, `/refresh`, `/gaps`: how the catalog is read, and what may be missing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import AfterValidator, ConfigDict, Field

from service.errors import UsageError
from service.http.admin.calls import MAX_WORD, Asked, Body, Call, Parameters, Word, storable
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.mirror.tables import VERSIONED
from service.operations import reading as operations
from service.operations.reading import Asked as RunAsked
from service.operations.reading import NoCatalog, Standing
from service.operations.work import Work
from service.queries.parts import Gap
from service.sync.sweep import Options

_ROOT = "/api/admin"
_CONTAINER = "^(catalog|project|space):[^\\u0000]+$"


class Reconcile(Body):
    """What a reconcile may do besides comparing."""

    model_config = ConfigDict(
        json_schema_extra={
            "not": {
                "required": ["accept_deletions"],
                "properties": {"accept_deletions": {"const": True}, "repair": {"const": False}},
            }
        }
    )

    repair: bool = Field(False, description="Write what differs; without it only a report.")
    accept_deletions: bool = Field(False, description="With `repair`: delete also where that is a lot.")


class Refresh(Body):
    """What is read again."""

    id: Word
    kind: str = Field("asset", json_schema_extra={"enum": list(VERSIONED)})
    container: Annotated[str, Field(max_length=MAX_WORD, pattern=_CONTAINER), AfterValidator(storable)] | None = Field(
        None, description="Where it lives, where the mirror does not know: catalog:ID, project:ID or space:ID."
    )


@dataclass(frozen=True, slots=True)
class RefreshTaken:
    """A thing that a running service reads within seconds."""

    kind: str
    id: str


async def _standing(asked: Asked[Parameters, Body]) -> Standing:
    return await operations.standing(asked.means.store)


async def _estimate(asked: Asked[Parameters, Body]) -> Work:
    return await operations.begin_estimate(asked.means.desk, asked.means.director, asked.act)


async def _snapshot(asked: Asked[Parameters, Body]) -> RunAsked:
    _check_catalog(asked)
    return await operations.ask(asked.means.store, SNAPSHOT, Options(), asked.act)


async def _reconcile(asked: Asked[Parameters, Reconcile]) -> RunAsked:
    _check_catalog(asked)
    told = asked.body
    if told.accept_deletions and not told.repair:
        raise UsageError("accept_deletions needs repair", "Say both, or neither.")
    options = Options(repair=told.repair, deletions=True, accept_deletions=told.accept_deletions)
    return await operations.ask(asked.means.store, RECONCILE, options, asked.act)


async def _pause(asked: Asked[Parameters, Body]) -> Standing:
    await operations.hold(asked.means.store, asked.act)
    return await operations.standing(asked.means.store)


async def _resume(asked: Asked[Parameters, Body]) -> Standing:
    await operations.let_go(asked.means.store, asked.act)
    return await operations.standing(asked.means.store)


async def _stop(asked: Asked[Parameters, Body]) -> Standing:
    await operations.stop(asked.means.store, asked.act)
    return await operations.standing(asked.means.store)


async def _refresh(asked: Asked[Parameters, Refresh]) -> RefreshTaken:
    _check_catalog(asked)
    told = asked.body
    await operations.refresh(asked.means.store, told.kind, told.id, told.container, asked.act)
    return RefreshTaken(told.kind, told.id)


async def _gaps(asked: Asked[Parameters, Body]) -> list[Gap]:
    return await operations.gaps(asked.means.store)


async def _close_gap(asked: Asked[Parameters, Body]) -> Gap:
    return await operations.close_gap(asked.means.store, asked.names["gap"], asked.act)


def _check_catalog(asked: Asked[Any, Any]) -> None:
    if asked.means.settings.catalog.url is None:
        raise NoCatalog()


_READING = f"{_ROOT}/reading"
#: In the order in which they are described; a fixed word stands before what any letter may be called.
CALLS: tuple[Call, ...] = (
    Call("GET", _READING, "getReading", "How reading the catalog stands", Standing, _standing),
    Call("POST", f"{_READING}/estimate", "estimateSnapshot", "How much a snapshot would be", Work,
         _estimate, status=202, look="/api/admin/work/{work_id}", refusals=(409,)),
    Call("POST", f"{_READING}/snapshot", "snapshot", "Read everything", RunAsked, _snapshot, status=202,
         look="/api/admin/reading", refusals=(409,)),
    Call("POST", f"{_READING}/reconcile", "reconcile", "Compare the mirror with the catalog", RunAsked,
         _reconcile, body=Reconcile, status=202, look="/api/admin/reading", refusals=(409,)),
    Call("POST", f"{_READING}/pause", "pauseReading", "Hold the run that is going on", Standing, _pause,
         refusals=(409,)),
    Call("POST", f"{_READING}/resume", "resumeReading", "Let it go on", Standing, _resume),
    Call("POST", f"{_READING}/stop", "stopReading", "End it; what was read stays", Standing, _stop,
         refusals=(409,)),
    Call("POST", f"{_ROOT}/refresh", "refresh", "Read one thing again", RefreshTaken, _refresh,
         body=Refresh, status=202, look="/api/admin/reading", refusals=(409,)),
    Call("GET", f"{_ROOT}/gaps", "listGaps", "Times in which events may have been lost", list[Gap],
         _gaps),
    Call("POST", f"{_ROOT}/gaps/{{gap}}/close", "closeGap", "Say that nothing is missing", Gap,
         _close_gap, refusals=(404,)),
)  # fmt: skip
