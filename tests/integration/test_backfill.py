"""Backfill: what the mirror holds is told to a target again, or for the first time, when a person asks."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from service.changes import Origin, ProfileDeleted, ProfileSaved
from service.events.message import Message
from service.pipeline.answers import Answerer
from service.settings.model import ScopeSettings, TargetSettings
from service.settings.scope import Scope
from service.targets import backfill
from service.targets.backfill import Backfill, Chosen

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror, Subscriber


@pytest.fixture
def fill(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Runs a backfill in batches of three; answers what it counted."""
    monkeypatch.setattr(backfill, "ROWS", 3)

    async def run(receiver: Subscriber, chosen: Chosen | None = None, *, dry_run: bool = False, **scope: Any) -> Any:
        limits = Scope(ScopeSettings(**scope))
        work = Backfill(mirror.store, receiver, Answerer(TargetSettings()), limits, chosen or Chosen(), dry_run=dry_run)
        counts: Counter[str] = Counter()
        async for kind, number in work.run():
            counts[kind] += number
        return dict(+counts)

    return run


async def synced(mirror: Mirror, events: Events, number: int = 8) -> None:
    """States that went nowhere, since they are not live."""
    profiles = [events.profile(f"p{n}", published=f"2026-05-10T15:04:{n:02d}Z") for n in range(number)]
    await mirror.pipeline().process(profiles, Origin.SYNC)


async def test_a_lineage_target_gets_an_answer_for_every_state_that_went_nowhere(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any
) -> None:
    await synced(mirror, events)
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 0

    assert await fill(subscriber(), dry_run=True) == {"lineage_event": 8}
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 0, "a dry run writes nothing"
    assert await fill(subscriber()) == {"lineage_event": 8}

    assert await mirror.one("SELECT count(*) FROM deliveries WHERE target = 'lineage'") == 8
    assert await mirror.one("SELECT count(*) FROM lineage_events WHERE own") == 8
    assert await fill(subscriber()) == {}, "what is pending already is not made twice"


async def test_the_answers_are_those_that_the_live_event_would_have_had(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any
) -> None:
    await synced(mirror, events, 3)
    await fill(subscriber())
    ids = await mirror.all("SELECT event_id FROM lineage_events ORDER BY event_id")
    await mirror.clear()

    profiles = [events.profile(f"p{n}", published=f"2026-05-10T15:04:{n:02d}Z") for n in range(3)]
    await mirror.pipeline(subscriber()).process(profiles, Origin.LIVE)

    assert await mirror.all("SELECT event_id FROM lineage_events ORDER BY event_id") == ids


@pytest.mark.parametrize("forwards", [False, True])
async def test_lineage_of_others_goes_only_where_it_is_forwarded(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any, forwards: bool
) -> None:
    await mirror.pipeline().process([events.lineage(f"e{n}") for n in range(5)], Origin.SYNC)

    assert await fill(subscriber(forwards=forwards)) == ({"lineage_event": 5} if forwards else {})


async def test_a_state_target_gets_the_states_that_it_wants_and_no_deletion(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any
) -> None:
    await synced(mirror, events)
    await mirror.take(events.profile("p0", verb="DELETE", published="2026-05-11T00:00:00Z"))
    await mirror.execute("DELETE FROM deliveries")
    wanting = subscriber("states", lineage=False, wanted=(ProfileSaved, ProfileDeleted))

    assert await fill(subscriber("none", lineage=False)) == {}
    assert await fill(wanting) == {"data_profile": 7}
    assert await mirror.one("SELECT count(*) FROM deliveries WHERE change = 'ProfileSaved'") == 7


async def test_it_can_be_narrowed_by_time_container_and_scope(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any
) -> None:
    await synced(mirror, events)
    wanting = subscriber("states", lineage=False, wanted=(ProfileSaved,))
    late = Chosen(since=datetime(2026, 5, 10, 15, 4, 5, tzinfo=UTC))

    assert await fill(wanting, late, dry_run=True) == {"data_profile": 3}
    assert await fill(wanting, Chosen("c1"), dry_run=True) == {"data_profile": 8}
    assert await fill(wanting, Chosen("another"), dry_run=True) == {}
    assert await fill(wanting, dry_run=True, exclude=["catalog:c1"]) == {}
    assert await fill(subscriber(), late) == {"lineage_event": 3}


async def test_lineage_of_others_is_backfilled_to_whom_it_did_not_come_from_in_the_words_they_take(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], fill: Any
) -> None:
    runs = [_openlineage(state, run) for run in "12" for state in ("START", "COMPLETE")]
    sent = [*runs, _openlineage("START", "3"), events.lineage("e1")]
    await mirror.pipeline().process(sent, Origin.SYNC)

    catalog = subscriber("catalog", forwards=True, sources=frozenset({"catalog"}))
    assert await fill(catalog) == {"lineage_event": 2}, "runs that are complete, and not its own event"
    assert await fill(subscriber("airflow", forwards=True, sources=frozenset({"airflow"}), takes_originals=True)) == {
        "lineage_event": 1
    }
    marquez = subscriber("marquez", forwards=True, takes_originals=True)
    assert await fill(marquez) == {"lineage_event": 1, "lineage_run": 5}
    query = (
        "SELECT d.entity_id, o.document FROM deliveries d JOIN openlineage_events o ON d.delivery_id = 'marquez:' || "
        "o.openlineage_id ORDER BY d.seq"
    )
    told = [(run[-1], json.loads(document)["eventType"]) for run, document in await mirror.all(query)]
    assert [state for run, state in told if run == "1"] == ["START", "COMPLETE"]


async def test_of_one_moment_a_run_begins_before_it_ends(
    mirror: Mirror, subscriber: type[Subscriber], fill: Any
) -> None:
    """Airflow tells START and end of a statement with the same moment."""
    states = ("FAIL", "RUNNING", "START")
    sent = [_openlineage(state, run, 4) for run in "1234" for state in states]
    live = subscriber("live", forwards=True, takes_originals=True)
    await mirror.pipeline(live).process(sent, Origin.LIVE)
    assert await fill(subscriber("later", forwards=True, takes_originals=True)) == {"lineage_run": 12}

    query = (
        "SELECT d.target, d.entity_id, o.document FROM deliveries d JOIN openlineage_events o "
        "ON d.delivery_id = d.target || ':' || o.openlineage_id ORDER BY d.seq"
    )
    told: dict[tuple[str, str], list[str]] = {}
    for target, run, document in await mirror.all(query):
        told.setdefault((target, run), []).append(json.loads(document)["eventType"])
    assert set(map(tuple, told.values())) == {("START", "RUNNING", "FAIL")}
    assert len(told) == 8


def _openlineage(state: str, run: str, minute: int | None = None) -> Message:
    minute = minute or {"START": 4, "COMPLETE": 5}[state]
    event = {
        "eventType": state, "eventTime": f"2026-05-10T15:0{minute}:00Z", "producer": "urn:x",
        "run": {"runId": f"00000000-0000-0000-0000-00000000000{run}"}, "job": {"namespace": "n", "name": "j"},
    }  # fmt: skip
    return Message("api.airflow.openlineage.POST", json.dumps({"event": event, "assets": []}).encode())
