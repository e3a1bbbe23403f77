"""What in the catalog is what at Pentaho, and the jobs that were asked for there.

Only adds, so that older code goes on running beside it.

Revision ID: 0106
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0106"
down_revision = "0105"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add three tables."""
    op.create_table(
        "links",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("target", "kind", "catalog_id", "pentaho_id")),
        sa.Column("fqdn_id", sa.Text(), nullable=True),
        sa.Column("scope", sa.Text(), nullable=True),
        sa.Column("linked_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("target", "kind", "catalog_id", "pentaho_id"),
    )
    op.create_index("links_catalog", "links", ["target", "catalog_id"])
    op.create_index("links_pentaho", "links", ["target", "pentaho_id"])
    op.create_table(
        "pentaho_jobs",
        sa.Column("job_key", sa.Text(), nullable=False),
        *(
            sa.Column(name, sa.Text(), nullable=False)
            for name in ("target", "operation", "request", "follows", "asked_by", "state")
        ),
        *(sa.Column(name, sa.Text(), nullable=True) for name in ("pentaho_job_id", "status", "problem")),
        *(
            sa.Column(name, sa.Integer(), nullable=False, server_default=sa.text("0"))
            for name in ("attempts", "failures", "polls")
        ),
        sa.Column("asked_at", UtcTime(), nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.Column("next_at", UtcTime(), nullable=False),
        sa.Column("deadline_at", UtcTime(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("job_key"),
    )
    op.create_index("pentaho_jobs_due", "pentaho_jobs", ["target", "state", "next_at"])
    op.create_table(
        "pentaho_job_parts",
        sa.Column("delivery_id", sa.Text(), nullable=False),
        sa.Column("job_key", sa.Text(), nullable=False),
        sa.Column("pentaho_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("delivery_id", "job_key", "pentaho_id"),
    )
    op.create_index("pentaho_job_parts_job", "pentaho_job_parts", ["job_key"])
