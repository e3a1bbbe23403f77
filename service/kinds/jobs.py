"""Jobs and their runs, and what jobs work on: imports of metadata, and its enrichment."""

from __future__ import annotations

from typing import Any

from service.kinds import common
from service.kinds.model import PARENT, PROJECT, SPACE, Kind, Listing, text, time, truth
from service.text import lookup

_WITHIN = (PROJECT, SPACE)
_CREATED = "metadata.created_at|metadata.created"


def _last_run(item: dict[str, Any]) -> dict[str, Any]:
    """A job that never ran is answered with the text `None`."""
    status = lookup.text(lookup.at(item, ("entity", "job", "last_run_status")))
    return {"@last_run_status": None if status == "None" else status}


JOB = Kind(
    "job", "jobs", "job_id", "Jobs of projects and spaces",
    (
        common.name("metadata.name"),
        text("asset_id", "entity.job.asset_ref", "The asset that runs"),
        text("asset_ref_type", "entity.job.asset_ref_type", "Its type"),
        text("last_run_status", "@last_run_status", "As the catalog words it"),
        time("last_run_at", "entity.job.last_run_time", "When it last ran"),
        common.created(_CREATED),
    ),
    ids="metadata.asset_id", derived=_last_run, within=_WITHIN, is_followed=True,
    listed=(Listing("jobs", "/v2/jobs", "results", "next", 100, "total_rows"),),
    topics=("v2.jobs.*.#",),
)  # fmt: skip

JOB_RUN = Kind(
    "job_run", "job_runs", "run_id", "Runs of jobs",
    (
        text("job_id", f"entity.job_run.job_ref|{PARENT}", "The job"),
        text("state", "entity.job_run.state", "Queued, Running, Completed, Failed, …"),
        truth("is_scheduled", "entity.job_run.isScheduledRun", "The schedule started it"),
        common.created(_CREATED), common.updated("entity.job_run.last_state_change_timestamp"),
    ),
    ids="metadata.asset_id", parent="job", within=_WITHIN, is_followed=True,
    listed=(Listing("runs", "/v2/jobs/{parent}/runs", "results", "next", 100, "total_rows"),),
)  # fmt: skip

_IDS = "metadata.asset_id|id|metadata.id"
_IMPORT = Listing("metadata_import", "/v2/metadata_imports/{parent}", None)
METADATA_IMPORT = Kind(
    "metadata_import", "metadata_imports", "metadata_import_id", "Metadata imports",
    (
        common.name("metadata.name|name"),
        text("connection_id", "entity.metadata_import.connection_id|entity.connection_id|entity.connectionId",
             "Where it reads"),
        text("job_id", "entity.metadata_import.job_id|entity.job_id|entity.jobId", "The job that runs it"),
        common.created(_CREATED),
    ),
    ids=_IDS, asset="metadata_import_id", parent="asset", parent_type="metadata_import", within=(PROJECT,),
    listed=(_IMPORT,), alone=_IMPORT,
)  # fmt: skip

_AREA = Listing("enrichment_area", "/v2/metadata_enrichment/metadata_enrichment_area/{parent}", None)
ENRICHMENT_AREA = Kind(
    "enrichment_area", "enrichment_areas", "area_id", "Metadata enrichment areas",
    (
        common.name("metadata.name|name"),
        text("job_id", "entity.metadata_enrichment_area.job_id|entity.job_id|entity.jobId", "The job that runs it"),
        common.created(_CREATED),
    ),
    ids=_IDS, asset="area_id", parent="asset", parent_type="metadata_enrichment_area", within=(PROJECT,),
    lacks=frozenset({"is_stub"}), listed=(_AREA,), alone=_AREA,
)  # fmt: skip
