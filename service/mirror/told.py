"""Which profiles tell their figures the usual way: the view reads these in the document, and nothing is kept twice."""

from __future__ import annotations

import msgspec

from service.changes import ProfileSaved
from service.events.figures import USUAL

#: In place of figures: the document tells them. Whoever knows nothing of this finds no columns, and no fault.
IN_DOCUMENT = "[]"


class _Profile(msgspec.Struct):
    columns: USUAL


class _Entity(msgspec.Struct):
    data_profile: _Profile


class _Document(msgspec.Struct):
    entity: _Entity


_decoder = msgspec.json.Decoder(_Document)


def in_document(change: ProfileSaved) -> bool:
    """Whether SQL finds in the document all that was found in it: no name twice, and no character that SQL refuses."""
    text = change.document.text
    if not change.findings.figures or "\\u" in text:
        return False
    try:
        columns = _decoder.decode(text).entity.data_profile.columns
    except (msgspec.DecodeError, UnicodeEncodeError):
        return False
    return len({column.name for column in columns}) == len(columns) == len(change.findings.figures)
