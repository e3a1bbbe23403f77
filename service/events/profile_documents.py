"""The document of a profile: what is in it of each column, read out of up to 64 MiB in place.

Its form is told in docs/contract.md, "Data profiles". Nearly all of it is distributions of values, which are passed
over and never built.
"""

from __future__ import annotations

from typing import Any

import msgspec

from service.changes import Findings
from service.errors import DataError, DocumentUnusable
from service.events.figures import ANALYSIS, FIGURES, MEMBERS, findings_in
from service.text import documents
from service.text.profile_values import ProfileValues, without_values_of_column

#: Nesting of a column of a document.
_DEPTH = 64


class _Summary(msgspec.Struct):
    row_count: Any = None


class _Document(msgspec.Struct):
    columns: list[msgspec.Raw]
    summary: _Summary | None = None


#: A column with what is known of it, whatever it is; of the rest only that it is well formed is seen.
_Figures = msgspec.defstruct("_Figures", [(name, Any, None) for name in FIGURES], omit_defaults=True)
_Column = msgspec.defstruct(
    "_Column",
    [(name, _Figures | None if name == ANALYSIS else Any, None) for name in MEMBERS],
    omit_defaults=True,
)  # fmt: skip


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
