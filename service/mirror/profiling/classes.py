"""The data classes that a profile found for its columns, as rows that can be asked for by class.

Those of the state and those of the document beside it stand side by side; the view shows the document's, as long as the
profile names the attachment that it was read from. The figures themselves are kept as one JSON text per profile: a row
per column would cost more than all else that an event writes.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import ClassCandidate, ProfileSaved
from service.mirror.bulk import key_in, part_insert
from service.mirror.rows import text_of
from service.mirror.tables import profile_classes, row_of
from service.text.documents import key_text

#: Bytes of what is part of a key beside a profile's id, which has up to 1,024: together they fit an index entry.
_NAME_BYTES, _CLASS_BYTES, _ATTACHMENT_BYTES = 768, 256, 256
#: In place of an attachment: told by the profile itself.
OF_STATE = ""

_insert, ClassRow = part_insert(profile_classes), row_of(profile_classes)


def _rows(profile_id: str, attachment_id: str, classes: Iterable[ClassCandidate]) -> Iterable[Any]:
    source = key_text(attachment_id, _ATTACHMENT_BYTES)
    for one in classes:
        yield ClassRow(
            profile_id=profile_id,
            attachment_id=source,
            column_name=key_text(one.column, _NAME_BYTES),
            class_code=key_text(one.code, _CLASS_BYTES),
            data_class=text_of(one.name),
            confidence=one.confidence,
            priority=one.priority,
            chosen=one.chosen,
        )


async def replace(connection: AsyncConnection, profiles: Sequence[ProfileSaved], replaced: Sequence[str]) -> None:
    """Write what these states say; `replaced` are the profiles that had a state before."""
    if replaced:
        told = profile_classes.c
        mine = sa.and_(key_in(connection, told.profile_id, replaced), told.attachment_id == OF_STATE)
        await connection.execute(sa.delete(profile_classes).where(mine))
    rows = [row for one in profiles for row in _rows(one.profile_id, OF_STATE, one.findings.classes)]
    await _insert.run(connection, rows)


async def replace_document(
    connection: AsyncConnection, profile_id: str, attachment_id: str, classes: Iterable[ClassCandidate]
) -> None:
    """Write what the document of a profile says, in place of an earlier one's."""
    told = profile_classes.c
    mine = sa.and_(told.profile_id == profile_id, told.attachment_id != OF_STATE)
    await connection.execute(sa.delete(profile_classes).where(mine))
    await _insert.run(connection, list(_rows(profile_id, attachment_id, classes)))
