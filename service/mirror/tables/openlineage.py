"""What facets of OpenLineage events tell beside the edges: what columns were made of, and what runs did."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, LargeBinary, Table, Text

from service.mirror.tables.columns import UtcTime, metadata

column_facets = Table(
    "column_facets", metadata,
    Column("facet_id", Text, primary_key=True, comment="Made of run and data set"),
    Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; the highest version is the row"),
    Column("replaces", LargeBinary, comment="The version that the last write replaced"),
    Column("event_id", Text, nullable=False, comment="The lineage event that tells it"),
    Column("flow_id", Text, nullable=False, comment="The edges that it tells"),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("column_facets_event", "event_id"),
    Index("column_facets_flow", "flow_id"),
)  # fmt: skip

#: Runs that tell the same share their edges: what a job says every hour is written once.
column_flows = Table(
    "column_flows", metadata,
    Column("flow_id", Text, primary_key=True, comment="Made of its edges"),
    Column("number", Integer, primary_key=True),
    Column("from_asset_id", Text, nullable=False),
    Column("from_column", Text, nullable=False, comment="As it was told"),
    Column("from_key", Text, nullable=False, comment="What names are compared by"),
    Column("to_asset_id", Text, nullable=False),
    Column("to_column", Text, nullable=False, comment="As it was told; empty: the data set as a whole"),
    Column("to_key", Text, nullable=False, comment="What names are compared by"),
    Column("is_direct", Boolean, nullable=False),
    Column("transformation", Text),
    Column("description", Text),
    Column("masking", Boolean),
    Index("column_flows_from", "from_asset_id", "from_key"),
    Index("column_flows_to", "to_asset_id", "to_key"),
)  # fmt: skip

run_facts = Table(
    "run_facts", metadata,
    Column("event_id", Text, primary_key=True, comment="The run, as lineage event"),
    Column("fact", Text, primary_key=True, comment="job, start, end, parent, nominal, error or lost"),
    Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; the highest version is the row"),
    Column("replaces", LargeBinary, comment="The version that the last write replaced"),
    Column("moment", UtcTime),
    Column("until", UtcTime),
    Column("run_id", Text, comment="Of a parent: the run that started this one"),
    Column("job_namespace", Text),
    Column("job_name", Text),
    Column("root_run_id", Text),
    Column("root_job_namespace", Text),
    Column("root_job_name", Text),
    Column("text", Text),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
    Index("run_facts_parent", "run_id"),
    Index("run_facts_job", "job_namespace", "job_name"),
)  # fmt: skip
