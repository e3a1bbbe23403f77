"""Categories and contracts.

Only adds, so that older code goes on running beside it.

Revision ID: 0109
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0109"
down_revision = "0108"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Categories and contracts."""
    op.create_table(
        "categories",
        sa.Column("category_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("global_id", sa.Text(), nullable=True),
        sa.Column("parent_category_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("short_description", sa.Text(), nullable=True),
        sa.Column("long_description", sa.Text(), nullable=True),
        sa.Column("tags", sa.Text(), nullable=True),
        sa.Column("steward_ids", sa.Text(), nullable=True),
        sa.Column("steward_group_ids", sa.Text(), nullable=True),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=True),
        sa.Column("updated_at", UtcTime(), nullable=True),
        sa.Column("updated_by", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("category_id"),
    )
    op.create_index("categories_container", "categories", ["container_id"], unique=False)
    op.create_table(
        "category_members",
        sa.Column("category_member_id", sa.Text(), nullable=False),
        sa.Column("category_id", sa.Text(), nullable=True),
        sa.Column("principal_id", sa.Text(), nullable=True),
        sa.Column("principal_type", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=True),
        sa.Column("added_at", UtcTime(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("category_member_id"),
    )
    op.create_index("category_members_container", "category_members", ["container_id"], unique=False)
    op.create_table(
        "data_contract_tests",
        sa.Column("test_id", sa.Text(), nullable=False),
        sa.Column("data_contract_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("job_run_id", sa.Text(), nullable=True),
        sa.Column("job_run_state", sa.Text(), nullable=True),
        sa.Column("result", sa.Text(), nullable=True),
        sa.Column("schema_result", sa.Text(), nullable=True),
        sa.Column("total_assets", sa.BigInteger(), nullable=True),
        sa.Column("passed_assets", sa.BigInteger(), nullable=True),
        sa.Column("failed_assets", sa.BigInteger(), nullable=True),
        sa.Column("missing_assets", sa.BigInteger(), nullable=True),
        sa.Column("total_columns", sa.BigInteger(), nullable=True),
        sa.Column("passed_columns", sa.BigInteger(), nullable=True),
        sa.Column("failed_columns", sa.BigInteger(), nullable=True),
        sa.Column("missing_columns", sa.BigInteger(), nullable=True),
        sa.Column("mismatched_columns", sa.BigInteger(), nullable=True),
        sa.Column("unexpected_columns", sa.BigInteger(), nullable=True),
        sa.Column("quality_result", sa.Text(), nullable=True),
        sa.Column("total_checks", sa.BigInteger(), nullable=True),
        sa.Column("passed_checks", sa.BigInteger(), nullable=True),
        sa.Column("failed_checks", sa.BigInteger(), nullable=True),
        sa.Column("error_checks", sa.BigInteger(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("test_id"),
    )
    op.create_index("data_contract_tests_container", "data_contract_tests", ["container_id"], unique=False)
    op.create_table(
        "data_contracts",
        sa.Column("data_contract_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("contract_type", sa.Text(), nullable=True),
        sa.Column("data_product_id", sa.Text(), nullable=True),
        sa.Column("contract_id", sa.Text(), nullable=True),
        sa.Column("contract_version", sa.Text(), nullable=True),
        sa.Column("contract_status", sa.Text(), nullable=True),
        sa.Column("standard_version", sa.Text(), nullable=True),
        sa.Column("domain", sa.Text(), nullable=True),
        sa.Column("data_product", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=True),
        sa.Column("updated_at", UtcTime(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("data_contract_id"),
    )
    op.create_index("data_contracts_container", "data_contracts", ["container_id"], unique=False)
    op.create_table(
        "datasource_types",
        sa.Column("datasource_type_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("label", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("category", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True),
        sa.Column("is_source", sa.Boolean(), nullable=True),
        sa.Column("is_target", sa.Boolean(), nullable=True),
        sa.Column("creator_id", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("datasource_type_id"),
    )
    op.create_index("datasource_types_container", "datasource_types", ["container_id"], unique=False)
    op.add_column("artifacts", sa.Column("steward_ids", sa.Text(), nullable=True))
    op.add_column("artifacts", sa.Column("steward_group_ids", sa.Text(), nullable=True))
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW v1_artifacts")
        op.execute("""
            CREATE VIEW v1_artifacts AS
            SELECT t.artifact_id, t.artifact_type, t.name, t.global_id, t.version_id, t.state, t.short_description,
              t.long_description, t.tags, t.parent_category_id, t.effective_from, t.effective_to, t.created_at,
              t.updated_at, t.updated_by, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at,
              t.document IS NULL AS is_stub, t.document, t.steward_ids, t.steward_group_ids
            FROM artifacts t
            LEFT JOIN containers c ON c.container_id = t.container_id
            WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
        """)
    else:
        op.execute("""
            CREATE OR REPLACE VIEW v1_artifacts AS
            SELECT t.artifact_id, t.artifact_type, t.name, t.global_id, t.version_id, t.state, t.short_description,
              t.long_description, t.tags, t.parent_category_id, t.effective_from, t.effective_to, t.created_at,
              t.updated_at, t.updated_by, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at,
              t.document IS NULL AS is_stub, t.document, t.steward_ids, t.steward_group_ids
            FROM artifacts t
            LEFT JOIN containers c ON c.container_id = t.container_id
            WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
        """)
    op.execute("""
        CREATE VIEW v1_categories AS
        SELECT t.category_id, t.name, t.global_id, t.parent_category_id, t.state, t.short_description,
          t.long_description, t.tags, t.steward_ids, t.steward_group_ids, t.revision, t.created_at, t.updated_at,
          t.updated_by, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at, t.document IS NULL
          AS is_stub, t.document
        FROM categories t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_category_members AS
        SELECT t.category_member_id, t.category_id, t.principal_id, t.principal_type, t.role, t.added_at,
          t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at, t.document IS NULL AS is_stub,
          t.document
        FROM category_members t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_data_contracts AS
        SELECT t.data_contract_id, t.name, t.description, t.contract_type, t.data_product_id, t.contract_id,
          t.contract_version, t.contract_status, t.standard_version, t.domain, t.data_product, t.created_at,
          t.updated_at, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at, t.document IS NULL
          AS is_stub, t.document
        FROM data_contracts t
        LEFT JOIN containers c ON c.container_id = t.container_id
        LEFT JOIN assets a ON a.asset_id = t.data_contract_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL AND a.deleted_at IS NULL AND coalesce(a.visibility_mode, 0)
          NOT IN (8, 16)
    """)
    op.execute("""
        CREATE VIEW v1_data_contract_tests AS
        SELECT t.test_id, t.data_contract_id, t.status, t.started_at, t.ended_at, t.job_id, t.job_run_id,
          t.job_run_state, t.result, t.schema_result, t.total_assets, t.passed_assets, t.failed_assets,
          t.missing_assets, t.total_columns, t.passed_columns, t.failed_columns, t.missing_columns,
          t.mismatched_columns, t.unexpected_columns, t.quality_result, t.total_checks, t.passed_checks,
          t.failed_checks, t.error_checks, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at,
          t.document IS NULL AS is_stub, t.document
        FROM data_contract_tests t
        LEFT JOIN containers c ON c.container_id = t.container_id
        LEFT JOIN assets a ON a.asset_id = t.data_contract_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL AND a.deleted_at IS NULL AND coalesce(a.visibility_mode, 0)
          NOT IN (8, 16)
    """)
    op.execute("""
        CREATE VIEW v1_datasource_types AS
        SELECT t.datasource_type_id, t.name, t.label, t.description, t.category, t.status, t.is_source, t.is_target,
          t.creator_id, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at, t.document IS NULL
          AS is_stub, t.document
        FROM datasource_types t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    # The union keeps each pair once, so that categories which are each below the other come to an end.
    op.execute("""
        CREATE VIEW v1_category_ancestors AS
        WITH RECURSIVE above (category_id, ancestor_id) AS (
          SELECT c.category_id, c.category_id FROM v1_categories c
          UNION
          SELECT a.category_id, c.parent_category_id FROM above a
          JOIN v1_categories c ON c.category_id = a.ancestor_id
          WHERE c.parent_category_id IS NOT NULL
        )
        SELECT a.category_id, a.ancestor_id FROM above a
    """)
    op.execute("""
        CREATE VIEW v1_category_paths AS
        WITH RECURSIVE below (category_id, name, parent_category_id, path, depth) AS (
          SELECT c.category_id, c.name, c.parent_category_id, coalesce(c.name, c.category_id), 1
          FROM v1_categories c
          LEFT JOIN v1_categories p ON p.category_id = c.parent_category_id
          WHERE p.category_id IS NULL
          UNION ALL
          SELECT c.category_id, c.name, c.parent_category_id, b.path || ' >> ' || coalesce(c.name, c.category_id),
            b.depth + 1
          FROM below b
          JOIN v1_categories c ON c.parent_category_id = b.category_id
        )
        SELECT b.category_id, b.name, b.parent_category_id, b.path, b.depth FROM below b
    """)
