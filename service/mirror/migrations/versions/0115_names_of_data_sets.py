"""Names of data sets.

Only adds, so that older code goes on running beside it.

Revision ID: 0115
"""

import sqlalchemy as sa
from alembic import op

revision = "0115"
down_revision = "0114"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Names of data sets."""
    op.create_table(
        "dataset_identities",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("identity_id", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id"),
    )
    op.create_index("dataset_identities_identity", "dataset_identities", ["identity_id"], unique=False)
    op.create_table(
        "dataset_links",
        sa.Column("facet_id", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("other_id", sa.Text(), nullable=False),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("is_asset", sa.Boolean(), nullable=False),
        sa.Column("other_is_asset", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("facet_id", "version", "asset_id", "other_id"),
    )
    op.create_index("dataset_links_event", "dataset_links", ["event_id"], unique=False)
    op.create_index("dataset_links_one", "dataset_links", ["asset_id", "other_id"], unique=False)
    op.create_index("dataset_links_other", "dataset_links", ["other_id", "asset_id"], unique=False)
    op.execute(f"CREATE VIEW v1_dataset_names AS {_NAMES}")
    op.execute(f"CREATE VIEW v1_dataset_links AS {_LINKS}")


#: Whatever not every member of a container may see is left out, by any of its names.
_NAMES = """
    SELECT i.asset_id, i.identity_id, w.name AS identity_name, w.container_kind, w.container_id
      FROM dataset_identities i
      LEFT JOIN assets a ON a.asset_id = i.asset_id
      LEFT JOIN assets w ON w.asset_id = i.identity_id
     WHERE coalesce(a.visibility_mode, 0) NOT IN (8, 16) AND coalesce(w.visibility_mode, 0) NOT IN (8, 16)
"""
_LINKS = """
    SELECT l.event_id, l.asset_id, l.other_id
      FROM dataset_links l
      LEFT JOIN assets a ON a.asset_id = l.asset_id
      LEFT JOIN assets b ON b.asset_id = l.other_id
     WHERE l.other_id <> ''
       AND coalesce(a.visibility_mode, 0) NOT IN (8, 16) AND coalesce(b.visibility_mode, 0) NOT IN (8, 16)
"""
