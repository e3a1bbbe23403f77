"""What the service has to do, did, and was told: deliveries, dead letters, readings, switches."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, LargeBinary, Table, Text, false, text

from service.mirror.tables.columns import UtcTime, container_columns, metadata

refreshes = Table(
    "refreshes", metadata,
    Column("kind", Text, primary_key=True),
    Column("entity_id", Text, primary_key=True),
    *container_columns(),
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
    Column("trace", Text, comment="The traceparent of the event that it is of, where that is traced"),
    Column("document", Text, comment="What is told, where the change fixes it; null: it is read when it goes"),
    Index("deliveries_head", "target", "entity_kind", "entity_id", "seq"),
    Index("deliveries_turn", "target", "seq"),
)  # fmt: skip

dead_letters = Table(
    "dead_letters", metadata,
    Column("dead_letter_id", Text, primary_key=True, comment="Hash of what it is of, or the delivery's id"),
    Column("kind", Text, nullable=False, comment="event, reading or delivery"),
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

#: Never a name: hashes with a salt of the store's own (`service.text.forgotten`).
forgotten = Table(
    "forgotten", metadata,
    Column("name_hash", Text, primary_key=True, comment="Of a name, id or address of somebody who was forgotten"),
    Column("forgotten_at", UtcTime, nullable=False),
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

sessions = Table(
    "sessions", metadata,
    Column("session_id", Text, primary_key=True, comment="SHA-256 of what the browser holds"),
    Column("who", Text, nullable=False),
    Column("scopes", Text, nullable=False, comment="Joined with spaces"),
    Column("proof", Text, nullable=False, comment="Of its token, with which the session ends"),
    Column("began_at", UtcTime, nullable=False),
    Column("seen_at", UtcTime, nullable=False),
    Column("ends_at", UtcTime, nullable=False),
)  # fmt: skip
