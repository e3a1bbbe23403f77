"""Values of people's tables are hidden as settings say, wherever a profile stands; nothing else is touched."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.events import load_of
from service.text.principals import Principals
from service.text.privacy import Privacy, clean_body
from service.text.profile_values import ProfileValues, profile_values_in_bytes, without_profile_values
from service.text.redaction import BLANK

ANNA = "anna@example.com"
COLUMN: dict[str, Any] = {
    "name": "email", "type": {"type": "varchar", "length": 9}, "description": "Where to write to",
    "column_classification": {"class_code": "EM", "class_name": "Email"},
    "value_analysis": {
        "distinct_count": 2, "null_count": "3", "min_string": ANNA, "max_string": "zoe", "min_number": 1, "mean": "2.5",
        "stddev": "1e3x",
        "max_value_frequency": 9, "empty_count": 0, "min_value": "", "inferred_type": {"type": {"type": "STRING"}},
        "value_distribution": {"values": [{"value": ANNA, "count": 2}], "bins": [{"min": 1, "max": 5, "count": 7}]},
        "frequencies": {ANNA: 5, "zoe": 4}, "formats": [ANNA, 1, None, True],
    },
    "samples": [ANNA, 17],
}  # fmt: skip
NUMBERS: dict[str, Any] = {
    **COLUMN,
    "value_analysis": {
        **COLUMN["value_analysis"], "min_string": BLANK, "max_string": BLANK, "stddev": BLANK,
        "value_distribution": {"values": [{"value": BLANK, "count": 2}], "bins": [{"min": 1, "max": 5, "count": 7}]},
        "frequencies": {BLANK: 5, f"{BLANK} (2)": 4}, "formats": [BLANK, 1, None, True],
    },
    "samples": [BLANK, 17],
}  # fmt: skip
NONE: dict[str, Any] = {
    **COLUMN,
    "value_analysis": {
        **NUMBERS["value_analysis"], "min_number": BLANK, "mean": BLANK,
        "value_distribution": {
            "values": [{"value": BLANK, "count": 2}], "bins": [{"min": BLANK, "max": BLANK, "count": 7}],
        },
        "frequencies": {BLANK: BLANK, f"{BLANK} (2)": BLANK}, "formats": [BLANK, BLANK, None, True],
    },
    "samples": [BLANK, BLANK],
}  # fmt: skip
HIDDEN = {ProfileValues.ALL: COLUMN, ProfileValues.NUMBERS: NUMBERS, ProfileValues.NONE: NONE}


def _profile(*columns: Any) -> dict[str, Any]:
    return {"metadata": {"guid": "p1"}, "entity": {"data_profile": {"columns": list(columns), "options": {"n": 1}}}}


PLACES: dict[str, Any] = {
    "message": lambda *columns: {"state": _profile(*columns), "details": {"profile_id": "p1"}},
    "answer": _profile,
    "listing": lambda *columns: {"resources": [_profile(*columns), _profile()]},
    "card": lambda *columns: {"entity": {"data_profile": {"p1": _profile(*columns), "attribute_classes": ["EM"]}}},
}


@pytest.mark.parametrize("mode", list(ProfileValues))
@pytest.mark.parametrize("place", PLACES)
def test_values_are_hidden_where_profiles_stand(place: str, mode: ProfileValues) -> None:
    told, before = PLACES[place](COLUMN, "odd", None), json.dumps(COLUMN)

    assert without_profile_values(told, mode) == PLACES[place](HIDDEN[mode], "odd", None)
    assert json.dumps(COLUMN) == before


def test_what_hides_nothing_is_the_same_object() -> None:
    for sample in load_of(20).samples:
        body = json.loads(sample.body)
        assert Privacy().hidden(body) is body
    odd: list[Any] = [
        None,
        [],
        "x",
        {"state": 7},
        {"entity": {"data_profile": {"columns": 7}}},
        {"state": [{"entity": 1}]},
    ]
    for value in odd:
        assert Privacy().hidden(value) is value


def test_a_column_of_the_card_that_is_named_like_one_is_left_alone() -> None:
    card = {
        "entity": {"data_asset": {"columns": [{"name": "c", "samples": ["x"]}]}, "column_info": {"data_profile": 7}}
    }
    assert without_profile_values(card, ProfileValues.NONE) is card


def test_in_a_letter_it_is_looked_for_everywhere() -> None:
    odd = {"states": [{"wrapped": _profile(COLUMN)}]}
    raw = json.dumps(odd).encode()

    body, blanked = clean_body(raw, 64, Privacy())

    assert blanked
    assert json.loads(body) == {"states": [{"wrapped": _profile(NUMBERS)}]}
    assert clean_body(raw, 64, Privacy(profile_values=ProfileValues.ALL)) == (raw, False)


@pytest.mark.parametrize("cut", [40, 3, 1])
def test_of_bytes_that_do_not_parse_the_figures_go(cut: int) -> None:
    whole = json.dumps({"state": _profile(COLUMN, {**COLUMN, "samples": []})}).encode()
    escaped = json.dumps(json.dumps({"value_analysis": {"min_string": ANNA, "x": ["}"]}, "kept": 1})).encode()

    for body in (whole[:-cut], escaped[:-1]):
        clean, blanked = clean_body(body, 64, Privacy())
        assert blanked
        assert b"min_string" not in clean
        assert clean.count(b"value_analysis") == body.count(b"value_analysis")


@given(st.binary(max_size=80), st.sampled_from(list(ProfileValues)), st.sampled_from(list(Principals)))
def test_any_bytes_can_be_searched(noise: bytes, mode: ProfileValues, principals: Principals) -> None:
    body = b'{"value_analysis": {"a": ' + noise
    clean = profile_values_in_bytes(body, mode)
    assert (clean == body) == (mode is ProfileValues.ALL)
    clean_body(noise, 64, Privacy(principals, mode))


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=4)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)),
    max_leaves=8,
)


def _texts(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [*value, *(text for member in value.values() for text in _texts(member))]
    if isinstance(value, list):
        return [text for member in value for text in _texts(member)]
    return [value] if isinstance(value, str) else []


@given(values)
def test_no_text_below_a_figure_is_left(value: Any) -> None:
    profile = _profile({"name": "c", "value_analysis": {"anything": value}})

    hidden = without_profile_values(profile, ProfileValues.NUMBERS)

    (column,) = hidden["entity"]["data_profile"]["columns"]
    known = {"value", "values", "min", "max", "mean", "median", "sum", "stddev", "variance", "bins", "", "count"}
    for text in _texts(column["value_analysis"]["anything"]):
        assert text.startswith(BLANK) or text in known or text.endswith(("count", "ratio", "length", "percent"))
