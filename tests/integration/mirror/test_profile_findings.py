"""What a profile found is asked for in SQL, on either store: the current profile's, whatever the order of events."""

from __future__ import annotations

import itertools
import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import Origin, ProfileSaved
from service.events.message import Message
from service.mirror import rows as planned
from service.mirror.described import VIEWS
from service.mirror.rebuild import rebuild
from service.pipeline.committing import Fate
from service.settings.model import PipelineSettings
from service.text.profile_values import ProfileValues

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror


def column(name: str = "email", code: str = "EM", **analysis: Any) -> dict[str, Any]:
    """A column of a profile, with figures."""
    told = {"total_count": 200, "distinct_count": 50, "null_count": 20, "min_string": "anna", **analysis}
    classified = {"class_code": code, "class_name": code.title(), "confidence": 0.75, "priority": 70}
    return {"name": name, "value_analysis": told, "column_classification": classified}


def profiled(
    events: Events,
    *columns: Any,
    profile_id: str = "p1",
    asset_id: str = "a1",
    at: str = "2026-05-10T15:04:15Z",
    **profile: Any,
) -> Message:
    """The message of a profile with these columns; `profile` are other members of it."""
    inner = {"columns": list(columns), "execution": {"status": "finished", "dataflow_run_id": "r1"}, **profile}
    metadata = {"guid": profile_id, "dataset_id": asset_id, "catalog_id": "c1", "created_at": at}
    details = {"profile_id": profile_id, "dataset_id": asset_id, "catalog_id": "c1"}
    state = {"metadata": metadata, "entity": {"data_profile": inner}}
    return events.profile(profile_id, published=at, state=state, details=details)


async def _rows(mirror: Mirror) -> list[Any]:
    query = (
        "SELECT profile_id, column_name, null_ratio, data_class FROM v1_profile_columns ORDER BY profile_id, position"
    )
    return await mirror.all(query)


async def _classes(mirror: Mirror) -> list[Any]:
    return await mirror.all("SELECT profile_id, column_name, class_code FROM v1_profile_classes ORDER BY 1, 2, 3")


COUNTS = ("total_count", "row_count", "distinct_count", "null_count", "empty_count", "unique_count")
NUMBERS = ("min_number", "max_number", "min_value", "max_value", "mean", "stddev")


def columns_with(*odd: Any) -> st.SearchStrategy[dict[str, Any]]:
    """Columns as most are told, but that a value may be one of these."""
    counts = st.sampled_from([0, 3, 7, 2**63 - 1, *odd])
    small = st.sampled_from([-3, 8, 2**31 - 1, *odd])
    numbers = st.one_of(
        st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False, allow_infinity=False), st.sampled_from([0.1, *odd])
    )
    texts = st.sampled_from(["[redacted]", "a", '"', "Größe 😀", *odd])
    names = st.sampled_from([*"abcdefghijk", *odd])
    classes = {"class_code": st.sampled_from(["EM", "NoClassDetected", *odd])}
    told_of_class = {"class_name": texts, "confidence": numbers, "priority": small}
    of_type = dict.fromkeys(("length", "precision", "scale"), small) | {"type": texts, "count": counts}
    analysis = {
        **dict.fromkeys((*COUNTS, "max_value_frequency"), counts), **dict.fromkeys(NUMBERS, numbers),
        "inferred_type": st.fixed_dictionaries({}, optional=of_type), "min_string": texts, "max_string": texts,
        "unknown": texts,
    }  # fmt: skip
    return st.fixed_dictionaries(
        {"name": names, "value_analysis": st.fixed_dictionaries({}, optional=analysis)},
        optional={
            "column_classification": st.fixed_dictionaries(classes, optional=told_of_class),
            "column_name": texts,
        },
    )


usual = st.lists(columns_with(), min_size=1, max_size=3)
odd = st.lists(columns_with(None, "", "7", 1.5, True, 2**63, -1, "\x00", "\\u0000"), min_size=1, max_size=3)
lists = st.one_of(usual, usual, odd)


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(profiles=st.lists(lists, min_size=1, max_size=8))
async def test_figures_are_shown_the_same_whether_they_are_kept_or_read_in_the_document(
    mirror: Mirror, events: Events, profiles: list[list[Any]]
) -> None:
    options = {"settings": PipelineSettings(profile_values=ProfileValues.ALL)}
    messages = [
        profiled(events, *listed, profile_id=f"p{number}", asset_id=f"a{number}")
        for number, listed in enumerate(profiles)
    ]
    names = ", ".join(name for name in VIEWS["v1_profile_columns"].columns if name != "mirrored_at")
    shown = []
    for figures in (planned.figures_of, _kept):
        with pytest.MonkeyPatch.context() as patched:
            patched.setattr(planned, "figures_of", figures)
            await mirror.clear()
            await mirror.take(*messages, **options)
            shown.append(await mirror.all(f"SELECT {names} FROM v1_profile_columns ORDER BY profile_id, position"))

    assert repr(shown[0]) == repr(shown[1])  # which tells 1 from 1.0


def _kept(change: ProfileSaved) -> str | None:
    return planned.figures_text(change.findings.figures)


async def test_what_the_document_tells_the_usual_way_is_not_kept_twice(mirror: Mirror, events: Events) -> None:
    odd = column("odd", null_count="7")
    await mirror.take(profiled(events, column()), profiled(events, column(), odd, profile_id="p2", asset_id="a2"))

    kept = dict(await mirror.all("SELECT profile_id, figures FROM data_profiles"))
    assert kept["p1"] == planned.IN_DOCUMENT
    assert [one["column_name"] for one in json.loads(kept["p2"])] == ["email", "odd"]
    assert [row[:2] for row in await _rows(mirror)] == [("p1", "email"), ("p2", "email"), ("p2", "odd")]


@pytest.mark.parametrize(
    "number", ["1e-999", "2.5e-324", "5e-324", "1.7976931348623157e308", "1e999", "12345678901234567890"]
)
async def test_no_number_breaks_the_view(mirror: Mirror, events: Events, number: str) -> None:
    message = profiled(events, column(min_number=0.03125, max_value=0.03125))
    await mirror.take(Message(message.routing_key, message.body.replace(b"0.03125", number.encode())))

    shown = await mirror.one("SELECT min_number, max_number FROM v1_profile_columns")
    assert shown == (None, None) if number == "1e999" else shown == (float(number), float(number))


async def test_each_column_is_a_row(mirror: Mirror, events: Events) -> None:
    await mirror.take(
        profiled(events, column(), column("id", "NoClassDetected", mean="1.5", stddev="NaN", null_count=0))
    )

    assert await _rows(mirror) == [("p1", "email", 0.1, "Em"), ("p1", "id", 0, "Noclassdetected")]
    shown = await mirror.all(
        "SELECT asset_id, container_id, row_count, distinct_ratio, min_text, mean, stddev, unread, values_hidden,"
        " data_class_code, confidence FROM v1_profile_columns WHERE asset_id = 'a1' ORDER BY position"
    )
    assert shown == [
        ("a1", "c1", 200, 0.25, "[redacted]", None, None, None, True, "EM", 0.75),
        ("a1", "c1", 200, 0.25, "[redacted]", 1.5, None, "stddev", True, "NoClassDetected", 0.75),
    ]
    assert await _classes(mirror) == [("p1", "email", "EM")]


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_newest_state_counts_in_any_order(mirror: Mirror, events: Events, order: tuple[int, ...]) -> None:
    told = [
        profiled(events, column("a"), column("b"), at="2026-05-10T15:04:15Z"),
        profiled(events, column("b", "US"), at="2026-05-10T15:04:16Z"),
        profiled(events, column("b", "CH"), column("c", "NoClassDetected"), at="2026-05-10T15:04:17Z"),
    ]
    for place in order:
        await mirror.take(told[place])
        await mirror.take(told[order[0]])

    assert [row[1:] for row in await _rows(mirror)] == [("b", 0.1, "Ch"), ("c", 0.1, "Noclassdetected")]
    assert await _classes(mirror) == [("p1", "b", "CH")]


async def test_of_several_profiles_the_last_one_with_findings_is_current(mirror: Mirror, events: Events) -> None:
    await mirror.take(
        profiled(events, column("old"), profile_id="p1", at="2026-05-10T15:04:15Z"),
        profiled(events, column("new"), profile_id="p2", at="2026-05-11T15:04:15Z"),
        profiled(events, profile_id="p3", at="2026-05-12T15:04:15Z", execution={"status": "running"}),
    )
    assert [row[:2] for row in await _rows(mirror)] == [("p2", "new")]
    assert await _classes(mirror) == [("p2", "new", "EM")]

    await mirror.take(Message("v2.data_profiles.p2.DELETE", b'{"published": "2026-05-13T15:04:15Z", "details": {}}'))
    assert [row[:2] for row in await _rows(mirror)] == [("p1", "old")]
    assert await _classes(mirror) == [("p1", "old", "EM")]


async def test_of_a_private_asset_nothing_is_shown(mirror: Mirror, events: Events) -> None:
    await mirror.take(profiled(events, column()))
    await mirror.execute("UPDATE assets SET visibility_mode = 8")
    assert await _rows(mirror) == await _classes(mirror) == []


@pytest.mark.parametrize("mode", list(ProfileValues))
async def test_values_of_tables_are_kept_as_settings_say(mirror: Mirror, events: Events, mode: ProfileValues) -> None:
    settings = PipelineSettings(profile_values=mode)
    broken = profiled(events, column(min_string="anna-in-a-letter", mean=7.25), profile_id="")
    told = profiled(events, column(min_string="anna-in-a-row", mean=7.25))
    bad = Message("v2.data_profiles..PATCH", broken.body.replace(b'"profile_id": ""', b'"profile_id": 7'))

    outcome = await mirror.take(told, bad, settings=settings)

    assert outcome.fates == {Fate.APPLIED: 1, Fate.DEAD_LETTERED: 1}
    document = await mirror.one("SELECT document FROM data_profiles")
    letter = bytes(await mirror.one("SELECT body FROM dead_letters")).decode()
    row = await mirror.one("SELECT min_text, mean, values_hidden, null_count FROM v1_profile_columns")
    is_all, is_none = mode is ProfileValues.ALL, mode is ProfileValues.NONE
    assert ("anna-in-a-row" in document, "anna-in-a-letter" in letter) == (is_all, is_all)
    assert ("7.25" in document, "7.25" in letter) == (not is_none, not is_none)
    assert row == ("anna-in-a-row" if is_all else "[redacted]", None if is_none else 7.25, not is_all, 20)


async def test_odd_texts_arrive_on_either_store(mirror: Mirror, events: Events) -> None:
    odd = ['"quoted"', "back\\slash", "tab\tand\nline", "Größe 😀", "nul\x00 and half \ud83d", "it's"]
    settings = PipelineSettings(profile_values=ProfileValues.ALL)
    await mirror.take(profiled(events, *(column(name, name, min_string=name) for name in odd)), settings=settings)

    shown = [name.replace("\x00", "\ufffd").replace("\ud83d", "\ufffd") for name in odd]
    rows = await mirror.all("SELECT column_name, min_text, data_class_code FROM v1_profile_columns ORDER BY position")
    assert rows == [(name, name, name) for name in shown]
    assert {row[1:] for row in await _classes(mirror)} == {(name, name) for name in shown}


async def test_a_hundred_thousand_columns_of_one_name(mirror: Mirror, events: Events) -> None:
    many = [{"name": "c", "value_analysis": {"null_count": number}} for number in range(100_000)]

    assert (await mirror.take(profiled(events, *many))).fates == {Fate.APPLIED: 1}

    query = "SELECT count(*), count(DISTINCT column_name), sum(null_count) FROM v1_profile_columns"
    assert await mirror.one(query) == (100_000, 100_000, sum(range(100_000)))


async def test_rebuilding_makes_the_same_of_the_documents(mirror: Mirror, events: Events) -> None:
    await mirror.take(profiled(events, column(), column("id", "US")))
    before = (await _rows(mirror), await _classes(mirror))
    await mirror.execute("UPDATE data_profiles SET figures = NULL, run_id = NULL", "DELETE FROM profile_classes")
    assert await _rows(mirror) == await _classes(mirror) == []

    assert [kind async for kind, _ in rebuild(mirror.store, everything=True)].count("data_profile") == 1

    assert (await _rows(mirror), await _classes(mirror)) == before
    assert await mirror.one("SELECT run_id FROM data_profiles") == "r1"


async def test_a_card_tells_the_same_as_the_event(mirror: Mirror, events: Events) -> None:
    message = profiled(events, column())
    state = json.loads(message.body)["state"]
    card = {
        "metadata": {"asset_id": "a1", "asset_type": "data_asset", "catalog_id": "c1"},
        "entity": {"data_asset": {}, "data_profile": {"p1": state, "attribute_classes": ["EM"]}},
    }
    body = {"state": card, "published": "2026-05-10T15:04:15Z"}
    await mirror.pipeline().process([Message("v2.assets.a1.PATCH", json.dumps(body).encode())], Origin.LIVE)
    from_card = (await _rows(mirror), await _classes(mirror), await mirror.all("SELECT document FROM data_profiles"))

    await mirror.clear()
    await mirror.take(message)

    assert from_card == (
        await _rows(mirror),
        await _classes(mirror),
        await mirror.all("SELECT document FROM data_profiles"),
    )
    assert "anna" not in await mirror.one("SELECT document FROM data_profiles")
