"""What profiles found: the figures of columns, the classes found for them, and what earlier runs said."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Float, Index, Integer, LargeBinary, Table, Text

from service.mirror.tables.columns import UtcTime, container_columns, metadata

profile_documents = Table(
    "profile_documents", metadata,
    Column("profile_id", Text, primary_key=True),
    Column("attachment_id", Text, nullable=False, comment="The attachment that it was read from"),
    *container_columns(),
    Column("figures", Text, comment="Its columns, as JSON"),
    Column("problem", Text, comment="Why it could not be read"),
    Column("mirrored_at", UtcTime, nullable=False, comment="When this row was written"),
)  # fmt: skip

profile_classes = Table(
    "profile_classes", metadata,
    Column("profile_id", Text, primary_key=True),
    Column("attachment_id", Text, primary_key=True, comment="The document that says so; empty: the profile itself"),
    Column("column_name", Text, primary_key=True),
    Column("class_code", Text, primary_key=True),
    Column("data_class", Text),
    Column("confidence", Float, comment="As told"),
    Column("priority", Integer, comment="As told"),
    Column("chosen", Boolean, nullable=False, comment="It is the class that the column has now"),
    Index("profile_classes_class", "class_code"),
)  # fmt: skip

profile_runs = Table(
    "profile_runs", metadata,
    Column("profile_id", Text, primary_key=True),
    Column("run_id", Text, primary_key=True),
    Column("asset_id", Text, comment="The data asset that was profiled"),
    *container_columns(),
    Column("finished_at", UtcTime, nullable=False, comment="When it was first told to be finished"),
    Column("figures", Text, nullable=False, comment="Its columns, as JSON"),
    Column("version", LargeBinary, nullable=False, comment="Sorts bytewise; of the highest version are the figures"),
    Index("profile_runs_asset", "asset_id", "finished_at"),
    Index("profile_runs_time", "finished_at"),
)  # fmt: skip

profile_drift = Table(
    "profile_drift", metadata,
    Column("asset_id", Text, primary_key=True),
    Column("column_name", Text, primary_key=True, comment="Empty: the table as a whole"),
    Column("change", Text, primary_key=True, comment="added, gone, retyped, reclassified, nulls, distinct or rows"),
    Column("profile_id", Text, nullable=False, comment="Of the newer run"),
    Column("run_id", Text, nullable=False, comment="The newer run"),
    Column("before_at", UtcTime, nullable=False),
    Column("after_at", UtcTime, nullable=False),
    Column("before_text", Text, comment="Type or class before"),
    Column("after_text", Text, comment="Type or class after"),
    Column("before_number", Float, comment="Ratio, or rows, before"),
    Column("after_number", Float, comment="Ratio, or rows, after"),
    Column("crossed", Boolean, nullable=False, comment="It is as large as settings ask for to be told"),
    Index("profile_drift_time", "after_at"),
)  # fmt: skip
