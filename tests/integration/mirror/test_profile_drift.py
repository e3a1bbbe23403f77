"""What changed from one run of profiling to the next: kept, compared and told, whatever the order of events."""

from __future__ import annotations

import itertools
import time
from typing import TYPE_CHECKING, Any

import pytest

from service.changes import ColumnFigures, DriftFound, Origin
from service.mirror.profiling.drift import Drift, between
from service.mirror.retention import prune
from service.pipeline.profile_watch import ProfileWatch
from service.settings.model import ProfilesSettings, RetentionSettings
from tests.integration.mirror.test_profile_findings import column, profiled

if TYPE_CHECKING:
    from service.events.message import Message
    from service.pipeline.committing import Outcome
    from tests.integration.conftest import Events, Mirror, Subscriber

AGE_S = 1e9


def run(events: Events, day: int, *columns: Any, run_id: str | None = None, **told: Any) -> Message:
    """The message of a run that ended on a day of May; each run has a profile of its own unless told otherwise."""
    execution = {"status": "finished", "dataflow_run_id": run_id or f"r{day}"}
    at = f"2026-05-{day:02d}T12:00:00Z"
    return profiled(events, *columns, at=at, **{"profile_id": f"p{day}", "execution": execution, **told})


async def take(mirror: Mirror, *messages: Message, subscribers: Any = ()) -> Outcome:
    pipeline = mirror.pipeline(*subscribers, watch=ProfileWatch(keeps_s=AGE_S))
    return await pipeline.process(messages, Origin.LIVE)


async def drift_of(mirror: Mirror) -> list[Any]:
    return await mirror.all(
        "SELECT column_name, change, before_text, after_text, before_number, after_number, is_crossed, run_id "
        "FROM v1_profile_drift ORDER BY change, column_name"
    )


def monday(events: Events) -> Message:
    return run(events, 4, column("email", "EM"), column("old"), column("id", "NoClassDetected", null_count=0))


def friday(events: Events) -> Message:
    return run(
        events, 8, column("email", "US", null_count=40, distinct_count=51), column("new", "NoClassDetected"),
        column("id", "NoClassDetected", null_count=0),
    )  # fmt: skip


EXPECTED = [
    ("new", "added", None, None, None, None, True, "r8"),
    ("email", "distinct", None, None, 0.25, 0.255, False, "r8"),
    ("old", "gone", None, None, None, None, True, "r8"),
    ("email", "nulls", None, None, 0.1, 0.2, True, "r8"),
    ("email", "reclassified", "EM", "US", None, None, True, "r8"),
]


async def test_the_newest_run_is_compared_with_the_one_before(mirror: Mirror, events: Events) -> None:
    assert (await take(mirror, monday(events))).drifts == []
    outcome = await take(mirror, friday(events))

    assert await drift_of(mirror) == EXPECTED
    assert [(drift.column, drift.change) for drift in outcome.drifts] == [
        ("email", "reclassified"), ("email", "nulls"), ("new", "added"), ("old", "gone"),
    ]  # fmt: skip
    query = "SELECT count(DISTINCT before_at), count(DISTINCT after_at), max(difference) FROM v1_profile_drift"
    assert (await mirror.one(query))[:2] == (1, 1)


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_late_and_repeated_events_change_nothing(mirror: Mirror, events: Events, order: tuple[int, ...]) -> None:
    told = [run(events, 1, column("x")), monday(events), friday(events)]
    for place in order:
        await take(mirror, told[place])
    for message in told:
        assert (await take(mirror, message)).drifts == []

    assert await drift_of(mirror) == EXPECTED
    history = "SELECT run_id, count(*), max(null_ratio) FROM v1_profile_history GROUP BY run_id ORDER BY run_id"
    assert await mirror.all(history) == [("r1", 1, 0.1), ("r4", 3, 0.1), ("r8", 3, 0.2)]


async def test_all_in_one_batch_end_the_same(mirror: Mirror, events: Events) -> None:
    outcome = await take(mirror, friday(events), run(events, 1, column("x")), monday(events))
    assert await drift_of(mirror) == EXPECTED
    assert len(outcome.drifts) == 4


async def test_a_change_of_the_profile_makes_no_new_run_of_an_old_one(mirror: Mirror, events: Events) -> None:
    await take(mirror, monday(events), friday(events))
    later = run(events, 9, column("email", "EM"), column("old"), column("id", "NoClassDetected", null_count=0),
                profile_id="p4", run_id="r4", options={"max_row_count": 7})  # fmt: skip
    assert (await take(mirror, later)).drifts == []
    assert await drift_of(mirror) == EXPECTED


async def test_of_a_run_that_is_told_again_the_newest_figures_count(mirror: Mirror, events: Events) -> None:
    await take(mirror, monday(events), friday(events))
    mended = run(events, 9, column("email", "EM"), column("old"), column("id", "NoClassDetected", null_count=0),
                 profile_id="p8", run_id="r8")  # fmt: skip
    await take(mirror, mended)
    assert await drift_of(mirror) == []


async def test_what_is_not_finished_is_no_run(mirror: Mirror, events: Events) -> None:
    for status in ("none", "submitted", "running", "failed", "cancelled"):
        await take(mirror, run(events, 5, column(), execution={"status": status}))
    assert await mirror.all("SELECT * FROM v1_profile_history") == []
    await take(mirror, run(events, 6, column(), execution={"status": "Finished"}))
    assert len(await mirror.all("SELECT * FROM v1_profile_history")) == 1


async def test_a_run_without_an_id_is_known_by_its_figures(mirror: Mirror, events: Events) -> None:
    for day, nulls in ((1, 20), (2, 20), (3, 60)):
        told: dict[str, Any] = {"profile_id": "p1", "execution": {"status": "finished"}}
        await take(mirror, run(events, day, column(null_count=nulls), **told))
    assert await mirror.one("SELECT count(DISTINCT run_id) FROM v1_profile_history") == 2
    assert [row[:2] for row in await drift_of(mirror)] == [("email", "nulls")]


async def test_targets_can_take_it(mirror: Mirror, events: Events, subscriber: type[Subscriber]) -> None:
    target = subscriber("webhook", lineage=False, wanted=(DriftFound,))
    for message in (monday(events), friday(events), friday(events), monday(events)):
        await take(mirror, message, subscribers=[target])

    rows = await mirror.all("SELECT entity_kind, entity_id, change FROM deliveries ORDER BY entity_id")
    assert rows == [
        ("profile_drift", "a1/added/new", "DriftFound"), ("profile_drift", "a1/gone/old", "DriftFound"),
        ("profile_drift", "a1/nulls/email", "DriftFound"), ("profile_drift", "a1/reclassified/email", "DriftFound"),
    ]  # fmt: skip


async def test_it_is_counted(mirror: Mirror, events: Events) -> None:
    pipeline = mirror.pipeline(watch=ProfileWatch(keeps_s=AGE_S))
    for message in (monday(events), friday(events)):
        await pipeline.process([message], Origin.LIVE)
    counted = {
        sample.labels["change"]: sample.value
        for metric in pipeline.metrics.profile_drift.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }
    assert counted == {"added": 1, "gone": 1, "nulls": 1, "reclassified": 1}


async def test_nothing_is_kept_unless_settings_say_so_and_no_longer_than_they_say(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(monday(events), friday(events))
    assert await mirror.all("SELECT * FROM profile_runs") == await drift_of(mirror) == []

    await take(mirror, monday(events), friday(events))
    assert await prune(mirror.store, RetentionSettings()) == {}
    # From the evening of Wednesday on; the catalog's days are as long ago as they are today.
    kept_s = time.time() - 1778090400
    assert await prune(mirror.store, RetentionSettings.model_validate({"profiles": kept_s})) == {"profile_runs": 1}
    assert await mirror.all("SELECT run_id FROM profile_runs") == [("r8",)]

    short = mirror.pipeline(watch=ProfileWatch(keeps_s=kept_s))
    await short.process([monday(events)], Origin.LIVE)
    assert await mirror.all("SELECT run_id FROM profile_runs") == [("r8",)]


def figures(**told: Any) -> ColumnFigures:
    return ColumnFigures("c", 1, **told)


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        ({}, {}, []),
        ({"inferred_type": "INT8"}, {"inferred_type": "INT16"}, [Drift("c", "retyped", "INT8", "INT16")]),
        ({"inferred_type": "INT8"}, {}, []),
        ({"data_class_code": "NoClassDetected"}, {}, []),
        ({"data_class_code": "EM"}, {"data_class_code": "NoClassDetected"}, [Drift("c", "reclassified", "EM")]),
        ({"row_count": 10, "null_count": 1}, {"row_count": 10}, []),
        ({"row_count": 10, "null_count": 11}, {"row_count": 10, "null_count": 1}, []),
        ({"row_count": 0, "null_count": 0}, {"row_count": 4, "null_count": 4}, [Drift("", "rows", None, None, 0, 4)]),
        ({"row_count": 100}, {"row_count": 149}, [Drift("", "rows", None, None, 100, 149, False)]),
        ({"row_count": 100}, {"row_count": 50}, [Drift("", "rows", None, None, 100, 50)]),
        (
            {"row_count": 100, "null_count": 10},
            {"row_count": 100, "null_count": 14},
            [Drift("c", "nulls", None, None, 0.1, 0.14, False)],
        ),
        (
            {"row_count": 100, "distinct_count": 10},
            {"row_count": 100, "distinct_count": 31},
            [Drift("c", "distinct", None, None, 0.1, 0.31)],
        ),
    ],
)
def test_what_counts_as_a_change(before: dict[str, Any], after: dict[str, Any], expected: list[Drift]) -> None:
    assert list(between([figures(**before)], [figures(**after)], ProfilesSettings())) == expected
