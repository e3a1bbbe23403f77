"""`/api/admin/consuming`, `/deliveries`, `/targets`, `/log-level`: switches of the running replicas."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from service.http.admin.calls import Asked, Body, Call, Limit, Moment, Parameters, Place, Word
from service.operations import consuming, deliveries, logs, targets
from service.operations.consuming import Paused, Resumed, Stop
from service.operations.deliveries import Pending, Released, Retried
from service.operations.targets import Planned, Switched, TargetState
from service.operations.work import Work
from service.targets.backfill import Chosen

_ROOT = "/api/admin"
#: Ids of deliveries that one call may name.
_MOST_IDS = 500


class OfTarget(Parameters):
    """Which pending deliveries, the oldest first."""

    target: Word | None = Field(None, description="Only of this target.")
    limit: Limit = 50
    after: Place | None = Field(None, description="Only those behind this `seq`.")


class Plan(Parameters):
    """How much of what waits is looked at."""

    limit: Limit = 20


class Retry(Body):
    """Which deliveries are made due; nothing: all."""

    target: Word | None = None
    ids: Annotated[tuple[Word, ...], Field(max_length=_MOST_IDS)] = ()


class Backfill(Body):
    """What of the mirror a target is told."""

    container: Word | None = Field(None, description="Only what lives in this container (its id).")
    since: Moment | None = Field(None, description="Only what changed at or after this moment.")
    dry_run: bool = Field(False, description="Only count.")


class Level(Body):
    """How much the log shows, and for how long."""

    level: logs.Level
    lasts_s: float = Field(logs.USUAL_S, gt=0, le=logs.LONGEST_S, description="Seconds until it is as it was.")


@dataclass(frozen=True, slots=True)
class Consuming:
    """Whether events are consumed: what stops it just now, and why deliveries are held, if they are."""

    stops: list[Stop]
    deliveries_held: str | None


@dataclass(frozen=True, slots=True)
class LogLevel:
    """The level of the settings, and what somebody chose instead."""

    usual: str
    chosen: logs.ChosenLevel | None


async def _consuming(asked: Asked[Parameters, Body]) -> Consuming:
    return Consuming(await consuming.stops(asked.means.store), await deliveries.held(asked.means.store))


async def _pause(asked: Asked[Parameters, Body]) -> Paused:
    return await consuming.pause(asked.means.store, asked.act)


async def _resume(asked: Asked[Parameters, Body]) -> Resumed:
    return await consuming.resume(asked.means.store, asked.act)


async def _pending(asked: Asked[OfTarget, Body]) -> list[Pending]:
    return await deliveries.pending(asked.means.store, asked.query.target, asked.query.limit, asked.query.after)


async def _retry(asked: Asked[Parameters, Retry]) -> Retried:
    return await deliveries.retry(asked.means.store, asked.body.target, asked.body.ids, asked.act)


async def _release(asked: Asked[Parameters, Body]) -> Released:
    return await deliveries.release(asked.means.store, asked.act)


async def _targets(asked: Asked[Parameters, Body]) -> list[TargetState]:
    return await targets.listed(asked.means.store, asked.means.settings)


async def _plan(asked: Asked[Plan, Body]) -> Planned:
    return await targets.plan(asked.means.store, asked.means.settings, asked.names["target"], asked.query.limit)


async def _pause_target(asked: Asked[Parameters, Body]) -> Switched:
    return await targets.pause(asked.means.store, asked.names["target"], asked.act)


async def _resume_target(asked: Asked[Parameters, Body]) -> Switched:
    return await targets.resume(asked.means.store, asked.names["target"], asked.act)


async def _backfill(asked: Asked[Parameters, Backfill]) -> Work:
    told, means = asked.body, asked.means
    chosen = Chosen(told.container, told.since)
    return await targets.begin_backfill(
        means.desk, means.store, means.settings, asked.names["target"], chosen, asked.act, dry_run=told.dry_run
    )


async def _level(asked: Asked[Parameters, Body]) -> LogLevel:
    return LogLevel(asked.means.settings.log.level, await logs.chosen(asked.means.store))


async def _set_level(asked: Asked[Parameters, Level]) -> LogLevel:
    chosen = await logs.choose(asked.means.store, asked.body.level, asked.act, asked.body.lasts_s)
    return LogLevel(asked.means.settings.log.level, chosen)


async def _reset_level(asked: Asked[Parameters, Body]) -> LogLevel:
    await logs.reset(asked.means.store, asked.act)
    return LogLevel(asked.means.settings.log.level, None)


_TARGET = f"{_ROOT}/targets/{{target}}"
_LEVEL = f"{_ROOT}/log-level"
#: In the order in which they are described; a fixed word stands before what any letter may be called.
CALLS: tuple[Call, ...] = (
    Call("GET", f"{_ROOT}/consuming", "getConsuming", "What stops consuming", Consuming, _consuming),
    Call("POST", f"{_ROOT}/consuming/pause", "pauseConsuming", "Stop it on every replica", Paused, _pause),
    Call("POST", f"{_ROOT}/consuming/resume", "resumeConsuming", "Lift a pause and pulled brakes", Resumed,
         _resume),
    Call("GET", f"{_ROOT}/deliveries", "listDeliveries", "Pending deliveries, the oldest first",
         list[Pending], _pending, OfTarget),
    Call("POST", f"{_ROOT}/deliveries/retry", "retryDeliveries", "Make them due at once", Retried, _retry,
         body=Retry),
    Call("POST", f"{_ROOT}/deliveries/release", "releaseDeliveries",
         "Let go what is held since the store was restored", Released, _release),
    Call("GET", f"{_ROOT}/targets", "listTargets", "Targets and their switches", list[TargetState],
         _targets),
    Call("GET", f"{_TARGET}/plan", "planTarget", "What it would be sent now", Planned, _plan, Plan,
         refusals=(404,)),
    Call("POST", f"{_TARGET}/pause", "pauseTarget", "Stop delivering to it", Switched, _pause_target,
         refusals=(404,)),
    Call("POST", f"{_TARGET}/resume", "resumeTarget", "Deliver to it again", Switched, _resume_target,
         refusals=(404,)),
    Call("POST", f"{_TARGET}/backfill", "backfillTarget", "Tell it what the mirror holds already", Work,
         _backfill, body=Backfill, status=202, look="/api/admin/work/{work_id}", refusals=(404, 409)),
    Call("GET", _LEVEL, "getLogLevel", "How much the log shows", LogLevel, _level),
    Call("POST", _LEVEL, "setLogLevel", "Have it show more, or less, for a while", LogLevel, _set_level,
         body=Level),
    Call("POST", f"{_LEVEL}/reset", "resetLogLevel", "Have it as the settings say", LogLevel,
         _reset_level),
)  # fmt: skip
