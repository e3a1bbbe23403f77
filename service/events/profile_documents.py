"""The document of a profile: what is in it of each column, read out of up to 64 MiB in place.

Its form is told in docs/contract.md, "Data profiles". Nearly all of it is distributions of values, which are passed
over and never built.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.changes import Findings
from service.errors import DataError, DocumentUnusable
from service.events.figures import findings_in
from service.text import documents
from service.text.profile_values import ProfileValues, without_values_of_column

#: Nesting of a column of a document.
_DEPTH = 64


class _Summary(msgspec.Struct):
    row_count: Any = None


class _Document(msgspec.Struct):
    columns: list[msgspec.Raw]
    summary: _Summary | None = None


class _Figures(msgspec.Struct, omit_defaults=True):
    """The figures of a column that are known; of the rest only that they are well formed is seen."""

    inferred_type: Any = None
    total_count: Any = None
    row_count: Any = None
    distinct_count: Any = None
    null_count: Any = None
    empty_count: Any = None
    unique_count: Any = None
    max_value_frequency: Any = None
    max_frequency: Any = None
    min_number: Any = None
    max_number: Any = None
    min_value: Any = None
    max_value: Any = None
    min_string: Any = None
    max_string: Any = None
    mean: Any = None
    stddev: Any = None
    standard_deviation: Any = None


class _Column(msgspec.Struct, omit_defaults=True):
    name: Any = None
    value_analysis: _Figures | None = None
    column_classification: Any = None
    column_classifications: Any = None
    data_classes: Any = None
    data_class: Any = None
    inferred_type: Any = None
    quality: Any = None
    quality_score: Any = None


_whole = msgspec.json.Decoder(_Document)
_column = msgspec.json.Decoder(_Column)


def findings_of(raw: bytes | bytearray, values: ProfileValues) -> Findings:
    """What a document says of columns, without the values that settings hide.

    Raises:
        DocumentUnusable: it is no such document.
    """
    try:
        document = _whole.decode(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise DocumentUnusable(problem=_problem(raw, error)) from None
    columns = [without_values_of_column(_told(column), values) for column in document.columns]
    return findings_in(columns, document.summary.row_count if document.summary else None)


def _told(raw: msgspec.Raw) -> Any:
    """A column as JSON has it, as far as it is known."""
    try:
        return msgspec.to_builtins(_column.decode(raw))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass
    try:  # told in an odd way: whatever it is
        return documents.read(bytes(raw), _DEPTH)
    except DataError:
        return None


def _problem(raw: bytes | bytearray, error: Exception) -> str:
    """Why it is none; never with anything of it."""
    start = bytes(raw[:64]).lstrip().lower()
    if start.startswith((b"<!doctype", b"<html")):
        return "it is a page for people: whoever has it wants somebody to sign in"
    if isinstance(error, msgspec.ValidationError):
        return f"it is JSON, but no profile's document: {error}"
    return "it is cut off, or no JSON"
