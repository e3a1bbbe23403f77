"""Reads the documents of profiles, one after the other: where each is, the document, and what of it is kept."""

from __future__ import annotations

import structlog

from service.catalog import endpoints
from service.catalog.attachments import Documents
from service.catalog.client import CatalogClient
from service.changes import Container, ProfileDocumentRead
from service.errors import CatalogAnswerInvalid, CatalogForbidden, DataError, DocumentExpired, DocumentUnusable
from service.events.profile_documents import findings_of
from service.mirror.bulk import rows_by_key
from service.mirror.profiling.documents import KIND
from service.mirror.refreshes import Claimed
from service.mirror.store import Store
from service.mirror.tables import data_profiles
from service.pipeline.decoding import Read
from service.settings.model import SyncSettings
from service.sync.findings import read_of
from service.text import lookup
from service.text.privacy import Privacy

log = structlog.get_logger(__name__)


class DocumentReader:
    """Reads the document that a profile names."""

    def __init__(self, client: CatalogClient, store: Store, settings: SyncSettings, privacy: Privacy) -> None:
        """Raises `SettingInvalid`: what settings name as hosts cannot be used."""
        self._client = client
        self._store = store
        self._documents = Documents(client.settings, settings) if settings.profile_documents else None
        self._values = privacy.profile_values

    @property
    def is_on(self) -> bool:
        """Settings ask for it."""
        return self._documents is not None

    async def read(self, request: Claimed) -> list[Read]:
        """What the document says, or why it never can be read; nothing where the profile names none (any more).

        Raises:
            TransientError: it, or the catalog, cannot be had now.
        """
        found = await self._attachment(request)
        if found is None or self._documents is None:
            return []
        where, asset_id, attachment_id = found
        try:
            raw, at_us = await self._fetched(where, asset_id, attachment_id, request.entity_id)
            findings = findings_of(raw, self._values)
            told = ProfileDocumentRead(request.entity_id, attachment_id, where, at_us, findings)
        except (DataError, CatalogForbidden) as error:
            log.warning("document_unread", profile_id=request.entity_id, problem=str(error), remedy=error.advice())
            told = ProfileDocumentRead(request.entity_id, attachment_id, where, problem=str(error)[:500])
        return [read_of(KIND, request.entity_id, where, [told])]

    async def given_up(self, request: Claimed, problem: str) -> list[Read]:
        """It was tried too often: that is what is known of it now."""
        found = await self._attachment(request)
        if found is None:
            return []
        where, _, attachment_id = found
        told = ProfileDocumentRead(request.entity_id, attachment_id, where, problem=problem[:500])
        return [read_of(KIND, request.entity_id, where, [told])]

    async def _attachment(self, request: Claimed) -> tuple[Container, str, str] | None:
        names = ("asset_id", "container_kind", "container_id", "attachment_id", "deleted_at")
        async with self._store.read() as connection:
            rows = await rows_by_key(connection, data_profiles, "profile_id", [request.entity_id], *names)
        row = rows.get(request.entity_id)
        if row is None or row.deleted_at is not None or not (row.asset_id and row.attachment_id and row.container_id):
            return None
        return Container(row.container_kind, row.container_id), row.asset_id, row.attachment_id

    async def _fetched(
        self, where: Container, asset_id: str, attachment_id: str, profile_id: str
    ) -> tuple[bytearray, int | None]:
        """The document, and when its attachment was made; a URL that is no longer good is asked for anew once."""
        assert self._documents is not None
        url, at_us = await self._url(where, asset_id, attachment_id, profile_id)
        try:
            return await self._documents.fetch(url), at_us
        except DocumentExpired:
            url, at_us = await self._url(where, asset_id, attachment_id, profile_id)
            return await self._documents.fetch(url), at_us

    async def _url(
        self, where: Container, asset_id: str, attachment_id: str, profile_id: str
    ) -> tuple[str, int | None]:
        """Where the document is just now, a secret that goes nowhere but to its host; and since when it is."""
        answer = await endpoints.attachment(self._client, where, asset_id, attachment_id)
        told = answer.object()
        if told.get("asset_type") != "data_profile":
            raise DocumentUnusable(problem="what the profile names is no attachment of a profile")
        name = lookup.text(told.get("object_key")) or lookup.text(told.get("name")) or ""
        if name.startswith(_NAMED) and name.removeprefix(_NAMED) != profile_id:
            raise DocumentUnusable(problem="it is that of another profile")
        url = told.get("url")
        if not isinstance(url, str) or not url:
            raise CatalogAnswerInvalid(call=answer.call, problem="it tells no URL")
        return url, lookup.moment(told.get("created_at"))


#: How the catalog names the document of a profile, before its id.
_NAMED = "data_profile_"
