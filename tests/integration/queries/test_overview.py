"""The overview: what flows, what waits, what is stuck and why, with the command that mends it."""

from __future__ import annotations

import json
import shlex
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.cli import PLACES
from service.errors import NotJson
from service.events.message import Message
from service.mirror import controls, dead_letters, deliveries, progress
from service.mirror.clock import store_now
from service.mirror.deliveries import Delivery
from service.mirror.progress import RECONCILE, SNAPSHOT
from service.mirror.tables import assets, collibra_batches, refreshes, sync_runs
from service.process.flow import Flow
from service.queries import counting
from service.queries.counting import Precision
from service.queries.overview import Overview, overview
from service.queries.parts import TargetState
from service.queries.stuck import Place
from service.telemetry.metrics import Metrics
from service.text.privacy import Privacy

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

NOW = datetime(2026, 5, 10, tzinfo=UTC)


async def look(mirror: Mirror, **options: Any) -> Overview:
    async with mirror.store.read() as connection:
        return await overview(connection, mirror.store, **options)


def mends(found: Overview) -> dict[str, str]:
    return {one.what: one.mend for one in found.stuck}


def status(**more: Any) -> dict[str, Any]:
    return {"version": "1", "consumer": "consuming", "reasons": [], "waits_for": [], "delivered": 5, **more}


async def test_an_empty_mirror_lacks_a_replica_and_nothing_else(mirror: Mirror) -> None:
    found = await look(mirror)

    assert mends(found) == {"No replica is running": "catalog-mirror run"}
    assert (found.targets, found.readings, found.freshness, found.causes, found.gaps) == ([], [], [], [], [])
    assert found.mirror["assets"].number == 0


async def test_what_flows_through_the_replicas_is_added_up(mirror: Mirror) -> None:
    flows = [
        {"events_per_s": 10.0, "event_age_s": 1.0, "topics": {"a.*": 7.0, "b.*": 3.0}, "queue_messages": 4,
         "queue_bytes_free": 900, "targets": {"lineage": {"per_s": 2.0, "age_s": 4.0}}},
        {"events_per_s": 30.0, "event_age_s": 2.0, "topics": {"a.*": 30.0}, "queue_messages": 5,
         "queue_bytes_free": 800, "targets": {"lineage": {"per_s": 6.0, "age_s": 2.0}}},
    ]  # fmt: skip
    async with mirror.store.write() as connection:
        await controls.ensure_targets(connection, ["lineage"])
        for number, flow in enumerate(flows):
            told = status(flow=flow, reading={"leads": number == 0, "problem": None})
            await controls.heartbeat(connection, f"r{number}", NOW, told)
        await controls.heartbeat(connection, "of an older release", NOW, {"consumer": "consuming"})

    found = await look(mirror)

    assert (found.coming.events_per_s, found.coming.event_age_s) == (40.0, 1.75)
    assert [(topic.topic, topic.per_s) for topic in found.coming.topics] == [("a.*", 37.0), ("b.*", 3.0)]
    assert (found.coming.queue_messages, found.coming.queue_bytes_free) == (5, 800)
    assert (found.targets[0].per_s, found.targets[0].delivery_age_s) == (8.0, 2.5)
    assert [replica.leads for replica in found.replicas] == [False, True, False]
    assert found.stuck == []


async def test_everything_that_is_stuck_is_told_with_what_mends_it(mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        waits = status(waits_for=["the broker is away"], reading={"leads": True, "problem": "the catalog is away"})
        await controls.heartbeat(connection, "r0", NOW, waits)
        await controls.set_control(connection, controls.PAUSE, {"reason": "maintenance (ann)"})
        await controls.set_control(connection, f"{controls.BRAKE}:r0", {"reason": "41 of 200"})
        await controls.set_control(connection, controls.HELD, {"reason": "restored"})
        await controls.set_control(connection, progress.HELD, {"by": "ann"})
        await controls.ensure_targets(connection, ["a b", "broken"])
        await controls.pause_target(connection, "a b", paused=True, reason="their weekend")
        await controls.note_target(connection, "broken", "It cannot be reached.")
        waiting = [Delivery(f"d{n}", "broken", "asset", f"a{n}", "AssetSaved") for n in range(3)]
        await deliveries.create(connection, waiting)
        await controls.record_gap(connection, "absence", "nothing was consumed", NOW)
        letter = dead_letters.dead_letter_of(Message("a.b", b"{"), NotJson(problem="it ends"), 100, Privacy())
        await dead_letters.store_events(connection, [letter])
        await progress.begin(connection, SNAPSHOT, "the first run", {})
        await connection.execute(sa.update(sync_runs).values(started_at=NOW))  # SQLite's clock tells milliseconds
        failed = await progress.begin(connection, RECONCILE, "a person", {})
        failed.state, failed.problem = "failed", "it was too much"
        await progress.save(connection, failed, ended=True)
        await progress.note_state(connection, "c1", "catalog", "asset", missing=2, complete_as_of=NOW)
        await progress.note_state(connection, "c2", "catalog", "asset", problem="forbidden", complete_as_of=NOW)
        now = store_now(mirror.store.dialect)
        common = {"asked_at": now, "reason": "event"}
        await connection.execute(
            sa.insert(refreshes).values(
                kind="asset", entity_id="a1", attempts=3, last_error="it is away", due_at=now, **common
            )
        )
        await connection.execute(
            sa.insert(collibra_batches).values(
                batch_id="b1", target="broken", window_end=now, number=1, state="uncertain", items=1, body="[]",
                assets="[]", prepared_at=now,
            )
        )  # fmt: skip

    found = await look(mirror)

    (cause,) = found.causes
    assert mends(found) == {
        "Consuming is paused": "catalog-mirror resume",
        "The brake is pulled": "catalog-mirror resume",
        "Nothing is consumed": "catalog-mirror doctor",
        "The catalog is not read": "catalog-mirror doctor",
        "Reading is held": "catalog-mirror snapshot --resume",
        "Deliveries are held": "catalog-mirror deliveries release",
        "a b is paused": "catalog-mirror targets resume 'a b'",
        "1 batches may have reached broken, or may not": "catalog-mirror usage batches --state uncertain",
        f"1 dead letter: {letter.error}": f"catalog-mirror dead-letters replay --fingerprint {cause.fingerprint}",
        "The last reconcile failed": "catalog-mirror reconcile",
        "Events may be missing": "catalog-mirror reconcile --repair",
        "1 things could not be read again": "catalog-mirror doctor",
        "asset cannot be read in 1 containers": "catalog-mirror doctor",
        "2 of asset differ from the catalog": "catalog-mirror reconcile --repair",
    }
    assert {shlex.split(one.mend)[1] for one in found.stuck} <= set(PLACES)
    assert [one.place for one in found.stuck][:2] == [Place.CONSUMING, Place.CONSUMING]
    assert found.switches.paused is not None
    assert found.switches.paused.reason == "maintenance (ann)"
    (paused, broken) = found.targets
    assert (paused.state, broken.state) == (TargetState.PAUSED, TargetState.HELD)
    assert (broken.waiting.number, broken.because) == (3, "deliveries are held")
    assert broken.oldest_at is not None
    assert [run.mode for run in found.readings] == [RECONCILE, SNAPSHOT]

    async with mirror.store.write() as connection:
        await controls.clear_control(connection, controls.HELD)
    after = await look(mirror)
    assert after.targets[1].state is TargetState.CIRCUIT_OPEN
    assert mends(after)["broken is not delivered to"] == "catalog-mirror doctor"


async def test_of_each_kind_the_container_is_told_that_was_looked_at_longest_ago(mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        for number in range(3):
            at = NOW + timedelta(hours=number)
            await progress.note_state(connection, f"c{number}", "catalog", "member", complete_as_of=at, things=5)
        await progress.note_state(connection, "c0", "catalog", "member", polled_at=NOW + timedelta(days=1))
        await progress.note_state(connection, "c1", "catalog", "job", polled_at=NOW)
        await progress.note_state(connection, "c9", "catalog", "job", things=0)

    job, member = (await look(mirror)).freshness

    assert (job.container_id, job.looked_at) == ("c9", None)
    assert (member.container_id, member.looked_at, member.containers) == ("c1", NOW + timedelta(hours=1), 3)


async def test_many_rows_are_told_about_unless_they_are_to_be_counted(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(counting, "COUNTED_ROWS", 10)
    rows = [
        {"asset_id": f"a{n}", "version": b"\0", "mirrored_at": NOW, "mapping": 1, "document": "{}"} for n in range(50)
    ]
    async with mirror.store.write() as connection:
        await connection.execute(sa.insert(assets), rows)
    if mirror.store.dialect == "postgresql":
        assert (await look(mirror)).mirror["assets"].precision is Precision.AT_LEAST  # nobody has looked yet
        await mirror.execute("ANALYZE assets")

    about = (await look(mirror)).mirror["assets"]
    exact = (await look(mirror, exact=True)).mirror["assets"]

    assert (about.number, about.precision) == (50, Precision.ABOUT)
    assert (exact.number, exact.precision) == (50, Precision.EXACT)


def test_a_replica_tells_rates_and_mean_ages_since_it_last_did() -> None:
    metrics, clock = Metrics(), [100.0]
    metrics.events.labels("a.*", "applied").inc(3)
    flow = Flow(metrics, lambda: clock[0])
    clock[0] += 5
    metrics.events.labels("a.*", "applied").inc(10)
    metrics.events.labels("a.*", "ignored").inc(5)
    metrics.event_age.observe(1)
    metrics.event_age.observe(3)
    metrics.deliveries.labels("lineage", "delivered").inc()
    metrics.delivery_age.labels("lineage").observe(0.5)
    metrics.queue_messages.set(7)

    told = flow.look()

    assert told == {
        "events_per_s": 3.0, "event_age_s": 2.0, "topics": {"a.*": 3.0},
        "targets": {"lineage": {"per_s": 0.2, "age_s": 0.5}}, "queue_messages": 7, "queue_bytes_free": None,
    }  # fmt: skip
    assert json.loads(json.dumps(told)) == told
    clock[0] += 0.1
    assert flow.look() is told
    clock[0] += 5
    assert flow.look()["events_per_s"] == 0.0
