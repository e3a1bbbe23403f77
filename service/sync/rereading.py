"""Reading by id what a listing left in doubt: assets in bulk, artifacts and profiles alone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import sqlalchemy as sa

from service.catalog import endpoints
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient
from service.changes import (
    AssetDeleted,
    AssetSaved,
    Container,
    ProfileDeleted,
    ProfileSaved,
    Rank,
    ThingDeleted,
    Version,
)
from service.errors import CatalogFailed, CatalogForbidden, CatalogGone, CatalogNotFound, DataError
from service.events.cards import restricted
from service.kinds import Kind
from service.kinds.glossary import ARTIFACT, ARTIFACT_TYPES, CATEGORY
from service.mirror.bulk import rows_by_key
from service.mirror.store import Store
from service.mirror.tables import assets, data_profiles, things
from service.pipeline.decoding import Read
from service.settings.scope import Scope
from service.sync.cleaning import clean
from service.sync.findings import batched, read_of, unreadable
from service.sync.readings import card_told, profile_told, thing_told
from service.text.privacy import Privacy

#: What a profile that could not be made answers.
PROFILING_FAILED = 500


class Rereader:
    """Reads by id. What it answers has secrets blanked already."""

    def __init__(self, client: CatalogClient, store: Store, scope: Scope, privacy: Privacy) -> None:
        self._client = client
        self._store = store
        self._scope = scope
        self._privacy = privacy

    async def assets(self, where: Container, asset_ids: Sequence[str]) -> list[Read]:
        """Assets by id, with what became of each: its state, its deletion, or (no changes) nothing that we may know."""
        reads: list[Read] = []
        for chunk in batched(asset_ids if self._scope.admits_container(where) else (), endpoints.BULK_MAX):
            bulk = await endpoints.cards(self._client, where, chunk)
            for item in bulk.items:
                if item.status in (404, 410):
                    gone = Version(bulk.at_us, Rank.DELETED)
                    deleted = AssetDeleted(item.asset_id, gone, where, found=True)
                    reads.append(read_of("asset", item.asset_id, where, [deleted]))
                elif item.card is not None:
                    reads.append(self._card(item.card, where, bulk.at_us, item.asset_id))
                elif item.status == 403:
                    reads.append(read_of("asset", item.asset_id, where, [restricted(item.asset_id, where, bulk.at_us)]))
                else:
                    reads.append(read_of("asset", item.asset_id, where))
        return reads

    def _card(self, card: dict[str, Any], where: Container, at_us: int | None, asset_id: str) -> Read:
        try:
            cleaned = clean(card, self._privacy)
            changes = [told.change() for told in card_told(cleaned, where, at_us, Rank.READ)]
        except DataError as error:
            return unreadable("asset", asset_id, where, error, card)
        if not self._scope.admits(changes[0]):  # it is there, and out of scope
            return read_of("asset", asset_id, where, ignored=True)
        return read_of("asset", asset_id, where, changes)

    async def artifacts(self, artifact_ids: Sequence[str], types: Mapping[str, str] | None = None) -> list[Read]:
        """Artifacts by id, as `artifact`; several calls at once, as far as the client has turns."""
        reads: list[Read] = []
        for chunk in batched(artifact_ids, endpoints.BULK_MAX):
            reads += await asyncio.gather(*(self.artifact(one, (types or {}).get(one)) for one in chunk))
        return reads

    async def artifact(self, artifact_id: str, artifact_type: str | None = None) -> Read:
        """An artifact by its own type, where that is told: its state, or its deletion where it is of none.

        A category is none that is mirrored with the others.
        """
        types = [artifact_type] if artifact_type else await self._types(artifact_id)
        try:
            answer, found = await self._artifact(artifact_id, types)
        except (CatalogNotFound, CatalogGone) as error:
            kind = _kind_of(types[0])
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            return read_of(kind.name, artifact_id, None, [ThingDeleted(kind.name, artifact_id, gone, None)])
        kind = _kind_of(found)
        try:
            told = thing_told(kind, clean(answer.object(), self._privacy), None, answer.at_us, None)
            return read_of(kind.name, artifact_id, None, [one.change() for one in told])
        except DataError as error:
            return unreadable(kind.name, artifact_id, None, error, answer.body)

    async def _types(self, artifact_id: str) -> list[str]:
        """The type of an artifact, as far as the mirror knows it; else all that it may have."""
        async with self._store.read() as connection:
            rows = await rows_by_key(connection, things["artifact"], "artifact_id", [artifact_id], "artifact_type")
            categories = await rows_by_key(connection, things["category"], "category_id", [artifact_id], "version")
        known = rows.get(artifact_id)
        if categories:
            return ["category"]
        return [known.artifact_type] if known is not None and known.artifact_type else list(ARTIFACT_TYPES)

    async def _artifact(self, artifact_id: str, types: Sequence[str]) -> tuple[Answer, str]:
        """One artifact and its type, one type after the other.

        Raises:
            CatalogNotFound, CatalogGone: it is none of any type.
        """
        for artifact_type in types[:-1]:
            with suppress(CatalogNotFound, CatalogGone):
                return await endpoints.artifact(self._client, artifact_type, artifact_id), artifact_type
        return await endpoints.artifact(self._client, types[-1], artifact_id), types[-1]

    async def profile(self, where: Container, profile_id: str, asset_id: str) -> Read:
        """A profile by id: its state, its deletion, or nothing where profiling failed or we may not know."""
        try:
            answer = await endpoints.profile(self._client, where, profile_id, asset_id)
        except CatalogNotFound as error:
            gone = Version(error.details.get("at_us"), Rank.DELETED)
            deleted = ProfileDeleted(profile_id, gone, asset_id, where, found=True)
            return read_of("data_profile", profile_id, where, [deleted])
        except (CatalogForbidden, CatalogGone):  # a policy, a role that was lost, an archived container
            return read_of("data_profile", profile_id, where)
        except CatalogFailed as error:
            if error.details.get("status") != PROFILING_FAILED:
                raise
            return read_of("data_profile", profile_id, where)
        try:
            told = profile_told(clean(answer.object(), self._privacy), where, answer.at_us, asset_id)
            return read_of("data_profile", profile_id, where, [one.change() for one in told])
        except DataError as error:
            return unreadable("data_profile", profile_id, where, error, answer.body)

    async def mirrored_profile(self, where: Container, profile_id: str) -> Read | None:
        """A profile of the mirror by id; None where its asset is gone, with which it is hidden anyway."""
        query = (
            sa.select(data_profiles.c.asset_id, assets.c.deleted_at)
            .join(assets, assets.c.asset_id == data_profiles.c.asset_id)
            .where(data_profiles.c.profile_id == profile_id)
        )
        async with self._store.reading() as connection:
            row = (await connection.execute(query)).first()
        if row is None or row.deleted_at is not None:
            return None
        if where.kind == "space":
            return await self._carried_profile(where, profile_id, row.asset_id)
        return await self.profile(where, profile_id, row.asset_id)

    async def _carried_profile(self, where: Container, profile_id: str, asset_id: str) -> Read | None:
        """The profile as its card carries it: the profiles of spaces cannot be read by id."""
        (read,) = await self.assets(where, [asset_id])
        told = [change for change in read.changes if isinstance(change, ProfileSaved)]
        if not read.changes or any(isinstance(change, AssetDeleted) for change in read.changes):
            return None
        if any(change.profile_id == profile_id for change in told):
            return read
        at_us = next(change.version.at_us for change in read.changes if isinstance(change, AssetSaved))
        gone = ProfileDeleted(profile_id, Version(at_us, Rank.DELETED), asset_id, where, found=True)
        return read_of("data_profile", profile_id, where, [gone])


def _kind_of(artifact_type: str) -> Kind:
    return CATEGORY if artifact_type == "category" else ARTIFACT
