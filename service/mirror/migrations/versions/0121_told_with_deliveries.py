"""What a delivery tells, where that is fixed with the change.

Only adds, so that older code goes on running beside it.

Revision ID: 0121
"""

import sqlalchemy as sa
from alembic import op

revision = "0121"
down_revision = "0120"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What a delivery tells, where that is fixed with the change."""
    op.add_column("deliveries", sa.Column("document", sa.Text(), nullable=True))
