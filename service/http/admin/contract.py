"""`/api/admin/contract`: what of the catalog's events and answers is not as it was."""

from __future__ import annotations

from service.http.admin.calls import Asked, Body, Call, Parameters
from service.mirror.contract import ShapeDifference
from service.operations import contract as operations

_ROOT = "/api/admin/contract"


async def _report(asked: Asked[Parameters, Body]) -> list[ShapeDifference]:
    return await operations.report(asked.means.store)


async def _accept(asked: Asked[Parameters, Body]) -> list[ShapeDifference]:
    return await operations.accept(asked.means.store, asked.act)


CALLS: tuple[Call, ...] = (
    Call("GET", _ROOT, "getContract", "What of the catalog's events and answers differs from the normal",
         list[ShapeDifference], _report),
    Call("POST", f"{_ROOT}/accept", "acceptContract", "Take it as the normal", list[ShapeDifference], _accept),
)  # fmt: skip
