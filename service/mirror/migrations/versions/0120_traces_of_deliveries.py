"""Which trace a delivery goes on in.

Only adds, so that older code goes on running beside it.

Revision ID: 0120
"""

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0119"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Which trace a delivery goes on in."""
    op.add_column("deliveries", sa.Column("trace", sa.Text(), nullable=True))
