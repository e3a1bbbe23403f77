"""One thing explained: who won and by which rule, and what happened to it, as far as the store knows."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.changes import Origin, Rank, RefreshAsked, Version
from service.events.message import Message
from service.mirror import audit, controls, refreshes
from service.mirror.tables import collibra_told, pentaho_job_parts, pentaho_jobs, sync_states
from service.queries import explaining
from service.queries.explaining import Clock, Explanation, Source, explain
from service.queries.standing import Rule, rule_of
from tests.integration.conftest import Subscriber

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

AT = datetime(2026, 5, 10, 15, 4, 15, tzinfo=UTC)


async def explained(mirror: Mirror, thing_id: str) -> Explanation:
    async with mirror.store.read() as connection:
        found = await explain(connection, thing_id)
    assert found is not None
    return found


def texts(found: Explanation, source: Source) -> list[str]:
    return [step.text for step in found.steps if step.source is source]


async def test_a_later_event_is_told_with_what_it_replaced_and_the_rule(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(rows=1))
    await mirror.take(events.profile(published="2026-05-10T15:04:20Z", rows=2))

    (state,) = (await explained(mirror, "p1")).states

    assert (state.kind, state.id, state.rule) == ("data_profile", "p1", Rule.LATER)
    assert state.replaced is not None
    assert ((state.now.at or AT) - (state.replaced.at or AT)).total_seconds() == 5
    assert (state.now.said_by, state.is_stub, state.is_deleted) == ("an event", False, False)


async def test_an_older_event_that_comes_later_leaves_its_answer_as_its_only_trace(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.profile(published="2026-05-10T15:04:20Z"))
    await mirror.take(events.profile(published="2026-05-10T15:04:15Z"))

    found = await explained(mirror, "p1")

    assert [state.rule for state in found.states] == [Rule.FIRST], "what lost is no row, and is not invented"
    assert [step.at for step in found.steps if step.source is Source.LINEAGE] == [AT, AT.replace(second=20)]
    assert any("events that lost" in text for text in found.not_kept)


async def test_what_was_answered_waits_failed_and_was_done_about_it_is_on_one_line_of_time(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.profile())
    broken = Message("v2.data_profiles.p1.PATCH", b'{"published": "yesterday", "state": {"metadata": {"guid": "p1"}}}')
    await mirror.take(broken)
    async with mirror.store.write() as connection:
        await controls.ensure_targets(connection, ["lineage"])
        await refreshes.ask(connection, [RefreshAsked("data_profile", "p1", reason="two of one second")])
        await audit.record(connection, "dana", "dead_letter.replay", broken.key, "mended")
        await controls.record_gap(connection, "absence", "away for two hours", None)

    found = await explained(mirror, "p1")

    assert texts(found, Source.LINEAGE) == [
        "An event was taken, and answered by our lineage event DATASET_PROFILED"
    ]  # fmt: skip
    assert texts(found, Source.DELIVERY) == ["LineageRecorded waits for lineage"]
    (letter,) = texts(found, Source.DEAD_LETTER)
    assert letter.startswith("A dead letter, open: v2.data_profiles.p1.PATCH")
    assert texts(found, Source.REFRESH) == ["It is to be read again: two of one second"]
    assert texts(found, Source.ACTION) == ["dana: dead_letter.replay (mended)"]
    assert "away for two hours" in texts(found, Source.GAP)[0]
    moments = [step.at for step in found.steps if step.at]
    assert moments == sorted(moments)


async def test_what_targets_answered_is_told_where_they_keep_it(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())
    job: dict[str, Any] = {"job_key": "j1", "target": "pentaho", "operation": "scan", "request": "{}", "follows": "",
                           "asked_by": "rule", "state": "succeeded", "next_at": AT, "created_at": AT}  # fmt: skip
    told: dict[str, Any] = {"target": "collibra", "locator": "{}", "assets": json.dumps(["a1", "a2"]),
                            "query_count": 7, "distinct_users": 2, "prepared_at": AT, "batch_id": "b1"}  # fmt: skip
    part = {"delivery_id": "pentaho:asset:a1:ff", "job_key": "j1", "pentaho_id": "e1"}
    state: dict[str, Any] = {"container_id": "c1", "kind": "asset", "complete_as_of": AT}
    async with mirror.store.write() as connection:
        for table, row in (
            (pentaho_jobs, job), (pentaho_job_parts, part), (collibra_told, told), (sync_states, state)
        ):  # fmt: skip
            await connection.execute(sa.insert(table).values(row))

    found = await explained(mirror, "a1")

    assert texts(found, Source.JOB) == ["pentaho: scan succeeded"]
    assert texts(found, Source.USAGE) == ["collibra was told of its usage: 7 uses"]
    assert texts(found, Source.READING) == ["Every asset where it lives was read"]
    assert (await explained(mirror, "p1")).id == "p1"
    assert texts(await explained(mirror, "p1"), Source.JOB) == []


async def test_places_of_secrets_and_of_people_are_told_never_their_values(mirror: Mirror, events: Events) -> None:
    state = {
        "metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1", "owner_id": "sha256:" + "a" * 32},
        "parameters": [{"password": "hush-hush"}],
    }
    await mirror.take(events.profile(state=state))

    found = await explained(mirror, "p1")

    assert found.states[0].blanked == ["parameters[0].password"]
    assert found.states[0].hashed == ["metadata.owner_id"]
    assert "hush" not in str(found)


async def test_nothing_is_told_of_what_is_not_there(mirror: Mirror) -> None:
    async with mirror.store.read() as connection:
        assert await explain(connection, "nobody") is None
        assert await explain(connection, "'; DROP TABLE assets --%_\\") is None


async def test_of_many_steps_the_newest_are_told_and_that_there_are_more(
    mirror: Mirror, events: Events, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(explaining, "SHOWN", 3)
    await mirror.take(*(events.lineage(f"e{n}", f"2026-05-10T15:04:0{n}Z", uses=["a1"]) for n in range(5)))

    found = await explained(mirror, "a1")

    assert [step.id for step in found.steps if step.source is Source.LINEAGE] == ["e2", "e3", "e4"]
    assert found.cut == [Source.LINEAGE]


async def test_clocks_are_told_apart(mirror: Mirror, events: Events) -> None:
    await mirror.pipeline(Subscriber()).process([events.profile()], Origin.LIVE)
    steps = (await explained(mirror, "p1")).steps
    assert {step.clock for step in steps if step.source is Source.STATE} == {Clock.CATALOG, Clock.STORE}


_VERSIONS = st.builds(
    Version,
    st.none() | st.integers(0, 3),
    st.sampled_from(Rank),
    st.sampled_from([bytes(16), b"\x01" * 16]),
    st.sampled_from([bytes(16), b"\x01" * 16]),
    st.booleans(),
).filter(lambda version: version.at_us is not None or not version.ended)


@given(_VERSIONS, _VERSIONS)
def test_the_rule_names_the_first_part_in_which_versions_differ(one: Version, other: Version) -> None:
    now, before = sorted((one, other), key=lambda version: version.key, reverse=True)
    rule = rule_of(now, before)
    if now.key == before.key:
        return
    place = next(i for i, (a, b) in enumerate(zip(now.key, before.key, strict=True)) if a != b)
    expected = (
        {Rule.ENDED, Rule.TIMED, Rule.LATER} if place < 8 else {Rule.RANK} if place == 8
        else {Rule.DIGEST} if place < 25 else {Rule.WHOLE}
    )  # fmt: skip
    assert rule in expected
