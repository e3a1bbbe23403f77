"""What Collibra has of our assets.

Only adds, so that older code goes on running beside it.

Revision ID: 0135
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0135"
down_revision = "0130"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """The ledger of things there."""
    op.create_table(
        "collibra_assets",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("entity_kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("command", sa.Text(), nullable=True),
        sa.Column("pending", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("waits_for", sa.Text(), nullable=True),
        sa.Column("told_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("target", "external_id"),
    )
    op.create_index("collibra_assets_entity", "collibra_assets", ["target", "entity_id"])
    op.create_index("collibra_assets_job", "collibra_assets", ["target", "job_id"])
    op.create_index("collibra_assets_waits", "collibra_assets", ["target", "waits_for"])
