"""The glossary over HTTP, by offset, each list under a key of its own."""

from __future__ import annotations

from typing import Any

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.clock import parse_time
from sandbox.catalog.glossary import LISTED_TYPES, PLURALS, Artifact, ArtifactRelationship
from sandbox.catalog.paging import offset_page
from sandbox.catalog.problems import not_found

#: Artifacts on a page unless more are asked for.
_LIMIT = 10
_CLASSES_LIMIT = 1000


def list_artifacts(call: Call) -> Answer:
    """`GET /v3/governance_artifact_types/{type}`: published ones where they are asked for, else the drafts (none)."""
    artifact_type = call.word("type")
    if artifact_type not in LISTED_TYPES:
        raise not_found("artifact type", artifact_type)
    published = call.choice("workflow_status", "", ("", "published")) == "published"
    found = call.catalog.glossary.published(artifact_type) if published else []
    found = [one for one in found if one.id not in call.catalog.knobs.unlisted_artifacts]
    page, envelope = offset_page(call, found, default=_LIMIT)
    flat = call.catalog.knobs.forms.flat_artifacts
    return Answer(envelope | {"resources": [_flat(one) if flat else one.latest for one in page]})


def _flat(artifact: Artifact) -> dict[str, Any]:
    """An artifact as IBM's own client has it in lists."""
    metadata = artifact.latest["metadata"]
    told = {name: metadata[name] for name in ("artifact_id", "version_id", "name", "created_at", "modified_at")}
    return {**told, "type": artifact.type, "workflow_status": "PUBLISHED"}


def get_artifact(call: Call) -> Answer:
    """`GET /v3/governance_artifact_types/{type}/{id}`: the latest published version, by the artifact's own type."""
    artifact_type = call.word("type")
    if artifact_type not in LISTED_TYPES or artifact_type == "all":
        raise not_found("artifact type", artifact_type)
    return Answer(call.catalog.glossary.get(call.word("id"), artifact_type).latest)


def list_versions(call: Call) -> Answer:
    """`GET /v3/{glossary_terms|…}/{id}/versions`: newest first."""
    artifact = call.catalog.glossary.get(call.word("id"), PLURALS[call.word("plural")])
    page, envelope = offset_page(call, artifact.versions[::-1], default=_LIMIT)
    return Answer(envelope | {"resources": page})


def list_artifact_relationships(call: Call) -> Answer:
    """`GET /v3/relationships`: those that changed since a time, where one is given."""
    glossary, since, artifact_type = call.catalog.glossary, call.time("since"), call.text("artifact_type")
    removed = glossary.removed_relationships(since) if since is not None and _tells_deleted(call) else []

    def fits(one: ArtifactRelationship) -> bool:
        own = artifact_type in (None, "all", glossary.get(one.source).type, glossary.get(one.target).type)
        return own and (since is None or one.at_s >= since)

    found = [glossary.relationship_document(one) for one in glossary.relationships() if fits(one)]
    page, envelope = offset_page(call, found + removed, default=_LIMIT)
    return Answer(envelope | {"relationships": page})


def _tells_deleted(call: Call) -> bool:
    return call.catalog.knobs.forms.tells_deleted


def list_data_classes(call: Call) -> Answer:
    """`GET /v3/data_classes`: the only list that shows what was deleted, where it is asked for."""
    status = call.choice("status", "PUBLISHED", ("PUBLISHED", "ACTIVE", "DELETED"))
    glossary, since = call.catalog.glossary, call.time("since")
    found = glossary.deleted("data_class") if status == "DELETED" else glossary.published("data_class")
    if since is not None and status != "DELETED" and _tells_deleted(call):
        found = found + glossary.deleted("data_class")
    fresh = [one for one in found if since is None or _changed_s(one) >= since]
    page, envelope = offset_page(call, fresh, default=_LIMIT, high=_CLASSES_LIMIT)
    return Answer(envelope | {"resources": [_data_class(one) for one in page]})


def _changed_s(artifact: Artifact) -> float:
    return artifact.deleted_s or parse_time(artifact.latest["metadata"]["modified_at"])


def _data_class(artifact: Artifact) -> dict[str, Any]:
    if artifact.deleted_s is None:
        return artifact.latest
    return {**artifact.latest, "metadata": artifact.latest["metadata"] | {"state": "DELETED"}}


def list_values(call: Call) -> Answer:
    """`GET /v4/reference_data_sets/{id}/versions/{version}/values`: of the version that is active."""
    if call.word("version") not in ("ACTIVE", "PUBLISHED"):
        raise not_found("version", call.word("version"))
    page, envelope = offset_page(call, call.catalog.glossary.values(call.word("id")), default=_LIMIT, multiple=False)
    return Answer(envelope | {"values": page})
