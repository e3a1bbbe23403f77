"""The first tables and views.

Revision ID: 0101
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0101"
down_revision = None
branch_labels = None
depends_on = None

#: View → (what it is, its SQL). A thing is shown while its own tombstone, its asset's and its container's are unset;
#: assets that not every member of a catalog may see (modes 8 private, 16 hidden) stay out.
VIEWS = {
    "v1_containers": (
        "Catalogs, projects and spaces that something mirrored lives in",
        "SELECT container_id, kind, mirrored_at FROM containers WHERE deleted_at IS NULL",
    ),
    "v1_assets": (
        "Assets; of those that were only referred to, no more than the id and perhaps the container is known",
        """
        SELECT a.asset_id, a.container_kind, a.container_id, a.name, a.asset_type, a.version_at AS changed_at,
               a.mirrored_at, a.document IS NULL AS is_stub, a.document
          FROM assets a LEFT JOIN containers c ON c.container_id = a.container_id
         WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
        """,
    ),
    "v1_data_profiles": (
        "Data profiles of assets that are shown",
        """
        SELECT p.profile_id, p.asset_id, p.container_kind, p.container_id, p.status, p.column_count, p.created_at,
               p.owner_id, p.version_at AS changed_at, p.mirrored_at, p.document IS NULL AS is_stub, p.document
          FROM data_profiles p
          LEFT JOIN assets a ON a.asset_id = p.asset_id
          LEFT JOIN containers c ON c.container_id = p.container_id
         WHERE p.deleted_at IS NULL AND a.deleted_at IS NULL AND c.deleted_at IS NULL
           AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
        """,
    ),
    "v1_enrichment_areas": (
        "Metadata enrichment areas, with their message as it came",
        """
        SELECT area_id, version_at AS changed_at, mirrored_at, document
          FROM enrichment_areas WHERE deleted_at IS NULL
        """,
    ),
    "v1_lineage_events": (
        "Lineage events: what happened, when, and who says so; is_own marks those that this mirror made",
        """
        SELECT event_id, event_type, categories, event_time, source_service, user_id, own AS is_own, mirrored_at,
               document
          FROM lineage_events WHERE deleted_at IS NULL
        """,
    ),
    "v1_lineage_edges": (
        "One asset that one lineage event used or generated",
        """
        SELECT e.event_id, l.event_type, l.event_time, l.own AS is_own, e.role, e.asset_id, e.asset_type, e.name,
               e.relation, e.container_kind, e.container_id
          FROM lineage_edges e
          JOIN lineage_events l ON l.event_id = e.event_id
          LEFT JOIN assets a ON a.asset_id = e.asset_id
         WHERE l.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
        """,
    ),
}


def upgrade() -> None:
    """Create everything."""
    _create_tables()
    for name, (comment, query) in VIEWS.items():
        op.execute(f"CREATE VIEW {name} AS {query}")
        if op.get_context().dialect.name == "postgresql":
            op.execute(f"COMMENT ON VIEW {name} IS '{comment}'")


def _create_tables() -> None:
    op.create_table(
        "assets",
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("container_kind", sa.Text(), nullable=True, comment="catalog, project or space"),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("asset_type", sa.Text(), nullable=True),
        sa.Column(
            "visibility_mode", sa.Integer(), nullable=True, comment="The catalog's rov mode: 8 private, 16 hidden"
        ),
        sa.Column(
            "version", sa.LargeBinary(), nullable=False, comment="Sorts bytewise; the highest version is the row"
        ),
        sa.Column("replaces", sa.LargeBinary(), nullable=True, comment="The version that the last write replaced"),
        sa.Column(
            "version_at",
            UtcTime(),
            nullable=True,
            comment="The moment of the version on the catalog's clock; null: unknown",
        ),
        sa.Column(
            "deleted_at", UtcTime(), nullable=True, comment="Its own tombstone; cascades are computed by the views"
        ),
        sa.Column("mirrored_at", UtcTime(), nullable=False, comment="When this row was written"),
        sa.Column(
            "mapping", sa.SmallInteger(), nullable=False, comment="Revision of the code that derived the columns"
        ),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="The redacted state as canonical JSON; null: only referred to, or deleted",
        ),
        sa.PrimaryKeyConstraint("asset_id"),
    )
    op.create_index("assets_container", "assets", ["container_id"], unique=False)
    op.create_table(
        "containers",
        sa.Column("container_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="catalog, project or space"),
        sa.Column(
            "version", sa.LargeBinary(), nullable=False, comment="Sorts bytewise; the highest version is the row"
        ),
        sa.Column("replaces", sa.LargeBinary(), nullable=True, comment="The version that the last write replaced"),
        sa.Column(
            "version_at",
            UtcTime(),
            nullable=True,
            comment="The moment of the version on the catalog's clock; null: unknown",
        ),
        sa.Column(
            "deleted_at", UtcTime(), nullable=True, comment="Its own tombstone; cascades are computed by the views"
        ),
        sa.Column("mirrored_at", UtcTime(), nullable=False, comment="When this row was written"),
        sa.Column(
            "mapping", sa.SmallInteger(), nullable=False, comment="Revision of the code that derived the columns"
        ),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="The redacted state as canonical JSON; null: only referred to, or deleted",
        ),
        sa.PrimaryKeyConstraint("container_id"),
    )
    op.create_table(
        "controls",
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("value", sa.Text(), nullable=False, comment="JSON"),
        sa.Column("updated_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("name"),
    )
    op.create_table(
        "data_profiles",
        sa.Column("profile_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=True, comment="The data set that was profiled"),
        sa.Column("container_kind", sa.Text(), nullable=True, comment="catalog, project or space"),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=True, comment="Of the profiling run, as the catalog words it"),
        sa.Column("column_count", sa.Integer(), nullable=True),
        sa.Column("created_at", UtcTime(), nullable=True),
        sa.Column("owner_id", sa.Text(), nullable=True),
        sa.Column(
            "version", sa.LargeBinary(), nullable=False, comment="Sorts bytewise; the highest version is the row"
        ),
        sa.Column("replaces", sa.LargeBinary(), nullable=True, comment="The version that the last write replaced"),
        sa.Column(
            "version_at",
            UtcTime(),
            nullable=True,
            comment="The moment of the version on the catalog's clock; null: unknown",
        ),
        sa.Column(
            "deleted_at", UtcTime(), nullable=True, comment="Its own tombstone; cascades are computed by the views"
        ),
        sa.Column("mirrored_at", UtcTime(), nullable=False, comment="When this row was written"),
        sa.Column(
            "mapping", sa.SmallInteger(), nullable=False, comment="Revision of the code that derived the columns"
        ),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="The redacted state as canonical JSON; null: only referred to, or deleted",
        ),
        sa.PrimaryKeyConstraint("profile_id"),
    )
    op.create_index("data_profiles_asset", "data_profiles", ["asset_id"], unique=False)
    op.create_table(
        "dead_letters",
        sa.Column(
            "dead_letter_id", sa.Text(), nullable=False, comment="Hash of routing key and body, or the delivery's id"
        ),
        sa.Column("kind", sa.Text(), nullable=False, comment="event or delivery"),
        sa.Column("state", sa.Text(), nullable=False, comment="open, replayed, superseded or discarded"),
        sa.Column("routing_key", sa.Text(), nullable=True),
        sa.Column("target", sa.Text(), nullable=True),
        sa.Column("entity_kind", sa.Text(), nullable=True),
        sa.Column("entity_id", sa.Text(), nullable=True),
        sa.Column("error_class", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("remedy", sa.Text(), nullable=False),
        sa.Column("fingerprint", sa.Text(), nullable=False, comment="The same for letters with the same cause"),
        sa.Column("headers", sa.Text(), nullable=True, comment="As JSON, secrets blanked"),
        sa.Column("body", sa.LargeBinary(), nullable=True, comment="Secrets blanked, at most the size limit of a body"),
        sa.Column("body_size", sa.Integer(), nullable=False, comment="Bytes of the original"),
        sa.Column("body_sha256", sa.Text(), nullable=False, comment="Of the original"),
        sa.Column(
            "blanked", sa.Boolean(), nullable=False, comment="Something was blanked, so the body is not the original"
        ),
        sa.Column("truncated", sa.Boolean(), nullable=False),
        sa.Column("times", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="How often it was met"),
        sa.Column("first_at", UtcTime(), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("dead_letter_id"),
    )
    op.create_index("dead_letters_state", "dead_letters", ["state", "last_at"], unique=False)
    op.create_table(
        "deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("delivery_id", sa.Text(), nullable=False, comment="Names the change and the target"),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("entity_kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("change", sa.Text(), nullable=False),
        sa.Column("created_at", UtcTime(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("lease_token", sa.Text(), nullable=True),
        sa.Column("lease_until", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("seq"),
        sa.UniqueConstraint("delivery_id"),
    )
    op.create_index("deliveries_head", "deliveries", ["target", "entity_kind", "entity_id", "seq"], unique=False)
    op.create_table(
        "enrichment_areas",
        sa.Column("area_id", sa.Text(), nullable=False),
        sa.Column(
            "version", sa.LargeBinary(), nullable=False, comment="Sorts bytewise; the highest version is the row"
        ),
        sa.Column("replaces", sa.LargeBinary(), nullable=True, comment="The version that the last write replaced"),
        sa.Column(
            "version_at",
            UtcTime(),
            nullable=True,
            comment="The moment of the version on the catalog's clock; null: unknown",
        ),
        sa.Column(
            "deleted_at", UtcTime(), nullable=True, comment="Its own tombstone; cascades are computed by the views"
        ),
        sa.Column("mirrored_at", UtcTime(), nullable=False, comment="When this row was written"),
        sa.Column(
            "mapping", sa.SmallInteger(), nullable=False, comment="Revision of the code that derived the columns"
        ),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="The redacted state as canonical JSON; null: only referred to, or deleted",
        ),
        sa.PrimaryKeyConstraint("area_id"),
    )
    op.create_table(
        "gaps",
        sa.Column("gap_id", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False, comment="absence, queue_recreated, queue_full"),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.Column("began_at", UtcTime(), nullable=True),
        sa.Column("noticed_at", UtcTime(), nullable=False),
        sa.Column("closed_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("gap_id"),
    )
    op.create_table(
        "lineage_edges",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("asset_id", sa.Text(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False, comment="uses or generates"),
        sa.Column("relation", sa.Text(), nullable=True, comment="As the catalog words it: Used, Created"),
        sa.Column("asset_type", sa.Text(), nullable=True),
        sa.Column("name", sa.Text(), nullable=True),
        sa.Column("container_kind", sa.Text(), nullable=True, comment="catalog, project or space"),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("event_id", "asset_id", "role"),
    )
    op.create_index("lineage_edges_asset", "lineage_edges", ["asset_id"], unique=False)
    op.create_table(
        "lineage_events",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("event_type", sa.Text(), nullable=True),
        sa.Column("categories", sa.Text(), nullable=True, comment="Joined with commas"),
        sa.Column("event_time", UtcTime(), nullable=True),
        sa.Column("source_service", sa.Text(), nullable=True),
        sa.Column("user_id", sa.Text(), nullable=True),
        sa.Column(
            "own", sa.Boolean(), server_default=sa.false(), nullable=False, comment="We made it, to answer an event"
        ),
        sa.Column(
            "version", sa.LargeBinary(), nullable=False, comment="Sorts bytewise; the highest version is the row"
        ),
        sa.Column("replaces", sa.LargeBinary(), nullable=True, comment="The version that the last write replaced"),
        sa.Column(
            "version_at",
            UtcTime(),
            nullable=True,
            comment="The moment of the version on the catalog's clock; null: unknown",
        ),
        sa.Column(
            "deleted_at", UtcTime(), nullable=True, comment="Its own tombstone; cascades are computed by the views"
        ),
        sa.Column("mirrored_at", UtcTime(), nullable=False, comment="When this row was written"),
        sa.Column(
            "mapping", sa.SmallInteger(), nullable=False, comment="Revision of the code that derived the columns"
        ),
        sa.Column(
            "document",
            sa.Text(),
            nullable=True,
            comment="The redacted state as canonical JSON; null: only referred to, or deleted",
        ),
        sa.PrimaryKeyConstraint("event_id"),
    )
    op.create_table(
        "refreshes",
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("entity_id", sa.Text(), nullable=False),
        sa.Column("container_kind", sa.Text(), nullable=True, comment="catalog, project or space"),
        sa.Column("container_id", sa.Text(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_at", UtcTime(), nullable=False),
        sa.Column("due_at", UtcTime(), nullable=False),
        sa.Column(
            "times", sa.Integer(), server_default=sa.text("1"), nullable=False, comment="How often it was asked for"
        ),
        sa.PrimaryKeyConstraint("kind", "entity_id"),
    )
    op.create_index("refreshes_due", "refreshes", ["due_at"], unique=False)
    op.create_table(
        "replicas",
        sa.Column("replica_id", sa.Text(), nullable=False),
        sa.Column("started_at", UtcTime(), nullable=False),
        sa.Column("seen_at", UtcTime(), nullable=False),
        sa.Column("status", sa.Text(), nullable=False, comment="JSON: what `status` shows"),
        sa.PrimaryKeyConstraint("replica_id"),
    )
    op.create_table(
        "suspects",
        sa.Column("message_key", sa.Text(), nullable=False),
        sa.Column("routing_key", sa.Text(), nullable=False),
        sa.Column("met", sa.Integer(), nullable=False),
        sa.Column("last_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("message_key"),
    )
    op.create_table(
        "target_states",
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("paused", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("pause_reason", sa.Text(), nullable=True),
        sa.Column("notice", sa.Text(), nullable=True, comment="Why its circuit is open; null: closed"),
        sa.Column("delivered", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
        sa.Column("last_delivered_at", UtcTime(), nullable=True),
        sa.PrimaryKeyConstraint("target"),
    )
