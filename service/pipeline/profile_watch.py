"""Looks at each batch for profiles: keeps what their runs found, compares runs, and asks for their documents."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Change, DriftFound, Origin, ProfileDocumentRead, ProfileSaved
from service.mirror.profiling import documents, drift, history
from service.mirror.writer import Applied
from service.settings.model import ProfilesSettings


class ProfileWatch:
    """What settings ask for beside the current state of profiles.

    Args:
        reads_documents: their documents are asked for.
        keeps_s: what finished runs found is kept for so many seconds, and compared; None: it is not.
    """

    def __init__(
        self, *, reads_documents: bool = False, keeps_s: float | None = None, limits: ProfilesSettings | None = None
    ) -> None:
        self._reads_documents = reads_documents
        self._keeps_s = keeps_s
        self._limits = limits or ProfilesSettings()

    async def after(
        self, connection: AsyncConnection, changes: Sequence[tuple[int, Change]], applied: Applied, origin: Origin
    ) -> list[tuple[int, DriftFound]]:
        """Given a batch that was written, in its transaction; answers the drift that it brought."""
        if self._reads_documents:
            await documents.ask(connection, (change for _, change in applied.effective), origin)
        if self._keeps_s is None:
            return []
        told = [(event, change) for event, change in changes if isinstance(change, ProfileSaved | ProfileDocumentRead)]
        if not told:
            return []
        since = datetime.now(UTC) - timedelta(seconds=self._keeps_s)
        assets = await history.keep(connection, [change for _, change in told], since)
        found = await drift.update(connection, assets, self._limits) if assets else []
        return [(told[0][0], one) for one in found]
