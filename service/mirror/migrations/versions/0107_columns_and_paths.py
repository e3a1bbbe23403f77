"""Classifications of columns; paths of any length; and why assets of a container are not followed.

On PostgreSQL the index over paths is by hash, which has no limit.

Only adds, so that older code goes on running beside it.

Revision ID: 0107
"""

import sqlalchemy as sa
from alembic import op

revision = "0107"
down_revision = "0106"
branch_labels = None
depends_on = None

_VIEW = """
    SELECT t.asset_id, t.column_name, t.classification_id, t.classification, t.global_id, a.name AS asset_name,
           a.container_kind, a.container_id
      FROM column_classifications t
      JOIN assets a ON a.asset_id = t.asset_id
      LEFT JOIN containers c ON c.container_id = a.container_id
     WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""

#: As 0102 made it, but that assets have the problem of following them, or the trash of their container, where one is.
_FRESHNESS = """
    SELECT s.container_id, s.container_kind, s.kind, s.complete_as_of, s.reconciled_at,
           CASE s.kind WHEN 'asset' THEN (SELECT p.polled_at FROM sync_states p
                                           WHERE p.container_id = '' AND p.kind = 'asset')
                ELSE s.polled_at END AS polled_at,
           s.things, s.missing, s.stale, s.orphaned, s.unreadable,
           CASE s.kind WHEN 'asset' THEN coalesce(
                s.problem,
                (SELECT p.problem FROM sync_states p WHERE p.container_id = '' AND p.kind = 'asset'),
                (SELECT t.problem FROM sync_states t WHERE t.container_id = s.container_id AND t.kind = 'trash'))
                ELSE s.problem END AS problem,
           (SELECT count(*) FROM gaps g WHERE g.closed_at IS NULL) AS open_gaps
      FROM sync_states s
     WHERE s.kind <> 'trash' AND NOT (s.kind = 'asset' AND s.container_id = '')
"""


def upgrade() -> None:
    """Add a table with its view, change a view, and make an index anew."""
    op.create_table(
        "column_classifications",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("asset_id", "column_name", "classification_id")),
        sa.Column("classification", sa.Text()),
        sa.Column("global_id", sa.Text()),
        sa.PrimaryKeyConstraint("asset_id", "column_name", "classification_id"),
    )
    op.execute(f"CREATE VIEW v1_column_classifications AS {_VIEW}")
    # Whoever walks the graph leaves out the runs that failed, and these are few.
    failed = sa.text("event_type IN ('JOB_FAILED', 'JOB_ABORTED')")
    op.create_index(
        "lineage_events_failed", "lineage_events", ["event_id"], postgresql_where=failed, sqlite_where=failed
    )
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW v1_freshness")
        op.execute(f"CREATE VIEW v1_freshness AS {_FRESHNESS}")
        return
    op.execute(f"CREATE OR REPLACE VIEW v1_freshness AS {_FRESHNESS}")
    op.drop_index("assets_path", "assets")
    op.create_index("assets_path", "assets", ["connection_path"], postgresql_using="hash")
