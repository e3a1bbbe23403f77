"""The tables of the mirror, the same on PostgreSQL and SQLite.

State tables hold one row per thing; the row is that of the newest version (`service.changes.Version`), whatever the
order in which versions came. `version` sorts bytewise; `replaces` is the version that the last write replaced.
Documents are canonical JSON text; `jsonb` would refuse NUL and lone surrogates, which occur.
"""

from __future__ import annotations

from service.mirror.tables.columns import MAPPING, STATE, UtcTime, key_of, metadata, row_of, written
from service.mirror.tables.contract import contract_paths, contract_sources
from service.mirror.tables.figures import profile_classes, profile_documents, profile_drift, profile_runs
from service.mirror.tables.kept import HISTORIES, STATES, VERSIONED
from service.mirror.tables.mirrored import (
    asset_attachments,
    asset_attributes,
    asset_classifications,
    asset_columns,
    asset_terms,
    assets,
    column_classifications,
    connections,
    containers,
    data_profiles,
    dataset_identities,
    dataset_links,
    lineage_edges,
    lineage_events,
    openlineage_events,
    quality_assertions,
    things,
    usage_facts,
)
from service.mirror.tables.openlineage import column_facets, column_flows, run_facts
from service.mirror.tables.search import search_things, search_words
from service.mirror.tables.targets import (
    collibra_assets,
    collibra_batches,
    collibra_told,
    links,
    pentaho_job_parts,
    pentaho_jobs,
)
from service.mirror.tables.work import (
    audit_log,
    controls,
    dead_letters,
    deliveries,
    forgotten,
    gaps,
    refreshes,
    replicas,
    sessions,
    suspects,
    sync_runs,
    sync_states,
    target_states,
)

__all__ = [
    "HISTORIES",
    "MAPPING",
    "STATE",
    "STATES",
    "VERSIONED",
    "UtcTime",
    "asset_attachments",
    "asset_attributes",
    "asset_classifications",
    "asset_columns",
    "asset_terms",
    "assets",
    "audit_log",
    "collibra_assets",
    "collibra_batches",
    "collibra_told",
    "column_classifications",
    "column_facets",
    "column_flows",
    "connections",
    "containers",
    "contract_paths",
    "contract_sources",
    "controls",
    "data_profiles",
    "dataset_identities",
    "dataset_links",
    "dead_letters",
    "deliveries",
    "forgotten",
    "gaps",
    "key_of",
    "lineage_edges",
    "lineage_events",
    "links",
    "metadata",
    "openlineage_events",
    "pentaho_job_parts",
    "pentaho_jobs",
    "profile_classes",
    "profile_documents",
    "profile_drift",
    "profile_runs",
    "quality_assertions",
    "refreshes",
    "replicas",
    "row_of",
    "run_facts",
    "search_things",
    "search_words",
    "sessions",
    "suspects",
    "sync_runs",
    "sync_states",
    "target_states",
    "things",
    "usage_facts",
    "written",
]
