"""Reading the catalog: how far it is, ask for a run or for one thing, hold it, stop it, and close gaps.

A running service does the work; whoever asked looks on through the store.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container, ContainerKind, RefreshAsked
from service.errors import ConfigurationError, UsageError
from service.mirror import controls, progress, refreshes
from service.mirror.progress import RECONCILE, SNAPSHOT, Run
from service.mirror.store import Store
from service.mirror.tables import VERSIONED
from service.operations.acting import Act, Conflict, Unknown
from service.operations.work import Desk, Tell, Work
from service.queries.parts import Gap
from service.queries.parts import gaps as open_gaps
from service.sync.director import ASKED, Director
from service.sync.sweep import Options


class NoRun(Conflict, ConfigurationError):
    """No run is going on."""

    remedy = "`catalog-mirror status` shows what was read."


class NoCatalog(Conflict):
    """No catalog is set, so there is nothing to read."""

    remedy = "Set CATALOG_MIRROR_CATALOG__URL and what to sign in with."


class GapUnknown(Unknown):
    """There is no open gap {gap!r}."""

    remedy = "`catalog-mirror status` shows the open ones."


@dataclass(frozen=True, slots=True)
class Standing:
    """How reading the catalog stands."""

    #: Who reads it just now: a replica, or a command; None: nobody.
    leader: str | None
    #: The newest run of each mode, with its progress and report.
    runs: tuple[Run, ...]
    #: A person holds the run that is going on.
    held: bool
    #: The mode of a run that was asked for and has not begun.
    asked: str | None


@dataclass(frozen=True, slots=True)
class Asked:
    """A run that was asked for; `run_id` is that of one with the same options that is going on already."""

    mode: str
    run_id: str | None


async def standing(store: Store) -> Standing:
    """How reading stands."""
    async with store.reading() as connection:
        known = await controls.read_controls(connection)
        runs = [run for mode in (SNAPSHOT, RECONCILE) if (run := await progress.newest(connection, mode))]
        leader = await progress.leader(connection, store)
    asked = known[ASKED][0]["mode"] if ASKED in known else None
    return Standing(leader, tuple(runs), progress.HELD in known, asked)


async def ask(store: Store, mode: str, options: Options, act: Act) -> Asked:
    """Have the running service do a run, unless it is doing just that.

    A snapshot reads everything; a reconcile compares, with `repair` writes what differs, and with `accept_deletions`
    deletes also where that is a lot.
    """
    async with store.writing() as connection:
        before = await progress.newest(connection, mode, progress.OPEN)
        told = _told(options)
        if before is not None and before.options == told:
            return Asked(mode, before.run_id)
        await controls.set_control(connection, ASKED, {"mode": mode, **told, "who": act.by})
        await record(connection, mode, options, act)
    return Asked(mode, None)


async def begin_estimate(desk: Desk, director: Director | None, act: Act) -> Work:
    """Count how many things and calls a snapshot would be, as work: it takes a call for each listing; tells by kind.

    Raises:
        NoCatalog: this service reads none.
        TooMuchWork: this process has enough to do.
    """
    if director is None:
        raise NoCatalog()
    runner = director.runner

    async def job(_: Tell) -> dict[str, Any]:
        kinds: dict[str, dict[str, int]] = {}
        for one in await runner.estimate():
            counts = kinds.setdefault(one.kind, {"things": 0, "calls": 0})
            counts["things"] += one.things
            counts["calls"] += one.calls
        return {"calls": sum(counts["calls"] for counts in kinds.values()), "kinds": kinds}

    return await desk.begin("estimate", act, job)


async def hold(store: Store, act: Act) -> None:
    """Hold the run that is going on, until `let_go` or `stop`.

    Raises:
        NoRun: none is.
    """
    await _hold(store, act, "reading.pause", {"stop": False})


async def stop(store: Store, act: Act) -> None:
    """End the run that is going on; what was read stays. Raises as `hold`."""
    await _hold(store, act, "reading.stop", {"stop": True})


async def _hold(store: Store, act: Act, action: str, how: dict[str, Any]) -> None:
    async with store.writing() as connection:
        run = await progress.newest(connection, states=progress.OPEN)
        if run is None:
            raise NoRun()
        await controls.set_control(connection, progress.HELD, how)
        await act.record(connection, action, run.run_id)


async def let_go(store: Store, act: Act) -> bool:
    """Let the run go on that is held; answers whether one was."""
    async with store.writing() as connection:
        held = await controls.clear_control(connection, progress.HELD)
        if held:
            run = await progress.newest(connection, states=progress.OPEN)
            await act.record(connection, "reading.resume", run.run_id if run else "no run")
    return held


async def refresh(store: Store, kind: str, entity_id: str, container: str | None, act: Act) -> None:
    """Have one thing read again, at once, by a running service.

    Args:
        container: where it lives, such as `catalog:ID`, where the mirror does not know.

    Raises:
        UsageError: there is no such kind, or that is no container.
    """
    asked = RefreshAsked(_kind(kind), entity_id, _container(container), f"asked by {act.by}")
    async with store.writing() as connection:
        await refreshes.ask(connection, [asked])
        await refreshes.hurry(connection, kind, entity_id)
        await act.record(connection, "reading.refresh", f"{kind} {entity_id}")


def _kind(kind: str) -> str:
    if kind not in VERSIONED:
        raise UsageError(problem=f"there is no kind {kind!r}; there are {', '.join(VERSIONED)}")
    return kind


def _container(text: str | None) -> Container | None:
    if text is None:
        return None
    kind, separator, container_id = text.partition(":")
    kinds: dict[str, ContainerKind] = {"catalog": "catalog", "project": "project", "space": "space"}
    if not separator or kind not in kinds or not container_id:
        raise UsageError(problem=f"{text!r} is no container; write catalog:ID, project:ID or space:ID")
    return Container(kinds[kind], container_id)


async def gaps(store: Store) -> list[Gap]:
    """Gaps that nobody has closed, the oldest first."""
    async with store.reading() as connection:
        return await open_gaps(connection)


async def close_gap(store: Store, gap_id: str, act: Act) -> Gap:
    """Close a gap of which a person knows that nothing is missing: where there is no catalog, no reconcile does so.

    Raises:
        GapUnknown: none is open by that name.
    """
    async with store.writing() as connection:
        found = next((gap for gap in await open_gaps(connection) if gap.gap_id == gap_id), None)
        if found is None or not await controls.close_gap(connection, gap_id):
            raise GapUnknown(gap=gap_id)
        await act.record(connection, "gap.close", gap_id, {"kind": found.kind, "detail": found.detail})
    return found


def _told(options: Options) -> dict[str, bool]:
    """The options as a run keeps them."""
    return {"repair": options.repair, "accept_deletions": options.accept_deletions}


async def record(connection: AsyncConnection, mode: str, options: Options, act: Act) -> None:
    """Write down that somebody has a run done."""
    await act.record(connection, f"reading.{mode}", "the catalog", _told(options))
