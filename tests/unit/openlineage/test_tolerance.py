"""What producers write that is no JSON, or no value."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import NestingTooDeep, NotJson
from service.openlineage import tolerance

DEPTH = 64
PLACEHOLDER = "<<non-serializable: Decimal>>"
_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from([PLACEHOLDER, "NaN", f" {PLACEHOLDER}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=12,
)


def expected(value: Any) -> Any:
    """By another way: members that cannot be said go, items become null."""
    if isinstance(value, dict):
        return {key: expected(member) for key, member in value.items() if not _unsaid(member)}
    if isinstance(value, list):
        return [None if _unsaid(item) else expected(item) for item in value]
    return value


def _doubles(value: Any) -> Any:
    """Numbers as doubles, as both sides may hold them otherwise."""
    return json.loads(json.dumps(value, default=float), parse_int=float, parse_float=float)


def _unsaid(value: Any) -> bool:
    return value == PLACEHOLDER or (isinstance(value, float) and not math.isfinite(value))


@given(st.dictionaries(st.text(max_size=3), _VALUES, max_size=4))
def test_what_pythons_own_encoder_writes_is_read_but_for_what_json_cannot_say(value: dict[str, Any]) -> None:
    found, told = tolerance.read(json.dumps(value).encode(), DEPTH)
    assert _doubles(found) == _doubles(expected(value))
    assert bool(told) == (expected(value) != value)


@pytest.mark.parametrize("body", [b'{"a": NaN', b'{"a": Nan}', b'{"a": undefined}', b"", b'{"a": +Infinity}'])
def test_what_is_no_json_otherwise_is_refused(body: bytes) -> None:
    with pytest.raises(NotJson):
        tolerance.read(body, DEPTH)


def test_nesting_is_bounded_there_too() -> None:
    with pytest.raises(NestingTooDeep):
        tolerance.read(b'{"n": NaN, "a": ' + b"[" * DEPTH + b"]" * DEPTH + b"}", DEPTH)
