"""Documents of profiles: what was read, why it could not be, and which have not been asked for yet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, Container, Origin, ProfileDocumentRead, ProfileSaved, RefreshAsked
from service.mirror import refreshes
from service.mirror.bulk import insert_into, rows_by_key
from service.mirror.clock import store_now
from service.mirror.profiling import classes
from service.mirror.rows import figures_text, place_of
from service.mirror.tables import data_profiles, profile_documents
from service.mirror.tables import refreshes as refresh_requests

#: The kind of a request to read one; its id is the profile's.
KIND = "profile_document"


async def write(connection: AsyncConnection, read: Sequence[tuple[int, ProfileDocumentRead]]) -> set[int]:
    """Write what was read of profiles that still name that attachment; answers the indices of those."""
    newest = {change.profile_id: (event, change) for event, change in read}
    named = await rows_by_key(connection, data_profiles, "profile_id", sorted(newest), "attachment_id", "deleted_at")
    written: set[int] = set()
    for profile_id, (event, change) in sorted(newest.items()):
        row = named.get(profile_id)
        if row is None or row.deleted_at is not None or row.attachment_id != change.attachment_id:
            continue
        await connection.execute(_upsert(connection.dialect.name), _row(change))
        await classes.replace_document(connection, profile_id, change.attachment_id, change.findings.classes)
        written.add(event)
    return written


def _row(change: ProfileDocumentRead) -> dict[str, Any]:
    kind, container_id = place_of(change.container)
    return {
        "profile_id": change.profile_id,
        "attachment_id": change.attachment_id,
        "container_kind": kind,
        "container_id": container_id,
        "figures": figures_text(change.findings.figures),
        "problem": change.problem,
    }


def _upsert(dialect: str) -> Any:
    insert = insert_into(dialect, profile_documents)
    insert = insert.values(mirrored_at=store_now(dialect))
    new = {column.name: insert.excluded[column.name] for column in profile_documents.c if not column.primary_key}
    return insert.on_conflict_do_update(index_elements=["profile_id"], set_=new)


async def ask(connection: AsyncConnection, changes: Iterable[Change], origin: Origin) -> None:
    """Ask for the documents of the profiles among these; one that has none yet is passed over."""
    saved = (change for change in changes if isinstance(change, ProfileSaved) and change.attachment_id is not None)
    told = [RefreshAsked(KIND, one.profile_id, one.container, "profiled", origin=origin) for one in saved]
    await refreshes.ask(connection, told)


async def ask_for_unread(connection: AsyncConnection, where: Container, origin: Origin) -> None:
    """Ask for the documents in a container that were not read, or could not be, and that nobody asks for yet."""
    profile, document, asked = data_profiles.c, profile_documents.c, refresh_requests.c
    same = sa.and_(document.profile_id == profile.profile_id, document.attachment_id == profile.attachment_id)
    query = (
        sa.select(profile.profile_id)
        .select_from(data_profiles.outerjoin(profile_documents, same))
        .where(
            profile.container_id == where.id, profile.attachment_id.is_not(None), profile.deleted_at.is_(None),
            sa.or_(document.profile_id.is_(None), document.problem.is_not(None)),
            ~sa.exists().where(asked.kind == KIND, asked.entity_id == profile.profile_id),
        )
    )  # fmt: skip
    ids = (await connection.execute(query)).scalars()
    await refreshes.ask(connection, [RefreshAsked(KIND, one, where, "unread", origin=origin) for one in ids])
