"""Uses of assets, and the ledger of what Collibra was told of them.

Only adds, so that the code of 0104 goes on running beside it.

Revision ID: 0105
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0105"
down_revision = "0104"
branch_labels = None
depends_on = None

#: One row per fact; of a counter its growth since the reading before, where there is one and it grew.
_VIEW = """
CREATE VIEW v1_usage AS
SELECT f.fact_id, f.asset_id, a.name AS asset_name, a.container_kind, a.container_id, f.user_hash, f.occurred_at,
       f.uses, f.source, f.event_id, f.mirrored_at
FROM (
    SELECT *, CASE WHEN counter IS NULL THEN number
        ELSE number - lag(number) OVER (PARTITION BY counter ORDER BY occurred_at, fact_id) END AS uses
    FROM usage_facts
) f
LEFT JOIN assets a ON a.asset_id = f.asset_id
WHERE f.uses > 0 AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""


def _facts() -> None:
    op.create_table(
        "usage_facts",
        sa.Column("fact_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("user_hash", sa.Text(), nullable=True),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("counter", sa.Text(), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("fact_id"),
    )
    op.create_index("usage_facts_time", "usage_facts", ["occurred_at"])
    op.create_index("usage_facts_counter", "usage_facts", ["counter", "occurred_at"])
    op.create_index("usage_facts_event", "usage_facts", ["event_id"])
    op.execute(_VIEW)


def _ledger() -> None:
    op.create_table(
        "collibra_batches",
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("window_end", UtcTime(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("assets", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("sender", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("prepared_at", UtcTime(), nullable=False),
        sa.Column("sent_at", UtcTime(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("job_status", sa.Text(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("report", sa.Text(), nullable=True),
        sa.Column("looked_at", UtcTime(), nullable=True),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("batch_id"),
    )
    op.create_index("collibra_batches_state", "collibra_batches", ["target", "state"])
    op.create_index("collibra_batches_job", "collibra_batches", ["job_id"])
    op.create_table(
        "collibra_told",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("locator", sa.Text(), nullable=False),
        sa.Column("assets", sa.Text(), nullable=False),
        sa.Column("query_count", sa.BigInteger(), nullable=True),
        sa.Column("distinct_users", sa.BigInteger(), nullable=True),
        sa.Column("prepared_at", UtcTime(), nullable=False),
        sa.Column("batch_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("target", "locator"),
    )
    op.create_index("collibra_told_batch", "collibra_told", ["batch_id"])


def upgrade() -> None:
    """Add both."""
    _facts()
    _ledger()
