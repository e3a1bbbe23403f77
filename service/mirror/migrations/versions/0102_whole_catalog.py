"""The whole catalog: every kind of thing, what belongs to assets, and how far reading has come.

Only adds, so that the code of 0101 goes on running beside it.

Revision ID: 0102
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0102"
down_revision = "0101"
branch_labels = None
depends_on = None

TEXT, INTEGER, NUMBER, TRUTH, TIME = sa.Text, sa.BigInteger, sa.Float, sa.Boolean, UtcTime

#: Table → (its key, its own columns). Each also has a container and what every state row has.
THINGS: dict[str, tuple[str, dict[str, Any]]] = {
    "members": ("member_id", {
        "principal_id": TEXT, "principal_type": TEXT, "role": TEXT, "state": TEXT, "added_at": TIME,
    }),
    "asset_types": ("asset_type_id", {
        "name": TEXT, "description": TEXT, "type_version": INTEGER, "is_attribute_only": TRUTH,
        "is_column_attribute": TRUTH,
    }),
    "relationship_types": ("relationship_type_id", {
        "end1_name": TEXT, "end1_types": TEXT, "end1_on_delete": TEXT, "end2_name": TEXT, "end2_types": TEXT,
        "end2_on_delete": TEXT,
    }),
    "relationships": ("relationship_id", {
        "relationship_name": TEXT, "relationship_type_id": TEXT, "source_kind": TEXT, "source_id": TEXT,
        "source_column": TEXT, "source_container_id": TEXT, "target_kind": TEXT, "target_id": TEXT,
        "target_column": TEXT, "target_container_id": TEXT, "created_at": TIME, "updated_at": TIME,
    }),
    "artifacts": ("artifact_id", {
        "artifact_type": TEXT, "name": TEXT, "global_id": TEXT, "version_id": TEXT, "state": TEXT,
        "short_description": TEXT, "long_description": TEXT, "tags": TEXT, "parent_category_id": TEXT,
        "effective_from": TIME, "effective_to": TIME, "created_at": TIME, "updated_at": TIME, "updated_by": TEXT,
    }),
    "artifact_versions": ("version_id", {
        "artifact_id": TEXT, "artifact_type": TEXT, "name": TEXT, "state": TEXT, "revision": TEXT,
        "effective_from": TIME, "effective_to": TIME, "updated_at": TIME, "updated_by": TEXT,
    }),
    "artifact_relationships": ("artifact_relationship_id", {
        "relationship_type": TEXT, "source_id": TEXT, "source_type": TEXT, "target_id": TEXT, "target_type": TEXT,
        "target_name": TEXT,
    }),
    "asset_lists": ("asset_list_id", {
        "name": TEXT, "description": TEXT, "list_type": TEXT, "state": TEXT, "asset_id": TEXT, "owner_id": TEXT,
        "created_at": TIME, "updated_at": TIME,
    }),
    "asset_list_items": ("item_id", {
        "asset_list_id": TEXT, "asset_id": TEXT, "asset_type": TEXT, "created_at": TIME, "updated_at": TIME,
    }),
    "quality_assets": ("quality_asset_id", {
        "name": TEXT, "asset_type": TEXT, "native_id": TEXT, "weight": NUMBER, "created_at": TIME,
    }),
    "quality_checks": ("check_id", {
        "name": TEXT, "check_type": TEXT, "native_id": TEXT, "dimension": TEXT, "created_at": TIME,
    }),
    "quality_issues": ("issue_id", {
        "check_id": TEXT, "check_name": TEXT, "quality_asset_id": TEXT, "status": TEXT, "is_ignored": TRUTH,
        "occurrences": INTEGER, "tested_records": INTEGER, "created_at": TIME, "updated_at": TIME,
    }),
    "quality_scores": ("quality_asset_id", {
        "name": TEXT, "score": NUMBER, "number_of_checks": INTEGER, "status": TEXT, "scored_at": TIME,
    }),
    "jobs": ("job_id", {
        "name": TEXT, "asset_id": TEXT, "asset_ref_type": TEXT, "last_run_status": TEXT, "last_run_at": TIME,
        "created_at": TIME,
    }),
    "job_runs": ("run_id", {
        "job_id": TEXT, "state": TEXT, "is_scheduled": TRUTH, "created_at": TIME, "updated_at": TIME,
    }),
    "metadata_imports": ("metadata_import_id", {
        "name": TEXT, "connection_id": TEXT, "job_id": TEXT, "created_at": TIME,
    }),
    "asset_statistics": ("statistic_id", {
        "asset_id": TEXT, "statistic": TEXT, "count": INTEGER,
    }),
}  # fmt: skip

#: Table → columns that it gains.
ADDED: dict[str, dict[str, Any]] = {
    "containers": {
        "name": TEXT, "description": TEXT, "state": TEXT, "is_governed": TRUTH, "creator_id": TEXT, "created_at": TIME,
    },
    "assets": {
        "description": TEXT, "tags": TEXT, "state": TEXT, "owner_id": TEXT, "resource_key": TEXT,
        "connection_id": TEXT, "connection_path": TEXT, "copy_action": TEXT, "source_asset_id": TEXT,
        "source_container_kind": TEXT, "source_container_id": TEXT, "created_at": TIME, "updated_at": TIME,
    },
    "enrichment_areas": {
        "name": TEXT, "job_id": TEXT, "created_at": TIME, "container_kind": TEXT, "container_id": TEXT,
    },
    "refreshes": {"last_error": TEXT, "lease_until": TIME},
}  # fmt: skip

#: What is shown while its container is. `asset` is what it belongs to, and is shown with.
_OF_CONTAINER = "LEFT JOIN containers c ON c.container_id = t.container_id"
_SHOWN = "t.deleted_at IS NULL AND c.deleted_at IS NULL"
_OF_ASSET = "LEFT JOIN assets a ON a.asset_id = {key}"
_ASSET_SHOWN = "a.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)"
#: Things that belong to an asset: table → the column with its id.
BELONGS_TO_ASSET = {
    "asset_statistics": "asset_id",
    "metadata_imports": "metadata_import_id",
    "enrichment_areas": "area_id",
}
_ASSET_IS_SHOWN = """
          JOIN assets a ON a.asset_id = t.asset_id
          LEFT JOIN containers c ON c.container_id = a.container_id
         WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
"""
#: View → its SQL. Columns that 0101 knew come first and stay what they were.
VIEWS = {
    "v1_containers": """
        SELECT container_id, kind, mirrored_at, name, description, state, is_governed, creator_id, created_at,
               version_at AS changed_at, document IS NULL AS is_stub, document
          FROM containers WHERE deleted_at IS NULL
        """,
    "v1_assets": """
        SELECT a.asset_id, a.container_kind, a.container_id, a.name, a.asset_type, a.version_at AS changed_at,
               a.mirrored_at, a.document IS NULL AS is_stub, a.document, a.description, a.tags, a.state, a.owner_id,
               a.resource_key, a.connection_id, a.connection_path, a.copy_action, a.source_asset_id,
               a.source_container_kind, a.source_container_id, a.created_at, a.updated_at
          FROM assets a LEFT JOIN containers c ON c.container_id = a.container_id
         WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
        """,
    "v1_asset_columns": f"""
        SELECT t.asset_id, t.name, t.position, t.data_type, t.native_type, t.length, t.scale, t.nullable,
               t.description, t.tags, t.data_class_id, t.data_class, t.quality_score, a.name AS asset_name,
               a.container_kind, a.container_id
          FROM asset_columns t {_ASSET_IS_SHOWN}
        """,
    "v1_asset_terms": f"""
        SELECT t.asset_id, t.column_name, t.term_id, t.term, t.standing, t.confidence, a.name AS asset_name,
               a.container_kind, a.container_id
          FROM asset_terms t {_ASSET_IS_SHOWN}
        """,
    "v1_asset_classifications": f"""
        SELECT t.asset_id, t.classification_id, t.classification, t.global_id, t.standing, a.name AS asset_name,
               a.container_kind, a.container_id
          FROM asset_classifications t {_ASSET_IS_SHOWN}
        """,
    "v1_connections": f"""
        SELECT t.asset_id, a.name, t.datasource_type, t.context, t.host, t.port, t.database, t.bucket, t.flags,
               a.container_kind, a.container_id
          FROM connections t {_ASSET_IS_SHOWN}
        """,
    "v1_relationships": """
        SELECT t.relationship_id, t.relationship_name, t.relationship_type_id, t.source_kind, t.source_id,
               t.source_column, t.source_container_id, t.target_kind, t.target_id, t.target_column,
               t.target_container_id, t.created_at, t.updated_at, t.version_at AS changed_at, t.mirrored_at, t.document
          FROM relationships t
          LEFT JOIN assets s ON s.asset_id = t.source_id
          LEFT JOIN containers sc ON sc.container_id = s.container_id
          LEFT JOIN assets e ON e.asset_id = t.target_id
          LEFT JOIN containers ec ON ec.container_id = e.container_id
         WHERE t.deleted_at IS NULL
           AND (t.source_kind = 'artifact' OR s.asset_id IS NOT NULL AND s.deleted_at IS NULL
                AND sc.deleted_at IS NULL AND coalesce(s.visibility_mode, 0) NOT IN (8, 16))
           AND (t.target_kind = 'artifact' OR e.asset_id IS NOT NULL AND e.deleted_at IS NULL
                AND ec.deleted_at IS NULL AND coalesce(e.visibility_mode, 0) NOT IN (8, 16))
        """,
    # Assets are polled for all containers together; the trash is how polling finds deletions, no kind of its own.
    "v1_freshness": """
        SELECT s.container_id, s.container_kind, s.kind, s.complete_as_of, s.reconciled_at,
               CASE s.kind WHEN 'asset' THEN (SELECT p.polled_at FROM sync_states p
                                               WHERE p.container_id = '' AND p.kind = 'asset')
                    ELSE s.polled_at END AS polled_at,
               s.things, s.missing, s.stale, s.orphaned, s.unreadable, s.problem,
               (SELECT count(*) FROM gaps g WHERE g.closed_at IS NULL) AS open_gaps
          FROM sync_states s
         WHERE s.kind <> 'trash' AND NOT (s.kind = 'asset' AND s.container_id = '')
    """,
}


def _own_view(table: str, key: str, columns: list[str]) -> str:
    """The view of a table of things: its columns, where it lives, how new it is."""
    names = ", ".join(f"t.{name}" for name in [key, *columns, "container_kind", "container_id"])
    joins, shown = _OF_CONTAINER, _SHOWN
    if table in BELONGS_TO_ASSET:
        joins += " " + _OF_ASSET.format(key=f"t.{BELONGS_TO_ASSET[table]}")
        shown += f" AND {_ASSET_SHOWN}"
    return (
        f"SELECT {names}, t.version_at AS changed_at, t.mirrored_at, t.document IS NULL AS is_stub, t.document "
        f"FROM {table} t {joins} WHERE {shown}"
    )


def upgrade() -> None:
    """Add everything."""
    for table, columns in ADDED.items():
        for name, kind in columns.items():
            op.add_column(table, sa.Column(name, kind(), nullable=True))
    op.add_column("refreshes", sa.Column("origin", sa.Text(), nullable=False, server_default="live"))
    op.add_column("refreshes", sa.Column("attempts", sa.Integer(), nullable=False, server_default=sa.text("0")))
    op.create_index("enrichment_areas_container", "enrichment_areas", ["container_id"])
    for table, (key, columns) in THINGS.items():
        _create_things(table, key, columns)
    _create_parts_of_assets()
    _create_sync()
    views = dict(VIEWS)
    for table, (key, columns) in THINGS.items():
        if table != "relationships":
            views[f"v1_{table}"] = _own_view(table, key, list(columns))
    views["v1_enrichment_areas"] = _ENRICHMENT_AREAS
    for name, query in views.items():
        op.execute(f"DROP VIEW IF EXISTS {name}")
        op.execute(f"CREATE VIEW {name} AS {query}")


_ENRICHMENT_AREAS = f"""
    SELECT t.area_id, t.version_at AS changed_at, t.mirrored_at, t.document, t.name, t.job_id, t.created_at,
           t.container_kind, t.container_id
      FROM enrichment_areas t {_OF_CONTAINER} {_OF_ASSET.format(key="t.area_id")} WHERE {_SHOWN} AND {_ASSET_SHOWN}
"""


def _create_things(table: str, key: str, columns: dict[str, Any]) -> None:
    op.create_table(
        table,
        sa.Column(key, sa.Text(), nullable=False),
        *(sa.Column(name, kind(), nullable=True) for name, kind in columns.items()),
        sa.Column("container_kind", sa.Text(), nullable=True),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("version_at", UtcTime(), nullable=True),
        sa.Column("deleted_at", UtcTime(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.Column("mapping", sa.SmallInteger(), nullable=False),
        sa.Column("document", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint(key),
    )
    op.create_index(f"{table}_container", table, ["container_id"])


def _create_parts_of_assets() -> None:
    op.create_table(
        "asset_columns",
        *_keys("asset_id", "name"),
        sa.Column("position", sa.Integer()),
        sa.Column("data_type", sa.Text()),
        sa.Column("native_type", sa.Text()),
        sa.Column("length", sa.BigInteger()),
        sa.Column("scale", sa.Integer()),
        sa.Column("nullable", sa.Boolean()),
        sa.Column("description", sa.Text()),
        sa.Column("tags", sa.Text()),
        sa.Column("data_class_id", sa.Text()),
        sa.Column("data_class", sa.Text()),
        sa.Column("quality_score", sa.Float()),
        sa.PrimaryKeyConstraint("asset_id", "name"),
    )
    op.create_table(
        "asset_terms",
        *_keys("asset_id", "column_name", "term_id", "standing"),
        sa.Column("term", sa.Text()),
        sa.Column("confidence", sa.Float()),
        sa.PrimaryKeyConstraint("asset_id", "column_name", "term_id", "standing"),
    )
    op.create_index("asset_terms_term", "asset_terms", ["term_id"])
    op.create_table(
        "asset_classifications",
        *_keys("asset_id", "classification_id", "standing"),
        sa.Column("classification", sa.Text()),
        sa.Column("global_id", sa.Text()),
        sa.PrimaryKeyConstraint("asset_id", "classification_id", "standing"),
    )
    texts = ("datasource_type", "context", "host", "port", "database", "bucket", "flags")
    op.create_table(
        "connections",
        *_keys("asset_id"),
        *(sa.Column(name, sa.Text()) for name in texts),
        sa.PrimaryKeyConstraint("asset_id"),
    )


def _keys(*names: str) -> list[sa.Column[Any]]:
    return [sa.Column(name, sa.Text(), nullable=False) for name in names]


def _create_sync() -> None:
    op.create_table(
        "sync_runs",
        *_keys("run_id", "mode", "state", "reason", "options", "progress"),
        sa.Column("problem", sa.Text()),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.Column("finished_at", UtcTime()),
        sa.PrimaryKeyConstraint("run_id"),
    )
    op.create_index("sync_runs_started", "sync_runs", ["started_at"])
    counts = ("missing", "stale", "orphaned", "unreadable")
    op.create_table(
        "sync_states",
        *_keys("container_id", "kind"),
        sa.Column("container_kind", sa.Text()),
        sa.Column("complete_as_of", UtcTime()),
        sa.Column("reconciled_at", UtcTime()),
        sa.Column("watermark", sa.Text()),
        sa.Column("polled_at", UtcTime()),
        sa.Column("things", sa.BigInteger()),
        *(sa.Column(name, sa.BigInteger(), nullable=False, server_default=sa.text("0")) for name in counts),
        sa.Column("problem", sa.Text()),
        sa.PrimaryKeyConstraint("container_id", "kind"),
    )
