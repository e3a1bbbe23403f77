"""Rows of tables: each column is said by its name, once."""

from __future__ import annotations

import pytest

from service.mirror.tables import STATE, STATES, assets, key_of, row_of, written


def test_a_row_that_forgets_a_column_or_makes_one_up_is_none() -> None:
    whole = dict.fromkeys(written(assets))
    assert row_of(assets)(**whole)._asdict() == whole
    with pytest.raises(TypeError, match="owner_id"):
        row_of(assets)(**{name: None for name in whole if name != "owner_id"})
    with pytest.raises(TypeError, match="colour"):
        row_of(assets)(**whole, colour="red")


def test_what_is_not_said_of_a_thing_that_is_only_referred_to_is_not_known() -> None:
    row = row_of(assets, partly=True)("a1", version=b"v")
    assert {name: value for name, value in row._asdict().items() if value is not None} == {
        "asset_id": "a1",
        "version": b"v",
    }


@pytest.mark.parametrize("kind", STATES)
def test_a_state_begins_with_its_key_and_ends_with_what_every_state_has(kind: str) -> None:
    names = written(STATES[kind])
    assert (names[0], names[-len(STATE) :]) == (key_of(STATES[kind]).name, STATE)
    assert {*names} | {"replaces", "mirrored_at", "mapping"} == {column.name for column in STATES[kind].c}
