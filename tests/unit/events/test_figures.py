"""What profiles found of columns: the documented samples, and whatever else may come."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.events import load_of
from service.changes import ClassCandidate, ColumnFigures, Findings
from service.events import figures
from service.events.figures import findings_in
from service.text.documents import read

#: The document that IBM shows: what it is of, and two columns, one with numbers.
DOCUMENT: dict[str, Any] = {
    "summary": {"version": "1.9.3", "row_count": 2, "score": 1},
    "columns": [
        {"name": "Name", "value_analysis": {
            "distinct_count": 2, "null_count": 0, "empty_count": 0, "unique_count": 2, "max_value_frequency": 1,
            "min_string": "abc", "max_string": "def",
            "inferred_type": {"type": {"length": 3, "precision": 0, "scale": 0, "type": "STRING"}}}},
        {"name": "Number", "value_analysis": {
            "distinct_count": 2, "null_count": 0, "empty_count": 0, "unique_count": 2, "max_value_frequency": 1,
            "min_string": "123", "max_string": "456", "min_number": 123.0, "max_number": 456.0,
            "inferred_type": {"type": {"length": 3, "precision": 3, "scale": 0, "type": "INT16"}}}},
    ],
}  # fmt: skip


def _told(one: ColumnFigures) -> dict[str, Any]:
    return {name: value for name, value in msgspec.structs.asdict(one).items() if value is not None}


def _figures(**analysis: Any) -> ColumnFigures:
    return findings_in([{"name": "c", "value_analysis": analysis}]).figures[0]


def test_the_documented_document() -> None:
    found = findings_in(DOCUMENT["columns"], DOCUMENT["summary"]["row_count"])

    assert found.classes == ()
    assert [_told(one) for one in found.figures] == [
        {
            "column_name": "Name", "position": 1, "inferred_type": "STRING", "length": 3, "precision": 0, "scale": 0,
            "row_count": 2, "distinct_count": 2, "null_count": 0, "empty_count": 0, "unique_count": 2,
            "min_text": "abc", "max_text": "def", "max_frequency": 1,
        },
        {
            "column_name": "Number", "position": 2, "inferred_type": "INT16", "length": 3, "precision": 3, "scale": 0,
            "row_count": 2, "distinct_count": 2, "null_count": 0, "empty_count": 0, "unique_count": 2,
            "min_text": "123", "max_text": "456", "min_number": 123.0, "max_number": 456.0, "max_frequency": 1,
        },
    ]  # fmt: skip


def test_a_column_as_events_have_it() -> None:
    told = json.loads(load_of(1).samples[0].body)["state"]["entity"]["data_profile"]["columns"][0]
    analysis = told["value_analysis"]

    (one,), classes, _ = findings_in([told])

    assert classes == ()  # NoClassDetected is no class
    assert _told(one) == {
        "column_name": "COLUMN_00", "position": 1, "inferred_type": "varchar", "length": 8, "row_count": 5000,
        "distinct_count": analysis["distinct_count"], "null_count": analysis["null_count"],
        "unique_count": analysis["unique_count"], "min_number": analysis["min_value"],
        "max_number": analysis["max_value"], "mean": analysis["mean"], "data_class_code": "NoClassDetected",
        "confidence": 0.75,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("column", "chosen", "candidates"),
    [
        (
            {"column_classification": {"class_code": "EM", "class_name": "Email", "confidence": 0.9, "priority": 70}},
            ("EM", "Email", 0.9),
            [ClassCandidate("c", "EM", "Email", 0.9, 70, True)],
        ),
        (
            {"column_classification": [{"code": "EM"}, {"code": "US", "confidence": "0.5"}]},
            ("EM", None, None),
            [ClassCandidate("c", "EM", chosen=True), ClassCandidate("c", "US", None, 0.5)],
        ),
        (
            {"column_classifications": [{"code": "EM", "chosen": False}, {"code": "US", "chosen": True}]},
            ("US", None, None),
            [ClassCandidate("c", "EM"), ClassCandidate("c", "US", chosen=True)],
        ),
        (
            {"data_class": {"selected_data_class": {"id": "i", "name": "n"}, "suggested_data_classes": [{"id": "j"}]}},
            ("i", "n", None),
            [ClassCandidate("c", "i", "n", chosen=True), ClassCandidate("c", "j")],
        ),
        ({"column_classification": {"class_code": "NoClassDetected"}}, ("NoClassDetected", None, None), []),
        ({"column_classification": {"class_code": ""}}, (None, None, None), []),
        ({"column_classification": 7, "data_class": []}, (None, None, None), []),
    ],
)
def test_classes_wherever_they_stand(column: Any, chosen: tuple[Any, ...], candidates: list[ClassCandidate]) -> None:
    (one,), classes, _ = findings_in([{"name": "c", "value_analysis": {}, **column}])

    assert (one.data_class_code, one.data_class, one.confidence) == chosen
    assert list(classes) == candidates


@pytest.mark.parametrize(
    ("told", "expected", "unread"),
    [
        (7, 7, None),
        (7.0, 7, None),
        ("7", 7, None),
        ("1.5e3", 1500, None),
        (1e3, 1000, None),
        (2**63 - 1, 2**63 - 1, None),
        (2**63, None, "null_count"),
        (-1, None, "null_count"),
        (0.5, None, "null_count"),
        ("many", None, "null_count"),
        ("NaN", None, "null_count"),
        ("Infinity", None, "null_count"),
        (True, None, "null_count"),
        ([], None, "null_count"),
        (None, None, None),
    ],
)
def test_counts_in_any_form(told: Any, expected: int | None, unread: str | None) -> None:
    one = _figures(null_count=told, distinct_count=3)

    assert (one.null_count, one.unread) == (expected, unread)
    assert one.distinct_count == 3


@pytest.mark.parametrize("told", ["NaN", "nan", "-inf", "Infinity", "1e999", 10**400, [], {}, True])
def test_what_is_no_number_is_named(told: Any) -> None:
    one = _figures(mean=told, stddev=1.5, max_value_frequency=2)
    assert (one.mean, one.unread, one.stddev, one.max_frequency) == (None, "mean", 1.5, 2)


def test_a_number_beyond_a_double_is_named() -> None:
    column = read(b'[{"name": "c", "value_analysis": {"mean": 1e999, "min_number": 1e-999, "null_count": 1e3}}]', 64)
    (one,), _, _ = findings_in(column)
    assert (one.mean, one.unread, one.min_number, one.null_count) == (None, "mean", 0.0, 1000)


def test_values_that_are_texts_are_texts() -> None:
    one = _figures(min_value="abc", max_value="abd", total_count=4)
    assert (one.min_text, one.max_text, one.min_number, one.unread) == ("abc", "abd", None, None)


def test_columns_of_one_name_and_of_none_are_told_apart() -> None:
    names = ["a", "a", "a (2)", "a", "", None, 7, "#5"]
    columns = [{"name": name, "column_classification": {"class_code": "EM"}} for name in names]

    found = findings_in([*columns, "no column", None])

    expected = ["a", "a (2)", "a (2) (2)", "a (3)", "#5", "#6", "7", "#5 (2)"]
    assert [one.column_name for one in found.figures] == expected
    assert [one.column for one in found.classes] == expected


@pytest.mark.parametrize("told", [None, [], {}, "columns", 7, {"name": "c"}])
def test_what_is_no_list_of_columns_tells_nothing(told: Any) -> None:
    assert findings_in(told) == Findings()


plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=3),
    st.sampled_from(["7", "-1", "1e3", "NaN", "[redacted]", ""]), st.just([]), st.just({}),
)  # fmt: skip
types = st.one_of(
    plain, st.fixed_dictionaries({}, optional=dict.fromkeys(("type", "length", "precision", "scale"), plain))
)
analysis = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(figures._Analysis.__struct_fields__, plain),
        "inferred_type": st.one_of(types, st.builds(lambda inner: {"type": inner}, types)),
        "another": plain,
    },
)  # fmt: skip
classes = st.one_of(
    plain, st.fixed_dictionaries({}, optional=dict.fromkeys((*figures._Class.__struct_fields__, "code"), plain))
)
columns = st.fixed_dictionaries(
    {},
    optional={
        **{name: st.one_of(plain, classes) for name in figures._Column.__struct_fields__},
        "name": st.one_of(plain, st.just("c")),
        "value_analysis": st.one_of(analysis, analysis, plain),
    },
)


@given(columns, st.one_of(st.none(), st.integers(0, 9)))
def test_both_ways_of_reading_a_column_say_the_same(column: dict[str, Any], rows: int | None) -> None:
    quick, quick_classes = figures._found(column, 1, rows)
    careful, careful_classes = figures._unusual(column, 1, rows)

    assert msgspec.structs.asdict(quick) == msgspec.structs.asdict(careful)
    assert list(quick_classes) == list(careful_classes)


def test_the_usual_column_is_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> Any:
        raise AssertionError("read the other way")

    monkeypatch.setattr(figures, "_unusual", slow)
    state = json.loads(load_of(1).samples[0].body)["state"]
    assert len(findings_in(state["entity"]["data_profile"]["columns"]).figures) == 6
