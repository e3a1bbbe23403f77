"""`status`, `pause`, `resume`: see and steer the running replicas, through the store."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

import typer

from service.cli.common import (
    Json,
    acting,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
)
from service.operations import consuming
from service.queries.overview import Overview, overview
from service.queries.parts import Target, TargetState


def status(as_json: Json = False) -> None:
    """Show the running replicas, what is mirrored, what waits, and what needs a person."""
    found = run_async(_overview())
    if as_json:
        print_json(_as_json(found))
        return
    rows = [(r.replica_id, r.consumer, "; ".join(r.reasons), r.delivered, r.seen_at) for r in found.replicas]
    show_table("Replicas", ("replica", "consumer", "because", "delivered", "last seen"), rows, "No replica is running.")
    runs = [(r.mode, r.state, r.reason, r.started_at, r.finished_at, r.problem) for r in found.readings]
    show_table("Reading", ("run", "state", "because", "started", "ended", "problem"), runs, "Nothing was read yet.")
    mirrored = [(name, count.number) for name, count in found.mirror.items()]
    show_table("Mirror", ("what", "rows"), mirrored, "")
    waiting = (*_waiting(found).items(), ("dead letters", found.dead_letters.number), ("gaps", len(found.gaps)))
    show_table("Waiting", ("what", "number"), waiting, "")
    targets = [(t.target, _state(t), t.waiting.number, t.delivered, t.last_delivered_at) for t in found.targets]
    show_table("Targets", ("target", "state", "waiting", "delivered", "last"), targets, "No target has run yet.")
    stuck = [(one.what, one.why, one.mend) for one in found.stuck]
    show_table("Stuck", ("what", "why", "what to do"), stuck, "Nothing is stuck.")


def _state(target: Target) -> str:
    """Such as `open` (delivered to), or `paused: maintenance`."""
    if target.state is TargetState.DELIVERING:
        return "open"
    return f"{target.state}: {target.because or ''}" if target.state is TargetState.PAUSED else target.because or ""


def _waiting(found: Overview) -> dict[str, int]:
    return {
        "deliveries": sum(target.waiting.number for target in found.targets),
        "refreshes": found.refreshing.waiting.number,
    }


async def _overview() -> Overview:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await overview(connection, store, exact=True)


def _as_json(found: Overview) -> dict[str, Any]:
    switches = found.switches
    return {
        "replicas": {replica.replica_id: asdict(replica) for replica in found.replicas},
        "leader": found.leader,
        "runs": [asdict(reading) for reading in found.readings],
        "paused": switches.paused.reason if switches.paused else None,
        "held": switches.held.reason if switches.held else None,
        "mirror": {name: count.number for name, count in found.mirror.items()},
        "waiting": _waiting(found),
        "dead_letters": found.dead_letters.number,
        "gaps": [asdict(gap) for gap in found.gaps],
        "targets": [asdict(target) | {"waiting": target.waiting.number} for target in found.targets],
        "stuck": [asdict(one) for one in found.stuck],
    }


def pause(reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = consuming.NO_REASON) -> None:
    """Stop consuming on every replica; nothing is lost, events wait in the queue."""
    on_store(lambda store: consuming.pause(store, acting(reason)), migrate=True)
    out.print("Paused. Every replica stops within seconds; `catalog-mirror resume` goes on.")


def resume() -> None:
    """Go on consuming: lifts a pause and every pulled brake."""
    lifted = on_store(lambda store: consuming.resume(store, acting()), migrate=True).lifted
    out.print("Resumed." if lifted else "Nothing was paused.")
