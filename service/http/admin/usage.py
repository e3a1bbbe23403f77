"""`/api/admin/usage`: batches of figures that somebody has to decide about, and counting a window again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from pydantic import ConfigDict, Field

from service.http.admin.calls import Asked, Body, Call, Limit, Parameters, Word
from service.operations import usage as operations
from service.operations.usage import Batch, Settled
from service.targets.collibra.batches import STATES

_ROOT = "/api/admin/usage"
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class Batches(Parameters):
    """Which batches, the newest first."""

    state: str | None = Field(None, pattern=f"^({'|'.join(STATES)})$", description="Only in this state.")
    limit: Limit = 50


#: A job is named only of what was sent.
_SENT: dict[str, Any] = {
    "not": {"required": ["job"], "properties": {"sent": {"const": False}, "job": {"type": "string"}}}
}


class Settle(Body):
    """What became of a batch that is uncertain."""

    model_config = ConfigDict(json_schema_extra=_SENT)

    sent: bool = Field(description="Whether Collibra took it; else it goes again while its window is the newest.")
    job: str | None = Field(None, pattern=_UUID, description="With `sent`: the job that took it, to be followed.")


class Replan(Body):
    """Whose newest window is counted again."""

    target: Word = "collibra"
    everything: bool = Field(False, description="Tell what did not change, too.")


@dataclass(frozen=True, slots=True)
class Replanned:
    """A target whose window a running service counts again with its next turn."""

    target: str


async def _batches(asked: Asked[Batches, Body]) -> list[Batch]:
    told = asked.query
    return await operations.listed(asked.means.store, [told.state] if told.state else [], told.limit)


async def _settle(asked: Asked[Parameters, Settle]) -> Settled:
    told = asked.body
    return await operations.settle(asked.means.store, asked.names["batch"], told.sent, told.job, asked.act)


async def _replan(asked: Asked[Parameters, Replan]) -> Replanned:
    told = asked.body
    await operations.replan(asked.means.store, told.target, asked.act, everything=told.everything)
    return Replanned(told.target)


#: In the order in which they are described.
CALLS: tuple[Call, ...] = (
    Call("GET", f"{_ROOT}/batches", "listUsageBatches", "Batches of usage figures", list[Batch], _batches, Batches),
    Call("POST", f"{_ROOT}/batches/{{batch}}/settle", "settleUsageBatch", "Say what became of one", Settled, _settle,
         body=Settle, refusals=(404, 409)),
    Call("POST", f"{_ROOT}/replan", "replanUsage", "Count the newest window again", Replanned, _replan, body=Replan,
         status=202, look="/api/admin/usage/batches", refusals=(409,)),
)  # fmt: skip
