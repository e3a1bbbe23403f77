"""Columns of a card: the quick way of reading them and the careful one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.catalog.ids import Ids
from sandbox.catalog.tables import make_tables
from service.events import columns
from service.events.columns import columns_in

plain = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.just(10**400), st.decimals(allow_nan=False),
    st.floats(allow_nan=False, allow_infinity=False), st.text(max_size=3), st.sampled_from(["", "7", "1e3", "true"]),
    st.lists(st.text(max_size=2), max_size=2), st.lists(st.integers(), max_size=1), st.just({}),
)  # fmt: skip
#: Values as most cards have them, with the largest and the smallest that a column holds.
text, truth = st.sampled_from(["x", "", None, "é"]), st.sampled_from([True, False, None])
small = st.one_of(st.none(), st.sampled_from([0, 1, 2**31 - 1, 2**31, -(2**31)]))
whole = st.one_of(small, st.sampled_from([2**63 - 1, 2**63, -(2**63) + 1, -(2**63)]))
fraction = st.one_of(whole, st.floats(allow_nan=False, allow_infinity=False))


def _object(**members: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(st.none(), st.fixed_dictionaries({}, optional=members | {"another": plain}))


def _told(of: Callable[[st.SearchStrategy[Any]], st.SearchStrategy[Any]]) -> st.SearchStrategy[tuple[Any, Any]]:
    """A list of columns and what is known of them, each value as `of` makes it of a usual one."""
    name = st.sampled_from(["c", "c", ""])
    type_ = _object(
        type=of(text), native_type=of(text), length=of(whole), scale=of(small), nullable=of(truth)
    )  # fmt: skip
    columns = st.lists(
        st.fixed_dictionaries({"name": of(name)}, optional={"position": of(small), "type": of(type_)}),
        min_size=1,
        max_size=3,
    )
    chosen = _object(selected_data_class=of(_object(id=of(text), name=of(text))))
    tags = st.one_of(st.none(), st.lists(text.filter(lambda one: one is not None), max_size=2))
    known = _object(
        column_description=of(text),
        column_tags=of(tags),
        data_class=of(chosen),
        quality=of(_object(score=of(fraction))),
    )
    return st.tuples(of(columns), st.dictionaries(name, of(known.filter(bool)), min_size=1))


usual = _told(lambda value: value)
odd = _told(lambda value: st.one_of(value, value, value, plain))


@given(st.one_of(usual, odd))
def test_both_ways_of_reading_columns_say_the_same(told: tuple[Any, dict[str, Any]]) -> None:
    assert columns_in(*told) == columns._unusual(*told)


def test_the_usual_columns_are_read_the_quick_way(monkeypatch: pytest.MonkeyPatch) -> None:
    def slow(*_: Any) -> Any:
        raise AssertionError("read the other way")

    monkeypatch.setattr(columns, "_unusual", slow)
    for table in make_tables(7, Ids(7), terms=9):
        assert [one.name for one in columns_in(table.columns, table.column_info)] == list(table.column_info)
