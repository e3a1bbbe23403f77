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
    Float,
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

from service.kinds import KINDS, Kind

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
    Column("name", Text),
    Column("description", Text),
    Column("state", Text, comment="active, or why its content cannot be read"),
    Column("is_governed", Boolean, comment="Data protection rules apply"),
    Column("creator_id", Text),
    Column("created_at", UtcTime),
    *_state_columns(),
)  # fmt: skip

assets = Table(
    "assets", metadata,
    Column("asset_id", Text, primary_key=True),
    *_container_columns(),
    Column("name", Text),
    Column("asset_type", Text),
    Column("visibility_mode", Integer, comment="The catalog's rov mode: 8 private, 16 hidden"),
    Column("description", Text),
    Column("tags", Text, comment="Joined with commas"),
    Column("state", Text, comment="As the catalog words it: available, deleted"),
    Column("owner_id", Text),
    Column("resource_key", Text, comment="How the data itself is named where it lives"),
    Column("connection_id", Text, comment="Of its first remote attachment"),
    Column("connection_path", Text, comment="Of its first remote attachment"),
    Column("copy_action", Text, comment="clone, publish, promote: how it came here"),
    Column("source_asset_id", Text, comment="The asset it was copied from"),
    Column("source_container_kind", Text),
    Column("source_container_id", Text),
    Column("created_at", UtcTime),
    Column("updated_at", UtcTime, comment="As the catalog says; not the version"),
    *_state_columns(),
    Index("assets_container", "container_id"),
    Index("assets_path", "connection_path"),
)  # fmt: skip

asset_columns = Table(
    "asset_columns", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("position", Integer, comment="From 1"),
    Column("data_type", Text),
    Column("native_type", Text, comment="As the data source words it"),
    Column("length", BigInteger),
    Column("scale", Integer),
    Column("nullable", Boolean),
    Column("description", Text),
    Column("tags", Text, comment="Joined with commas"),
    Column("data_class_id", Text),
    Column("data_class", Text),
    Column("quality_score", Float, comment="As the catalog gives it"),
)  # fmt: skip

asset_terms = Table(
    "asset_terms", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("column_name", Text, primary_key=True, comment="Empty for the asset itself"),
    Column("term_id", Text, primary_key=True),
    Column("standing", Text, primary_key=True, comment="assigned, suggested or rejected"),
    Column("term", Text),
    Column("confidence", Float),
    Index("asset_terms_term", "term_id"),
)  # fmt: skip

asset_classifications = Table(
    "asset_classifications", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("classification_id", Text, primary_key=True),
    Column("standing", Text, primary_key=True, comment="manual or profiled"),
    Column("classification", Text),
    Column("global_id", Text),
)  # fmt: skip

connections = Table(
    "connections", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("datasource_type", Text),
    Column("context", Text, comment="source, target"),
    Column("host", Text),
    Column("port", Text),
    Column("database", Text),
    Column("bucket", Text),
    Column("flags", Text, comment="Joined with commas"),
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

_TYPES: dict[str, Any] = {"text": Text, "integer": BigInteger, "number": Float, "truth": Boolean, "time": UtcTime}


def _table_of(kind: Kind) -> Table:
    return Table(
        kind.table, metadata,
        Column(kind.id_name, Text, primary_key=True),
        *(Column(field.name, _TYPES[field.type], comment=field.comment) for field in kind.fields),
        *_container_columns(),
        *_state_columns(),
        Index(f"{kind.table}_container", "container_id"),
    )  # fmt: skip


#: The tables of the `service.kinds`, by the name of the kind.
things = {kind.name: _table_of(kind) for kind in KINDS.values()}

lineage_events = Table(
    "lineage_events", metadata,
    Column("event_id", Text, primary_key=True),
    Column("event_type", Text),
    Column("categories", Text, comment="Joined with commas"),
    Column("event_time", UtcTime),
    Column("source_service", Text),
    Column("user_id", Text),
    Column("own", Boolean, nullable=False, server_default=false(), comment="We made it, to answer an event"),
    Column("came_from", Text, comment="catalog, or who sent it over HTTP; null: unknown, or ours"),
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
    Index("lineage_edges_walk", "asset_id", "role", "event_id"),
)  # fmt: skip

openlineage_events = Table(
    "openlineage_events", metadata,
    Column("openlineage_id", Text, primary_key=True, comment="Made of run, state, time, job and datasets"),
    Column("event_id", Text, nullable=False, comment="The lineage event that it is part of: its run"),
    Column("event_time", UtcTime),
    Column("document", Text, nullable=False, comment="As its producer sent it, secrets blanked"),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("openlineage_events_event", "event_id"),
)  # fmt: skip

refreshes = Table(
    "refreshes", metadata,
    Column("kind", Text, primary_key=True),
    Column("entity_id", Text, primary_key=True),
    *_container_columns(),
    Column("reason", Text, nullable=False),
    Column("origin", Text, nullable=False, server_default="live", comment="Of what asked: live wins over sync"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="Readings that failed"),
    Column("last_error", Text),
    Column("lease_until", UtcTime, comment="Somebody reads it; till then it is nobody else's"),
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
    Column("original_body", LargeBinary, comment="As it came, secrets blanked, where somebody edited it"),
    Column("edited_at", UtcTime),
    Index("dead_letters_state", "state", "last_at"),
)  # fmt: skip

audit_log = Table(
    "audit_log", metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("at", UtcTime, nullable=False),
    Column("who", Text, nullable=False),
    Column("action", Text, nullable=False, comment="What was done: dead_letter.edit, target.pause, …"),
    Column("subject", Text, nullable=False, comment="What it was done to"),
    Column("reason", Text),
    Column("detail", Text, comment="JSON"),
    Index("audit_log_subject", "subject", "seq"),
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
    Column("kind", Text, nullable=False, comment="absence, queue_recreated, queue_full, queue_purged"),
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

sync_runs = Table(
    "sync_runs", metadata,
    Column("run_id", Text, primary_key=True),
    Column("mode", Text, nullable=False, comment="snapshot or reconcile"),
    Column("state", Text, nullable=False, comment="running, paused, stopped, done or failed"),
    Column("reason", Text, nullable=False, comment="Who or what asked for it"),
    Column("options", Text, nullable=False, comment="JSON: what it may do"),
    Column("progress", Text, nullable=False, comment="JSON: sweeps done, where the current one stands, counts"),
    Column("problem", Text, comment="Why it stopped or failed"),
    Column("started_at", UtcTime, nullable=False),
    Column("updated_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Index("sync_runs_started", "started_at"),
)  # fmt: skip

sync_states = Table(
    "sync_states", metadata,
    Column("container_id", Text, primary_key=True, comment="Empty for what lives in no container"),
    Column("kind", Text, primary_key=True),
    Column("container_kind", Text),
    Column("complete_as_of", UtcTime, comment="Start of the last sweep that read everything"),
    Column("reconciled_at", UtcTime, comment="End of the last sweep that compared everything"),
    Column("watermark", Text, comment="How far polling has followed, on the catalog's clock"),
    Column("polled_at", UtcTime),
    Column("things", BigInteger, comment="In the catalog, at the last sweep"),
    Column("missing", BigInteger, nullable=False, server_default=text("0")),
    Column("stale", BigInteger, nullable=False, server_default=text("0")),
    Column("orphaned", BigInteger, nullable=False, server_default=text("0")),
    Column("unreadable", BigInteger, nullable=False, server_default=text("0")),
    Column("problem", Text, comment="Why the last sweep could not read it"),
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

usage_facts = Table(
    "usage_facts", metadata,
    Column("fact_id", Text, primary_key=True),
    Column("asset_id", Text, nullable=False, comment="What was used"),
    Column("user_hash", Text, comment="Who used it, hashed with a salt; null: nobody says who"),
    Column("occurred_at", UtcTime, nullable=False),
    Column("number", BigInteger, nullable=False, comment="Uses; of a counter, where it stood"),
    Column("source", Text, nullable=False, comment="lineage, statistic or import"),
    Column("counter", Text, comment="The statistic that this is a reading of: its growth counts"),
    Column("event_id", Text, comment="The lineage event that tells it"),
    Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; the highest version is the row"),
    Column("replaces", LargeBinary, comment="The version that the last write replaced"),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("usage_facts_time", "occurred_at"),
    Index("usage_facts_counter", "counter", "occurred_at"),
    Index("usage_facts_event", "event_id"),
)  # fmt: skip

collibra_batches = Table(
    "collibra_batches", metadata,
    Column("batch_id", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("window_end", UtcTime, nullable=False, comment="End of the 30 days that its figures are of"),
    Column("number", Integer, nullable=False, comment="Its place among the batches that were planned with it"),
    Column("state", Text, nullable=False,
           comment="prepared, sending, accepted, completed, failed, uncertain, given_up or superseded"),
    Column("items", Integer, nullable=False),
    Column("body", Text, nullable=False, comment="JSON: exactly what is sent"),
    Column("assets", Text, nullable=False, comment="JSON: per item the assets that it is about"),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("problem", Text, comment="Why the last attempt failed, or why nothing is known of it"),
    Column("sender", Text, comment="The process that sends it"),
    Column("lease_until", UtcTime, comment="Till then its sender may be waiting for the answer"),
    Column("prepared_at", UtcTime, nullable=False),
    Column("sent_at", UtcTime, comment="When the last attempt began"),
    Column("job_id", Text, comment="The job that took it"),
    Column("job_status", Text, comment="As Collibra words it: Waiting, Running, Completed, Failed"),
    Column("created_by", Text, comment="Who made the job, as Collibra says: the user that we sign in as"),
    Column("report", Text, comment="JSON: the job's report, or the words with which it was refused"),
    Column("looked_at", UtcTime, comment="When its job was last asked for"),
    Column("closed_at", UtcTime),
    Index("collibra_batches_state", "target", "state"),
    Index("collibra_batches_job", "job_id"),
)  # fmt: skip

collibra_told = Table(
    "collibra_told", metadata,
    Column("target", Text, primary_key=True),
    Column("locator", Text, primary_key=True, comment="JSON: the assetLocator"),
    Column("assets", Text, nullable=False, comment="JSON: the assets behind it when it was last told"),
    Column("query_count", BigInteger, comment="As last accepted; null: what was accepted is not known"),
    Column("distinct_users", BigInteger, comment="As last accepted; null: not told, or not known"),
    Column("prepared_at", UtcTime, nullable=False, comment="When the batch was prepared that told it last"),
    Column("batch_id", Text, nullable=False),
    Index("collibra_told_batch", "batch_id"),
)  # fmt: skip

links = Table(
    "links", metadata,
    Column("target", Text, primary_key=True, comment="The target whose things are linked to"),
    Column("kind", Text, primary_key=True, comment="asset, connection, list, enrichment_area or rule"),
    Column("catalog_id", Text, primary_key=True, comment="The thing in the catalog"),
    Column("pentaho_id", Text, primary_key=True, comment="Pentaho's entity, data source, collection or rule"),
    Column("fqdn_id", Text, comment="Of a data source: its fqdnId"),
    Column("scope", Text, comment="Of a rule: the entities whose rows are counted, joined with spaces"),
    Column("linked_at", UtcTime, nullable=False),
    Index("links_catalog", "target", "catalog_id"),
    Index("links_pentaho", "target", "pentaho_id"),
)  # fmt: skip

pentaho_jobs = Table(
    "pentaho_jobs", metadata,
    Column("job_key", Text, primary_key=True),
    Column("target", Text, nullable=False),
    Column("operation", Text, nullable=False),
    Column("request", Text, nullable=False, comment="The body as JSON, without credentials"),
    Column("follows", Text, nullable=False, comment="Operations that follow when it has succeeded, joined with spaces"),
    Column("asked_by", Text, nullable=False, comment="The rule, the job before it, or a person"),
    Column("state", Text, nullable=False,
           comment="asking, running, succeeded, failed, overdue, refused, divided, or lost: nobody knows"),
    Column("pentaho_job_id", Text, comment="As Pentaho's answer says; null: not answered yet"),
    Column("status", Text, comment="As Pentaho words it"),
    Column("problem", Text, comment="What went wrong last"),
    Column("attempts", Integer, nullable=False, server_default=text("0"), comment="How often it was asked for"),
    Column("failures", Integer, nullable=False, server_default=text("0"),
           comment="Internal errors that it was answered with, one after the other"),
    Column("polls", Integer, nullable=False, server_default=text("0"), comment="How often its status was looked at"),
    Column("asked_at", UtcTime, comment="When it was last sent; null: it was surely not taken"),
    Column("lease_token", Text),
    Column("lease_until", UtcTime, comment="Somebody is at it; till then it is nobody else's"),
    Column("next_at", UtcTime, nullable=False, comment="When it is asked for, or looked at, again"),
    Column("deadline_at", UtcTime, comment="When looking at it ends"),
    Column("created_at", UtcTime, nullable=False),
    Column("finished_at", UtcTime),
    Index("pentaho_jobs_due", "target", "state", "next_at"),
)  # fmt: skip

pentaho_job_parts = Table(
    "pentaho_job_parts", metadata,
    Column("delivery_id", Text, primary_key=True, comment="The delivery that asks for it"),
    Column("job_key", Text, primary_key=True),
    Column("pentaho_id", Text, primary_key=True, comment="What the delivery brings to the job's scope"),
    Index("pentaho_job_parts_job", "job_key"),
)  # fmt: skip
