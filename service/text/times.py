"""Times as the catalog writes them, read into microseconds since 1970 (UTC).

Seen in the catalog's documents and messages (docs/contract.md, "Times"): ISO 8601 with and without a fraction and
with any offset form, and milliseconds as integers, floats, scientific notation and text.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from service.errors import FieldInvalid

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
#: Smaller numbers are seconds: as milliseconds they would lie before March 1973.
SMALLEST_MILLISECONDS = 100_000_000_000
_FIRST_US = (datetime(1, 1, 2, tzinfo=UTC) - EPOCH) // _MICROSECOND
_LAST_US = (datetime(9999, 12, 30, tzinfo=UTC) - EPOCH) // _MICROSECOND


def read_time(value: Any, field: str) -> int | None:
    """Microseconds since 1970, or None for a missing time: null, or the number 0 that stands for "not set".

    Raises:
        FieldInvalid: the value is no time.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _from_text(value, field)
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return _from_number(value, field)
    raise FieldInvalid(field=field, problem=f"{type(value).__name__} is no time")


def _from_text(text: str, field: str) -> int | None:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return _from_digits(text, field)
    if len(text) > 8 and text.isdigit():  # fromisoformat would read digits alone as a date
        return _from_digits(text, field)
    try:
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        return _checked((moment - EPOCH) // _MICROSECOND, text, field)
    except OverflowError:
        raise _unreadable(text, field) from None


def _from_digits(text: str, field: str) -> int | None:
    try:
        number = Decimal(text if len(text) <= 40 and text.isascii() and "_" not in text else "NaN")
    except ArithmeticError:
        number = Decimal("NaN")
    if not number.is_finite():
        raise _unreadable(text, field)
    return _from_number(number, field)


def _from_number(value: float | Decimal, field: str) -> int | None:
    number = Decimal(value)
    if number.is_zero():
        return None
    if number.is_nan():
        raise _unreadable(value, field)
    # Compared without arithmetic, in which 1E9999999 would overflow.
    if not -_LAST_US <= number <= _LAST_US:
        raise _unreadable(value, field)
    unit = 1_000 if abs(number) >= SMALLEST_MILLISECONDS else 1_000_000
    return _checked(int(number * unit), value, field)


def _checked(at_us: int, value: Any, field: str) -> int:
    if not _FIRST_US <= at_us <= _LAST_US:
        raise _unreadable(value, field)
    return at_us


def _unreadable(value: Any, field: str) -> FieldInvalid:
    return FieldInvalid(field=field, problem=f"{str(value)[:60]!r} is no time")


def to_datetime(at_us: int) -> datetime:
    """The same moment as a `datetime` in UTC."""
    return EPOCH + timedelta(microseconds=at_us)


def from_datetime(moment: datetime) -> int:
    """Microseconds since 1970 of an aware `datetime`."""
    return (moment - EPOCH) // _MICROSECOND


def to_iso_milliseconds(at_us: int) -> str:
    """`2026-05-10T15:04:15.000Z`: how lineage events carry their time."""
    moment = to_datetime(at_us // 1000 * 1000)
    return moment.replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
