"""Every state that was the row.

Only adds, so that older code goes on running beside it. A history has the columns that its table has now, and its view
those of the view of that table.

Revision ID: 0129
"""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision = "0129"
down_revision = "0125"
branch_labels = None
depends_on = None

#: Tables of states.
_TABLES = (
    "containers", "assets", "data_profiles", "members", "asset_types", "relationship_types", "relationships",
    "artifacts", "artifact_versions", "artifact_relationships", "asset_lists", "asset_list_items", "quality_assets",
    "quality_checks", "quality_issues", "quality_scores", "jobs", "job_runs", "metadata_imports", "enrichment_areas",
    "asset_statistics", "quality_definitions", "quality_rules", "quality_executions", "reference_values",
    "protection_rules", "categories", "category_members", "data_contracts", "data_contract_tests", "datasource_types",
)  # fmt: skip
#: The column with the asset that a state is of, or is shown with.
_ASSETS = {
    "assets": "asset_id", "data_profiles": "asset_id", "metadata_imports": "metadata_import_id",
    "enrichment_areas": "area_id", "asset_statistics": "asset_id", "data_contracts": "data_contract_id",
    "data_contract_tests": "data_contract_id",
}  # fmt: skip
#: What a view says of now alone, and what stands last in it.
_NOW, _LAST = ("changed_at", "is_stub"), ("mirrored_at", "document")


def upgrade() -> None:
    """A table and a view for each table of states."""
    there = sa.inspect(op.get_bind())
    for table in _TABLES:
        columns = [told for told in there.get_columns(table) if told["name"] != "replaces"]
        key = columns[0]["name"]
        op.create_table(
            f"{table}_history",
            *(sa.Column(told["name"], told["type"], nullable=told["nullable"]) for told in columns),
            sa.Column("is_exact", sa.Boolean(), nullable=False),
            sa.PrimaryKeyConstraint(key, "version"),
        )
        op.create_index(f"{table}_history_at", f"{table}_history", ["version_at"], unique=False)
        shown = [told["name"] for told in there.get_columns(f"v1_{table}")]
        op.execute(f"CREATE VIEW v1_{table}_history AS {_view(table, key, shown)}")


def _view(table: str, key: str, shown: Sequence[str]) -> str:
    names = [name for name in shown if name not in (*_NOW, *_LAST)]
    told = [f"t.{name}" for name in names]
    told += ["t.version_at AS valid_from", "t.valid_to", "t.is_exact"]
    told += [f"t.{name}" for name in _LAST if name in shown]
    visible = "AND coalesce(t.visibility_mode, 0) NOT IN (8, 16)" if table == "assets" else ""
    if asset := _ASSETS.get(table):
        hidden = f"SELECT 1 FROM assets a WHERE a.asset_id = t.{asset} AND a.visibility_mode IN (8, 16)"
        visible += f" AND NOT EXISTS ({hidden})"
    return f"""
        SELECT {", ".join(told)}
          FROM (SELECT h.*, lead(version_at) OVER (PARTITION BY {key} ORDER BY version) AS valid_to
                  FROM {table}_history h) t
         WHERE t.deleted_at IS NULL AND (t.valid_to IS NULL OR t.version_at < t.valid_to) {visible}
    """
