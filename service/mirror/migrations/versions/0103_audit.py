"""Who did what and why, and what a dead letter was before somebody mended it.

Only adds, so that the code of 0102 goes on running beside it.

Revision ID: 0103
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0103"
down_revision = "0102"
branch_labels = None
depends_on = None

_REFUSED = "the audit log is only added to"


def upgrade() -> None:
    """Add both."""
    op.add_column("dead_letters", sa.Column("original_body", sa.LargeBinary(), nullable=True))
    op.add_column("dead_letters", sa.Column("edited_at", UtcTime(), nullable=True))
    op.create_table(
        "audit_log",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True),
        sa.Column("at", UtcTime(), nullable=False),
        sa.Column("who", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
    )
    op.create_index("audit_log_subject", "audit_log", ["subject", "seq"])
    if op.get_context().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION audit_log_is_only_added_to() RETURNS trigger LANGUAGE plpgsql AS "
            f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}'; END $$"
        )
        op.execute(
            "CREATE TRIGGER audit_log_is_only_added_to BEFORE UPDATE OR DELETE ON audit_log "
            "FOR EACH ROW EXECUTE FUNCTION audit_log_is_only_added_to()"
        )
        return
    for event in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_log_no_{event.lower()} BEFORE {event} ON audit_log "
            f"BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
        )
