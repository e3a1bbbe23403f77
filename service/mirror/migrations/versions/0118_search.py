"""What search looks through, and indexes by which one thing is told whole.

Only adds, so that older code goes on running beside it. On PostgreSQL what has rows is indexed afterwards, beside
everybody who writes (`service.mirror.indexes`); what search needs beside tables is made then, too
(`service.mirror.search.preparing`).

Revision ID: 0118
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import TSVECTOR

from service.mirror.tables import UtcTime

revision = "0118"
down_revision = "0117"
branch_labels = None
depends_on = None

#: By name of the index: table and column of a text that is asked for as a whole, and may be long.
_TEXTS = {
    "artifact_relationships_source_id": ("artifact_relationships", "source_id"),
    "artifact_relationships_target_id": ("artifact_relationships", "target_id"),
    "artifact_versions_artifact_id": ("artifact_versions", "artifact_id"),
    "assets_source": ("assets", "source_asset_id"),
    "data_contract_tests_data_contract_id": ("data_contract_tests", "data_contract_id"),
    "quality_assets_native_id": ("quality_assets", "native_id"),
    "quality_issues_quality_asset_id": ("quality_issues", "quality_asset_id"),
    "quality_rules_asset_id": ("quality_rules", "asset_id"),
    "reference_values_reference_set_id": ("reference_values", "reference_set_id"),
    "relationships_source_id": ("relationships", "source_id"),
    "relationships_target_id": ("relationships", "target_id"),
}
_OTHERS = {
    "artifacts_written": ("artifacts", ["mirrored_at", "artifact_id"]),
    "assets_written": ("assets", ["mirrored_at", "asset_id"]),
    "usage_facts_asset": ("usage_facts", ["asset_id", "occurred_at"]),
}


def upgrade() -> None:
    """Tables of search, and indexes."""
    op.create_table(
        "search_things",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("thing_id", sa.Text(), nullable=False),
        sa.Column("sort_name", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("thing_type", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column("labels", sa.Text(), nullable=True),
        sa.Column("changed_at", UtcTime(), nullable=True),
        sa.Column("source_at", UtcTime(), nullable=False),
        sa.Column("words", sa.Text().with_variant(TSVECTOR(), "postgresql"), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("kind", "thing_id", name="search_things_thing"),
    )
    op.create_index("search_things_name", "search_things", ["sort_name", "seq"], unique=False)
    op.create_index("search_things_words", "search_things", ["words"], unique=False, postgresql_using="gin")
    op.create_table("search_words", sa.Column("word", sa.Text(), nullable=False), sa.PrimaryKeyConstraint("word"))
    for name, (table, column) in _TEXTS.items():
        if _is_indexed_here(table):
            op.create_index(name, table, [column], unique=False, postgresql_using="hash", if_not_exists=True)
    for name, (table, columns) in _OTHERS.items():
        if _is_indexed_here(table):
            op.create_index(name, table, columns, unique=False, if_not_exists=True)


def _is_indexed_here(table: str) -> bool:
    bind = op.get_bind()
    return bind.dialect.name == "sqlite" or not bind.scalar(sa.text(f"SELECT EXISTS (SELECT 1 FROM {table})"))
