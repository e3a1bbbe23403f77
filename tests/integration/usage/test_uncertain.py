"""A submission that may have been taken: never sent twice, looked for among the jobs, listed until somebody knows."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.collibra.backend import VISITOR, Knobs
from service.errors import TargetUnavailable
from service.targets.collibra import batches
from service.targets.collibra.batches import Job
from service.targets.collibra.jobs import Listed
from service.targets.collibra.uncertain import taken_by

if TYPE_CHECKING:
    from tests.integration.usage.conftest import World

JOBS = "SELECT job_id FROM collibra_batches WHERE job_id IS NOT NULL"
PROBLEM = "SELECT state, problem FROM collibra_batches"
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)


@on_one_store
@pytest.mark.parametrize("knobs", [{"lost": 1}, {"dropped": 1}, {"broken": [500]}, {"broken": [503]}])
async def test_what_may_have_been_taken_is_uncertain_and_not_sent_again(world: World, knobs: dict[str, Any]) -> None:
    vars(world.pocket.knobs).update(copy.deepcopy(knobs))
    taken = 0 if "dropped" in knobs else 1
    await world.use("orders", "ada")
    problems = await world.run()
    for _ in range(3):
        await world.run()

    assert problems
    state, problem = await world.mirror.one(PROBLEM)
    assert (state, bool(problem)) == ("uncertain", True)
    assert len(world.pocket.submissions) == taken
    assert any("in doubt" in remark for remark in await world.target.remarks())
    assert [call for call in world.pocket.calls if call.endswith("/jobs")], "its job was looked for"


@on_one_store
async def test_an_answer_that_names_no_job_leaves_it_in_doubt(world: World) -> None:
    world.pocket.knobs.bodies = False
    world.pocket.knobs.location = "none"
    await world.use("orders", "ada")
    await world.run()
    assert await world.states() == ["uncertain"]
    assert len(world.pocket.submissions) == 1


async def _earlier(world: World) -> None:
    """A batch that went well, by which it is known as whom our jobs are made; then comes a day with something new."""
    await world.use("customers", "ada")
    await world.run()
    await world.run()
    await world.next_day()
    await world.use("orders", "ada")


async def test_the_job_that_took_it_is_found_once_it_is_known_who_makes_ours(world: World) -> None:
    await _earlier(world)
    world.pocket.knobs.lost = 1
    stranger = world.pocket.add_job(VISITOR)
    await world.run()
    for _ in range(3):
        await world.run()

    assert len(world.pocket.submissions) == 2
    assert await world.states() == ["completed", "completed"]
    jobs = {row[0] for row in await world.mirror.all("SELECT job_id FROM collibra_batches")}
    assert jobs == set(world.pocket.jobs) - {stranger}


@on_one_store
async def test_who_makes_our_jobs_may_be_set(world: World) -> None:
    world.pocket.knobs.lost = 1
    target = world.another(options={"created_by": world.pocket.user_id()})
    await world.use("orders", "ada")
    for _ in range(3):
        await world.run(target)
    assert await world.states() == ["completed"]


@on_one_store
async def test_a_job_is_not_taken_for_ours_where_two_might_be(world: World) -> None:
    await _earlier(world)
    world.pocket.knobs.lost = 1
    world.pocket.add_job()  # somebody else works as the same user
    for _ in range(3):
        await world.run()
    assert await world.states() == ["completed", "uncertain"]


@on_one_store
async def test_the_job_of_a_batch_that_is_just_on_its_way_is_not_taken_for_that_of_one_in_doubt(world: World) -> None:
    await world.use("orders", "ada")
    await world.use("customers", "ada")
    target = world.another(options={"created_by": world.pocket.user_id(), "batch_max": 1})
    assert await target.tend()  # plans two batches
    world.pocket.knobs.dropped = 1
    with pytest.raises(TargetUnavailable):
        await target.tend()
    async with world.mirror.store.write() as connection:
        assert await batches.claim(connection, world.mirror.store, "collibra", "another replica", 60)
    world.pocket.add_job()  # the other replica has its answer, and has not written it down yet
    await world.run(target)
    assert await world.states() == ["uncertain", "sending"]


@on_one_store
@pytest.mark.parametrize("status", [400, 401, 403, 404, 429, 500])
async def test_jobs_that_cannot_be_looked_through_now_are_looked_through_later(world: World, status: int) -> None:
    world.pocket.knobs.lost = 1
    world.pocket.knobs.job_refusals = [status, status]
    target = world.another(options={"created_by": world.pocket.user_id()})
    await world.use("orders", "ada")
    problems = await world.run(target)
    for _ in range(4):
        await world.age("looked_at", 3600)
        await world.run(target)
    assert any(f"HTTP {status}" in problem for problem in problems)
    assert await world.states() == ["completed"]
    assert len(world.pocket.submissions) == 1


@on_one_store
async def test_it_is_found_among_any_number_of_jobs(world: World) -> None:
    old = (datetime.now(UTC) - timedelta(days=3)).isoformat()
    for _ in range(1000):
        world.pocket.add_job(created_on=old)
    await _earlier(world)
    world.pocket.knobs.lost = 1
    for _ in range(3):
        await world.run()
    assert await world.states() == ["completed", "completed"]
    pages = [call for call in world.pocket.calls if call.endswith("/jobs")]
    assert len(pages) == 3, "two full pages, and one that is not"


async def test_a_sender_that_died_leaves_a_batch_in_doubt_once_its_lease_is_over(world: World) -> None:
    await world.use("orders", "ada")
    assert await world.target._plan_if_due()
    async with world.mirror.store.write() as connection:
        assert await batches.claim(connection, world.mirror.store, "collibra", "somebody else", 60)

    await world.run()
    assert await world.states() == ["sending"], "it may be at work yet"
    await world.age("lease_until", 120)
    await world.run()
    assert await world.states() == ["uncertain"]
    assert world.pocket.submissions == []


@on_one_store
async def test_a_window_is_not_planned_while_a_batch_of_the_last_one_is_on_its_way(world: World) -> None:
    await world.use("orders", "ada")
    assert await world.target._plan_if_due()
    async with world.mirror.store.write() as connection:
        await batches.claim(connection, world.mirror.store, "collibra", "somebody else", 60)
    await world.next_day()
    await world.run()
    assert await world.states() == ["sending"]


async def test_after_the_deadline_it_is_given_up_and_the_next_window_tells_it_anew(world: World) -> None:
    world.pocket.knobs.lost = 1
    await world.use("orders", "ada")
    await world.run()
    await world.age("sent_at", 86_401)
    await world.run()
    assert await world.states() == ["given_up"]
    assert len(world.pocket.submissions) == 1

    await world.next_day()
    await world.run()
    assert world.counts() == [("ORDERS", 1, 1)] * 2
    assert await world.states() == ["given_up", "accepted"]


async def test_the_next_window_tells_anew_what_is_in_doubt_and_a_job_that_is_found_late_changes_nothing(
    world: World,
) -> None:
    await _earlier(world)
    world.pocket.knobs.lost = 1
    hidden: dict[str, Any] = {}
    assert await world.target.tend()  # plans
    with pytest.raises(TargetUnavailable):
        await world.target.tend()
    for job_id in set(world.pocket.jobs) - {job for (job,) in await world.mirror.all(JOBS)}:
        hidden[job_id] = world.pocket.jobs.pop(job_id)
    await world.run()
    await world.next_day()
    await world.use("orders", "bob")
    await world.run()
    assert await world.states() == ["completed", "uncertain", "accepted"]
    assert world.counts()[1:] == [("ORDERS", 1, 1), ("ORDERS", 2, 2)]

    world.pocket.jobs |= hidden
    await world.age("looked_at", 3600)
    for _ in range(3):
        await world.run()
    assert await world.states() == ["completed"] * 3
    assert await world.mirror.one("SELECT query_count FROM collibra_told WHERE locator LIKE '%ORDERS%'") == 2
    assert len(world.pocket.submissions) == 3


@on_one_store
async def test_a_batch_that_was_never_sent_gives_way_to_the_next_window(world: World) -> None:
    world.pocket.knobs.refusals = [429] * 3
    await world.use("orders", "ada")
    await world.run()
    await world.next_day()
    await world.use("orders", "bob")
    await world.run()
    assert world.counts() == [("ORDERS", 2, 2)]
    assert await world.states() == ["superseded", "accepted"]


@pytest.mark.parametrize(
    ("answer", "states", "sent"),
    [
        ({"sent": True, "job_id": None}, ["completed"], 1),
        ({"sent": False, "job_id": None}, ["accepted"], 2),
        ({"sent": True, "job_id": "the job"}, ["accepted"], 1),
    ],
)
async def test_a_person_may_know_better(world: World, answer: dict[str, Any], states: list[str], sent: int) -> None:
    world.pocket.knobs.lost = 1
    await world.use("orders", "ada")
    await world.run()
    async with world.mirror.store.write() as connection:
        (batch,) = await batches.in_state(connection, "collibra", batches.UNCERTAIN)
        job_id = answer["job_id"] and next(iter(world.pocket.jobs))
        assert await batches.settle(connection, batch, sent=answer["sent"], job_id=job_id)
        assert await batches.settle(connection, batch, sent=answer["sent"], job_id=job_id) is None
    await world.run()

    assert await world.states() == states
    assert len(world.pocket.submissions) == sent
    assert await world.mirror.one("SELECT query_count FROM collibra_told") == 1


FAULTS: dict[str, dict[str, Any]] = {
    "none": {}, "lost": {"lost": 1}, "dropped": {"dropped": 1}, "broken": {"broken": [500]},
    "busy": {"refusals": [429]}, "refused": {"refusals": [400]}, "fails": {"failing": 1}, "dies": {},
}  # fmt: skip


@on_one_store
@given(
    days=st.lists(
        st.tuples(st.sampled_from(sorted(FAULTS)), st.sampled_from(["orders", "customers"]), st.booleans()), max_size=5
    )
)
@settings(
    max_examples=12, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
async def test_whatever_goes_wrong_no_window_tells_an_asset_twice_and_the_last_figures_arrive(
    world: World, days: list[tuple[str, str, bool]]
) -> None:
    await world.begin_anew()
    target = world.another(options={"created_by": world.pocket.user_id(), "batch_max": 1})
    for fault, asset, is_found in days:
        vars(world.pocket.knobs).update(copy.deepcopy(FAULTS[fault]))
        before = len(world.pocket.submissions)
        await world.use(asset, "ada")
        if fault == "dies" and await target._plan_if_due():
            async with world.mirror.store.write() as connection:
                batch = await batches.claim(connection, world.mirror.store, "collibra", "a process that died", 0)
            await target._jobs.submit(json.loads(batch.body))
            await world.age("lease_until", 1)
        for _ in range(3):
            await world.run(target)
            if not is_found:
                world.pocket.jobs.clear()
        told = [item["assetLocator"]["keys"][-1] for [item] in world.pocket.submissions[before:]]
        assert len(told) == len(set(told))
        world.pocket.knobs = Knobs()
        await world.next_day()

    await world.use("orders", "last")
    for _ in range(4):
        await world.run(target)
    number = 1 + sum(asset == "orders" for _, asset, _ in days)
    assert world.counts()[-1] == ("ORDERS", number, 1 + (number > 1))


def _batch(number: int, sent_s: int) -> Any:
    return SimpleNamespace(batch_id=f"b{number}", sent_at=datetime.fromtimestamp(sent_s, UTC))


@given(
    st.lists(st.integers(0, 2000), max_size=4),
    st.lists(st.tuples(st.integers(0, 3000), st.sampled_from(["us", "them"]), st.booleans()), max_size=5),
)
def test_a_job_is_told_only_where_there_is_one_answer(sent: list[int], made: list[tuple[int, str, bool]]) -> None:
    doubtful = [_batch(number, at) for number, at in enumerate(sent)]
    listed = [Listed(Job(str(uuid4()), "Completed", who), datetime.fromtimestamp(at, UTC)) for at, who, _ in made]
    known = {one.job.job_id for one, (_, _, is_known) in zip(listed, made, strict=True) if is_known}

    found = taken_by(doubtful, listed, {"us"}, known)

    assert len({batch.batch_id for batch, _ in found}) == len({job.job_id for _, job in found}) == len(found)
    for batch, job in found:
        rivals = [
            one.job for one in listed
            if one.job.created_by == "us" and one.job.job_id not in known
            and one.created_on is not None and one.created_on >= batch.sent_at - timedelta(seconds=300)
        ]  # fmt: skip
        assert rivals == [job]
        made_on = next(one.created_on for one in listed if one.job == job)
        assert made_on is not None
        assert [other for other in doubtful if made_on >= other.sent_at - timedelta(seconds=300)] == [batch]
    if len(doubtful) == 1 and [who for _, who, is_known in made if who == "us" and not is_known] == ["us"]:
        assert len(found) == any(at >= sent[0] - 300 for at, who, is_known in made if who == "us" and not is_known)
