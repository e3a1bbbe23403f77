"""Looks values up in the catalog's JSON, forgiving where it is known to be loose.

Floats stand for integers, numbers and truth values come as text, nulls stand for what is missing (docs/contract.md,
"Cards"). What is looked up here decorates a row; the document keeps it as it came. So a value of an unfit type is no
value: one odd column must not cost the whole asset.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

from service.errors import FieldInvalid
from service.text.times import read_time

#: The largest integer that a column holds.
_MAX_INTEGER = 2**63 - 1
#: What may be a number.
_NUMBERS = (int, float, Decimal, str)

Path = tuple[str, ...]


def at(value: Any, path: Path) -> Any:
    """What lies at a path of objects; None where there is nothing."""
    for name in path:
        if not isinstance(value, dict):
            return None
        value = value.get(name)
    return value


def first(value: Any, paths: Sequence[Path]) -> Any:
    """The first of several places that says something."""
    for path in paths:
        found = at(value, path)
        if found not in (None, ""):
            return found
    return None


def mapping(value: Any) -> dict[str, Any]:
    """An object, or an empty one."""
    return value if isinstance(value, dict) else {}


def objects(value: Any) -> list[dict[str, Any]]:
    """The objects of a list."""
    if not value:
        return []
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: Any) -> str | None:
    """Text; numbers count as text, lists of texts are joined with commas."""
    if value is None or isinstance(value, str):
        return value or None
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        return str(value)
    return ",".join(texts(value)) or None if isinstance(value, list) else None


def texts(value: Any) -> tuple[str, ...]:
    """The texts of a list."""
    if not value:
        return ()
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def integer(value: Any) -> int | None:
    """A whole number, also as a float or as text; each of its digits counts."""
    if value is None or (type(value) is int and -_MAX_INTEGER <= value <= _MAX_INTEGER):
        return value
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    try:
        exact = Decimal(value)
    except InvalidOperation:
        return None
    if not exact.is_finite() or not -_MAX_INTEGER <= exact <= _MAX_INTEGER or exact != exact.to_integral_value():
        return None
    return int(exact)


def small(value: Any) -> int | None:
    """A whole number of 32 bits."""
    found = integer(value)
    return found if found is not None and abs(found) < 2**31 else None


def number(value: Any) -> float | None:
    """A finite number, also as text."""
    if isinstance(value, bool) or not isinstance(value, _NUMBERS):
        return None
    try:
        found = float(value)
    except (ValueError, OverflowError):
        return None
    return found if abs(found) < float("inf") else None


def truth(value: Any) -> bool | None:
    """A truth value, also as text."""
    if value is None or isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value.lower()) if isinstance(value, str) else None


def moment(value: Any) -> int | None:
    """Microseconds since 1970; None for what is no time."""
    try:
        return read_time(value, "")
    except FieldInvalid:
        return None
