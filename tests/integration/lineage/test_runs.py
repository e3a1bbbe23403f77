"""Runs as people see them: what started them, how they ended, and those that never did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import Origin
from service.events.message import Message
from service.mirror.retention import note_lost_runs, prune
from service.settings.model import RetentionSettings
from tests.integration.lineage.test_columns import take
from tests.integration.lineage.test_distinct_events import FACET, message
from tests.integration.mirror.test_any_order import Ways, in_two_orders

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

RUN, PARENT, ROOT = (f"3f5e83fa-3480-44ff-99c5-ff943904e5e{last}" for last in "890")


def run_event(state: str, second: int = 10, run: str = RUN, job: str = "dag.task", **facets: Any) -> dict[str, Any]:
    return {
        "eventType": state, "eventTime": f"2026-05-10T15:04:{second}Z", "producer": "urn:x",
        "run": {"runId": run, "facets": {name: {**FACET, **facet} for name, facet in facets.items()}},
        "job": {"namespace": "airflow", "name": job}, "inputs": [], "outputs": [],
    }  # fmt: skip


def parent(run: str, job: str, root: str | None = None) -> dict[str, Any]:
    first = {"root": {"run": {"runId": root}, "job": {"namespace": "airflow", "name": "dag"}}} if root else {}
    return {"run": {"runId": run}, "job": {"namespace": "airflow", "name": job}, **first}


async def shown(mirror: Mirror, columns: str, view: str = "v1_runs") -> list[Any]:
    return await mirror.all(f"SELECT {columns} FROM {view} ORDER BY job_name, 1")


async def test_a_run_is_shown_with_what_started_it_its_times_and_why_it_failed(mirror: Mirror) -> None:
    nominal = {"nominalStartTime": "2026-05-10T00:00:00Z", "nominalEndTime": "2026-05-11T00:00:00Z"}
    await take(
        mirror,
        run_event("START", 10, parent=parent(PARENT, "dag.task", ROOT), nominalTime=nominal, job="dag.task.query"),
        run_event(
            "FAIL", 15, errorMessage={"message": "it broke", "programmingLanguage": "python"}, job="dag.task.query"
        ),
    )

    names = (
        "job_namespace, job_name, state, error, parent_run_id, parent_job_name, root_run_id, root_job_name, came_from"
    )
    assert await shown(mirror, names) == [
        ("airflow", "dag.task.query", "FAILED", "it broke", PARENT, "dag.task", ROOT, "dag", "airflow")
    ]
    ((started, ended, lasted, begins, ends),) = await shown(
        mirror, "started_at, ended_at, duration_s, nominal_start, nominal_end"
    )
    assert [str(moment)[17:19] for moment in (started, ended)] == ["10", "15"]
    assert [str(moment)[8:10] for moment in (begins, ends)] == ["10", "11"]
    assert abs(float(lasted) - 5) < 0.01


async def test_a_run_that_fell_silent_is_lost_until_it_is_heard_of_again(mirror: Mirror) -> None:
    recent = {"eventTime": (datetime.now(UTC) - timedelta(hours=23)).isoformat()}
    await take(
        mirror, run_event("START"), run_event("RUNNING", run=PARENT, job="other") | recent,
        run_event("COMPLETE", run=ROOT, job="done"),
    )  # fmt: skip
    assert [row[0] for row in await shown(mirror, "state")] == ["RUNNING", "COMPLETED", "RUNNING"]
    for number in (1, 0):
        assert await note_lost_runs(mirror.store, RetentionSettings()) == number
    states = "state, job_name"
    assert await shown(mirror, states) == [("LOST", "dag.task"), ("COMPLETED", "done"), ("RUNNING", "other")]

    await take(mirror, run_event("RUNNING", 20))
    assert (await shown(mirror, states))[0][0] == "RUNNING", "it lives"
    assert await note_lost_runs(mirror.store, RetentionSettings()) == 1
    assert (await shown(mirror, states))[0][0] == "LOST"
    await take(mirror, run_event("COMPLETE", 25))
    assert (await shown(mirror, states))[0][0] == "COMPLETED"
    assert await note_lost_runs(mirror.store, RetentionSettings(runs_lost_s=60.0)) == 1, "the one of 23 hours ago"


async def test_jobs_are_counted_by_the_outcome_of_their_runs(mirror: Mirror) -> None:
    for number, end in enumerate(["COMPLETE", "FAIL", "COMPLETE", "ABORT"]):
        run = f"{RUN[:-1]}{'abcd'[number]}"
        start = run_event("START", 10 + 10 * number, run, parent=parent(PARENT, f"dag{number}"))
        await take(mirror, start, run_event(end, 12 + 11 * number, run))
    await take(mirror, run_event("START", 59, ROOT, job="other"), run_event("OTHER", 59, PARENT, job="other"))
    await take(
        mirror, {"eventTime": "2026-05-10T15:04:10Z", "producer": "urn:x", "job": {"namespace": "a", "name": "j"}}
    )

    counted = "job_name, runs, completed, failed, aborted, running, lost"
    assert [tuple(map(str, row)) for row in await shown(mirror, counted, "v1_run_jobs")] == [
        ("dag.task", "4", "2", "1", "1", "0", "0"), ("other", "2", "0", "0", "0", "1", "0"),
    ]  # fmt: skip
    ((_, *last),) = await mirror.all(
        "SELECT job_name, last_run_id, last_state, parent_job_name, last_completed_at, last_failed_at, last_duration_s"
        " FROM v1_run_jobs WHERE job_name = 'dag.task'"
    )
    assert last[:3] == [f"{RUN[:-1]}d", "ABORTED", "dag3"]
    assert [str(moment)[17:19] for moment in last[3:5]] == ["34", "45"]
    assert abs(float(last[5]) - 5) < 0.01


async def test_what_is_told_of_a_run_goes_with_it(mirror: Mirror) -> None:
    await take(mirror, run_event("START"), run_event("COMPLETE", 15))
    await prune(mirror.store, RetentionSettings(lineage_s=86_400.0))
    assert await mirror.one("SELECT count(*) FROM run_facts") == 0
    assert await shown(mirror, "run_id") == []


# Any order.


@st.composite
def events(draw: st.DrawFn) -> Message:
    facets = {
        "parent": parent(draw(st.sampled_from([PARENT, ROOT])), "p", draw(st.sampled_from([None, ROOT]))),
        "nominalTime": {"nominalStartTime": draw(st.sampled_from(["2026-05-10T00:00:00Z", "2026-05-11T00:00:00Z"]))},
        "errorMessage": {"message": draw(st.sampled_from(["one", "another", "\x00\ud800"]))},
    }
    kept = draw(st.sets(st.sampled_from(sorted(facets))))
    state = draw(st.sampled_from(["START", "RUNNING", "COMPLETE", "FAIL", "OTHER"]))
    run, job = draw(st.sampled_from([RUN, ROOT])), draw(st.sampled_from(["a", "b"]))
    return message(run_event(state, draw(st.integers(10, 12)), run, job, **{name: facets[name] for name in kept}))


@st.composite
def ways(draw: st.DrawFn) -> Ways:
    return draw(in_two_orders(draw(st.lists(events(), min_size=2, max_size=8))))


async def mirrored(mirror: Mirror, way: list[list[Message]]) -> list[Any]:
    await mirror.clear()
    pipeline = mirror.pipeline()
    for batch in way:
        await pipeline.process(batch, Origin.LIVE)
    names = (
        "run_id, job_name, state, parent_run_id, root_run_id, error, duration_s, started_at, ended_at, nominal_start"
    )
    rows = await mirror.all(f"SELECT {names} FROM v1_runs ORDER BY 1")
    counted = await mirror.all("SELECT job_name, runs, last_run_id, last_state FROM v1_run_jobs ORDER BY 1")
    told = [
        (*row[:6], row[6] if row[6] is None else round(row[6]), *(str(moment)[8:19] for moment in row[7:]))
        for row in rows
    ]
    return [[(*row[:-3], *(word.replace("T", " ") for word in row[-3:])) for row in told], counted]


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(way=ways())
async def test_runs_are_the_same_in_any_order_on_either_store(both: list[Mirror], way: Ways) -> None:
    first = await mirrored(both[0], way[0])
    for mirror in both:
        for one in way:
            assert await mirrored(mirror, one) == first
