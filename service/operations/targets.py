"""Targets: see them, switch them, look what they would be told, and tell them what is there already."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from service.mirror import controls, deliveries
from service.mirror.store import Store
from service.operations.acting import Act, Unknown
from service.operations.work import Desk, Tell, Work
from service.pipeline.answers import LINEAGE_TARGET, Answerer
from service.settings.model import Settings
from service.settings.scope import Scope
from service.targets.backfill import Backfill, Chosen
from service.targets.base import Sending, Target, installed_targets

#: What `origins` tells of a target that settings turn off.
TURNED_OFF = "turned off"
#: The same where neither broker nor catalog is set, by which it would be told.
LEADS_NOWHERE = "off: nothing leads there"


class TargetUnknown(Unknown):
    """There is no target {name!r}."""

    remedy = "`catalog-mirror targets list` shows them; one that never ran is not known to the store."


@dataclass(frozen=True, slots=True)
class TargetState:
    """A target: its switch, and what it was delivered."""

    target: str
    paused: bool
    pause_reason: str | None
    #: Why its circuit is open; None: closed.
    notice: str | None
    delivered: int
    last_delivered_at: datetime | None
    #: Whose changes it is told, with commas between, or that it is turned off.
    origins: str

    @property
    def state(self) -> str:
        """In a word, or why it is not delivered to."""
        return f"paused: {self.pause_reason}" if self.paused else self.notice or "open"


@dataclass(frozen=True, slots=True)
class Switched:
    """A target that was paused, or goes on."""

    target: str
    paused: bool


@dataclass(frozen=True, slots=True)
class Planned:
    """What a target would be sent now, oldest first."""

    #: Why it is not told just now; None: it is.
    waiting: str | None
    sendings: tuple[Sending, ...]
    #: What a person should know beside that.
    remarks: tuple[str, ...]


async def listed(store: Store, settings: Settings) -> list[TargetState]:
    """Every target that settings know or the store remembers."""
    origins = {
        target.name: LEADS_NOWHERE if target.leads_nowhere else ",".join(sorted(target.origins))
        for target in installed_targets(settings)
    }
    async with store.reading() as connection:
        rows = await controls.read_targets(connection)
    if origins.keys() - {row.target for row in rows}:
        async with store.writing() as connection:
            await controls.ensure_targets(connection, list(origins))
            rows = await controls.read_targets(connection)
    return [_state(row, origins) for row in rows]


async def pause(store: Store, name: str, act: Act) -> Switched:
    """Stop delivering to a target; deliveries wait in the store.

    Raises:
        TargetUnknown: the store knows none of that name.
    """
    return await _switch(store, name, act, paused=True)


async def resume(store: Store, name: str, act: Act) -> Switched:
    """Deliver to a target again; raises as `pause`."""
    return await _switch(store, name, act, paused=False)


async def _switch(store: Store, name: str, act: Act, *, paused: bool) -> Switched:
    reason = f"{act.reason or 'no reason given'} ({act.by})" if paused else None
    async with store.writing() as connection:
        if not await controls.pause_target(connection, name, paused=paused, reason=reason):
            raise TargetUnknown(name=name)
        await act.record(connection, f"target.{'pause' if paused else 'resume'}", name)
    return Switched(name, paused)


async def plan(store: Store, settings: Settings, name: str, limit: int = 20) -> Planned:
    """Exactly what would be sent to a target now, of so many deliveries at most; sends nothing.

    Raises:
        TargetUnknown: settings have none of that name.
    """
    target = installed(settings, name)
    target.attach(store)
    try:
        async with store.reading() as connection:
            batch = await deliveries.peek(connection, store, name, limit, target.merge)
            states = {row.target: _state(row, {}).state for row in await controls.read_targets(connection)}
            held = await controls.read_control(connection, controls.HELD) is not None
        sendings, remarks = await target.plan(batch), await target.remarks()
    finally:
        await target.close()
    waiting = "deliveries are held" if held else states.get(name, "open")
    return Planned(None if waiting == "open" else waiting, tuple(sendings), tuple(remarks))


async def backfill(
    store: Store, settings: Settings, name: str, chosen: Chosen, act: Act, *,
    dry_run: bool = False, tell: Callable[[Counter[str], str], None] | None = None,
) -> Counter[str]:  # fmt: skip
    """Send a target what the mirror holds already, as if it had just changed; a running service delivers it.

    Args:
        chosen: of which container, and since when.
        dry_run: only count.
        tell: given after each batch how many deliveries of each kind there are so far, and the kind at hand.

    Returns:
        Deliveries by kind.

    Raises:
        TargetUnknown: settings have none of that name.
    """
    target = installed(settings, name)
    target.attach(store)
    answerer, scope = Answerer(settings.target(LINEAGE_TARGET)), Scope(settings.scope)
    counts: Counter[str] = Counter()
    try:
        async with store.translated():
            async for kind, number in Backfill(store, target, answerer, scope, chosen, dry_run=dry_run).run():
                counts[kind] += number
                if tell:
                    tell(counts, kind)
        if not dry_run:
            async with store.writing() as connection:
                await act.record(connection, "target.backfill", name, dict(counts))
    finally:
        await target.close()
    return +counts


async def begin_backfill(
    desk: Desk, store: Store, settings: Settings, name: str, chosen: Chosen, act: Act, *, dry_run: bool = False
) -> Work:
    """The same as work that goes on after this has answered; tells deliveries by kind.

    Raises:
        TargetUnknown: as `backfill`.
        TooMuchWork: this process has enough to do.
    """
    await installed(settings, name).close()

    async def job(tell: Tell) -> dict[str, int]:
        def told(counts: Counter[str], _: str) -> None:
            tell(counts)

        return dict(await backfill(store, settings, name, chosen, act, dry_run=dry_run, tell=told))

    return await desk.begin("backfill", act, job)


def installed(settings: Settings, name: str) -> Target:
    """The target of this name, as settings describe it.

    Raises:
        TargetUnknown: there is none, or it is turned off.
    """
    found = [target for target in installed_targets(settings) if target.name == name]
    if not found:
        raise TargetUnknown(name=name)
    return found[0]


def _state(row: Any, origins: dict[str, str]) -> TargetState:
    told = origins.get(row.target, TURNED_OFF)
    return TargetState(row.target, row.paused, row.pause_reason, row.notice, row.delivered, row.last_delivered_at, told)
