"""`/api/admin/privacy`: where the mirror has somebody, and forgetting them. Names come in bodies, never in URLs."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from service.http.admin.calls import Asked, Body, Call, Parameters, characters, storable
from service.operations import privacy
from service.operations.privacy import Report
from service.operations.work import Work
from service.text.forgotten import LONGEST, MAX_NAMES, SHORTEST

_ROOT = "/api/admin/privacy"


class Somebody(Body):
    """A person, by all that they are called."""

    names: Annotated[
        tuple[Annotated[str, characters(SHORTEST, LONGEST), AfterValidator(storable)], ...],
        Field(min_length=1, max_length=MAX_NAMES, description="Names, ids and addresses."),
    ]


async def _report(asked: Asked[Parameters, Somebody]) -> Report:
    return await privacy.report(asked.means.store, asked.means.settings, asked.body.names)


async def _forget(asked: Asked[Parameters, Somebody]) -> Work:
    means = asked.means
    return await privacy.begin_forget(means.desk, means.store, means.settings, asked.body.names, asked.act)


CALLS: tuple[Call, ...] = (
    Call("POST", f"{_ROOT}/report", "reportPerson", "Where the mirror has somebody; changes nothing", Report, _report,
         body=Somebody),
    Call("POST", f"{_ROOT}/forget", "forgetPerson", "Take somebody out of the mirror, and keep them out", Work, _forget,
         body=Somebody, status=202, look="/api/admin/work/{work_id}", refusals=(409,)),
)  # fmt: skip
