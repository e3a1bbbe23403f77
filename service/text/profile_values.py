"""Values of people's tables that a profile carries: smallest and largest texts, samples, frequency tables.

Counts, ratios and types say how a column is filled; these say with what. Where they stand in a profile, and that no
document lists all of their names, is told in docs/contract.md, "Data profiles": so what is not known to be a figure
counts as a value.
"""

from __future__ import annotations

import re
from decimal import Decimal
from enum import StrEnum
from operator import is_
from typing import Any

import msgspec

from service.text.documents import Distinct, fitted
from service.text.redaction import BLANK, QUOTED_BLANK, end_of_group


class ProfileValues(StrEnum):
    """What of people's tables is kept of a profile."""

    #: Numbers, such as the smallest and the mean; texts are blanked.
    NUMBERS = "numbers"
    #: Texts, too.
    ALL = "all"
    #: Counts, ratios and lengths only.
    NONE = "none"


#: The objects in which a body has profiles: the one that is named so holds one, or a map of them.
_PROFILE = "data_profile"
#: What leads to it in messages, cards and answers; nothing else is looked through, cards are large.
_WAY = ("state", "entity", "resources")
#: The member of a column that holds its figures, and values among them.
_ANALYSIS = "value_analysis"
#: Members of a column that are about it, and hold no value of it.
_ABOUT_COLUMN = frozenset({
    "name", "id", "position", "type", "native_type", "inferred_type", "display_name", "description",
    "column_classification", "column_classifications", "data_class", "data_classes", "data_class_analysis",
    "column_terms", "suggested_terms", "rejected_terms", "quality", "quality_score", "score", "tags",
})  # fmt: skip
#: Figures that tell no value, by how their names end.
_COUNTED = re.compile(r"(?:.*_)?(?:counts?|ratio|frequency|frequencies|length|percent|percentage)")
#: Names of figures in what nests below the figures of a column: other names there may be values themselves.
_NAMES = frozenset({
    "value", "values", "min", "max", "mean", "median", "sum", "stddev", "standard_deviation", "variance", "bins",
})  # fmt: skip
#: Figures that are numbers, also where they come as texts.
_NUMBERS = frozenset({
    "min_number", "max_number", "mean", "median", "sum", "stddev", "standard_deviation", "variance",
})  # fmt: skip
_Figure = int | float | None
#: A column with figures that are known and numbers, as most have: of these nothing is hidden where numbers are kept.
_Plain = msgspec.defstruct(
    "_Plain",
    [
        *((name, Any, None) for name in sorted(_ABOUT_COLUMN)),
        (
            _ANALYSIS,
            msgspec.defstruct(
                "_PlainFigures",
                [
                    ("inferred_type", Any, None),
                    *((name, _Figure, None) for name in sorted(_NUMBERS)),
                    *((name, _Figure, None) for name in ("min_value", "max_value", "max_value_frequency")),
                    *(
                        (f"{what}_count", _Figure, None)
                        for what in ("total", "row", "distinct", "null", "empty", "unique")
                    ),
                ],
                forbid_unknown_fields=True,
            ),
            None,
        ),
    ],
    forbid_unknown_fields=True,
)


def _are_plain(columns: list[Any]) -> bool:
    """Whether all of them are: looked at by msgspec, in a fraction of the time that walking them takes."""
    try:
        fitted(columns, list[_Plain])  # type: ignore[valid-type]
    except msgspec.ValidationError:
        return False
    return True


def without_profile_values(body: Any, mode: ProfileValues, *, everywhere: bool = False) -> Any:
    """The body, card or answer without the values that `mode` hides; the same object where there are none.

    Args:
        everywhere: look through all of it, not only where a profile is documented to stand.
    """
    return body if mode is ProfileValues.ALL else _Hider(mode, everywhere).searched(body)


def without_values_of_column(column: Any, mode: ProfileValues) -> Any:
    """A column of a profile's list without the values that `mode` hides."""
    return column if mode is ProfileValues.ALL else _Hider(mode, everywhere=False).column(column)


class _Hider:
    def __init__(self, mode: ProfileValues, everywhere: bool) -> None:
        self._keeps_numbers = mode is ProfileValues.NUMBERS
        self._everywhere = everywhere

    def searched(self, value: Any) -> Any:
        """What holds profiles, or leads to them."""
        if isinstance(value, list):
            return self._items(value, self.searched)
        if not isinstance(value, dict):
            return value
        changed: dict[str, Any] = {}
        for name in value if self._everywhere else _WAY:
            member = value.get(name)
            if member is not None and name != _PROFILE and (new := self.searched(member)) is not member:
                changed[name] = new
        told = value.get(_PROFILE)
        if isinstance(told, dict) and (new := self._profiles(told)) is not told:
            changed[_PROFILE] = new
        return {**value, **changed} if changed else value

    def _profiles(self, told: dict[str, Any]) -> dict[str, Any]:
        """A profile, or a map of them as a card has it."""
        columns = told.get("columns")
        if isinstance(columns, list):
            if self._keeps_numbers and _are_plain(columns):
                return told
            new = self._items(columns, self.column)
            return told if new is columns else {**told, "columns": new}
        changed = {
            name: new
            for name, member in told.items()
            if isinstance(member, dict) and (new := self.searched(member)) is not member
        }
        return {**told, **changed} if changed else told

    def _items(self, items: list[Any], look: Any) -> list[Any]:
        new = [look(item) for item in items]
        return items if all(map(is_, new, items)) else new

    def column(self, column: Any) -> Any:
        """A column, or what stands in its place."""
        if not isinstance(column, dict):
            return column
        changed: dict[str, Any] = {}
        for name, member in column.items():
            if name in _ABOUT_COLUMN:
                continue
            new = self._figures(member) if name == _ANALYSIS and isinstance(member, dict) else self._blanked(member)
            if new is not member:
                changed[name] = new
        return {**column, **changed} if changed else column

    def _figures(self, figures: dict[str, Any]) -> dict[str, Any]:
        """The figures of a column: their names are the catalog's, whatever they are."""
        changed: dict[str, Any] = {}
        plain = (int, float) if self._keeps_numbers else ()
        for name, value in figures.items():
            if type(value) in plain or name == "inferred_type":  # as most are
                continue
            new = self._figure(name, value)
            if new is not value:
                changed[name] = new
        return {**figures, **changed} if changed else figures

    def _figure(self, name: str, value: Any) -> Any:
        if isinstance(value, str | int | float | Decimal) and _COUNTED.fullmatch(name):
            return value
        if self._keeps_numbers and name in _NUMBERS and isinstance(value, str) and _is_number(value):
            return value
        return self._blanked(value)

    def _blanked(self, value: Any) -> Any:
        if isinstance(value, dict):
            return self._nested(value)
        if isinstance(value, list):
            return self._items(value, self._blanked)
        if value is None or isinstance(value, bool) or (self._keeps_numbers and not isinstance(value, str)):
            return value
        return BLANK if value != "" else value

    def _nested(self, value: dict[str, Any]) -> dict[str, Any]:
        """What nests below the figures: names that are not all known may be values, as in a table of frequencies."""
        if all(name in _NAMES or _COUNTED.fullmatch(name) for name in value):
            changed = {name: new for name, member in value.items() if (new := self._figure(name, member)) is not member}
            return {**value, **changed} if changed else value
        names = Distinct()
        return {names.of(BLANK): self._blanked(member) for member in value.values()}


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


#: The figures of a column in bytes that do not parse, also inside a text.
_IN_BYTES = re.compile(rb'\\*"value_analysis\\*"\s{0,16}:\s{0,16}(?=\{)')


def profile_values_in_bytes(body: bytes, mode: ProfileValues) -> bytes:
    """Bytes that do not parse, without the figures of columns: which of them are values cannot be told there."""
    if mode is ProfileValues.ALL or _ANALYSIS.encode() not in body:
        return body
    parts: list[bytes] = []
    done = 0
    while match := _IN_BYTES.search(body, done):
        parts += body[done : match.end()], QUOTED_BLANK
        done = end_of_group(body, match.end())
    return b"".join((*parts, body[done:]))
