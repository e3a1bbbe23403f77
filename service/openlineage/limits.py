"""What IBM's own OpenLineage endpoint cannot take, left out (docs/contract.md, "OpenLineage at IBM")."""

from __future__ import annotations

from typing import Any

#: Facets of the specification that the endpoint takes; custom ones, source code locations and parent runs it does not.
_RUN_FACETS = frozenset({
    "nominalTime", "errorMessage", "externalQuery", "extractionError", "processing_engine", "tags",
    "environmentVariables",
})  # fmt: skip
_JOB_FACETS = frozenset({"documentation", "jobType", "ownership", "sourceCode", "sql", "tags"})
_DATASET_FACETS = frozenset({
    "catalog", "columnLineage", "dataQualityAssertions", "dataSource", "datasetType", "documentation", "hierarchy",
    "lifecycleStateChange", "ownership", "schema", "storage", "symlinks", "tags", "version",
})  # fmt: skip
_INPUT_FACETS = frozenset({"dataQualityMetrics", "dataQualityAssertions", "inputStatistics", "subset"})
_OUTPUT_FACETS = frozenset({"outputStatistics", "subset"})


def takes(event: dict[str, Any]) -> bool:
    """Whether the endpoint takes such an event at all: job and dataset events only come in as an archive."""
    return "run" in event


def limited(event: dict[str, Any]) -> dict[str, Any]:
    """The event as the endpoint takes it; a copy."""
    return {
        **event,
        "run": _kept(event["run"], "facets", _RUN_FACETS),
        "job": _kept(event["job"], "facets", _JOB_FACETS),
        "inputs": [_kept(_dataset(one), "inputFacets", _INPUT_FACETS) for one in event.get("inputs") or ()],
        "outputs": [_kept(_dataset(one), "outputFacets", _OUTPUT_FACETS) for one in event.get("outputs") or ()],
    }


def _kept(thing: dict[str, Any], key: str, names: frozenset[str]) -> dict[str, Any]:
    if key not in thing:
        return thing
    return {**thing, key: {name: facet for name, facet in (thing[key] or {}).items() if name in names}}


def _dataset(dataset: dict[str, Any]) -> dict[str, Any]:
    """The data set without custom facets; an empty list of `columnLineage.dataset` has to go."""
    limited = _kept(dataset, "facets", _DATASET_FACETS)
    lineage = (limited.get("facets") or {}).get("columnLineage")
    if lineage and not lineage.get("dataset", True):
        lineage = {name: member for name, member in lineage.items() if name != "dataset"}
        limited = {**limited, "facets": {**limited["facets"], "columnLineage": lineage}}
    return limited
