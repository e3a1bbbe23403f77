"""Lineage that came by other ways: who sent it, OpenLineage events as they were sent, and indexes to walk along.

Only adds, so that the code of 0103 goes on running beside it; the index that goes is the beginning of a new one.

Revision ID: 0104
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0104"
down_revision = "0103"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add a column, a table and the indexes."""
    op.add_column("lineage_events", sa.Column("came_from", sa.Text(), nullable=True))
    op.create_table(
        "openlineage_events",
        sa.Column("openlineage_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_time", UtcTime(), nullable=True),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("openlineage_id"),
    )
    op.create_index("openlineage_events_event", "openlineage_events", ["event_id"])
    op.create_index("lineage_edges_walk", "lineage_edges", ["asset_id", "role", "event_id"])
    op.drop_index("lineage_edges_asset", "lineage_edges")
    op.create_index("assets_path", "assets", ["connection_path"])
