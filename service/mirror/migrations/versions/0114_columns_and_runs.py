"""What columns were made of, and what runs did.

Only adds, so that older code goes on running beside it.

Revision ID: 0114
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "0114"
down_revision = "0113"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """What columns were made of, and what runs did."""
    op.create_table(
        "column_facets",
        sa.Column("facet_id", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("facet_id"),
    )
    op.create_index("column_facets_event", "column_facets", ["event_id"], unique=False)
    op.create_index("column_facets_flow", "column_facets", ["flow_id"], unique=False)
    op.create_table(
        "column_flows",
        sa.Column("flow_id", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("from_asset_id", sa.Text(), nullable=False),
        sa.Column("from_column", sa.Text(), nullable=False),
        sa.Column("from_key", sa.Text(), nullable=False),
        sa.Column("to_asset_id", sa.Text(), nullable=False),
        sa.Column("to_column", sa.Text(), nullable=False),
        sa.Column("to_key", sa.Text(), nullable=False),
        sa.Column("is_direct", sa.Boolean(), nullable=False),
        sa.Column("transformation", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("masking", sa.Boolean(), nullable=True),
        sa.PrimaryKeyConstraint("flow_id", "number"),
    )
    op.create_index("column_flows_from", "column_flows", ["from_asset_id", "from_key"], unique=False)
    op.create_index("column_flows_to", "column_flows", ["to_asset_id", "to_key"], unique=False)
    op.create_table(
        "run_facts",
        sa.Column("event_id", sa.Text(), nullable=False),
        sa.Column("fact", sa.Text(), nullable=False),
        sa.Column("version", sa.LargeBinary(), nullable=False),
        sa.Column("replaces", sa.LargeBinary(), nullable=True),
        sa.Column("moment", UtcTime(), nullable=True),
        sa.Column("until", UtcTime(), nullable=True),
        sa.Column("run_id", sa.Text(), nullable=True),
        sa.Column("job_namespace", sa.Text(), nullable=True),
        sa.Column("job_name", sa.Text(), nullable=True),
        sa.Column("root_run_id", sa.Text(), nullable=True),
        sa.Column("root_job_namespace", sa.Text(), nullable=True),
        sa.Column("root_job_name", sa.Text(), nullable=True),
        sa.Column("text", sa.Text(), nullable=True),
        sa.Column("mirrored_at", UtcTime(), nullable=False),
        sa.PrimaryKeyConstraint("event_id", "fact"),
    )
    op.create_index("run_facts_job", "run_facts", ["job_namespace", "job_name"], unique=False)
    op.create_index("run_facts_parent", "run_facts", ["run_id"], unique=False)
    bind = op.get_bind()
    is_postgresql = bind.dialect.name == "postgresql"
    if not is_postgresql or not bind.scalar(sa.text("SELECT EXISTS (SELECT 1 FROM lineage_events)")):
        under_way = sa.text("event_type IN ('JOB_STARTED', 'JOB_RUNNING')")
        op.create_index(
            "lineage_events_open", "lineage_events", ["event_time"], postgresql_where=under_way, sqlite_where=under_way
        )
    small = 'lower({} COLLATE "C")' if is_postgresql else "lower({})"
    seconds = (
        "CAST(extract(epoch FROM e.moment - s.moment) AS double precision)"
        if is_postgresql
        else "(julianday(e.moment) - julianday(s.moment)) * 86400.0"
    )
    runs = _RUNS.format(seconds=seconds)
    op.execute(f"CREATE VIEW v1_column_edges AS {_column_edges(small)}")
    op.execute(f"CREATE VIEW v1_runs AS {runs}")
    op.execute(f"CREATE VIEW v1_run_jobs AS {_RUN_JOBS.format(runs=runs)}")


def _column_edges(small: str) -> str:
    """Each column by the name that the catalog has for it, where the asset is known."""
    return f"""
    SELECT f.event_id, l.event_type, l.event_time AS occurred_at, l.source_service AS job,
           e.from_asset_id, g.name AS from_asset_name, {_column("from", small)} AS from_column,
           e.to_asset_id, t.name AS to_asset_name, nullif({_column("to", small)}, '') AS to_column,
           CASE WHEN e.is_direct THEN 'direct' ELSE 'indirect' END AS kind, e.transformation, e.description, e.masking,
           f.mirrored_at
      FROM column_facets f
      JOIN column_flows e ON e.flow_id = f.flow_id
      LEFT JOIN lineage_events l ON l.event_id = f.event_id
      LEFT JOIN assets g ON g.asset_id = e.from_asset_id
      LEFT JOIN assets t ON t.asset_id = e.to_asset_id
     WHERE coalesce(g.visibility_mode, 0) NOT IN (8, 16) AND coalesce(t.visibility_mode, 0) NOT IN (8, 16)
"""


def _column(end: str, small: str) -> str:
    mine = f"FROM asset_columns c WHERE c.asset_id = e.{end}_asset_id"
    same = f"SELECT c.name {mine} AND c.name = e.{end}_column"
    alike = f"SELECT min(c.name) {mine} AND {small.format('c.name')} = e.{end}_key"
    return f"coalesce(({same}), ({alike}), e.{end}_column)"


_RUNS = """
    SELECT l.event_id AS run_id, j.job_namespace, j.job_name,
           CASE l.event_type WHEN 'JOB_COMPLETED' THEN 'COMPLETED' WHEN 'JOB_FAILED' THEN 'FAILED'
                WHEN 'JOB_ABORTED' THEN 'ABORTED' WHEN 'JOB_OBSERVED' THEN 'OTHER'
                ELSE CASE WHEN lost.moment = l.event_time THEN 'LOST' ELSE 'RUNNING' END END AS state,
           s.moment AS started_at, e.moment AS ended_at, {seconds} AS duration_s, l.event_time AS last_event_at,
           n.moment AS nominal_start, n.until AS nominal_end,
           p.run_id AS parent_run_id, p.job_namespace AS parent_job_namespace, p.job_name AS parent_job_name,
           p.root_run_id, p.root_job_namespace, p.root_job_name, x.text AS error, l.came_from, l.mirrored_at
      FROM lineage_events l
      JOIN run_facts j ON j.event_id = l.event_id AND j.fact = 'job'
      LEFT JOIN run_facts s ON s.event_id = l.event_id AND s.fact = 'start'
      LEFT JOIN run_facts e ON e.event_id = l.event_id AND e.fact = 'end'
      LEFT JOIN run_facts n ON n.event_id = l.event_id AND n.fact = 'nominal'
      LEFT JOIN run_facts p ON p.event_id = l.event_id AND p.fact = 'parent'
      LEFT JOIN run_facts x ON x.event_id = l.event_id AND x.fact = 'error'
      LEFT JOIN run_facts lost ON lost.event_id = l.event_id AND lost.fact = 'lost'
"""

_RUN_JOBS = """
    SELECT r.job_namespace, r.job_name, count(*) AS runs,
           sum(CASE WHEN r.state = 'COMPLETED' THEN 1 ELSE 0 END) AS completed,
           sum(CASE WHEN r.state = 'FAILED' THEN 1 ELSE 0 END) AS failed,
           sum(CASE WHEN r.state = 'ABORTED' THEN 1 ELSE 0 END) AS aborted,
           sum(CASE WHEN r.state = 'RUNNING' THEN 1 ELSE 0 END) AS running,
           sum(CASE WHEN r.state = 'LOST' THEN 1 ELSE 0 END) AS lost,
           max(CASE WHEN r.nth = 1 THEN r.run_id END) AS last_run_id,
           max(CASE WHEN r.nth = 1 THEN r.state END) AS last_state,
           max(CASE WHEN r.nth = 1 THEN r.started_at END) AS last_started_at,
           max(CASE WHEN r.nth = 1 THEN r.ended_at END) AS last_ended_at,
           max(CASE WHEN r.nth = 1 THEN r.duration_s END) AS last_duration_s,
           max(CASE WHEN r.state = 'COMPLETED' THEN r.ended_at END) AS last_completed_at,
           max(CASE WHEN r.state IN ('FAILED', 'ABORTED') THEN r.ended_at END) AS last_failed_at,
           max(CASE WHEN r.nth = 1 THEN r.parent_job_namespace END) AS parent_job_namespace,
           max(CASE WHEN r.nth = 1 THEN r.parent_job_name END) AS parent_job_name
      FROM (SELECT v.*, row_number() OVER (PARTITION BY v.job_namespace, v.job_name
                                           ORDER BY coalesce(v.started_at, v.last_event_at) DESC, v.run_id) AS nth
              FROM ({runs}) v) r
     GROUP BY r.job_namespace, r.job_name
"""
