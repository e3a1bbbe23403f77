"""What the catalog has, as far as it is mirrored: states, lineage, and uses."""

from __future__ import annotations

from typing import Any

from sqlalchemy import BigInteger, Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text, false, text

from service.kinds import THINGS, Kind
from service.mirror.tables.columns import UtcTime, container_columns, metadata, state_columns


def _by_text(name: str, column: str) -> Index:
    """An index of a text: of PostgreSQL by hash, as it may be longer than an entry of the usual one."""
    return Index(name, column, postgresql_using="hash")


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
    *state_columns(),
)  # fmt: skip

assets = Table(
    "assets", metadata,
    Column("asset_id", Text, primary_key=True),
    *container_columns(),
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
    *state_columns(),
    Column("updated_by", Text, comment="Who changed it last, as the catalog says"),
    Index("assets_container", "container_id"),
    _by_text("assets_path", "connection_path"),
    _by_text("assets_name", "name"),
    _by_text("assets_owner", "owner_id"),
    _by_text("assets_connection", "connection_id"),
    Index("assets_changed", "version_at"),
    Index("assets_written", "mirrored_at", "asset_id"),
    _by_text("assets_source", "source_asset_id"),
)  # fmt: skip

asset_columns = Table(
    "asset_columns", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("name", Text, primary_key=True, comment="Repeated ones are numbered; over 1,024 bytes they end in a digest"),
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
    _by_text("asset_columns_name", "name"),
    _by_text("asset_columns_class", "data_class"),
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
    _by_text("asset_terms_name", "term"),
)  # fmt: skip

asset_classifications = Table(
    "asset_classifications", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("classification_id", Text, primary_key=True),
    Column("standing", Text, primary_key=True, comment="manual or profiled"),
    Column("classification", Text),
    Column("global_id", Text),
    _by_text("asset_classifications_name", "classification"),
)  # fmt: skip

column_classifications = Table(
    "column_classifications", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("column_name", Text, primary_key=True),
    Column("classification_id", Text, primary_key=True),
    Column("classification", Text),
    Column("global_id", Text),
    _by_text("column_classifications_name", "classification"),
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

asset_attributes = Table(
    "asset_attributes", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("number", Integer, primary_key=True, comment="The leaves of an asset are counted from 1"),
    Column("attribute", Text, nullable=False, comment="Over 512 bytes it ends in a digest"),
    Column("path", Text, nullable=False, comment="Below the attribute; over 1,024 bytes it ends in a digest"),
    Column("text_value", Text, comment="Of up to 1,024 bytes; of a number its digits"),
    Column("number_value", Float),
    Column("truth_value", Boolean),
    Column("time_value", UtcTime),
    Column("cut", Text, comment="text: it goes on; leaves: further ones are left out"),
    # Together they fit an entry: 2,560 of 2,704 bytes.
    Index("asset_attributes_value", "attribute", "path", "text_value"),
)  # fmt: skip

asset_attachments = Table(
    "asset_attachments", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("attachment_id", Text, primary_key=True, comment="Repeated ones are numbered"),
    Column("asset_type", Text, comment="The attribute that it belongs to"),
    Column("name", Text),
    Column("mime", Text),
    Column("size", BigInteger, comment="Bytes"),
    Column("kind", Text, comment="remote, referenced or managed"),
    Column("connection_id", Text),
    Column("connection_path", Text),
    Column("created_at", UtcTime),
)  # fmt: skip

data_profiles = Table(
    "data_profiles", metadata,
    Column("profile_id", Text, primary_key=True),
    Column("asset_id", Text, comment="The data set that was profiled"),
    *container_columns(),
    Column("status", Text, comment="Of the profiling run, as the catalog words it"),
    Column("column_count", Integer),
    Column("created_at", UtcTime),
    Column("owner_id", Text),
    *state_columns(),
    Column("run_id", Text, comment="The run whose figures these are"),
    Column("attachment_id", Text, comment="Of the data asset: what holds the profile's own document"),
    Column("figures", Text, comment="What it found of each column, as JSON; []: as its document tells it"),
    Index("data_profiles_asset", "asset_id"),
)  # fmt: skip

_TYPES: dict[str, Any] = {"text": Text, "integer": BigInteger, "number": Float, "truth": Boolean, "time": UtcTime}


def _table_of(kind: Kind) -> Table:
    return Table(
        kind.table, metadata,
        Column(kind.id_name, Text, primary_key=True),
        *(Column(field.name, _TYPES[field.type], comment=field.comment) for field in kind.fields),
        *container_columns(),
        *state_columns(),
        Index(f"{kind.table}_container", "container_id"),
        *(_by_text(f"{kind.table}_{name}", name) for name in kind.indexed),
    )  # fmt: skip


#: The tables of the `service.kinds`, by the name of the kind.
things = {kind.name: _table_of(kind) for kind in THINGS.values()}
Index("artifacts_written", things["artifact"].c.mirrored_at, things["artifact"].c.artifact_id)

#: Runs that made nothing of what they name (`service.mirror.lineage.walk`).
_FAILED = text("event_type IN ('JOB_FAILED', 'JOB_ABORTED')")
#: Runs that may be under way (`service.mirror.lineage.facets`).
_OPEN = text("event_type IN ('JOB_STARTED', 'JOB_RUNNING')")
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
    *state_columns(),
    Index("lineage_events_failed", "event_id", postgresql_where=_FAILED, sqlite_where=_FAILED),
    Index("lineage_events_open", "event_time", postgresql_where=_OPEN, sqlite_where=_OPEN),
)  # fmt: skip

lineage_edges = Table(
    "lineage_edges", metadata,
    Column("event_id", Text, primary_key=True),
    Column("asset_id", Text, primary_key=True),
    Column("role", Text, primary_key=True, comment="uses or generates"),
    Column("relation", Text, comment="As the catalog words it: Used, Created"),
    Column("asset_type", Text),
    Column("name", Text),
    *container_columns(),
    Index("lineage_edges_walk", "asset_id", "role", "event_id"),
)  # fmt: skip

openlineage_events = Table(
    "openlineage_events", metadata,
    Column("openlineage_id", Text, primary_key=True, comment="Made of all that the event says"),
    Column("event_id", Text, nullable=False, comment="The lineage event that it is part of: its run"),
    Column("event_time", UtcTime),
    Column("document", Text, nullable=False, comment="As its producer sent it, secrets blanked"),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("openlineage_events_event", "event_id"),
)  # fmt: skip

quality_assertions = Table(
    "quality_assertions", metadata,
    Column("assertion_id", Text, primary_key=True, comment="Made of run, data set, column and assertion"),
    Column("version", LargeBinary, primary_key=True, comment="Of one facet_id the highest counts"),
    Column("facet_id", Text, nullable=False, comment="Made of run and data set"),
    Column("event_id", Text, nullable=False, comment="The lineage event that this is part of"),
    Column("run_id", Text, comment="Null: it is told of no run"),
    Column("job", Text, comment="Namespace and name of the job; of a data set alone, who tells of it"),
    Column("namespace", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("asset_id", Text, nullable=False, comment="As lineage knows the data set"),
    Column("column_name", Text),
    Column("assertion", Text, comment="Null: the facet tells of none"),
    Column("test_name", Text),
    Column("success", Boolean),
    Column("severity", Text),
    Column("expected", Text),
    Column("actual", Text),
    Column("occurred_at", UtcTime, nullable=False),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("quality_assertions_facet", "facet_id", "version"),
    Index("quality_assertions_event", "event_id"),
    Index("quality_assertions_asset", "asset_id", "occurred_at"),
)  # fmt: skip

dataset_links = Table(
    "dataset_links", metadata,
    Column("facet_id", Text, primary_key=True, comment="Made of run and data set"),
    Column("version", LargeBinary, primary_key=True, comment="Of one facet_id the highest counts"),
    Column("asset_id", Text, primary_key=True, comment="The data set, as edges have it"),
    Column("other_id", Text, primary_key=True, comment="What is the same data set; empty: the facet tells of none"),
    Column("event_id", Text, nullable=False, comment="The lineage event that this is part of"),
    Column("is_asset", Boolean, nullable=False, comment="asset_id is an asset of the catalog"),
    Column("other_is_asset", Boolean, nullable=False, comment="other_id is an asset of the catalog"),
    Index("dataset_links_event", "event_id"),
    Index("dataset_links_one", "asset_id", "other_id"),
    Index("dataset_links_other", "other_id", "asset_id"),
)  # fmt: skip

dataset_identities = Table(
    "dataset_identities", metadata,
    Column("asset_id", Text, primary_key=True, comment="A name of a data set that has several, as edges have it"),
    Column("identity_id", Text, nullable=False, comment="The one of them that stands for all"),
    Index("dataset_identities_identity", "identity_id"),
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
    Index("usage_facts_asset", "asset_id", "occurred_at"),
)  # fmt: skip
