"""What differs between two bodies: nothing is left out, nothing is made up, and what is large ends."""

from __future__ import annotations

import json
import time
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from service.operations import differences as module
from service.operations.dead_letters import pretty
from service.operations.differences import CONTEXT, differences

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=20,
)


def told(before: Any, after: Any) -> list[tuple[str, str]]:
    lines = differences(json.dumps(before).encode(), json.dumps(after).encode(), 64)
    return [(line.what, line.text) for line in lines]


@given(values, values)
def test_a_change_takes_the_old_lines_to_the_new_ones(before: Any, after: Any) -> None:
    old, new = (json.dumps(value, sort_keys=True, indent=2, ensure_ascii=False) for value in (before, after))
    lines = told(before, after)
    assert (lines == []) is (json.loads(old) == json.loads(new) and old == new)
    if lines:
        skipped = sum(int(text.split()[0]) for what, text in lines if what == "skipped")
        count = {kind: sum(what == kind for what, _ in lines) for kind in ("same", "removed", "added")}
        assert count["same"] + skipped + count["removed"] == len(lines_of(before))
        assert count["same"] + skipped + count["added"] == len(lines_of(after))


def lines_of(value: Any) -> list[str]:
    return module._lines(json.dumps(value).encode(), 64)


def test_a_changed_field_is_shown_with_what_stands_around_it() -> None:
    before = {f"n{number:02d}": number for number in range(20)}
    lines = told(before, before | {"n10": "ten"})
    assert [text.strip() for what, text in lines if what == "removed"] == ['"n10": 10,']
    assert [text.strip() for what, text in lines if what == "added"] == ['"n10": "ten",']
    assert [what for what, _ in lines].count("same") == 2 * CONTEXT
    assert [text for what, text in lines if what == "skipped"] == ["8 lines are the same", "7 lines are the same"]


def test_of_json_the_order_of_names_says_nothing_and_numbers_keep_their_digits() -> None:
    assert differences(b'{"b": 1, "a": 2}', b'{"a":2,"b":1}', 64) == []
    (removed, added) = [line for line in differences(b"[1e400]", b"[2e400]", 64) if line.what in ("removed", "added")]
    assert (removed.text.strip(), added.text.strip().upper()) == ("1E+400", "2E+400")


def test_what_is_no_json_is_compared_as_text() -> None:
    lines = differences(b"one\ntwo \xff", b"one\n{}", 64)
    assert [(line.what, line.text) for line in lines] == [("same", "one"), ("removed", "two \\xff"), ("added", "{}")]


def test_large_bodies_that_share_nothing_are_told_at_once() -> None:
    old, new = (json.dumps([f"{letter}{number}" for number in range(30_000)]).encode() for letter in "ab")
    started = time.monotonic()
    lines = differences(old, new, 64)
    assert time.monotonic() - started < 5
    assert len(lines) == 60_000 + 2


def test_lines_that_repeat_cost_no_more() -> None:
    old, new = (json.dumps([f"a{number % 3 % share}" for number in range(4_900)]).encode() for share in (2, 3))
    started = time.monotonic()
    assert differences(old, new, 64)
    assert time.monotonic() - started < 5


def test_a_body_is_shown_over_several_lines_as_it_is() -> None:
    assert pretty(b'{"b":1.50,"a":1e400}') == '{\n  "b": 1.50,\n  "a": 1e400\n}'
    assert pretty(b"no \xff json") == "no \\xff json"
