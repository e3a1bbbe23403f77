"""What nobody needs any more goes; what keeps the mirror right stays."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from service.changes import Origin
from service.events.message import Message
from service.mirror import audit, retention
from service.mirror.retention import prune
from service.mirror.tables import pentaho_jobs
from service.pipeline.answers import Answerer
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.settings.model import PipelineSettings, RetentionSettings, TargetSettings
from service.targets.pentaho import ledger
from service.targets.pentaho.planning import Planned
from service.telemetry.metrics import Metrics

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

pytestmark = pytest.mark.partitioned

YEAR_S = 365 * 86_400
LONG_AGO = "2001-05-10T15:04:15Z"


def ago(seconds: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds, UTC).isoformat()


async def test_old_lineage_goes_with_its_edges_and_young_lineage_stays(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.lineage("old", LONG_AGO), events.lineage("young", ago(60)))

    assert await prune(mirror.store, RetentionSettings()) == {"lineage_events": 1}

    assert await mirror.one("SELECT event_id FROM lineage_events") == "young"
    assert await mirror.one("SELECT event_id FROM lineage_edges") == "young"
    assert await prune(mirror.store, RetentionSettings()) == {}


async def test_lineage_that_was_not_delivered_yet_stays(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(published=LONG_AGO))
    assert await mirror.one("SELECT count(*) FROM deliveries") == 1

    assert await prune(mirror.store, RetentionSettings()) == {}


async def test_state_rows_and_tombstones_never_go(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(published=LONG_AGO), events.deletion(at=1))
    before = await mirror.all("SELECT asset_id, deleted_at FROM assets")
    await prune(mirror.store, RetentionSettings())
    assert await mirror.all("SELECT asset_id, deleted_at FROM assets") == before


async def test_closed_dead_letters_go_sooner_than_open_ones(mirror: Mirror) -> None:
    await mirror.take(*(Message("v2.data_profiles.p.POST", bytes([number])) for number in range(3)))
    first, second, _ = [row[0] for row in await mirror.all("SELECT dead_letter_id FROM dead_letters")]
    old, older = ago(40 * 86_400), ago(2 * YEAR_S)
    text = "'{}'" if mirror.store.dialect == "postgresql" else "strftime('%Y-%m-%dT%H:%M:%fZ', '{}')"
    await mirror.execute(
        f"UPDATE dead_letters SET state = 'discarded', closed_at = {text.format(old)} WHERE dead_letter_id = '{first}'",
        f"UPDATE dead_letters SET last_at = {text.format(older)} WHERE dead_letter_id = '{second}'",
    )

    assert await prune(mirror.store, RetentionSettings()) == {"dead_letters": 1}
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 1


async def test_jobs_of_targets_go_with_their_parts_some_time_after_their_end(mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        parts = (("pentaho:asset:a1:00", "e1"),)
        planned = [Planned("data_profiling", {"scope": ["e1"]}, (), "asset_saved", parts) for _ in range(3)]
        old, young, _ = await ledger.insert(connection, "pentaho", planned)
        for key, seconds in ((old, -40 * 86_400.0), (young, -60.0)):
            values = {"state": "succeeded", "finished_at": mirror.store.later(seconds)}
            await connection.execute(sa.update(pentaho_jobs).where(pentaho_jobs.c.job_key == key).values(values))

    assert await prune(mirror.store, RetentionSettings()) == {"pentaho_jobs": 1}
    assert await mirror.one("SELECT count(*) FROM pentaho_jobs") == 2
    assert await mirror.one("SELECT count(*) FROM pentaho_job_parts") == 2


async def test_it_goes_piece_by_piece(mirror: Mirror, events: Events, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "BATCH", 2)
    await mirror.take(*(events.lineage(f"e{number}", LONG_AGO) for number in range(5)))
    left = []
    while await prune(mirror.store, RetentionSettings()):
        left.append(await mirror.one("SELECT count(*) FROM lineage_events"))
    assert left == [3, 1, 0]


async def test_lineage_beyond_the_horizon_is_refused_and_counted(mirror: Mirror, events: Events) -> None:
    metrics = Metrics()
    pipeline = Pipeline(
        mirror.store, mirror.router, PipelineSettings(), metrics, answerer=Answerer(TargetSettings()), horizon_s=YEAR_S
    )

    outcome = await pipeline.process([events.lineage("old", LONG_AGO), events.lineage("young", ago(9))], Origin.LIVE)

    assert outcome.fates[Fate.IGNORED] == 1
    assert metrics.expired._value.get() == 1
    assert await mirror.one("SELECT event_id FROM lineage_events") == "young"


async def test_the_audit_log_is_only_added_to(mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        await audit.record(connection, "dana", "test.act", "a thing", "because", {"number": 1})
    for statement in ("UPDATE audit_log SET who = 'nobody'", "DELETE FROM audit_log"):
        with pytest.raises(DBAPIError, match="only added to"):
            await mirror.execute(statement)
    async with mirror.store.read() as connection:
        entries: list[Any] = await audit.entries(connection, "a thing", "test")
    assert [(entry.who, entry.action, entry.reason) for entry in entries][-1] == ("dana", "test.act", "because")
