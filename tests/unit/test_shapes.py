"""Shapes of JSON: paths and types are told, values never, and memory is bounded."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.text import shapes
from service.text.shapes import Shapes, Tally, key_shape

BODY = {"state": {"owner": "u1", "rows": 3, "tags": ["x", None], "column_info": {"CUSTOMER": {"q": 1.5}}}, "ok": True}


def learnt(*values: Any, every: int = 1) -> Tally:
    known = Shapes(every)
    for value in values:
        if known.wants("t"):
            known.learn("t", value)
    return known.take().get("t", Tally())


def test_paths_are_told_with_their_types_and_how_often_they_stood() -> None:
    assert learnt(BODY, {"ok": None}).seen == {
        ("state", "object"): 1, ("state.owner", "text"): 1, ("state.rows", "number"): 1, ("state.tags", "list"): 1,
        ("state.tags[]", "text"): 1, ("state.tags[]", "null"): 1, ("state.column_info", "object"): 1,
        ("state.column_info.*", "object"): 1, ("state.column_info.*.q", "number"): 1, ("ok", "truth"): 1,
        ("ok", "null"): 1,
    }  # fmt: skip


def test_one_in_so_many_is_looked_at_and_the_first_always() -> None:
    assert learnt(*[BODY] * 11, every=5).samples == 3
    assert learnt(BODY, every=5).samples == 1
    assert learnt(BODY, every=0).samples == 0


@pytest.mark.parametrize("name", ["7f3a9c2e-1111-4222-8333-abcdefabcdef", "20260510", "a name", "x" * 80, ""])
def test_names_that_people_or_machines_made_up_are_told_as_stars(name: str) -> None:
    assert set(learnt({"a": {name: 1}}).seen) == {("a", "object"), ("a.*", "number")}


def test_an_object_with_many_names_is_a_map_in_one_value_or_in_all_of_them() -> None:
    assert len(learnt({"a": {f"n{chr(97 + n // 26)}{chr(97 + n % 26)}": 1 for n in range(60)}}).seen) == 2
    one_each = [{"a": {f"n{chr(97 + n // 26)}{chr(97 + n % 26)}": 1}} for n in range(200)]
    assert len(learnt(*one_each).seen) <= shapes.MAP_NAMES_EVER + 2


def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shapes, "MAX_KEYS", 10)
    known = Shapes(1)
    for number in range(50):
        known.learn(f"source {number}", BODY)
    assert sum(len(tally.seen) for tally in known.take().values()) == 10


def test_what_could_not_be_kept_is_taken_again() -> None:
    known = Shapes(1)
    known.learn("t", {"a": 1})
    taken = known.take()
    known.learn("t", {"a": 1, "b": 2})
    known.give_back(taken)

    tally = known.take()["t"]
    assert (tally.samples, tally.seen) == (2, {("a", "number"): 2, ("b", "number"): 1})
    assert set(tally.examples) == {("a", "number"), ("b", "number")}


def test_keys_of_topics_are_told_without_ids() -> None:
    assert key_shape(("v2", "data_profiles", "7f3a-22", "POST")) == "v2.data_profiles.*.POST"
    assert key_shape(("v3", "gss", "x9", "")) == "v3.gss.*.*"


secrets = st.text(alphabet="QZ", min_size=6, max_size=12)
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), secrets),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4), st.dictionaries(st.text(alphabet="abc_- .1", max_size=12), inner, max_size=5)
    ),
    max_leaves=30,
)


@given(values)
def test_no_value_is_ever_told_whatever_comes(value: Any) -> None:
    tally = learnt({"top": value})
    told = json.dumps([list(tally.seen), list(tally.examples.values())])
    assert "QQ" not in told
    assert "ZZ" not in told
    assert all(len(one) <= 500 for one in tally.examples.values())
    assert max(tally.seen.values()) == 1, "each path counts once in a sample"
