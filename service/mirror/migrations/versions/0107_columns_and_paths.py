"""Classifications of columns; and paths of any length: on PostgreSQL the index over them is by hash.

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


def upgrade() -> None:
    """Add a table with its view, and make an index anew; SQLite's has no limit."""
    op.create_table(
        "column_classifications",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("asset_id", "column_name", "classification_id")),
        sa.Column("classification", sa.Text()),
        sa.Column("global_id", sa.Text()),
        sa.PrimaryKeyConstraint("asset_id", "column_name", "classification_id"),
    )
    op.execute(f"CREATE VIEW v1_column_classifications AS {_VIEW}")
    if op.get_bind().dialect.name == "postgresql":
        op.drop_index("assets_path", "assets")
        op.create_index("assets_path", "assets", ["connection_path"], postgresql_using="hash")
