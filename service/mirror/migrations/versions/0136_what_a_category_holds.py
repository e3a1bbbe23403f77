"""What a category holds, with all below it.

Only adds, so that older code goes on running beside it.

Revision ID: 0136
"""

from alembic import op

revision = "0136"
down_revision = "0135"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Artifacts below each category, by the index of their own category."""
    if op.get_bind().dialect.name == "sqlite":
        # The order of a cross join is kept.
        op.execute("""
            CREATE VIEW v1_category_artifacts AS
            SELECT a.ancestor_id, a.category_id, x.artifact_id, x.artifact_type, x.name
            FROM v1_category_ancestors a
            CROSS JOIN v1_artifacts x ON x.parent_category_id = a.category_id
        """)
    else:
        # PostgreSQL takes what is recursive for many times as much as it is, and would read all artifacts. Behind an
        # offset they are looked up for one category after the other.
        op.execute("""
            CREATE VIEW v1_category_artifacts AS
            SELECT a.ancestor_id, a.category_id, x.artifact_id, x.artifact_type, x.name
            FROM v1_category_ancestors a
            CROSS JOIN LATERAL (
              SELECT t.artifact_id, t.artifact_type, t.name
              FROM v1_artifacts t
              WHERE t.parent_category_id = a.category_id
              OFFSET 0
            ) x
        """)
