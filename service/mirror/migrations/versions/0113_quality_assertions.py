"""What tests of OpenLineage producers found.

Only adds, so that older code goes on running beside it.

Revision ID: 0113
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0113"
down_revision = "0112"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What tests of OpenLineage producers found."""
    op.create_table(
        "quality_assertions",
        sa.Column("assertion_id", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("facet_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("job", sa.Text(), nullable=True),
        sa.Column("namespace", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("assertion", sa.Text(), nullable=True),
        sa.Column("test_name", sa.Text(), nullable=True),
        sa.Column("success", sa.Boolean(), nullable=True),
        sa.Column("severity", sa.Text(), nullable=True),
        sa.Column("expected", sa.Text(), nullable=True),
        sa.Column("actual", sa.Text(), nullable=True),
        sa.Column("occurred_at", UtcTime(), nullable=False),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("assertion_id", "version"),
    )
    op.create_index("quality_assertions_facet", "quality_assertions", ["facet_id", "version"])
    op.create_index("quality_assertions_event", "quality_assertions", ["event_id"])
    op.create_index("quality_assertions_asset", "quality_assertions", ["asset_id", "occurred_at"])
    op.execute(f"CREATE VIEW v1_quality_assertions AS {_ASSERTIONS}")


#: Of what is told of one data set in one run the newest; what is older may not be removed yet.
_ASSERTIONS = """
    SELECT q.assertion_id, q.namespace, q.name, q.asset_id, a.name AS asset_name, a.container_kind, a.container_id,
           q.column_name, q.assertion, q.test_name, q.success, q.severity, q.expected, q.actual, q.occurred_at,
           q.event_id, q.run_id, q.job, q.mirrored_at
      FROM quality_assertions q
      LEFT JOIN assets a ON a.asset_id = q.asset_id
     WHERE q.assertion IS NOT NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
       AND NOT EXISTS (SELECT 1 FROM quality_assertions n WHERE n.facet_id = q.facet_id AND n.version > q.version)
"""
