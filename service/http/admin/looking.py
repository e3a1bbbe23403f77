"""`/api/admin/doctor`, `/audit`, `/explain`, `/work`: what is wrong, what was done, why a row is so, how far it is."""

from __future__ import annotations

from pydantic import Field

from service.http import access
from service.http.admin.calls import Asked, Body, Call, Limit, Parameters, Place, Word
from service.http.problems import not_found
from service.operations import doctor, history, work
from service.operations.findings import Finding
from service.operations.history import Entry
from service.operations.work import Work
from service.queries.explaining import Explanation, explain

_ROOT = "/api/admin"


class Audited(Parameters):
    """Which entries of the audit log, the newest first."""

    subject: Word | None = Field(None, description="Only what was done to this, such as a dead letter's id.")
    action: Word | None = Field(None, description="Only this action or family, such as dead_letter.")
    limit: Limit = 50
    before: Place | None = Field(None, description="Only those before this `seq`.")


async def _doctor(asked: Asked[Parameters, Body]) -> list[Finding]:
    return await doctor.findings(asked.means.settings, access.findings)


async def _audit(asked: Asked[Audited, Body]) -> list[Entry]:
    told = asked.query
    return await history.entries(asked.means.store, told.subject, told.action, told.limit, told.before)


async def _explain(asked: Asked[Parameters, Body]) -> Explanation:
    thing_id = asked.names["id"]
    async with asked.means.store.reading() as connection:
        found = await explain(connection, thing_id)
    if found is None:
        raise not_found("thing", thing_id)
    return found


async def _works(asked: Asked[Parameters, Body]) -> list[Work]:
    return await work.listed(asked.means.store)


async def _work(asked: Asked[Parameters, Body]) -> Work:
    return await work.read(asked.means.store, asked.names["work"])


#: In the order in which they are described; a fixed word stands before what any letter may be called.
CALLS: tuple[Call, ...] = (
    Call("GET", f"{_ROOT}/doctor", "getDoctor", "Everything the service needs, looked at", list[Finding],
         _doctor),
    Call("GET", f"{_ROOT}/audit", "listAudit", "What people did, and why", list[Entry], _audit, Audited),
    Call("GET", f"{_ROOT}/explain/{{id}}", "explain", "Why a thing's rows are as they are, and what happened to it",
         Explanation, _explain, refusals=(404,)),
    Call("GET", f"{_ROOT}/work", "listWork", "Long work, the newest first", list[Work], _works),
    Call("GET", f"{_ROOT}/work/{{work}}", "getWork", "How far one piece of it is", Work, _work,
         refusals=(404,)),
)  # fmt: skip
