"""`/api/admin/usage`: how usage stands, batches that somebody has to decide about, and counting a window again."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ConfigDict, Field

from service.http.admin.calls import Asked, Body, Call, Limit, Parameters, Word
from service.operations import usage as operations
from service.operations.usage import Batch, BatchWhole, Settled, UsageImported, UsageStanding
from service.targets.collibra.batches import STATES
from service.targets.collibra.planning import Unlocated

_ROOT = "/api/admin/usage"
_UUID = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


class Batches(Parameters):
    """Which batches, the newest first."""

    state: str | None = Field(None, pattern=f"^({'|'.join(STATES)})$", description="Only in this state.")
    limit: Limit = 50


class OfWindow(Parameters):
    """Whose newest window is looked at."""

    target: Word = "collibra"
    limit: Limit = 50


#: Lines that one call brings: as many as one transaction takes.
MAX_LINES = 5000


class UsageLog(Body):
    """Lines of a query log, as `usage import` reads them from files."""

    lines: list[dict[str, Any]] = Field(
        min_length=1, max_length=MAX_LINES,
        description="Each with `who`, `what`, `when`, and `id` where two uses are to be told apart.",
    )  # fmt: skip
    dry_run: bool = Field(False, description="Only look what would become of each line.")


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


@dataclass(frozen=True, slots=True)
class Located:
    """How many assets have a locator in the window until then, how many used ones have none, and some of those."""

    until: datetime
    located: int
    number: int
    unlocated: list[Unlocated]


async def _standing(asked: Asked[Parameters, Body]) -> UsageStanding:
    return await operations.standing(asked.means.store)


async def _import(asked: Asked[Parameters, UsageLog]) -> UsageImported:
    told, means = asked.body, asked.means
    return await operations.take(means.store, means.settings, told.lines, asked.act, dry_run=told.dry_run)


async def _locators(asked: Asked[OfWindow, Body]) -> Located:
    told = asked.query
    plan = await operations.look(asked.means.store, asked.means.settings, told.target)
    return Located(plan.window.end, plan.located, len(plan.unlocated), plan.unlocated[: told.limit])


async def _batches(asked: Asked[Batches, Body]) -> list[Batch]:
    told = asked.query
    return await operations.listed(asked.means.store, [told.state] if told.state else [], told.limit)


async def _whole(asked: Asked[Parameters, Body]) -> BatchWhole:
    return await operations.whole(asked.means.store, asked.names["batch"])


async def _settle(asked: Asked[Parameters, Settle]) -> Settled:
    told = asked.body
    return await operations.settle(asked.means.store, asked.names["batch"], told.sent, told.job, asked.act)


async def _replan(asked: Asked[Parameters, Replan]) -> Replanned:
    told = asked.body
    await operations.replan(asked.means.store, told.target, asked.act, everything=told.everything)
    return Replanned(told.target)


#: In the order in which they are described.
CALLS: tuple[Call, ...] = (
    Call("GET", _ROOT, "getUsage", "How much use is known, planned and told", UsageStanding, _standing),
    Call("POST", f"{_ROOT}/import", "importUsage", "Bring uses of assets, of a query log", UsageImported, _import,
         body=UsageLog),
    Call("GET", f"{_ROOT}/locators", "listUnlocated", "Used assets without a locator, the most used first", Located,
         _locators, OfWindow, refusals=(404,)),
    Call("GET", f"{_ROOT}/batches", "listUsageBatches", "Batches of usage figures", list[Batch], _batches, Batches),
    Call("GET", f"{_ROOT}/batches/{{batch}}", "getUsageBatch", "One whole, with the report of its job", BatchWhole,
         _whole, refusals=(404,)),
    Call("POST", f"{_ROOT}/batches/{{batch}}/settle", "settleUsageBatch", "Say what became of one", Settled, _settle,
         body=Settle, refusals=(404, 409)),
    Call("POST", f"{_ROOT}/replan", "replanUsage", "Count the newest window again", Replanned, _replan, body=Replan,
         status=202, look="/api/admin/usage/batches", refusals=(409,)),
)  # fmt: skip
