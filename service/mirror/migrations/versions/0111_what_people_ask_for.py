"""Indexes by which people ask, and who changed an asset last.

Only adds, so that older code goes on running beside it. On PostgreSQL what has rows is indexed afterwards, beside
everybody who writes (`service.mirror.indexes`).

Revision ID: 0111
"""

import sqlalchemy as sa
from alembic import op

revision = "0111"
down_revision = "0110"
branch_labels = None
depends_on = None

#: By name of the index: a text that is asked for as a whole, and may be longer than an entry of the usual index.
_TEXTS = {
    "artifacts_name": ("artifacts", "name"),
    "artifacts_parent_category_id": ("artifacts", "parent_category_id"),
    "asset_classifications_name": ("asset_classifications", "classification"),
    "asset_columns_class": ("asset_columns", "data_class"),
    "asset_columns_name": ("asset_columns", "name"),
    "asset_terms_name": ("asset_terms", "term"),
    "assets_connection": ("assets", "connection_id"),
    "assets_name": ("assets", "name"),
    "assets_owner": ("assets", "owner_id"),
    "column_classifications_name": ("column_classifications", "classification"),
}

#: As 0102 made it, with `updated_by` at its end.
_ASSETS = """
    SELECT a.asset_id, a.container_kind, a.container_id, a.name, a.asset_type, a.version_at AS changed_at,
           a.mirrored_at, a.document IS NULL AS is_stub, a.document, a.description, a.tags, a.state, a.owner_id,
           a.resource_key, a.connection_id, a.connection_path, a.copy_action, a.source_asset_id,
           a.source_container_kind, a.source_container_id, a.created_at, a.updated_at, a.updated_by
      FROM assets a LEFT JOIN containers c ON c.container_id = a.container_id
     WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""


def upgrade() -> None:
    """Indexes by which people ask, and who changed an asset last."""
    for name, (table, column) in _TEXTS.items():
        if _is_indexed_here(table):
            op.create_index(name, table, [column], unique=False, postgresql_using="hash")
    if _is_indexed_here("assets"):
        op.create_index("assets_changed", "assets", ["version_at"], unique=False)
    op.add_column("assets", sa.Column("updated_by", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW v1_assets")
        op.execute(f"CREATE VIEW v1_assets AS {_ASSETS}")
    else:
        op.execute(f"CREATE OR REPLACE VIEW v1_assets AS {_ASSETS}")


def _is_indexed_here(table: str) -> bool:
    bind = op.get_bind()
    return bind.dialect.name == "sqlite" or not bind.scalar(sa.text(f"SELECT EXISTS (SELECT 1 FROM {table})"))
