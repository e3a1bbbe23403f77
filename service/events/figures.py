"""What a profile found of each column: the same in the state that an event carries and in the profile's own document.

No document describes all of it; what has been seen, and what was made of it, is told in docs/contract.md, "Data
profiles". One figure that cannot be used costs that figure, not its column; it is named in `unread`.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Annotated, Any

import msgspec

from service.changes import NO_FINDINGS, ClassCandidate, ColumnFigures, Findings
from service.text import lookup
from service.text.documents import Distinct, fitted
from service.text.redaction import BLANK

#: What says that no class was found; it is told like a class.
NO_CLASS = "NoClassDetected"

_Found = tuple[ColumnFigures, Sequence[ClassCandidate]]


def findings_in(columns: Any, row_count: Any = None) -> Findings:
    """What a profile's list of columns says of each.

    Args:
        columns: the list as it was told; what is no column in it is passed over.
        row_count: rows of the table, where the columns do not say how many were looked at.
    """
    if not columns or not isinstance(columns, list):
        return NO_FINDINGS
    rows = lookup.integer(row_count)
    try:
        told = fitted(columns, list[_Column])
        found, is_usual = [_usual(column, place, rows) for place, column in enumerate(told, 1)], rows is None
    except msgspec.ValidationError:
        is_usual = False
        found = [_found(column, place, rows) for place, column in enumerate(columns, 1) if isinstance(column, dict)]
    if len({figures.column_name for figures, _ in found}) < len(found):
        found, is_usual = _numbered(found), False
    classes = tuple([one for _, candidates in found for one in candidates])
    return Findings(tuple([figures for figures, _ in found]), classes, is_usual)


def _found(column: dict[str, Any], position: int, table_rows: int | None) -> _Found:
    try:
        return _usual(fitted(column, _Column), position, table_rows)
    except msgspec.ValidationError:
        return _unusual(column, position, table_rows)


def _numbered(found: Sequence[_Found]) -> list[_Found]:
    """Columns with the same name, told apart: the later ones are numbered."""
    names = Distinct()
    renamed: list[_Found] = []
    for figures, candidates in found:
        name = names.of(figures.column_name)
        told = [candidate._replace(column=name) for candidate in candidates]
        renamed.append((msgspec.structs.replace(figures, column_name=name), told))
    return renamed


_Count = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
_Whole = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
_Small = Annotated[int, msgspec.Meta(gt=-(2**31), lt=2**31)]
#: A decimal that comes as a number becomes an infinity, which is none.
_Number = (
    Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]
    | Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
)
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Type(msgspec.Struct, frozen=True):
    type: _Text | None = None
    length: _Whole | None = None
    precision: _Small | None = None
    scale: _Small | None = None


class _Analysis(msgspec.Struct):
    inferred_type: _Type = _Type()
    total_count: _Count | None = None
    row_count: _Count | None = None
    distinct_count: _Count | None = None
    null_count: _Count | None = None
    empty_count: _Count | None = None
    unique_count: _Count | None = None
    max_value_frequency: _Count | None = None
    max_frequency: None = None
    min_number: _Number | None = None
    max_number: _Number | None = None
    min_value: _Number | None = None
    max_value: _Number | None = None
    min_string: str | None = None
    max_string: str | None = None
    mean: _Number | None = None
    stddev: _Number | None = None
    standard_deviation: None = None


class _Class(msgspec.Struct):
    class_code: _Text
    class_name: _Text | None = None
    name: None = None
    display_name: None = None
    confidence: _Number | None = None
    priority: _Small | None = None


class _Column(msgspec.Struct):
    """A column as most are told: read many times as fast as by looking each member up, with the same outcome.

    What is None here is read the other way, where it is there at all.
    """

    name: _Text
    value_analysis: _Analysis
    column_classification: _Class | None = None
    column_classifications: None = None
    data_classes: None = None
    data_class: None = None
    inferred_type: None = None
    quality: None = None
    quality_score: None = None


#: The members of a column that are looked at, the one that holds its figures, and the names of these.
MEMBERS, ANALYSIS, FIGURES = _Column.__struct_fields__, "value_analysis", _Analysis.__struct_fields__


def _usual(column: _Column, position: int, table_rows: int | None) -> _Found:
    told, found = column.value_analysis, column.column_classification
    of_type = told.inferred_type
    rows = told.total_count if told.total_count is not None else told.row_count
    low = told.min_number if told.min_number is not None else told.min_value
    high = told.max_number if told.max_number is not None else told.max_value
    code, name, confidence = (found.class_code, found.class_name, found.confidence) if found else (None, None, None)
    figures = ColumnFigures(
        column.name, position, of_type.type, of_type.length, of_type.precision, of_type.scale,
        table_rows if rows is None else rows,
        told.distinct_count, told.null_count, told.empty_count, told.unique_count,
        low, high, told.min_string, told.max_string, told.mean, told.stddev, told.max_value_frequency,
        code, name, confidence, None, True if BLANK in (told.min_string, told.max_string) else None,
    )  # fmt: skip
    if found is None or found.class_code == NO_CLASS:
        return figures, ()
    chosen = ClassCandidate(column.name, found.class_code, found.class_name, found.confidence, found.priority, True)
    return figures, (chosen,)


class _Reading:
    """Reads the figures of one column, and notes what cannot be read."""

    __slots__ = ("told", "unread")

    def __init__(self, told: dict[str, Any]) -> None:
        self.told = told
        self.unread: list[str] = []

    def count(self, *names: str) -> int | None:
        """A number of things, under the first of these names that has one."""
        for name in names:
            value = self.told.get(name)
            if value is None:
                continue
            found = lookup.integer(value)
            if found is not None and found >= 0:
                return found
            self.unread.append(name)
        return None

    def number(self, *names: str) -> float | None:
        """A number, under the first of these names that has one; a text under `…_value` is a value of the table."""
        for name in names:
            value = self.told.get(name)
            if value is None or value == BLANK:
                continue
            found = lookup.number(value)
            if found is not None:
                return value if isinstance(value, int | float) else found
            if not (isinstance(value, str) and name.endswith("_value")):
                self.unread.append(name)
        return None

    def text(self, *names: str) -> str | None:
        """A text under the first of these names that has one."""
        return next((value for name in names if isinstance(value := self.told.get(name), str)), None)


#: Figures that may be values of the table.
_VALUES = (
    "min_string", "max_string", "min_value", "max_value", "min_number", "max_number", "mean", "stddev",
    "standard_deviation",
)  # fmt: skip


def _unusual(column: dict[str, Any], position: int, table_rows: int | None) -> _Found:
    """A column that is told in any way."""
    reading = _Reading(lookup.mapping(column.get("value_analysis")))
    inferred = lookup.mapping(reading.told.get("inferred_type") or column.get("inferred_type"))
    # In the profile's own document the type lies one level deeper than in events and cards.
    of_type = inferred["type"] if isinstance(inferred.get("type"), dict) else inferred
    name = lookup.text(column.get("name")) or f"#{position}"
    candidates = [candidate._replace(column=name) for candidate in _candidates(column)]
    chosen = next((one for one in candidates if one.chosen), None)
    rows = reading.count("total_count", "row_count")
    quality = column.get("quality")
    score = quality.get("score") if isinstance(quality, dict) else column.get("quality_score")
    figures = ColumnFigures(
        column_name=name,
        position=position,
        inferred_type=lookup.text(of_type.get("type")),
        length=lookup.integer(of_type.get("length")),
        precision=lookup.small(of_type.get("precision")),
        scale=lookup.small(of_type.get("scale")),
        row_count=table_rows if rows is None else rows,
        distinct_count=reading.count("distinct_count"),
        null_count=reading.count("null_count"),
        empty_count=reading.count("empty_count"),
        unique_count=reading.count("unique_count"),
        min_number=reading.number("min_number", "min_value"),
        max_number=reading.number("max_number", "max_value"),
        min_text=reading.text("min_string", "min_value"),
        max_text=reading.text("max_string", "max_value"),
        mean=reading.number("mean"),
        stddev=reading.number("stddev", "standard_deviation"),
        max_frequency=reading.count("max_value_frequency", "max_frequency"),
        data_class_code=chosen.code if chosen else None,
        data_class=chosen.name if chosen else None,
        confidence=chosen.confidence if chosen else None,
        quality_score=lookup.number(score),
        values_hidden=True if BLANK in map(reading.told.get, _VALUES) else None,
        unread=",".join(dict.fromkeys(reading.unread)) or None,
    )
    return figures, [one for one in candidates if one.code != NO_CLASS]


def _candidates(column: dict[str, Any]) -> Iterator[ClassCandidate]:
    """The classes that were found: one alone is chosen; of a list the one that says so, else the first."""
    for place in ("column_classification", "column_classifications", "data_classes"):
        told = column.get(place)
        if isinstance(told, dict) and told:
            yield from _candidate(told, is_chosen=True)
            return
        if listed := lookup.objects(told):
            says_so = any(isinstance(one.get("chosen"), bool) for one in listed)
            for number, one in enumerate(listed):
                yield from _candidate(one, is_chosen=one.get("chosen") is True if says_so else number == 0)
            return
    as_in_card = lookup.mapping(column.get("data_class"))
    yield from _candidate(lookup.mapping(as_in_card.get("selected_data_class")), is_chosen=True)
    for one in lookup.objects(as_in_card.get("suggested_data_classes")):
        yield from _candidate(one, is_chosen=False)


def _candidate(told: dict[str, Any], *, is_chosen: bool) -> Iterator[ClassCandidate]:
    code = lookup.text(lookup.first(told, (("class_code",), ("code",), ("id",))))
    if code:
        name = lookup.text(lookup.first(told, (("class_name",), ("name",), ("display_name",))))
        confidence, priority = lookup.number(told.get("confidence")), lookup.small(told.get("priority"))
        yield ClassCandidate("", code, name, confidence, priority, is_chosen)
