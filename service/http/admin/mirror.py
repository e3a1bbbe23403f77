"""`/api/admin/mirror`, `/scope`: derive again what is derived, and remove what is no longer in scope."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import Field

from service.http.admin.calls import Asked, Body, Call, Parameters
from service.operations import scope, store
from service.operations.work import Work
from service.settings.scope import Scope

_ROOT = "/api/admin"


class Rebuild(Body):
    """What is derived again."""

    everything: bool = Field(False, description="Also rows that this version of the code made.")


@dataclass(frozen=True, slots=True)
class Outside:
    """Rows of each table that settings leave out."""

    rows: dict[str, int]


async def _rebuild(asked: Asked[Parameters, Rebuild]) -> Work:
    means = asked.means
    return await store.begin_rebuild(
        means.desk, means.store, means.settings, asked.act, everything=asked.body.everything
    )


async def _outside(asked: Asked[Parameters, Body]) -> Outside:
    return Outside(await scope.look(asked.means.store, Scope(asked.means.settings.scope)))


async def _purge(asked: Asked[Parameters, Body]) -> Work:
    means = asked.means
    return await scope.begin_purge(means.desk, means.store, Scope(means.settings.scope), asked.act)


_WORK = "/api/admin/work/{work_id}"
CALLS: tuple[Call, ...] = (
    Call("POST", f"{_ROOT}/mirror/rebuild", "rebuildMirror", "Derive columns and lineage again from what is kept", Work,
         _rebuild, body=Rebuild, status=202, look=_WORK, refusals=(409,)),
    Call("GET", f"{_ROOT}/scope", "getOutOfScope", "How many rows settings leave out", Outside, _outside),
    Call("POST", f"{_ROOT}/scope/purge", "purgeScope", "Remove them; no target hears of it", Work, _purge, status=202,
         look=_WORK, refusals=(409,)),
)  # fmt: skip
