"""Every time format that the catalog's documents show, and garbage."""

from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import FieldInvalid
from service.text.times import from_datetime, read_time, to_datetime, to_iso_milliseconds

FIRST, LAST = datetime(1, 1, 3), datetime(9999, 12, 29)  # noqa: DTZ001
moments = st.datetimes(FIRST, LAST, timezones=st.just(UTC))


def at(*parts: int) -> int:
    return from_datetime(datetime(*parts, tzinfo=UTC))  # type: ignore[misc,arg-type]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2015-05-10T15:04:15Z", at(2015, 5, 10, 15, 4, 15)),
        ("2018-11-12T15:32:53.902Z", at(2018, 11, 12, 15, 32, 53, 902_000)),
        ("2018-11-12T15:32:53.9Z", at(2018, 11, 12, 15, 32, 53, 900_000)),
        ("2018-11-12T15:32:53.123456789Z", at(2018, 11, 12, 15, 32, 53, 123_456)),
        ("2018-11-12T15:32:53", at(2018, 11, 12, 15, 32, 53)),
        ("2018-11-12T15:32:53-12", at(2018, 11, 13, 3, 32, 53)),
        ("2018-11-12T15:32:53.902+0130", at(2018, 11, 12, 14, 2, 53, 902_000)),
        ("2018-11-12T15:32:53.902+01:30", at(2018, 11, 12, 14, 2, 53, 902_000)),
        ("2018-11-12", at(2018, 11, 12)),
        (1529682109550, at(2018, 6, 22, 15, 41, 49, 550_000)),
        (1.52968210955e12, at(2018, 6, 22, 15, 41, 49, 550_000)),
        (Decimal("1.52968210955E12"), at(2018, 6, 22, 15, 41, 49, 550_000)),
        ("1529682109550", at(2018, 6, 22, 15, 41, 49, 550_000)),
        ("1.52968210955E12", at(2018, 6, 22, 15, 41, 49, 550_000)),
        (1529682109, at(2018, 6, 22, 15, 41, 49)),
        (None, None),
        (0, None),
        (0.0, None),
        ("0", None),
    ],
)
def test_a_format_of_the_catalog_is_read(value: Any, expected: int | None) -> None:
    assert read_time(value, "published") == expected


@given(moments, st.timedeltas(timedelta(hours=-14), timedelta(hours=14)))
def test_the_same_moment_in_any_offset_is_the_same_time(moment: datetime, offset: timedelta) -> None:
    zone = timezone(timedelta(minutes=offset // timedelta(minutes=1)))

    assert read_time(moment.astimezone(zone).isoformat(), "f") == from_datetime(moment)


@given(moments)
def test_a_lineage_time_is_read_back_to_the_millisecond(moment: datetime) -> None:
    at_us = from_datetime(moment)

    assert read_time(to_iso_milliseconds(at_us), "f") == at_us // 1000 * 1000
    assert len(to_iso_milliseconds(at_us)) == 24


@given(st.integers(100_000_000_000, 253_000_000_000_000))
def test_milliseconds_are_the_same_as_number_float_and_text(milliseconds: int) -> None:
    forms = [milliseconds, float(milliseconds), str(milliseconds), Decimal(milliseconds), f"{Decimal(milliseconds):E}"]

    assert {read_time(form, "f") for form in forms} == {milliseconds * 1000}


@given(moments)
def test_a_moment_survives_the_way_through_microseconds(moment: datetime) -> None:
    assert to_datetime(from_datetime(moment)) == moment


garbage = st.one_of(
    st.text(), st.from_regex(r"[0-9TZ:.+\-eE ]{0,30}"), st.booleans(), st.integers(), st.floats(), st.decimals(),
    st.lists(st.integers()), st.dictionaries(st.text(), st.text()), st.binary(),
)  # fmt: skip


@given(garbage)
@example(Decimal("1E9999999"))
@example("1E9999999")
@example(Decimal("1E-9999999"))
@example("9" * 5000)
@example("٣" * 8)
@example("0001-01-01T00:00:00+23:59")
@example("\ud800")
def test_anything_is_a_time_or_a_data_error(value: Any) -> None:
    with suppress(FieldInvalid):  # any other exception fails
        read = read_time(value, "state.created")
        assert read is None or isinstance(read, int)
        assert read is None or to_datetime(read).tzinfo is UTC


@pytest.mark.parametrize("value", ["", "soon", True, [], {}, "1E9999999", Decimal("1E9999999"), float("nan"), "24:00"])
def test_what_is_no_time_is_a_data_error_that_names_the_field(value: Any) -> None:
    with pytest.raises(FieldInvalid, match=r"state\.created"):
        read_time(value, "state.created")
