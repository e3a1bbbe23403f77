"""Attributes and attachments.

Only adds, so that older code goes on running beside it.

Revision ID: 0112
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0112"
down_revision = "0111"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Attributes and attachments."""
    op.create_table(
        "asset_attachments",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("attachment_id", sa.Text(), nullable=False),
        sa.Column("asset_type", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("mime", sa.Text(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=True),
        sa.Column("connection_id", sa.Text(), nullable=True),
        sa.Column("connection_path", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("asset_id", "attachment_id"),
    )
    op.create_table(
        "asset_attributes",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("attribute", sa.Text(), nullable=False),
        sa.Column("path", sa.Text(), nullable=False),
        sa.Column("text_value", sa.Text(), nullable=True),
        sa.Column("number_value", sa.Float(), nullable=True),
        sa.Column("truth_value", sa.Boolean(), nullable=True),
        sa.Column("time_value", UtcTime(), nullable=True),
        sa.Column("cut", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("asset_id", "number"),
    )
    op.create_index("asset_attributes_value", "asset_attributes", ["attribute", "path", "text_value"], unique=False)
    for table, columns in (("asset_attributes", _ATTRIBUTES), ("asset_attachments", _ATTACHMENTS)):
        shown = ", ".join(f"t.{name}" for name in columns)
        op.execute(f"CREATE VIEW v1_{table} AS SELECT {shown}, {_PLACE} FROM {table} t {_SHOWN}")


_ATTRIBUTES = (
    "asset_id", "attribute", "path", "text_value", "number_value", "truth_value", "time_value", "cut",
)  # fmt: skip
_ATTACHMENTS = (
    "attachment_id", "asset_id", "asset_type", "name", "mime", "size", "kind", "connection_id", "connection_path",
    "created_at",
)  # fmt: skip
_PLACE = "a.name AS asset_name, a.container_kind, a.container_id"
#: Of an asset that is shown, and there.
_SHOWN = """
      JOIN assets a ON a.asset_id = t.asset_id
      LEFT JOIN containers c ON c.container_id = a.container_id
     WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""
