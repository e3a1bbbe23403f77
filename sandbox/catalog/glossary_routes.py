"""The glossary over HTTP, by offset, each list under a key of its own."""

from __future__ import annotations

import re
from typing import Any

from sandbox.catalog.calls import Answer, Call
from sandbox.catalog.clock import parse_time
from sandbox.catalog.glossary import LISTED_TYPES, PLURALS, Artifact, ArtifactRelationship, Glossary
from sandbox.catalog.paging import offset_page
from sandbox.catalog.problems import bad_request, not_found

#: Artifacts on a page unless more are asked for.
_LIMIT = 10
_CLASSES_LIMIT = 1000
_CATEGORY_ID = re.compile("[A-Za-z0-9]{8}(-[A-Za-z0-9]{4}){3}-[A-Za-z0-9]{12}")


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
    glossary = call.catalog.glossary
    return Answer(envelope | {"resources": [_flat(glossary, one) if flat else glossary.document(one) for one in page]})


def _flat(glossary: Glossary, artifact: Artifact) -> dict[str, Any]:
    """An artifact as IBM's own client has it in lists."""
    metadata = artifact.latest["metadata"]
    told = {name: metadata[name] for name in ("artifact_id", "version_id", "name", "created_at", "modified_at")}
    above = {"artifact_id": artifact.category_id, "name": glossary.categories.get(artifact.category_id).name}
    return {**told, "type": artifact.type, "parent_category": above, "workflow_status": "PUBLISHED"}


def get_artifact(call: Call) -> Answer:
    """`GET /v3/governance_artifact_types/{type}/{id}`: the latest published version, by the artifact's own type.

    Relationships are told where they are asked for; a category has none to another category.
    """
    artifact_type, glossary = call.word("type"), call.catalog.glossary
    asked = (call.text("include_relationship") or "").split(",")
    if artifact_type == "category":
        if "parent_category" in asked:
            raise bad_request("A category has no relationship parent_category.")
        return Answer(glossary.categories.document(glossary.categories.get(call.word("id"))))
    if artifact_type not in LISTED_TYPES or artifact_type == "all":
        raise not_found("artifact type", artifact_type)
    artifact = glossary.get(call.word("id"), artifact_type)
    return Answer(glossary.document(artifact) if {"parent_category", "all"} & set(asked) else artifact.latest)


def list_versions(call: Call) -> Answer:
    """`GET /v3/{glossary_terms|…}/{id}/versions`: newest first."""
    artifact = call.catalog.glossary.get(call.word("id"), PLURALS[call.word("plural")])
    page, envelope = offset_page(call, artifact.versions[::-1], default=_LIMIT)
    return Answer(envelope | {"resources": page})


def get_version(call: Call) -> Answer:
    """`GET /v3/{glossary_terms|…}/{id}/versions/{version_id}`."""
    artifact = call.catalog.glossary.get(call.word("id"), PLURALS[call.word("plural")])
    for version in artifact.versions:
        if version["metadata"]["version_id"] == call.word("version_id"):
            return Answer(version)
    raise not_found("version", call.word("version_id"))


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
    return Answer(envelope | {"resources": [_data_class(glossary, one) for one in page]})


def _changed_s(artifact: Artifact) -> float:
    return artifact.deleted_s or parse_time(artifact.latest["metadata"]["modified_at"])


def _data_class(glossary: Glossary, artifact: Artifact) -> dict[str, Any]:
    if artifact.deleted_s is None:
        return glossary.document(artifact)
    return {**artifact.latest, "metadata": artifact.latest["metadata"] | {"state": "DELETED"}}


def list_values(call: Call) -> Answer:
    """`GET /v4/reference_data_sets/{id}/versions/{version}/values`: of the version that is active."""
    if call.word("version") not in ("ACTIVE", "PUBLISHED"):
        raise not_found("version", call.word("version"))
    page, envelope = offset_page(call, call.catalog.glossary.values(call.word("id")), default=_LIMIT, multiple=False)
    return Answer(envelope | {"values": page})


def get_uncategorized(call: Call) -> Answer:
    """`GET /v3/categories/uncategorized`: the one that is always there."""
    categories = call.catalog.glossary.categories
    told = categories.document(categories.get(categories.uncategorized))
    return Answer({**told, "entity": told["entity"] | {"custom_attributes": []}})


def read_categories(call: Call) -> Answer:
    """`POST /v3/categories/hierarchy`: the categories with the ids of the body; what is not there is left out.

    Offsets are numbers outside, and texts inside of `first` and `last`.
    """
    categories = call.catalog.glossary.categories
    asked = call.json()
    named = asked.get("resources") if isinstance(asked, dict) else None
    if not isinstance(named, list) or not all(isinstance(one, dict) for one in named):
        raise bad_request("The body is no list of glossary resources.")
    ids = [str(one.get("artifact_id")) for one in named]
    if any(not _CATEGORY_ID.fullmatch(one) for one in ids):
        raise bad_request("An artifact id has 36 characters.")
    if call.catalog.knobs.forms.strict_categories:
        for one in ids:
            categories.get(one)
    found = [categories.document(categories.get(one)) for one in dict.fromkeys(ids) if categories.known(one)]
    page, envelope = offset_page(call, found, default=_LIMIT, high=_CLASSES_LIMIT)
    for end in ("first", "last"):
        envelope[end] = {**envelope[end], "offset": str(envelope[end]["offset"])}
    return Answer({**envelope, "set_uri": False, "resources": page})


def list_collaborators(call: Call) -> Answer:
    """`GET /v3/categories/{id}/collaborators`: with those of the categories above unless they are not asked for."""
    categories = call.catalog.glossary.categories
    path = categories.path(call.word("id"))
    wanted = path if call.flag("include_inherited", True) else path[-1:]
    roles = [role for one in wanted for role in categories.get(one).roles.values()]
    return Answer({"collaborators": [categories.role_document(one) for one in roles], "total_results": len(roles)})
