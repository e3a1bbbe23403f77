"""Asset cards: how the catalog tells the state of an asset, the same in answers and in events that carry one.

The form is told in docs/contract.md, "Cards". A card may come without its `entity`: that of a private asset, which is
not shown, is taken as it is; of any other asset a fuller state that is known stays.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from service.changes import (
    AssetSaved,
    Classified,
    ConnectionDetails,
    Container,
    Copied,
    ProfileSaved,
    Rank,
    TermAssigned,
    Version,
)
from service.errors import FieldInvalid
from service.events.attachments import attachments_in
from service.events.attributes import leaves_in
from service.events.columns import columns_in
from service.events.fields import MAX_ID_BYTES, column_count, is_usable_id
from service.events.figures import findings_in
from service.events.profiles import VOLATILE as PROFILE_VOLATILE
from service.text import lookup
from service.text.documents import Document, canonical, digest_of, document, documents_of, without

#: Fields of a card that change without the asset changing: access, addresses, and a version that counts nothing.
VOLATILE: tuple[tuple[str, ...], ...] = (
    ("href",),
    ("asset_id",),
    ("attachments",),
    ("entity", "data_profile"),
    ("metadata", "version"),
    ("metadata", "size"),
    ("metadata", "rating"),
    ("metadata", "total_ratings"),
    ("metadata", "relationship_count"),
    ("metadata", "usage", "access_count"),
    ("metadata", "usage", "last_accessed_at"),
    ("metadata", "usage", "last_access_time"),
    ("metadata", "usage", "last_accessor_id"),
    ("metadata", "usage", "last_accessor"),
)
#: Members of an attachment that change without it changing, or that let people in.
_VOLATILE_OF_ATTACHMENTS = frozenset({"usage", "href", "url", "test_doc"})
#: Properties of a connection that are kept; what is not named here may be a secret.
CONNECTION_PROPERTIES = frozenset({
    "host", "port", "database", "schema", "bucket", "region", "service_name", "sid", "ssl", "catalog", "warehouse",
    "project", "account_name", "file_system",
})  # fmt: skip
#: What stands for host and database, by kind of data source: Snowflake names an account, Oracle a service or an
#: instance, Trino a catalog, BigQuery a project.
_HOSTS = (("host",), ("account_name",))
_DATABASES = (("database",), ("service_name",), ("sid",), ("catalog",), ("project",))
#: Members of a connection besides its properties that are kept.
_CONNECTION_MEMBERS = frozenset({"datasource_type", "context", "flags", "name", "description", "origin_country"})
#: Who may see its content, or that it is there: members of the asset only.
PRIVATE, HIDDEN = 8, 16
#: The version of an incomplete card beats that of a bare reference and nothing else.
_INCOMPLETE = b"\x02"


@dataclass(frozen=True)
class Card:
    """One card: its id and the digest of all of it, and on demand its version and all that it says."""

    asset_id: str
    container: Container | None
    at_us: int | None
    rank: Rank
    raw: dict[str, Any] = field(repr=False)
    #: What is kept of it; None for a card that came without its content.
    document: Document | None
    profiles: tuple[ProfileSaved, ...] = ()

    @property
    def is_complete(self) -> bool:
        """Whether the card came with its content."""
        return self.document is not None

    @property
    def whole(self) -> bytes:
        """The digest of all of it; empty where it is not complete."""
        return self.document.digest if self.document else b""

    @property
    def text(self) -> str:
        """All of it."""
        return self.document.text if self.document else canonical(self.raw).decode()

    @cached_property
    def version(self) -> Version:
        """How new it is."""
        if self.document is None:
            return _incomplete(lookup.mapping(self.raw.get("metadata")), self.container)
        return Version(self.at_us, self.rank, _steady(self.raw), self.document.digest)

    @property
    def asset_type(self) -> str | None:
        """The type of the asset."""
        return lookup.text(lookup.at(self.raw, ("metadata", "asset_type")))

    def saved(self) -> AssetSaved:
        """The state of the asset."""
        return _saved(self)


def read_card(card: dict[str, Any], container: Container | None, at_us: int | None, rank: Rank) -> Card:
    """Read a card.

    Args:
        card: with secrets blanked already.
        container: where it was asked for; else the card's own word counts.
        at_us: the moment of the version; None for an item of a search, which lags behind the catalog.

    Raises:
        FieldInvalid: it is no card, or names no asset.
    """
    metadata = card.get("metadata")
    if not isinstance(metadata, dict):
        raise FieldInvalid(field="metadata", problem="a card has an object there")
    asset_id = metadata.get("asset_id") or card.get("asset_id")
    if not isinstance(asset_id, str) or not is_usable_id(asset_id):
        raise FieldInvalid(field="metadata.asset_id", problem=f"an id is text of 1 to {MAX_ID_BYTES} bytes")
    where = container or container_of(metadata)
    entity = card.get("entity")
    if not isinstance(entity, dict):
        if _mode(metadata) not in (PRIVATE, HIDDEN):
            return Card(asset_id, where, at_us, rank, card, None)
        entity = {}
    if isinstance(entity.get("connection"), dict):
        entity = {**entity, "connection": _allowed(entity["connection"])}
        card = {**card, "entity": entity}
    told = entity.get("data_profile")
    profiles = [
        profile_change(member, asset_id, where, at_us, rank)
        for member in (told.values() if isinstance(told, dict) else ())
        if _is_profile(member)
    ]
    return Card(asset_id, where, at_us, rank, card, document(card), tuple(profiles))


def is_whole(card: dict[str, Any]) -> bool:
    """Whether it is a card with its content: the attribute that is named like the asset's type."""
    asset_type = lookup.at(card, ("metadata", "asset_type"))
    return isinstance(asset_type, str) and isinstance(lookup.at(card, ("entity", asset_type)), dict)


def card_changes(
    card: dict[str, Any], container: Container | None, at_us: int | None, rank: Rank
) -> Iterator[AssetSaved | ProfileSaved]:
    """The changes that a card says: the asset, and the profiles that it carries; raises as `read_card`."""
    read = read_card(card, container, at_us, rank)
    yield read.saved()
    yield from read.profiles


def restricted(asset_id: str, where: Container, at_us: int | None) -> AssetSaved:
    """An asset that we may not read (any more), in a container that we may: it is there, and it is not shown."""
    version = Version(at_us, Rank.READ, digest_of(b"restricted"))
    return AssetSaved(asset_id, version, None, where, visibility_mode=HIDDEN)


def container_of(metadata: dict[str, Any]) -> Container | None:
    """The container that a card names; that of a project also names a hidden catalog, which does not count."""
    for kind, name in (("project", "project_id"), ("project", "sandbox_id"), ("space", "space_id")):
        if isinstance(metadata.get(name), str) and metadata[name]:
            return Container(kind, metadata[name])  # type: ignore[arg-type]
    catalog = metadata.get("catalog_id")
    return Container("catalog", catalog) if isinstance(catalog, str) and catalog else None


def _steady(card: dict[str, Any]) -> bytes:
    """The digest of what makes a card news."""
    steady = digest_of(canonical(without(card, VOLATILE)))
    attachments = [
        {name: member for name, member in item.items() if name not in _VOLATILE_OF_ATTACHMENTS}
        for item in lookup.objects(card.get("attachments"))
    ]
    profiling = lookup.mapping(lookup.at(card, ("entity", "data_profile")))
    classes = {name: member for name, member in profiling.items() if not _is_profile(member)}
    if attachments or classes:
        return digest_of(steady + canonical([attachments, classes]))
    return steady


def _saved(card: Card) -> AssetSaved:
    metadata, entity = lookup.mapping(card.raw.get("metadata")), lookup.mapping(card.raw.get("entity"))
    usage = lookup.mapping(metadata.get("usage"))
    attachments = lookup.objects(card.raw.get("attachments"))
    remotes = (a for a in attachments if a.get("connection_id"))
    remote = next(remotes, lookup.mapping(entity.get("folder_asset")))
    connection = entity.get("connection")
    column_info = lookup.mapping(entity.get("column_info"))
    return AssetSaved(
        asset_id=card.asset_id,
        version=card.version,
        document=card.document,
        container=card.container,
        name=lookup.text(metadata.get("name")),
        asset_type=lookup.text(metadata.get("asset_type")),
        visibility_mode=_mode(metadata),
        description=lookup.text(metadata.get("description")),
        tags=lookup.texts(metadata.get("tags")),
        state=lookup.text(metadata.get("asset_state")),
        owner_id=lookup.text(metadata.get("owner_id")),
        resource_key=lookup.text(metadata.get("resource_key")),
        connection_id=lookup.text(remote.get("connection_id")),
        connection_path=lookup.text(remote.get("connection_path")),
        copied_from=_source(metadata),
        created_at_us=lookup.moment(metadata.get("created_at")) or lookup.moment(metadata.get("created")),
        updated_at_us=lookup.moment(usage.get("last_updated_at")) or lookup.moment(usage.get("last_update_time")),
        updated_by=lookup.text(usage.get("last_updater_id")) or lookup.text(usage.get("last_updater")),
        columns=columns_in(lookup.at(entity, ("data_asset", "columns")), column_info),
        terms=tuple(_terms(entity, column_info)),
        classifications=(
            *_classifications(lookup.mapping(entity.get("data_profile"))),
            *_classifications_of_columns(column_info),
        ),
        connection=_details(connection) if isinstance(connection, dict) else None,
        attributes=leaves_in(entity),
        attachments=attachments_in(attachments),
    )


def _incomplete(metadata: dict[str, Any], where: Container | None) -> Version:
    told = canonical([metadata.get("name"), metadata.get("asset_type"), _mode(metadata), where and where.id])
    return Version(None, Rank.STUB, _INCOMPLETE + digest_of(told)[1:])


def _mode(metadata: dict[str, Any]) -> int | None:
    """Who may see it: 0 everybody, 8 private, 16 hidden; -1 stands for 0."""
    mode = lookup.small(lookup.at(metadata, ("rov", "mode")))
    return 0 if mode == -1 else mode


def _source(metadata: dict[str, Any]) -> Copied | None:
    source = metadata.get("source_asset")
    if not isinstance(source, dict):
        return None
    return Copied(lookup.text(source.get("action")), lookup.text(source.get("asset_id")), container_of(source))


def _terms(entity: dict[str, Any], column_info: dict[str, Any]) -> Iterator[TermAssigned]:
    yield from _listed(lookup.at(entity, ("asset_terms", "list")), "", "assigned")
    for name, info in column_info.items():
        if isinstance(info, dict):
            for key, standing in _TERMS_OF_COLUMNS:
                if info.get(key):
                    yield from _listed(info[key], name, standing)


#: Where a column has its terms, and how they stand to it.
_TERMS_OF_COLUMNS = (("column_terms", "assigned"), ("suggested_terms", "suggested"), ("rejected_terms", "rejected"))


def _listed(value: Any, column: str, standing: str) -> Iterator[TermAssigned]:
    for term in lookup.objects(value):
        term_id = term.get("term_id")
        if isinstance(term_id, str) and term_id:
            name, confidence = lookup.text(term.get("term_display_name")), lookup.number(term.get("confidence"))
            yield TermAssigned(term_id, name, column, standing, confidence)


def _classifications(profiling: dict[str, Any]) -> Iterator[Classified]:
    for name, standing in (("data_classification_manual", "manual"), ("data_classification", "profiled")):
        for found in lookup.objects(profiling.get(name)):
            if isinstance(found.get("id"), str) and found["id"]:
                yield Classified(
                    found["id"], lookup.text(found.get("name")), lookup.text(found.get("global_id")), standing
                )


def _classifications_of_columns(column_info: dict[str, Any]) -> Iterator[Classified]:
    for column, info in column_info.items():
        if column and isinstance(info, dict) and info.get("column_classifications"):
            for found in lookup.objects(info["column_classifications"]):
                found_id = lookup.first(found, (("id",), ("classification_id",), ("global_id",)))
                if isinstance(found_id, str):
                    name = lookup.text(lookup.first(found, (("name",), ("display_name",))))
                    yield Classified(found_id, name, lookup.text(found.get("global_id")), column=column)


def _allowed(connection: dict[str, Any]) -> dict[str, Any]:
    """A connection without what is not known to be harmless."""
    kept = {name: member for name, member in connection.items() if name in _CONNECTION_MEMBERS}
    properties = connection.get("properties")
    if isinstance(properties, dict):
        kept["properties"] = {name: value for name, value in properties.items() if name in CONNECTION_PROPERTIES}
    return kept


def _details(connection: dict[str, Any]) -> ConnectionDetails:
    properties = lookup.mapping(connection.get("properties"))
    return ConnectionDetails(
        datasource_type=lookup.text(connection.get("datasource_type")),
        context=lookup.text(connection.get("context")),
        host=lookup.text(lookup.first(properties, _HOSTS)),
        port=lookup.text(properties.get("port")),
        database=lookup.text(lookup.first(properties, _DATABASES)),
        bucket=lookup.text(properties.get("bucket")),
        flags=lookup.texts(connection.get("flags")),
    )


def _is_profile(member: Any) -> bool:
    """The map of profiles has other members, too: only an object with a guid is a profile."""
    return isinstance(lookup.at(member, ("metadata", "guid")), str)


def profile_change(
    profile: dict[str, Any], asset_id: str | None, where: Container | None, at_us: int | None, rank: Rank
) -> ProfileSaved:
    """A profile as the catalog answers it, or as a card carries it.

    Raises:
        FieldInvalid: it names no profile.
    """
    metadata = lookup.mapping(profile.get("metadata"))
    profile_id = metadata.get("guid") or metadata.get("asset_id")
    if not isinstance(profile_id, str) or not is_usable_id(profile_id):
        raise FieldInvalid(field="metadata.guid", problem=f"an id is text of 1 to {MAX_ID_BYTES} bytes")
    data_set = metadata.get("dataset_id")
    kept, steady = documents_of(profile, PROFILE_VOLATILE)
    inside = lookup.mapping(lookup.at(profile, ("entity", "data_profile")))
    return ProfileSaved(
        profile_id=profile_id,
        version=Version(at_us, rank, steady, kept.digest),
        document=kept,
        asset_id=data_set if isinstance(data_set, str) and data_set else asset_id,
        container=where or container_of(metadata),
        status=lookup.text(lookup.at(inside, ("execution", "status"))),
        created_at_us=lookup.moment(metadata.get("created_at")),
        owner_id=lookup.text(metadata.get("owner_id")),
        column_count=column_count(inside.get("columns"), inside.get("attachment_id")),
        run_id=lookup.text(lookup.at(inside, ("execution", "dataflow_run_id"))),
        attachment_id=lookup.text(inside.get("attachment_id")),
        findings=findings_in(inside.get("columns")),
    )
