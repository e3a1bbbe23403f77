"""The words that both mappings use: which catalog word stands for which of OpenLineage, and the ids made of them."""

from __future__ import annotations

from hashlib import blake2b
from typing import Any
from uuid import UUID, uuid5

from service.events.fields import MAX_ID_BYTES
from service.openlineage.spelling import DatasetName, meant
from service.text.documents import column_text, is_clean

#: Namespace of the ids that we make of OpenLineage's names.
NAMESPACE = UUID("8f3d4a52-52c5-5c65-8d0d-0a3f6f0f8e21")
#: The `event_type` of a catalog lineage event that tells of a run, by the run's state.
EVENT_TYPES = {
    "START": "JOB_STARTED",
    "RUNNING": "JOB_RUNNING",
    "COMPLETE": "JOB_COMPLETED",
    "ABORT": "JOB_ABORTED",
    "FAIL": "JOB_FAILED",
    "OTHER": "JOB_OBSERVED",
}
#: The same, the other way round.
RUN_STATES = {event_type: state for state, event_type in EVENT_TYPES.items()}
#: Of job and dataset events, which tell of no run.
JOB_DESCRIBED, DATASET_DESCRIBED = "JOB_DESCRIBED", "DATASET_DESCRIBED"
#: States after which nothing more is to be expected of a run but a correction.
LAST_STATES = frozenset({"COMPLETE", "ABORT", "FAIL"})
#: Our run facet: the catalog's lineage event as it was, so that nothing is lost on the way through OpenLineage.
EVENT_FACET = "catalogMirror_lineageEvent"
#: The property of an asset in a catalog lineage event that keeps what OpenLineage calls it.
ASSET_PROPERTY = "openlineage"

_SPECIFICATION = "https://openlineage.io/spec/2-0-2/OpenLineage.json#/$defs/"
_FACETS = "https://openlineage.io/spec/facets/"


def schema_url(name: str) -> str:
    """The URL of a definition of the specification."""
    return _SPECIFICATION + name


def facet(producer: str, schema: str, **members: Any) -> dict[str, Any]:
    """A facet of ours; `schema` is a path below the specification's facets."""
    return {"_producer": producer, "_schemaURL": _FACETS + schema, **members}


def made_id(*words: str) -> str:
    """A UUID (version 5) of these words."""
    text = "\x1f".join(words)
    try:
        return str(uuid5(NAMESPACE, text))
    except UnicodeEncodeError:  # half a surrogate pair
        return str(uuid5(NAMESPACE, column_text(text)))


def run_id_of(event_id: str) -> str:
    """The run that a catalog lineage event is told as: its own id where that is a UUID, else one made of it."""
    try:
        return str(UUID(event_id))
    except ValueError:
        return made_id("run", column_text(event_id))


def asset_id_of(dataset: DatasetName) -> str:
    """The id of a data set that the catalog does not know: its name where that can be a key, else a hash of it.

    Names that mean the same have the same id.
    """
    text = "/".join(meant(dataset))
    if is_clean(text) and len(text.encode()) <= MAX_ID_BYTES:
        return text
    return "dataset:" + blake2b(text.encode("utf-8", "surrogatepass"), digest_size=20).hexdigest()
