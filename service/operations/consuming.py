"""Consuming: pause it on every replica, and let it go on."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror import controls
from service.mirror.store import Store
from service.operations.acting import Act

#: What it is done to, in the audit log.
_EVERYWHERE = "every replica"
NO_REASON = "no reason given"


@dataclass(frozen=True, slots=True)
class Stop:
    """Something that stops consuming: `pause` (a person) or `brake:…` (a replica pulled it)."""

    name: str
    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Paused:
    """Every replica stops within seconds; `reason` is what others are shown."""

    reason: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """What was lifted: a pause, and brakes of replicas; empty where nothing was."""

    lifted: tuple[str, ...]


async def stops(store: Store) -> list[Stop]:
    """What people and brakes stop just now."""
    async with store.reading() as connection:
        return await _stops(connection)


async def pause(store: Store, act: Act) -> Paused:
    """Stop consuming on every replica; nothing is lost, events wait in the queue."""
    paused = Paused(f"{act.reason or NO_REASON} ({act.by})")
    async with store.writing() as connection:
        await controls.set_control(connection, controls.PAUSE, {"reason": paused.reason})
        await act.record(connection, "consuming.pause", _EVERYWHERE)
    return paused


async def resume(store: Store, act: Act) -> Resumed:
    """Go on consuming: lifts a pause and every pulled brake."""
    async with store.writing() as connection:
        lifted = tuple(stop.name for stop in await _stops(connection))
        for name in lifted:
            await controls.clear_control(connection, name)
        if lifted:
            await act.record(connection, "consuming.resume", _EVERYWHERE, {"lifted": lifted})
    return Resumed(lifted)


async def _stops(connection: AsyncConnection) -> list[Stop]:
    known = await controls.read_controls(connection)
    return [
        Stop(name, value.get("reason") or NO_REASON, since)
        for name, (value, since) in sorted(known.items())
        if name.partition(":")[0] in (controls.PAUSE, controls.BRAKE)
    ]
