"""`/api/admin/collibra`: what Collibra has and the catalog has no longer, and removing it there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from service.http.admin.calls import Asked, Body, Call, Limit, Parameters
from service.operations import collibra_assets as operations
from service.operations.collibra_assets import Orphan
from service.operations.work import Work

_PATH = "/api/admin/collibra/{target}/deletions"


class Shown(Parameters):
    """How many of them are listed."""

    limit: Limit = 100


class Accept(Body):
    """That a person says so."""

    accept_deletions: Literal[True] = Field(description="They are removed there.")
    beyond_brake: bool = Field(False, description="Also where they are a large part of all.")


@dataclass(frozen=True, slots=True)
class Gone:
    """What the catalog has no longer, the first of them; how many they are, and of how many things."""

    orphans: tuple[Orphan, ...]
    number: int
    all: int


async def _listed(asked: Asked[Shown, Body]) -> Gone:
    found = await operations.deletions(asked.means.store, asked.means.settings, asked.names["target"])
    return Gone(found.orphans[: asked.query.limit], len(found.orphans), found.all)


async def _remove(asked: Asked[Parameters, Accept]) -> Work:
    means, target = asked.means, asked.names["target"]
    return await operations.begin_remove(
        means.desk, means.store, means.settings, target, asked.act, beyond_brake=asked.body.beyond_brake
    )


CALLS: tuple[Call, ...] = (
    Call("GET", _PATH, "listCollibraDeletions", "What Collibra has and the catalog has no longer", Gone, _listed,
         Shown, refusals=(404,)),
    Call("POST", _PATH, "removeInCollibra", "Remove it there", Work, _remove,
         body=Accept, status=202, look="/api/admin/work/{work_id}", refusals=(404, 409)),
)  # fmt: skip
