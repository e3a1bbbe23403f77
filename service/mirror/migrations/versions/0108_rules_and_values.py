"""Rules and values.

Only adds, so that older code goes on running beside it.

Revision ID: 0108
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0108"
down_revision = "0107"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Rules and values."""
    op.create_table(
        "protection_rules",
        sa.Column("protection_rule_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("governance_type", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=True),
        sa.Column("subaction", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=True),
        sa.Column("updated_at", UtcTime(), nullable=True),
        sa.Column("created_by", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("protection_rule_id"),
    )
    op.create_index("protection_rules_container", "protection_rules", ["container_id"], unique=False)
    op.create_table(
        "quality_definitions",
        sa.Column("definition_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("expression", sa.Text(), nullable=True),
        sa.Column("dimension_id", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("definition_id"),
    )
    op.create_index("quality_definitions_container", "quality_definitions", ["container_id"], unique=False)
    op.create_table(
        "quality_executions",
        sa.Column("execution_id", sa.Text(), nullable=False),
        sa.Column("rule_id", sa.Text(), nullable=True),
        sa.Column("state", sa.Text(), nullable=True),
        sa.Column("started_at", UtcTime(), nullable=True),
        sa.Column("ended_at", UtcTime(), nullable=True),
        sa.Column("tested_records", sa.BigInteger(), nullable=True),
        sa.Column("passing_records", sa.BigInteger(), nullable=True),
        sa.Column("failing_records", sa.BigInteger(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("job_run_id", sa.Text(), nullable=True),
        sa.Column("run_by", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("execution_id"),
    )
    op.create_index("quality_executions_container", "quality_executions", ["container_id"], unique=False)
    op.create_table(
        "quality_rules",
        sa.Column("rule_id", sa.Text(), nullable=False),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("expression", sa.Text(), nullable=True),
        sa.Column("is_valid", sa.Boolean(), nullable=True),
        sa.Column("definition_id", sa.Text(), nullable=True),
        sa.Column("asset_id", sa.Text(), nullable=True),
        sa.Column("column_name", sa.Text(), nullable=True),
        sa.Column("dimension_id", sa.Text(), nullable=True),
        sa.Column("job_id", sa.Text(), nullable=True),
        sa.Column("output_table_id", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("rule_id"),
    )
    op.create_index("quality_rules_container", "quality_rules", ["container_id"], unique=False)
    op.create_table(
        "reference_values",
        sa.Column("reference_value_id", sa.Text(), nullable=False),
        sa.Column("reference_set_id", sa.Text(), nullable=True),
        sa.Column("code", sa.Text(), nullable=True),
        sa.Column("value", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("parent_value_id", sa.Text(), nullable=True),
        sa.Column("has_children", sa.Boolean(), nullable=True),
        sa.Column("revision", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("reference_value_id"),
    )
    op.create_index("reference_values_container", "reference_values", ["container_id"], unique=False)
    op.execute("""
        CREATE VIEW v1_quality_definitions AS
        SELECT t.definition_id, t.name, t.description, t.expression, t.dimension_id, t.container_kind, t.container_id,
          t.version_at AS changed_at, t.mirrored_at, t.document IS NULL AS is_stub, t.document
        FROM quality_definitions t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_quality_rules AS
        SELECT t.rule_id, t.name, t.description, t.expression, t.is_valid, t.definition_id, t.asset_id, t.column_name,
          t.dimension_id, t.job_id, t.output_table_id, t.container_kind, t.container_id, t.version_at AS changed_at,
          t.mirrored_at, t.document IS NULL AS is_stub, t.document
        FROM quality_rules t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_quality_executions AS
        SELECT t.execution_id, t.rule_id, t.state, t.started_at, t.ended_at, t.tested_records, t.passing_records,
          t.failing_records, t.job_id, t.job_run_id, t.run_by, t.container_kind, t.container_id, t.version_at AS
          changed_at, t.mirrored_at, t.document IS NULL AS is_stub, t.document
        FROM quality_executions t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_reference_values AS
        SELECT t.reference_value_id, t.reference_set_id, t.code, t.value, t.description, t.parent_value_id,
          t.has_children, t.revision, t.container_kind, t.container_id, t.version_at AS changed_at, t.mirrored_at,
          t.document IS NULL AS is_stub, t.document
        FROM reference_values t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
    op.execute("""
        CREATE VIEW v1_protection_rules AS
        SELECT t.protection_rule_id, t.name, t.description, t.governance_type, t.action, t.subaction, t.state,
          t.created_at, t.updated_at, t.created_by, t.container_kind, t.container_id, t.version_at AS changed_at,
          t.mirrored_at, t.document IS NULL AS is_stub, t.document
        FROM protection_rules t
        LEFT JOIN containers c ON c.container_id = t.container_id
        WHERE t.deleted_at IS NULL AND c.deleted_at IS NULL
    """)
