"""The log's level on every replica, for a while: whoever turns it up need not remember to turn it down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

import sqlalchemy as sa

from service.errors import UsageError
from service.mirror import controls
from service.mirror.store import Store
from service.operations.acting import Act

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = get_args(Level)
#: Seconds that a level stays by default, and at most.
USUAL_S, LONGEST_S = 3600.0, 86400.0
_EVERYWHERE = "every replica"


@dataclass(frozen=True, slots=True)
class ChosenLevel:
    """A level that a person chose, and the moment from which on it is that of the settings again."""

    level: Level
    until: datetime


async def chosen(store: Store) -> ChosenLevel | None:
    """The level that holds by somebody's choice; None: that of the settings does."""
    async with store.reading() as connection:
        value = await controls.read_control(connection, controls.LOG_LEVEL)
        now = (await connection.execute(sa.select(store.now()))).scalar_one()
    level = of_control(value, now)
    return ChosenLevel(level, datetime.fromisoformat(value["until"])) if level else None


def of_control(value: dict[str, str] | None, now: datetime) -> Level | None:
    """The level that a control asks for at this moment; None: it asks for none, or no longer."""
    if value is None or now >= datetime.fromisoformat(value["until"]):
        return None
    return next((level for level in LEVELS if level == value["level"]), None)


async def choose(store: Store, level: str, act: Act, lasts_s: float = USUAL_S) -> ChosenLevel:
    """Show lines from this level on, on every replica within seconds, for `lasts_s` seconds.

    Raises:
        UsageError: there is no such level, or that is for too long.
    """
    known = next((one for one in LEVELS if one == level), None)
    if known is None:
        raise UsageError(f"there is no level {level!r}", f"It is one of {', '.join(LEVELS)}.")
    if not 0 < lasts_s <= LONGEST_S:
        raise UsageError(f"a level lasts {LONGEST_S / 3600:g} hours at most, not {lasts_s:g} seconds", "Give less.")
    async with store.writing() as connection:
        until = (await connection.execute(sa.select(store.later(lasts_s)))).scalar_one()
        await controls.set_control(connection, controls.LOG_LEVEL, {"level": known, "until": until.isoformat()})
        await act.record(connection, "log_level.set", _EVERYWHERE, {"level": known, "lasts_s": lasts_s})
    return ChosenLevel(known, until)


async def reset(store: Store, act: Act) -> bool:
    """Have the level of the settings again; answers whether there was another."""
    async with store.writing() as connection:
        was_set = await controls.clear_control(connection, controls.LOG_LEVEL)
        if was_set:
            await act.record(connection, "log_level.reset", _EVERYWHERE)
    return was_set
