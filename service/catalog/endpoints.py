"""Every call that the mirror makes to the catalog, one function each (docs/contract.md, "Calls").

What has pages answers an iterator of them, which a cursor resumes; what is one thing answers it with the moment that it
is from. All may raise what `CatalogClient.call` raises.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal
from urllib.parse import quote

from service.catalog import paging, search, styles
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient, Request
from service.catalog.paging import Listing, Pages
from service.changes import Container
from service.errors import FieldInvalid

#: Cards in one bulk reading at most.
BULK_MAX = 20
#: Items asked for on a page, by what the services allow; P3 listings document 25 and no maximum.
SEARCH_PAGE = START_PAGE = OFFSET_PAGE = 200
BOOKMARK_PAGE = 25
PROJECTS_PAGE = JOBS_PAGE = 100
DATA_CLASSES_PAGE = 1000

Quality = Literal["assets", "checks", "issues"]
RequestType = Literal["EDITS", "DOWNLOADS", "PUBLISH_TO_CATALOG", "CLONE_TO_PROJECT", "PROMOTE_TO_SPACE"]
#: Where the versions of an artifact are, by its type.
VERSIONED = {
    "glossary_term": "glossary_terms",
    "classification": "classifications",
    "data_class": "data_classes",
    "policy": "policies",
    "rule": "rules",
}

#: Types by which one artifact is read (`all` is for listings only).
ARTIFACT_TYPES = (*VERSIONED, "reference_data", "category")

_Value = str | int | bool | None


@dataclass(frozen=True, slots=True)
class BulkItem:
    """One card of a bulk reading; `status` is its own HTTP status, and only with 200 there is a card."""

    asset_id: str
    status: int
    card: dict[str, Any] | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Bulk:
    """Several cards, read in one call."""

    items: list[BulkItem]
    at_us: int | None


# Containers.


def catalogs(client: CatalogClient, *, subtype: str | None = None, cursor: str | None = None) -> Pages:
    """All catalogs that we may see; those with a subtype only where `subtype` asks for them."""
    account = client.settings.bss_account_id
    query = {"limit": BOOKMARK_PAGE, "bss_account_id": account, "include": "catalogs" if account else None}
    style = styles.BookmarkOrSkip(client.names.of("bookmark"), client.names.of("skip"))
    first = _get(client, "catalogs", "/v2/catalogs", **query, subtype=subtype)
    return paging.walk(client, Listing("catalogs", first, "catalogs", style), cursor)


def projects(client: CatalogClient, *, cursor: str | None = None) -> Pages:
    """All projects that we may see; the catalog tells 2,000 at most."""
    first = _get(client, "projects", "/v2/projects", limit=PROJECTS_PAGE, bss_account_id=client.settings.bss_account_id)
    return paging.walk(client, Listing("projects", first, "resources", _bookmark(client), "total_results"), cursor)


def spaces(client: CatalogClient, *, cursor: str | None = None) -> Pages:
    """All deployment spaces that we may see."""
    first = _get(client, "spaces", "/v2/spaces", limit=START_PAGE)
    return paging.walk(client, Listing("spaces", first, "resources", _link(client)), cursor)


async def container(client: CatalogClient, which: Container) -> Answer:
    """One catalog, project or space."""
    return await client.call(_get(client, which.kind, f"/v2/{which.kind}s/{_segment(which.id)}"))


def members(client: CatalogClient, which: Container, *, cursor: str | None = None) -> Pages:
    """Users and groups that may see a container. Of a catalog's, groups are hidden until they are asked for."""
    path = f"/v2/{which.kind}s/{_segment(which.id)}/members"
    if which.kind == "project":
        listing = Listing("project_members", _get(client, "project_members", path), "members", styles.Whole())
        return paging.walk(client, listing, cursor)
    if which.kind == "space":
        first = _get(client, "space_members", path, limit=START_PAGE)
        return paging.walk(client, Listing("space_members", first, "resources", _link(client)), cursor)
    listings = []
    for member_type in ("user", "group"):
        first = _get(client, "catalog_members", path, member_type=member_type, limit=BOOKMARK_PAGE)
        name = f"catalog_members of type {member_type}"
        listings.append(Listing(name, first, "members", _bookmark(client), "total_rows"))
    return paging.chained(client, listings, cursor)


# Assets.


def assets(client: CatalogClient, which: Container, *, query: str = "*:*", cursor: str | None = None) -> Pages:
    """The cards of a container that match, whole; the generic type `asset`, so that none is listed twice."""
    body = {"query": query, "limit": SEARCH_PAGE, "include": "entity,attachments"}
    first = _post(client, "assets", "/v2/asset_types/asset/search", body, which, **_denied(client))
    return paging.walk(client, Listing("assets", first, "results", styles.BodyBookmark(), "total_rows"), cursor)


async def moment(client: CatalogClient, which: Container | None) -> int | None:
    """The catalog's clock, by the least call that shows whether the content of a container can be read."""
    if which is None:
        return (await client.call(_get(client, "catalogs", "/v2/catalogs", limit=1))).at_us
    body = {"query": "*:*", "limit": 1}
    return (await client.call(_post(client, "assets", "/v2/asset_types/asset/search", body, which))).at_us


async def card(client: CatalogClient, which: Container, asset_id: str) -> Answer:
    """One card; `CatalogNotFound` also where it is in the trash."""
    return await client.call(_get(client, "card", f"/v2/assets/{_segment(asset_id)}", which, **_denied(client)))


async def cards(client: CatalogClient, which: Container, asset_ids: Sequence[str]) -> Bulk:
    """Up to `BULK_MAX` cards. The call succeeds though cards fail: look at each one's status."""
    if not 1 <= len(asset_ids) <= BULK_MAX:
        raise ValueError(f"1 to {BULK_MAX} ids, not {len(asset_ids)}")
    asked = {"asset_ids": ",".join(asset_ids), **_denied(client)}
    answer = await client.call(_get(client, "cards", "/v2/assets/bulk", which, **asked))
    told = [item for item in answer.listed("resources") if isinstance(item, dict)]
    found = {item.asset_id: item for item in (_bulk_item(answer, item) for item in told)}
    missing = [asset_id for asset_id in asset_ids if asset_id not in found]
    if missing:
        raise answer.unusable(f"it says nothing of {len(missing)} of {len(asset_ids)} cards, of {missing[0][:80]!r}")
    return Bulk([found[asset_id] for asset_id in asset_ids], answer.at_us)


def _bulk_item(answer: Answer, item: dict[str, Any]) -> BulkItem:
    asset_id, status, asset = item.get("asset_id"), item.get("http_status"), item.get("asset")
    if not isinstance(asset_id, str) or not isinstance(status, int):
        raise answer.unusable("an item of it has no `asset_id` or no `http_status`")
    if status == 200 and not isinstance(asset, dict):
        raise answer.unusable("an item of it has status 200 and no `asset`")
    return BulkItem(asset_id, status, asset if status == 200 else None)


async def attachment(client: CatalogClient, which: Container, asset_id: str, attachment_id: str) -> Answer:
    """Where an attachment is. The answer holds a signed URL, which is a secret: redact it before it goes anywhere."""
    path = f"/v2/assets/{_segment(asset_id)}/attachments/{_segment(attachment_id)}"
    return await client.call(_get(client, "attachment", path, which))


def trash(
    client: CatalogClient, which: Container, *, newer_than: str | None = None, cursor: str | None = None
) -> Pages:
    """The deleted cards of a container, without their entities; those deleted after a moment (ISO 8601)."""
    first = _get(client, "trash", "/v2/trashed_assets", which, limit=BOOKMARK_PAGE, newer_than=newer_than)
    return paging.walk(client, Listing("trash", first, "resources", _bookmark(client), "total_rows"), cursor)


async def trashed(client: CatalogClient, which: Container, asset_id: str) -> Answer:
    """One deleted card; `CatalogNotFound` where it was purged, or is not in the trash."""
    return await client.call(_get(client, "trashed", f"/v2/trashed_assets/{_segment(asset_id)}", which))


async def trash_count(client: CatalogClient, which: Container) -> Answer:
    """How many cards are in the trash of a container."""
    return await client.call(_get(client, "trash_count", "/v2/trashed_assets/count", which))


async def statistics(client: CatalogClient, which: Container, asset_id: str, request_type: RequestType) -> Answer:
    """How often something was done with an asset."""
    path = f"/v2/asset_statistics/{_segment(asset_id)}/statistics"
    return await client.call(_get(client, "statistics", path, which, request_type=request_type))


def modified_assets(
    client: CatalogClient, since: str | None, which: Container | None = None, *, cursor: str | None = None
) -> Pages:
    """What global search knows of assets modified at or after a moment (ISO 8601), oldest first.

    Its index lags behind the catalog, and it repeats what was modified at the moment where one query of it ends.
    """
    first = _post(client, "modified_assets", "/v3/search", search.modified_query(since, which))
    return paging.walk(client, Listing("modified_assets", first, "rows", search.Window(), "size"), cursor)


# Profiles.


def profiles(client: CatalogClient, which: Container, dataset_id: str, *, cursor: str | None = None) -> Pages:
    """The profiles of one data set."""
    first = _get(client, "profiles", "/v2/data_profiles", which, dataset_id=dataset_id, include_entity=True)
    return paging.walk(client, Listing("profiles", first, "resources", styles.Whole()), cursor)


async def profile(client: CatalogClient, which: Container, profile_id: str, dataset_id: str) -> Answer:
    """One profile; status 202 while it is being made, with the same body.

    A 500 says that profiling failed, so it is `CatalogFailed` at once.
    """
    path = f"/v2/data_profiles/{_segment(profile_id)}"
    request = _get(client, "profile", path, which, dataset_id=dataset_id)
    return await client.call(replace(request, final=frozenset({500})))


# Types and relationships.


def asset_types(client: CatalogClient, which: Container, *, cursor: str | None = None) -> Pages:
    """The asset types of a container."""
    first = _get(client, "asset_types", "/v2/asset_types", which)
    return paging.walk(client, Listing("asset_types", first, "resources", styles.Whole()), cursor)


def relationship_types(client: CatalogClient, *, cursor: str | None = None) -> Pages:
    """The relationship types."""
    first = _get(client, "relationship_types", "/v2/asset_relationship_types", limit=BOOKMARK_PAGE)
    return paging.walk(client, Listing("relationship_types", first, "resources", _bookmark(client)), cursor)


def relationships(
    client: CatalogClient, which: Container, *, modified_after: str | None = None, cursor: str | None = None
) -> Pages:
    """The relationships of a container, those of columns too, least recently updated first. Deletions are not told."""
    first = _post(
        client, "relationships", "/v2/assets/search_relationships", None, which, limit=BOOKMARK_PAGE,
        modified_after=modified_after, include_source_columns=True, include_target_columns=True,
    )  # fmt: skip
    return paging.walk(client, Listing("relationships", first, "resources", _bookmark(client), "total_rows"), cursor)


# Data quality.


def quality(client: CatalogClient, which: Container, what: Quality, *, cursor: str | None = None) -> Pages:
    """Data quality assets, checks or issues; issues with the last updated first."""
    order = {"sort": "updated_at", "direction": "desc"} if what == "issues" else {}
    children = None if what == "checks" else True
    first = _get(
        client,
        f"quality_{what}",
        f"/data_quality/v4/{what}",
        which,
        limit=START_PAGE,
        include_children=children,
        **order,
    )
    listing = Listing(f"quality_{what}", first, what, _link(client), "total_count", nested="children")
    return paging.walk(client, listing, cursor)


async def scores(client: CatalogClient, which: Container, quality_asset_id: str) -> Answer:
    """The scores of one data quality asset (its own id, not that of the asset)."""
    return await client.call(_get(client, "scores", "/data_quality/v4/scores", which, asset_id=quality_asset_id))


# Governance.


def artifacts(client: CatalogClient, artifact_type: str = "all", *, cursor: str | None = None) -> Pages:
    """The published governance artifacts of a type; without a status the catalog lists all drafts."""
    path = f"/v3/governance_artifact_types/{_segment(artifact_type)}"
    first = _paged(client, "artifacts", path, workflow_status="published")
    listing = Listing(f"artifacts of type {artifact_type}", first, "resources", _of(client))
    return paging.walk(client, listing, cursor)


async def artifact(client: CatalogClient, artifact_type: str, artifact_id: str) -> Answer:
    """One governance artifact, as it was published last; `artifact_type` is its own, `all` is for listings only."""
    path = f"/v3/governance_artifact_types/{_segment(artifact_type)}/{_segment(artifact_id)}"
    return await client.call(_get(client, "artifact", path))


def versions(client: CatalogClient, artifact_type: str, artifact_id: str, *, cursor: str | None = None) -> Pages:
    """All versions of an artifact of one of the `VERSIONED` types."""
    path = f"/v3/{VERSIONED[artifact_type]}/{_segment(artifact_id)}/versions"
    return paging.walk(client, Listing("versions", _paged(client, "versions", path), "resources", _of(client)), cursor)


def artifact_relationships(
    client: CatalogClient, *, artifact_type: str | None = None, since: str | None = None, cursor: str | None = None
) -> Pages:
    """Relationships between artifacts, those that changed after a moment (ISO 8601 with milliseconds)."""
    first = _paged(client, "artifact_relationships", "/v3/relationships", artifact_type=artifact_type, since=since)
    return paging.walk(client, Listing("artifact_relationships", first, "relationships", _of(client)), cursor)


def data_classes(
    client: CatalogClient, *, since: str | None = None, status: str | None = None, cursor: str | None = None
) -> Pages:
    """Data classes that changed after a moment; with status `DELETED` those that are no more."""
    first = _get(
        client, "data_classes", "/v3/data_classes", limit=DATA_CLASSES_PAGE, offset=0, since=since, status=status
    )
    return paging.walk(client, Listing("data_classes", first, "resources", _of(client)), cursor)


# Lists, jobs, imports, enrichment.


def asset_lists(client: CatalogClient, *, cursor: str | None = None) -> Pages:
    """All asset lists."""
    first = _get(client, "asset_lists", "/v2/asset_lists", limit=START_PAGE)
    return paging.walk(client, Listing("asset_lists", first, "asset_lists", _link(client), "total_count"), cursor)


def list_items(client: CatalogClient, list_id: str, *, cursor: str | None = None) -> Pages:
    """The items of an asset list."""
    first = _get(client, "list_items", f"/v2/asset_lists/{_segment(list_id)}/items", limit=START_PAGE)
    return paging.walk(client, Listing("list_items", first, "items", _link(client), "total_count"), cursor)


def jobs(client: CatalogClient, which: Container, *, cursor: str | None = None) -> Pages:
    """The jobs of a project or space."""
    first = _get(client, "jobs", "/v2/jobs", which, limit=JOBS_PAGE)
    return paging.walk(client, Listing("jobs", first, "results", _next(client), "total_rows"), cursor)


def runs(
    client: CatalogClient, which: Container, job_id: str, *, states: str | None = None, cursor: str | None = None
) -> Pages:
    """The runs of a job; `states` is a list with commas."""
    first = _get(client, "runs", f"/v2/jobs/{_segment(job_id)}/runs", which, limit=JOBS_PAGE, states=states)
    return paging.walk(client, Listing("runs", first, "results", _next(client), "total_rows"), cursor)


async def metadata_import(client: CatalogClient, which: Container, import_id: str) -> Answer:
    """One metadata import of a project."""
    return await client.call(_get(client, "metadata_import", f"/v2/metadata_imports/{_segment(import_id)}", which))


async def enrichment_area(client: CatalogClient, which: Container, area_id: str) -> Answer:
    """One metadata enrichment area of a project."""
    path = f"/v2/metadata_enrichment/metadata_enrichment_area/{_segment(area_id)}"
    return await client.call(_get(client, "enrichment_area", path, which))


# Lineage.


#: Where lineage events are told.
LINEAGE_PATH = "/v2/lineage_events"


async def post_lineage(client: CatalogClient, event: bytes) -> Answer:
    """Tell the catalog a lineage event (JSON). It may answer without a body; it does not promise to see doubles.

    Raises:
        CatalogAnswerInvalid: a success that is no JSON: a page of a proxy, say, that wants somebody to sign in.
    """
    answer = await client.call(Request("post_lineage", "POST", LINEAGE_PATH, body=event))
    _ = answer.value
    return answer


def asset_lineage(client: CatalogClient, which: Container, asset_id: str, *, cursor: str | None = None) -> Pages:
    """The lineage events of an asset, newest first; the same event at each asset that it names."""
    first = _get(client, "asset_lineage", f"/v2/asset_lineages/{_segment(asset_id)}", which, limit=50, offset=0)
    return paging.walk(client, Listing("asset_lineage", first, "resources", _of(client)), cursor)


# How requests and styles are made.


def _get(
    client: CatalogClient, endpoint: str, path: str, which: Container | None = None, /, **query: _Value
) -> Request:
    return Request(endpoint, "GET", path, _query(client, which, query))


def _post(
    client: CatalogClient, endpoint: str, path: str, body: Any, which: Container | None = None, /, **query: _Value
) -> Request:
    return Request(endpoint, "POST", path, _query(client, which, query), body)


def _denied(client: CatalogClient) -> dict[str, _Value]:
    """Whether metadata is asked for where a data protection rule denies the data."""
    return {"allow_metadata_on_dpr_deny": True if client.settings.allow_metadata_on_dpr_deny else None}


def _paged(client: CatalogClient, endpoint: str, path: str, /, **query: _Value) -> Request:
    return _get(client, endpoint, path, limit=OFFSET_PAGE, offset=0, **query)


def _query(client: CatalogClient, which: Container | None, query: dict[str, _Value]) -> dict[str, str]:
    place = dict([client.names.container(which)]) if which else {}
    return {**place, **client.names.query(query)}


def _bookmark(client: CatalogClient) -> styles.Bookmark:
    return styles.Bookmark(client.names.of("bookmark"))


def _link(client: CatalogClient) -> styles.Link:
    return styles.Link(client.names.of("start"), client.names.of("limit"))


def _of(client: CatalogClient) -> styles.Offset:
    return styles.Offset(client.names.of("offset"), client.names.of("limit"), total="count")


def _next(client: CatalogClient) -> styles.NextToken:
    return styles.NextToken(client.names.of("next"))


def _segment(value: str) -> str:
    """An id as one segment of a path.

    Raises:
        FieldInvalid: it would be another path.
    """
    if value in ("", ".", ".."):
        raise FieldInvalid(field="id", problem=f"{value!r} cannot stand in a path")
    return quote(value, safe="")
