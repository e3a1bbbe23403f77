"""What targets keep: figures told to Collibra; links to Pentaho, and jobs there."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Index, Integer, Table, Text, text

from service.mirror.tables.columns import UtcTime, metadata

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

collibra_assets = Table(
    "collibra_assets", metadata,
    Column("target", Text, primary_key=True),
    Column("external_id", Text, primary_key=True, comment="Under which id Collibra keeps it"),
    Column("entity_kind", Text, nullable=False, comment="Of what it goes with: an asset's columns go with it"),
    Column("entity_id", Text, nullable=False),
    Column("kind", Text, nullable=False, comment="asset, column or artifact"),
    Column("name", Text, nullable=False, comment="How it is called there"),
    Column("command", Text, comment="JSON: what was taken last; null: nothing was"),
    Column("pending", Text, comment="JSON: what was sent, and not answered for yet"),
    Column("job_id", Text, comment="The job that has what was sent; null: not known"),
    Column("state", Text, nullable=False, comment="told, or gone: the catalog has it no longer"),
    Column("waits_for", Text, comment="An external id that it has a relation to, once that is there"),
    Column("told_at", UtcTime, comment="When it was taken last"),
    Index("collibra_assets_entity", "target", "entity_id"),
    Index("collibra_assets_job", "target", "job_id"),
    Index("collibra_assets_waits", "target", "waits_for"),
)  # fmt: skip
