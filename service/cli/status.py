"""`status`, `pause`, `resume`: see and steer the running replicas, through the store."""

from __future__ import annotations

import json
from typing import Annotated, Any

import sqlalchemy as sa
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
from service.mirror import controls, dead_letters, progress
from service.mirror.progress import Run
from service.mirror.tables import assets, containers, data_profiles, deliveries, lineage_events, refreshes, things
from service.operations import consuming
from service.sync.runs import RECONCILE, SNAPSHOT


def status(as_json: Json = False) -> None:
    """Show the running replicas, what is mirrored, what waits, and what needs a person."""
    found = run_async(_status())
    if as_json:
        print_json(found)
        return
    rows = [
        (name, r["consumer"], "; ".join(r["reasons"]), r["delivered"], r["seen_at"])
        for name, r in found["replicas"].items()
    ]
    show_table("Replicas", ("replica", "consumer", "because", "delivered", "last seen"), rows, "No replica is running.")
    runs = [(r["mode"], r["state"], r["reason"], r["started_at"], r["finished_at"], r["problem"])
            for r in found["runs"]]  # fmt: skip
    show_table("Reading", ("run", "state", "because", "started", "ended", "problem"), runs, "Nothing was read yet.")
    show_table("Mirror", ("what", "rows"), found["mirror"].items(), "")
    waiting = (*found["waiting"].items(), ("dead letters", found["dead_letters"]), ("gaps", len(found["gaps"])))
    show_table("Waiting", ("what", "number"), waiting, "")
    targets = [(t["target"], _target_state(t), t["delivered"], t["last_delivered_at"]) for t in found["targets"]]
    show_table("Targets", ("target", "state", "delivered", "last"), targets, "No target has run yet.")
    for gap in found["gaps"]:
        out.print(f"Gap ({gap['kind']}): {gap['detail']}. Events may be missing.", markup=False)
    if found["held"]:
        out.print(f"Deliveries are held: {found['held']}.", markup=False)
        out.print("`catalog-mirror deliveries release` lets them go.", markup=False)
    if found["paused"]:
        out.print(f"Paused: {found['paused']}. `catalog-mirror resume` goes on.", markup=False)


def _target_state(target: dict[str, Any]) -> str:
    if target["paused"]:
        return f"paused: {target['pause_reason'] or ''}"
    return target["notice"] or "open"


async def _status() -> dict[str, Any]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        replicas = await controls.live_replicas(connection, store)
        known = await controls.read_controls(connection)
        return {
            "replicas": {
                row.replica_id: json.loads(row.status) | {"started_at": row.started_at, "seen_at": row.seen_at}
                for row in replicas
            },
            "leader": await progress.leader(connection, store),
            "runs": [_run(run) for mode in (SNAPSHOT, RECONCILE) if (run := await progress.newest(connection, mode))],
            "paused": known[controls.PAUSE][0].get("reason", "") if controls.PAUSE in known else None,
            "held": known[controls.HELD][0].get("reason", "") if controls.HELD in known else None,
            "mirror": {
                table.name: await _rows(connection, table)
                for table in (containers, assets, data_profiles, lineage_events, *things.values())
            },
            "waiting": {table.name: await _rows(connection, table) for table in (deliveries, refreshes)},
            "dead_letters": await dead_letters.count(connection, dead_letters.Filter()),
            "gaps": [dict(row._mapping) for row in await controls.open_gaps(connection)],
            "targets": [dict(row._mapping) for row in await controls.read_targets(connection)],
        }


def _run(run: Run) -> dict[str, Any]:
    shown = ("run_id", "mode", "state", "reason", "started_at", "updated_at", "finished_at", "problem")
    steps = {name: run.progress.get(name) for name in ("step", "steps")}
    return {name: getattr(run, name) for name in shown} | steps


async def _rows(connection: Any, table: sa.Table) -> int:
    return int((await connection.execute(sa.select(sa.func.count()).select_from(table))).scalar_one())


def pause(reason: Annotated[str, typer.Option(help="Why, for whoever looks next.")] = consuming.NO_REASON) -> None:
    """Stop consuming on every replica; nothing is lost, events wait in the queue."""
    on_store(lambda store: consuming.pause(store, acting(reason)), migrate=True)
    out.print("Paused. Every replica stops within seconds; `catalog-mirror resume` goes on.")


def resume() -> None:
    """Go on consuming: lifts a pause and every pulled brake."""
    lifted = on_store(lambda store: consuming.resume(store, acting()), migrate=True).lifted
    out.print("Resumed." if lifted else "Nothing was paused.")
