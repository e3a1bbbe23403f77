"""Who was forgotten.

Only adds, so that older code goes on running beside it.

Revision ID: 0125
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0125"
down_revision = "0121"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Who was forgotten."""
    op.create_table(
        "forgotten",
        sa.Column("name_hash", sa.Text(), nullable=False),
        sa.Column("forgotten_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name_hash"),
    )
