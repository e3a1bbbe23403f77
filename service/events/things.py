"""Where the catalog's JSON says what the `service.kinds` ask about things: members, types, relationships, artifacts, …

One line per kind and field: the places to look, first one first. The forms are told in docs/contract.md.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from service.changes import Container, ContainerKind, ContainerSaved, Rank, ThingSaved, Version
from service.errors import FieldInvalid
from service.events.fields import MAX_ID_BYTES, is_usable_id
from service.kinds.model import KINDS
from service.text import lookup
from service.text.documents import canonical, digest_of, documents_of
from service.text.lookup import Path
from service.text.times import to_datetime

#: Fields that change without the thing changing.
VOLATILE: tuple[tuple[str, ...], ...] = (
    ("href",),
    ("metadata", "href"),
    ("metadata", "url"),
    ("metadata", "usage"),
    ("metadata", "version"),
    ("metadata", "rating"),
    ("metadata", "total_ratings"),
)
_CONVERT: dict[str, Callable[[Any], Any]] = {
    "text": lookup.text,
    "integer": lookup.integer,
    "number": lookup.number,
    "truth": lookup.truth,
    "time": lookup.moment,
}


@dataclass(frozen=True, slots=True)
class Form:
    """How one kind looks in JSON."""

    #: Where the id stands; none: it is made of `named_by`.
    ids: tuple[Path, ...]
    #: By field of the kind.
    fields: dict[str, tuple[Path, ...]]
    #: What names it where it has no id of its own, or one only within its container.
    named_by: tuple[tuple[Path, ...], ...] = ()
    within_container: bool = False


def _paths(text: str) -> tuple[Path, ...]:
    """`metadata.name|entity.name` as places to look."""
    return tuple(tuple(path.split(".")) for path in text.split("|")) if text else ()


def _form(
    ids: str,
    ends: tuple[str, ...] = (),
    *,
    named_by: tuple[str, ...] = (),
    within_container: bool = False,
    **fields: str,
) -> Form:
    for end in ends:
        fields |= _end(end)
    return Form(
        _paths(ids),
        {name: _paths(text) for name, text in fields.items()},
        tuple(_paths(text) for text in named_by),
        within_container,
    )


def _end(name: str) -> dict[str, str]:
    return {
        f"{name}_name": f"{name}.name|{name}.default_display_name",
        f"{name}_types": f"{name}.containing_asset_types|{name}.containing_asset_type"
        f"|{name}.containing_artifact_types|{name}.containing_artifact_type",
        f"{name}_on_delete": f"{name}.on_delete",
    }


_PARENT = "@parent"
_FORMS = {
    "member": _form(
        "user_iam_id|access_group_id|entity.id|id|metadata.id", within_container=True,
        principal_id="user_iam_id|access_group_id|entity.id|id|metadata.id", principal_type="type|entity.type|@type",
        role="role|entity.role", state="state|entity.state", added_at="create_time|metadata.created_at",
    ),
    "asset_type": _form(
        "name", within_container=True, name="name", description="description", type_version="version",
        is_attribute_only="attribute_only", is_column_attribute="is_column_custom_attribute",
    ),
    "relationship_type": _form("relationship_type_id|id|metadata.id", ends=("end1", "end2")),
    "relationship": _form(
        "relationship_id|id", named_by=("relationship_name", "relationship_type_id", "source", "target"),
        relationship_name="relationship_name", relationship_type_id="relationship_type_id",
        created_at="create_time", updated_at="update_time",
    ),
    "artifact": _form(
        "metadata.artifact_id|artifact_id", artifact_type="metadata.artifact_type|type|artifact_type",
        name="metadata.name|name", global_id="metadata.global_id|global_id",
        version_id="metadata.version_id|version_id",
        state="metadata.state|entity.state|state|workflow_status", long_description="entity.long_description",
        short_description="metadata.short_description|short_description|description", tags="metadata.tags|tags",
        parent_category_id="@category|parent_category.artifact_id",
        effective_from="metadata.effective_start_date|effective_start_date",
        effective_to="metadata.effective_end_date|effective_end_date", created_at="metadata.created_at|created_at",
        updated_at="metadata.modified_at|modified_at", updated_by="metadata.modified_by|modified_by",
    ),
    "artifact_version": _form(
        "metadata.version_id", artifact_id="metadata.artifact_id", artifact_type="metadata.artifact_type",
        name="metadata.name", state="metadata.state|entity.state", revision="metadata.revision",
        effective_from="metadata.effective_start_date", effective_to="metadata.effective_end_date",
        updated_at="metadata.modified_at", updated_by="metadata.modified_by",
    ),
    "artifact_relationship": _form(
        "metadata.artifact_id|relationship_id",
        named_by=("entity.relationship_type|entity.type", "entity.source_id|entity.child_id",
                  "entity.target_id|entity.parent_id"),
        relationship_type="entity.relationship_type|entity.type", source_id="entity.source_id|entity.child_id",
        source_type="entity.source_type|entity.child_type", target_id="entity.target_id|entity.parent_id",
        target_type="entity.target_type|entity.parent_type", target_name="entity.target_name|entity.parent_name",
    ),
    "asset_list": _form(
        "id", name="name", description="description", list_type="type", state="state", asset_id="asset.id",
        owner_id="access_control.owner", created_at="created_at", updated_at="last_updated_at",
    ),
    "asset_list_item": _form(
        "id", asset_list_id=f"asset_list.id|{_PARENT}", asset_id="asset.id", asset_type="asset.type",
        created_at="created_at", updated_at="last_updated_at",
    ),
    "quality_asset": _form(
        "id", name="name", asset_type="type", native_id="native_id|nativeId", weight="weight", created_at="created_at"
    ),
    "quality_check": _form(
        "id", name="name", check_type="type", native_id="native_id|nativeId", dimension="dimension.name",
        created_at="created_at",
    ),
    "quality_issue": _form(
        "id", check_id="check.id", check_name="check.name", quality_asset_id="reported_for.id", status="status",
        is_ignored="ignored", occurrences="number_of_occurrences", tested_records="number_of_tested_records",
        created_at="created_at", updated_at="updated_at",
    ),
    "quality_score": _form(
        "asset.id", name="asset.name", score="@score.score", number_of_checks="@score.number_of_checks",
        status="@score.status", scored_at="@score.timestamp",
    ),
    "job": _form(
        "metadata.asset_id", name="metadata.name", asset_id="entity.job.asset_ref",
        asset_ref_type="entity.job.asset_ref_type", last_run_status="@last_run_status",
        last_run_at="entity.job.last_run_time", created_at="metadata.created_at|metadata.created",
    ),
    "job_run": _form(
        "metadata.asset_id", job_id=f"entity.job_run.job_ref|{_PARENT}", state="entity.job_run.state",
        is_scheduled="entity.job_run.isScheduledRun", created_at="metadata.created_at|metadata.created",
        updated_at="entity.job_run.last_state_change_timestamp",
    ),
    "metadata_import": _form(
        "metadata.asset_id|id|metadata.id", name="metadata.name|name",
        connection_id="entity.metadata_import.connection_id|entity.connection_id|entity.connectionId",
        job_id="entity.metadata_import.job_id|entity.job_id|entity.jobId",
        created_at="metadata.created_at|metadata.created",
    ),
    "enrichment_area": _form(
        "metadata.asset_id|id|metadata.id", name="metadata.name|name",
        job_id="entity.metadata_enrichment_area.job_id|entity.job_id|entity.jobId",
        created_at="metadata.created_at|metadata.created",
    ),
    "asset_statistic": _form(
        "", named_by=("asset_id", "request_type"), asset_id="asset_id", statistic="request_type", count="count"
    ),
}  # fmt: skip


def thing_change(
    kind: str, item: dict[str, Any], container: Container | None, at_us: int | None, parent: str | None = None
) -> ThingSaved:
    """One item of a listing, or one answer, as a change.

    Args:
        item: with secrets blanked already.
        parent: the id of what it was listed below.

    Raises:
        FieldInvalid: it has no id.
    """
    form = _FORMS[kind]
    document, steady = documents_of(item, VOLATILE)
    seen = {**item, **_derived(kind, item), "@parent": parent}
    values = tuple(
        _CONVERT[field.type](lookup.first(seen, form.fields[field.name])) if field.name in form.fields else None
        for field in KINDS[kind].fields
    )
    values = _with_times(kind, values)
    if kind == "relationship":
        values = (*values[:2], *_ends(item), *values[10:])
    version = Version(at_us, Rank.READ, steady, digest_of(document.digest + canonical([parent])))
    return ThingSaved(kind, thing_id(kind, item, container), version, document, values, container)


def parent_field_of(kind: str) -> str | None:
    """The field that holds what an item was listed below, where the item need not say so itself."""
    fields = _FORMS[kind].fields.items()
    return next((name for name, paths in fields if (_PARENT,) in paths), None)


def thing_id(kind: str, item: dict[str, Any], container: Container | None) -> str:
    """The id of an item: its own, or a hash of what names it.

    Raises:
        FieldInvalid: it has none.
    """
    form = _FORMS[kind]
    found = lookup.first(item, form.ids)
    if isinstance(found, str) and is_usable_id(found):
        return f"{container.id}/{found}" if form.within_container and container else found
    named = [lookup.first(item, paths) for paths in form.named_by]
    if not any(named):
        raise FieldInvalid(field="id", problem=f"an item of kind {kind} has text of 1 to {MAX_ID_BYTES} bytes there")
    return digest_of(canonical(named)).hex()


def _with_times(kind: str, values: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(
        to_datetime(value) if value is not None and field.type == "time" else value
        for field, value in zip(KINDS[kind].fields, values, strict=True)
    )


def _derived(kind: str, item: dict[str, Any]) -> dict[str, Any]:
    """Values that no path alone reaches."""
    if kind == "quality_score":
        scores = lookup.objects(item.get("scores"))
        return {"@score": next((score for score in scores if score.get("status") == "actual"), next(iter(scores), {}))}
    if kind == "artifact":
        parents = lookup.objects(lookup.at(item, ("entity", "parent_category", "resources")))
        return {"@category": lookup.at(parents[0], ("entity", "parent_id")) if parents else None}
    if kind == "job":
        status = lookup.text(lookup.at(item, ("entity", "job", "last_run_status")))
        return {"@last_run_status": None if status == "None" else status}  # as a job that never ran is answered
    if kind == "member":
        return {"@type": "group" if item.get("access_group_id") else "user"}
    return {}


def _ends(item: dict[str, Any]) -> tuple[Any, ...]:
    """Kind, id, column and container of both ends of a relationship."""
    ends: list[Any] = []
    for name in ("source", "target"):
        end = lookup.mapping(item.get(name))
        asset_id, _, column = (lookup.text(end.get("asset_id")) or "").partition("#COLUMN#")
        container = lookup.first(end, (("project_id",), ("space_id",), ("catalog_id",)))
        if asset_id:
            ends += ["column" if column else "asset", asset_id, column or None, lookup.text(container)]
        else:
            ends += ["artifact", lookup.text(end.get("artifact_id")), None, None]
    return tuple(ends)


def container_change(kind: ContainerKind, item: dict[str, Any], at_us: int | None) -> ContainerSaved:
    """A catalog, project or space, as the catalog lists it.

    Raises:
        FieldInvalid: it has no id.
    """
    found = lookup.first(item, _paths("metadata.guid|metadata.id"))
    if not isinstance(found, str) or not is_usable_id(found):
        raise FieldInvalid(field="metadata.guid", problem=f"an id is text of 1 to {MAX_ID_BYTES} bytes")
    document, steady = documents_of(item, VOLATILE)
    created = lookup.first(item, _paths("metadata.create_time|metadata.created_at"))
    return ContainerSaved(
        container=Container(kind, found),
        version=Version(at_us, Rank.READ, steady, document.digest),
        document=document,
        name=lookup.text(lookup.at(item, ("entity", "name"))),
        description=lookup.text(lookup.at(item, ("entity", "description"))),
        state="active",
        is_governed=lookup.truth(lookup.at(item, ("entity", "is_governed"))),
        creator_id=lookup.text(lookup.first(item, _paths("metadata.creator_id|entity.creator"))),
        created_at_us=lookup.moment(created),
    )
