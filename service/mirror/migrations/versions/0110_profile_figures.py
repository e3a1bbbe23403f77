"""Profile figures.

Only adds, so that older code goes on running beside it.

Revision ID: 0110
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0110"
down_revision = "0109"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Profile figures."""
    op.create_table(
        "profile_classes",
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("attachment_id", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("class_code", sa.Text(), nullable=False),
        sa.Column("data_class", sa.Text(), nullable=True),
        sa.Column("confidence", sa.Float(), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=True),
        sa.Column("chosen", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "attachment_id", "column_name", "class_code"),
    )
    op.create_index("profile_classes_class", "profile_classes", ["class_code"], unique=False)
    op.create_table(
        "profile_documents",
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("attachment_id", sa.Text(), nullable=False),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("figures", sa.Text(), nullable=True),
        sa.Column("problem", sa.Text(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id"),
    )
    op.create_table(
        "profile_drift",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("column_name", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("before_at", UtcTime(), nullable=False),
        sa.Column("after_at", UtcTime(), nullable=False),
        sa.Column("before_text", sa.Text(), nullable=True),
        sa.Column("after_text", sa.Text(), nullable=True),
        sa.Column("before_number", sa.Float(), nullable=True),
        sa.Column("after_number", sa.Float(), nullable=True),
        sa.Column("crossed", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("asset_id", "column_name", "change"),
    )
    op.create_index("profile_drift_time", "profile_drift", ["after_at"], unique=False)
    op.create_table(
        "profile_runs",
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("run_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("finished_at", UtcTime(), nullable=False),
        sa.Column("figures", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("profile_id", "run_id"),
    )
    op.create_index("profile_runs_asset", "profile_runs", ["asset_id", "finished_at"], unique=False)
    op.create_index("profile_runs_time", "profile_runs", ["finished_at"], unique=False)
    op.add_column("data_profiles", sa.Column("run_id", sa.Text(), nullable=True))
    op.add_column("data_profiles", sa.Column("attachment_id", sa.Text(), nullable=True))
    op.add_column("data_profiles", sa.Column("figures", sa.Text(), nullable=True))

    for name, query in _views(op.get_bind().dialect.name).items():
        op.execute(f"CREATE VIEW {name} AS {query}")
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP VIEW v1_freshness")
        op.execute(f"CREATE VIEW v1_freshness AS {_FRESHNESS}")
        return
    op.execute(f"CREATE OR REPLACE VIEW v1_freshness AS {_FRESHNESS}")
    _compress_quicker()


def _compress_quicker() -> None:
    """What is written from now on is compressed by LZ4, where the server was built with it; what is there stays.

    With it the server does less for an event with its figures than it did for the event alone.
    """
    has_it = "SELECT 'lz4' = ANY(enumvals) FROM pg_settings WHERE name = 'default_toast_compression'"
    if not op.get_bind().scalar(sa.text(has_it)):
        return
    inspector = sa.inspect(op.get_bind())
    for table in inspector.get_table_names():
        for column in inspector.get_columns(table):
            if column["name"] in ("document", "figures"):
                op.execute(f"ALTER TABLE {table} ALTER COLUMN {column['name']} SET COMPRESSION lz4")


#: As 0107 made it, and what is known of the documents of profiles, where they are read.
_FRESHNESS = """
    SELECT s.container_id, s.container_kind, s.kind, s.complete_as_of, s.reconciled_at,
           CASE s.kind WHEN 'asset' THEN (SELECT p.polled_at FROM sync_states p
                                           WHERE p.container_id = '' AND p.kind = 'asset')
                ELSE s.polled_at END AS polled_at,
           s.things, s.missing, s.stale, s.orphaned, s.unreadable,
           CASE s.kind WHEN 'asset' THEN coalesce(
                s.problem,
                (SELECT p.problem FROM sync_states p WHERE p.container_id = '' AND p.kind = 'asset'),
                (SELECT t.problem FROM sync_states t WHERE t.container_id = s.container_id AND t.kind = 'trash'))
                ELSE s.problem END AS problem,
           (SELECT count(*) FROM gaps g WHERE g.closed_at IS NULL) AS open_gaps
      FROM sync_states s
     WHERE s.kind <> 'trash' AND NOT (s.kind = 'asset' AND s.container_id = '')
    UNION ALL
    SELECT d.container_id, max(d.container_kind), 'profile_document', NULL, NULL, max(d.read_at), count(*),
           sum(d.waits), 0, 0, count(d.problem), max(d.reason),
           (SELECT count(*) FROM gaps g WHERE g.closed_at IS NULL)
      FROM (SELECT container_id, container_kind, mirrored_at AS read_at, 0 AS waits, problem, problem AS reason
              FROM profile_documents
            UNION ALL
            SELECT container_id, container_kind, NULL, 1, NULL, last_error
              FROM refreshes WHERE kind = 'profile_document') d
     WHERE d.container_id IS NOT NULL
     GROUP BY d.container_id
"""
#: What a document says of a profile counts as long as the profile names the attachment that it was read from.
_DOCUMENT = "LEFT JOIN profile_documents d ON d.profile_id = p.profile_id AND d.attachment_id = p.attachment_id"
#: Of an asset that is shown, and there.
_SHOWN = """
  LEFT JOIN assets a ON a.asset_id = p.asset_id
  LEFT JOIN containers c ON c.container_id = p.container_id
 WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""
#: Of several profiles of an asset the one made last that has figures.
_CURRENT = """
   AND p.deleted_at IS NULL
   AND NOT EXISTS (
       SELECT 1 FROM data_profiles n
        WHERE n.asset_id = p.asset_id AND n.profile_id <> p.profile_id AND n.deleted_at IS NULL
          AND (n.column_count > 0 OR EXISTS (
              SELECT 1 FROM profile_documents m
               WHERE m.profile_id = n.profile_id AND m.attachment_id = n.attachment_id))
          AND (coalesce(n.created_at, n.version_at, '1970-01-01'), n.profile_id)
            > (coalesce(p.created_at, p.version_at, '1970-01-01'), p.profile_id))
"""
#: The figures of a column as they are kept, with their types in PostgreSQL; `_ratio` stands where ratios are shown.
_FIGURES = {
    "column_name": "text", "position": "integer", "inferred_type": "text", "length": "bigint", "precision": "integer",
    "scale": "integer", "row_count": "bigint", "distinct_count": "bigint", "null_count": "bigint",
    "empty_count": "bigint", "unique_count": "bigint", "null_ratio": None, "distinct_ratio": None,
    "min_number": "double precision", "max_number": "double precision", "min_text": "text", "max_text": "text",
    "mean": "double precision", "stddev": "double precision", "max_frequency": "bigint", "data_class_code": "text",
    "data_class": "text", "confidence": "double precision", "quality_score": "double precision",
    "values_hidden": "boolean", "unread": "text",
}  # fmt: skip
_PLACE = "a.name AS asset_name, p.container_kind, p.container_id"


def _views(dialect: str) -> dict[str, str]:
    return {
        "v1_profile_columns": f"""
            SELECT p.profile_id, p.asset_id, {_columns(dialect)}, {_PLACE}, p.version_at AS changed_at, p.mirrored_at
              FROM data_profiles p {_DOCUMENT} {_unpacked(dialect, "coalesce(d.figures, p.figures)")}
                   {_SHOWN} {_CURRENT}
        """,
        "v1_profile_classes": f"""
            SELECT t.profile_id, p.asset_id, t.column_name, t.class_code, t.data_class, t.confidence, t.priority,
                   t.chosen AS is_chosen, {_PLACE}
              FROM profile_classes t
              JOIN data_profiles p ON p.profile_id = t.profile_id {_DOCUMENT} {_SHOWN} {_CURRENT}
               AND t.attachment_id = coalesce(d.attachment_id, '')
        """,
        "v1_profile_history": f"""
            SELECT p.profile_id, p.run_id, p.asset_id, p.finished_at, {_columns(dialect)}, {_PLACE}
              FROM profile_runs p {_unpacked(dialect, "p.figures")} {_SHOWN}
        """,
        "v1_profile_drift": """
            SELECT p.asset_id, p.column_name, p.change, p.before_at, p.after_at, p.before_text, p.after_text,
                   p.before_number, p.after_number, p.after_number - p.before_number AS difference,
                   p.crossed AS is_crossed, p.profile_id, p.run_id, a.name AS asset_name, a.container_kind,
                   a.container_id
              FROM profile_drift p
              LEFT JOIN assets a ON a.asset_id = p.asset_id
              LEFT JOIN containers c ON c.container_id = a.container_id
             WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
        """,
    }


def _unpacked(dialect: str, figures: str) -> str:
    """The columns of a profile, a row each."""
    if dialect == "postgresql":
        types = ", ".join(f'"{name}" {type_}' for name, type_ in _FIGURES.items() if type_)
        return f"CROSS JOIN LATERAL json_to_recordset(({figures})::json) AS t({types})"
    return f"JOIN json_each({figures}) t"


def _columns(dialect: str) -> str:
    def told(name: str) -> str:
        return f't."{name}"' if dialect == "postgresql" else f"json_extract(t.value, '$.{name}')"

    def shown(name: str) -> str:
        if name == "values_hidden":
            return f"coalesce({told(name)}, false)"
        if not name.endswith("_ratio"):
            return told(name)
        part, rows = told(f"{name.removesuffix('_ratio')}_count"), told("row_count")
        return f"CASE WHEN {rows} > 0 AND {part} <= {rows} THEN {part} * 1.0 / {rows} END"

    def cast(name: str) -> str:
        exact = dialect == "postgresql" and name.endswith("_ratio")
        return f'CAST({shown(name)} AS double precision) AS "{name}"' if exact else f'{shown(name)} AS "{name}"'

    return ", ".join(map(cast, _FIGURES))
