"""The tables of the mirror, the same on PostgreSQL and SQLite.

State tables hold one row per thing; the row is that of the newest version (`service.changes.Version`), whatever the
order in which versions came. `version` sorts bytewise; `replaces` is the version that the last write replaced.
Documents are canonical JSON text; `jsonb` would refuse NUL and lone surrogates, which occur.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    TypeDecorator,
    false,
    text,
)

#: Revision of the code that derives columns from documents; raised when it changes, so that rows can be re-derived.
MAPPING = 1

metadata = MetaData()


class UtcTime(TypeDecorator[datetime]):
    """A moment: `timestamptz` on PostgreSQL, fixed-width UTC text (which sorts by time) on SQLite."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """Text on SQLite."""
        return dialect.type_descriptor(Text() if dialect.name == "sqlite" else DateTime(timezone=True))

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> Any:
        """To `2026-05-10T15:04:15.000000Z` on SQLite."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Always aware, in UTC."""
        if value is None:
            return None
        return datetime.fromisoformat(value) if isinstance(value, str) else value.astimezone(UTC)


def _state_columns() -> list[Column[Any]]:
    """What every state row has."""
    return [
        Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; the highest version is the row"),
        Column("replaces", LargeBinary, comment="The version that the last write replaced"),
        Column("version_at", UtcTime, comment="The moment of the version on the catalog's clock; null: unknown"),
        Column("deleted_at", UtcTime, comment="Its own tombstone; cascades are computed by the views"),
        Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
        Column("mapping", SmallInteger, nullable=False, comment="Revision of the code that derived the columns"),
        Column("document", Text, comment="The redacted state as canonical JSON; null: only referred to, or deleted"),
    ]


def _container_columns() -> list[Column[Any]]:
    return [
        Column("container_kind", Text, comment="catalog, project or space"),
        Column("container_id", Text),
    ]


containers = Table(
    "containers", metadata,
    Column("container_id", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="catalog, project or space"),
    *_state_columns(),
)  # fmt: skip

assets = Table(
    "assets", metadata,
    Column("asset_id", Text, primary_key=True),
    *_container_columns(),
    Column("name", Text),
    Column("asset_type", Text),
    Column("visibility_mode", Integer, comment="The catalog's rov mode: 8 private, 16 hidden"),
    *_state_columns(),
    Index("assets_container", "container_id"),
)  # fmt: skip

data_profiles = Table(
    "data_profiles", metadata,
    Column("profile_id", Text, primary_key=True),
    Column("asset_id", Text, comment="The data set that was profiled"),
    *_container_columns(),
    Column("status", Text, comment="Of the profiling run, as the catalog words it"),
    Column("column_count", Integer),
    Column("created_at", UtcTime),
    Column("owner_id", Text),
    *_state_columns(),
    Index("data_profiles_asset", "asset_id"),
)  # fmt: skip

enrichment_areas = Table(
    "enrichment_areas", metadata,
    Column("area_id", Text, primary_key=True),
    *_state_columns(),
)  # fmt: skip

lineage_events = Table(
    "lineage_events", metadata,
    Column("event_id", Text, primary_key=True),
    Column("event_type", Text),
    Column("categories", Text, comment="Joined with commas"),
    Column("event_time", UtcTime),
    Column("source_service", Text),
    Column("user_id", Text),
    Column("own", Boolean, nullable=False, server_default=false(), comment="We made it, to answer an event"),
    *_state_columns(),
)  # fmt: skip

lineage_edges = Table(
    "lineage_edges", metadata,
    Column("event_id", Text, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("role", Text, primary_key=True, comment="uses or generates"),
    Column("relation", Text, comment="As the catalog words it: Used, Created"),
    Column("asset_type", Text),
    Column("name", Text),
    *_container_columns(),
    Index("lineage_edges_asset", "asset_id"),
)  # fmt: skip

refreshes = Table(
    "refreshes", metadata,
    Column("kind", Text, primary_key=True),
    Column("entity_id", Text, primary_key=True),
    *_container_columns(),
    Column("reason", Text, nullable=False),
    Column("asked_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1"), comment="How often it was asked for"),
    Index("refreshes_due", "due_at"),
)  # fmt: skip

deliveries = Table(
    "deliveries", metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("delivery_id", Text, nullable=False, unique=True, comment="Names the change and the target"),
    Column("target", Text, nullable=False),
    Column("entity_kind", Text, nullable=False),
    Column("entity_id", Text, nullable=False),
    Column("change", Text, nullable=False),
    Column("created_at", UtcTime, nullable=False),
    Column("due_at", UtcTime, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("lease_token", Text),
    Column("lease_until", UtcTime),
    Index("deliveries_head", "target", "entity_kind", "entity_id", "seq"),
)  # fmt: skip

dead_letters = Table(
    "dead_letters", metadata,
    Column("dead_letter_id", Text, primary_key=True, comment="Hash of routing key and body, or the delivery's id"),
    Column("kind", Text, nullable=False, comment="event or delivery"),
    Column("state", Text, nullable=False, comment="open, replayed, superseded or discarded"),
    Column("routing_key", Text),
    Column("target", Text),
    Column("entity_kind", Text),
    Column("entity_id", Text),
    Column("error_class", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("remedy", Text, nullable=False),
    Column("fingerprint", Text, nullable=False, comment="The same for letters with the same cause"),
    Column("headers", Text, comment="As JSON, secrets blanked"),
    Column("body", LargeBinary, comment="Secrets blanked, at most the size limit of a body"),
    Column("body_size", Integer, nullable=False, comment="Bytes of the original"),
    Column("body_sha256", Text, nullable=False, comment="Of the original"),
    Column("blanked", Boolean, nullable=False, comment="Something was blanked, so the body is not the original"),
    Column("truncated", Boolean, nullable=False),
    Column("times", Integer, nullable=False, server_default=text("1"), comment="How often it was met"),
    Column("first_at", UtcTime, nullable=False),
    Column("last_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
    Index("dead_letters_state", "state", "last_at"),
)  # fmt: skip

suspects = Table(
    "suspects", metadata,
    Column("message_key", Text, primary_key=True),
    Column("routing_key", Text, nullable=False),
    Column("met", Integer, nullable=False),
    Column("last_at", UtcTime, nullable=False),
)  # fmt: skip

gaps = Table(
    "gaps", metadata,
    Column("gap_id", Text, primary_key=True),
    Column("kind", Text, nullable=False, comment="absence, queue_recreated, queue_full"),
    Column("detail", Text, nullable=False),
    Column("began_at", UtcTime),
    Column("noticed_at", UtcTime, nullable=False),
    Column("closed_at", UtcTime),
)  # fmt: skip

controls = Table(
    "controls", metadata,
    Column("name", Text, primary_key=True),
    Column("value", Text, nullable=False, comment="JSON"),
    Column("updated_at", UtcTime, nullable=False),
)  # fmt: skip

replicas = Table(
    "replicas", metadata,
    Column("replica_id", Text, primary_key=True),
    Column("started_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("status", Text, nullable=False, comment="JSON: what `status` shows"),
)  # fmt: skip

target_states = Table(
    "target_states", metadata,
    Column("target", Text, primary_key=True),
    Column("paused", Boolean, nullable=False, server_default=false()),
    Column("pause_reason", Text),
    Column("notice", Text, comment="Why its circuit is open; null: closed"),
    Column("delivered", BigInteger, nullable=False, server_default=text("0")),
    Column("last_delivered_at", UtcTime),
)  # fmt: skip
