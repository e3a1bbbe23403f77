"""Every call has the documented method, path, parameters and body; parameters take the names that settings give."""

from collections.abc import Awaitable, Callable
from contextlib import aclosing
from typing import Any

import pytest
from aiohttp import web

from service.catalog import endpoints, listings
from service.catalog.answer import Answer
from service.catalog.client import CatalogClient
from service.catalog.paging import Pages
from service.changes import Container
from service.errors import CatalogAnswerInvalid, CatalogFailed, CatalogNotFound
from service.kinds import Kind
from service.kinds.assets import STATISTICS
from service.kinds.jobs import ENRICHMENT_AREA, METADATA_IMPORT
from tests import listed

CATALOG, PROJECT, SPACE = Container("catalog", "c1"), Container("project", "p1"), Container("space", "s1")
IN_CATALOG, IN_PROJECT = {"catalog_id": "c1"}, {"project_id": "p1"}

Listing = Callable[[CatalogClient], Pages]
Reading = Callable[[CatalogClient], Awaitable[Answer]]


def one(client: CatalogClient, kind: Kind, where: Container, thing_id: str) -> Awaitable[Answer]:
    assert kind.alone is not None
    return listings.one(client, kind.alone, where, thing_id)


#: What is called, what the server hears, under which key the items are.
LISTINGS: list[tuple[Listing, str, dict[str, str], str]] = [
    (listed.catalogs, "GET /v2/catalogs", {"limit": "25"}, "catalogs"),
    (listed.projects, "GET /v2/projects", {"limit": "100"}, "resources"),
    (listed.spaces, "GET /v2/spaces", {"limit": "200"}, "resources"),
    (lambda c: listed.members(c, PROJECT), "GET /v2/projects/p1/members", {}, "members"),
    (lambda c: listed.members(c, SPACE), "GET /v2/spaces/s1/members", {"limit": "200"}, "resources"),
    (lambda c: listed.assets(c, CATALOG), "POST /v2/asset_types/asset/search", IN_CATALOG, "results"),
    (
        lambda c: listed.trash(c, SPACE, newer_than="2026-05-10T00:00:00Z"), "GET /v2/trashed_assets",
        {"space_id": "s1", "limit": "25", "newer_than": "2026-05-10T00:00:00Z"}, "resources",
    ),
    (
        lambda c: listed.profiles(c, CATALOG, "a1"), "GET /v2/data_profiles",
        {**IN_CATALOG, "dataset_id": "a1", "include_entity": "true"}, "resources",
    ),
    (lambda c: listed.asset_types(c, PROJECT), "GET /v2/asset_types", IN_PROJECT, "resources"),
    (listed.relationship_types, "GET /v2/asset_relationship_types", {"limit": "25"}, "resources"),
    (
        lambda c: listed.relationships(c, CATALOG, since="2026"), "POST /v2/assets/search_relationships",
        {
            **IN_CATALOG, "limit": "25", "modified_after": "2026",
            "include_source_columns": "true", "include_target_columns": "true",
        },
        "resources",
    ),
    (
        lambda c: listed.quality_assets(c, PROJECT), "GET /data_quality/v4/assets",
        {**IN_PROJECT, "limit": "200", "include_children": "true"}, "assets",
    ),
    (
        lambda c: listed.quality_checks(c, PROJECT), "GET /data_quality/v4/checks",
        {**IN_PROJECT, "limit": "200"}, "checks",
    ),
    (
        lambda c: listed.quality_issues(c, PROJECT), "GET /data_quality/v4/issues",
        {**IN_PROJECT, "limit": "200", "include_children": "true", "sort_by": "updated_at",
         "sort_direction": "desc"}, "issues",
    ),
    (
        listed.artifacts, "GET /v3/governance_artifact_types/all",
        {"limit": "200", "offset": "0", "workflow_status": "published"}, "resources",
    ),
    (
        lambda c: listed.versions(c, None, "g1", "policy"), "GET /v3/policies/g1/versions",
        {"limit": "200", "offset": "0"}, "resources",
    ),
    (
        lambda c: listed.artifact_relationships(c, since="2026"), "GET /v3/relationships",
        {"limit": "200", "offset": "0", "since": "2026"}, "relationships",
    ),
    (
        lambda c: listed.data_classes(c, since="2026", status="DELETED"), "GET /v3/data_classes",
        {"limit": "1000", "offset": "0", "since": "2026", "status": "DELETED"}, "resources",
    ),
    (listed.asset_lists, "GET /v2/asset_lists", {"limit": "200"}, "asset_lists"),
    (lambda c: listed.list_items(c, None, "l1"), "GET /v2/asset_lists/l1/items", {"limit": "200"}, "items"),
    (lambda c: listed.jobs(c, PROJECT), "GET /v2/jobs", {**IN_PROJECT, "limit": "100"}, "results"),
    (
        lambda c: listed.runs(c, SPACE, "j1"), "GET /v2/jobs/j1/runs",
        {"space_id": "s1", "limit": "100"}, "results",
    ),
    (lambda c: endpoints.modified_assets(c, "2026"), "POST /v3/search", {}, "rows"),
    (lambda c: endpoints.searched(c, "category"), "POST /v3/search", {}, "rows"),
    (
        lambda c: listed.categories(c, ["k1"]), "POST /v3/categories/hierarchy",
        {"limit": "100", "offset": "0"}, "resources",
    ),
    (listed.datasource_types, "GET /v2/datasource_types", {"limit": "100"}, "resources"),
    (
        lambda c: listed.data_contracts(c, CATALOG), "GET /data_quality/v4/catalogs/c1/data_contracts",
        {"limit": "200"}, "data_contracts",
    ),
    (
        lambda c: listed.data_contract_tests(c, PROJECT, "d1"),
        "GET /data_quality/v4/projects/p1/data_contracts/d1/test_results", {}, "test_results",
    ),
    (
        lambda c: listed.category_members(c, None, "k1"), "GET /v3/categories/k1/collaborators",
        {"include_inherited": "false"}, "collaborators",
    ),
    (
        lambda c: listed.asset_lineage(c, PROJECT, "a1"), "GET /v2/asset_lineages/a1",
        {**IN_PROJECT, "limit": "50", "offset": "0"}, "resources",
    ),
]  # fmt: skip

READINGS: list[tuple[Reading, str, dict[str, str]]] = [
    (lambda c: endpoints.container(c, CATALOG), "GET /v2/catalogs/c1", {}),
    (lambda c: endpoints.container(c, PROJECT), "GET /v2/projects/p1", {}),
    (lambda c: endpoints.container(c, SPACE), "GET /v2/spaces/s1", {}),
    (lambda c: endpoints.card(c, PROJECT, "a1"), "GET /v2/assets/a1", IN_PROJECT),
    (lambda c: endpoints.attachment(c, CATALOG, "a1", "t1"), "GET /v2/assets/a1/attachments/t1", IN_CATALOG),
    (
        lambda c: endpoints.artifact(c, "glossary_term", "g1"),
        "GET /v3/governance_artifact_types/glossary_term/g1", {"include_relationship": "parent_category"},
    ),
    (lambda c: endpoints.artifact(c, "category", "g1"), "GET /v3/governance_artifact_types/category/g1", {}),
    (lambda c: one(c, METADATA_IMPORT, PROJECT, "i1"), "GET /v2/metadata_imports/i1", IN_PROJECT),
    (
        lambda c: one(c, ENRICHMENT_AREA, PROJECT, "e1"),
        "GET /v2/metadata_enrichment/metadata_enrichment_area/e1", IN_PROJECT,
    ),
    (
        lambda c: endpoints.profile(c, CATALOG, "f1", "a1"), "GET /v2/data_profiles/f1",
        {**IN_CATALOG, "dataset_id": "a1"},
    ),
]  # fmt: skip


@pytest.mark.parametrize(("listing", "call", "query", "key"), LISTINGS, ids=[entry[1] for entry in LISTINGS])
async def test_what_a_listing_asks(
    server: Any, client_of: Any, listing: Listing, call: str, query: dict[str, str], key: str
) -> None:
    server.answers(call, lambda _: web.json_response({key: []}, status=201))

    async with aclosing(listing(client_of(server))) as pages:
        found = [page async for page in pages]

    assert [(page.items, page.cursor) for page in found] == [([], None)]
    (heard,) = server.calls()
    assert (f"{heard.method} {heard.path}", heard.query) == (call, query)


@pytest.mark.parametrize(("reading", "call", "query"), READINGS, ids=[entry[1] for entry in READINGS])
async def test_what_a_reading_asks(
    server: Any, client_of: Any, reading: Reading, call: str, query: dict[str, str]
) -> None:
    server.answers(call, lambda _: web.json_response({"n": 1.50}, headers={"Date": "Sun, 10 May 2026 15:00:00 GMT"}))

    answer = await reading(client_of(server))

    assert answer.object() == {"n": 1.5}
    assert answer.at_us is not None
    assert answer.at_us <= 1_778_425_200_000_000
    (heard,) = server.calls()
    assert heard.query == query


async def test_what_is_the_one_item_of_an_answer_is_asked_for_below_its_parent(server: Any, client_of: Any) -> None:
    """`GET /v2/asset_statistics/{id}/statistics` counts one thing a call; a score's own `asset` may be missing."""
    server.answers("GET /v2/asset_statistics/a1/statistics", {"count": 3})
    server.answers("GET /data_quality/v4/scores", {"scores": []})
    client = client_of(server)

    counts = [page async for page in listed.statistics(client, CATALOG, "a1")]
    (scores,) = [page async for page in listed.scores(client, CATALOG, "q1")]

    assert [page.items[0] for page in counts] == [
        {"count": 3, "asset_id": "a1", "request_type": what} for what in STATISTICS
    ]
    assert [page.cursor is None for page in counts] == [False, False, False, False, True]
    assert scores.items == [{"scores": [], "asset": {"id": "q1"}}]
    asked = [heard.query for heard in server.calls()]
    assert asked == [*({**IN_CATALOG, "request_type": what} for what in STATISTICS), {**IN_CATALOG, "asset_id": "q1"}]


async def test_the_bodies_of_searches(server: Any, client_of: Any) -> None:
    server.answers("POST /v2/asset_types/asset/search", {"results": []})
    server.answers("POST /v3/search", {"rows": []})
    client = client_of(server)

    for pages in (
        listed.assets(client, CATALOG),
        endpoints.modified_assets(client, "2026-05-10T00:00:00Z", PROJECT),
    ):
        async for _ in pages:
            pass

    first, second = (heard.json for heard in server.calls())
    assert first == {"query": "*:*", "limit": 200, "include": "entity,attachments"}
    assert second == {
        "query": {"bool": {"filter": [
            {"term": {"provider_type_id": "cams"}},
            {"term": {"entity.assets.project_id": "p1"}},
            {"range": {"metadata.modified_on": {"gte": "2026-05-10T00:00:00Z"}}},
        ]}},
        "sort": [{"metadata.modified_on": {"order": "asc", "unmapped_type": "date"}}],
        "from": 0, "size": 200,
    }  # fmt: skip
    assert all(heard.headers["Content-Type"] == "application/json" for heard in server.calls())


async def test_an_account_is_named_where_settings_name_one(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/catalogs", {"catalogs": []})
    server.answers("GET /v2/projects", {"resources": []})
    client = client_of(server, bss_account_id="999")

    for pages in (listed.catalogs(client), listed.projects(client)):
        async for _ in pages:
            pass

    assert [heard.query for heard in server.calls()] == [
        {"limit": "25", "bss_account_id": "999", "include": "catalogs"},
        {"limit": "100", "bss_account_id": "999"},
    ]


async def test_parameters_take_the_names_that_settings_give(server: Any, client_of: Any) -> None:
    def reply(request: web.Request) -> web.StreamResponse:
        at = int(request.query.get("mark", 0))
        return web.json_response({"resources": [{"id": at}]} | ({"bookmark": str(at + 1)} if at < 2 else {}))

    server.answers("GET /v2/trashed_assets", reply)
    client = client_of(server, parameters={"bookmark": "mark", "catalog_id": "cat", "limit": "size"})

    ids = [item["id"] async for page in listed.trash(client, CATALOG) for item in page.items]

    assert ids == [0, 1, 2]
    assert server.calls()[-1].query == {"cat": "c1", "size": "25", "mark": "2"}


async def test_a_bulk_reading_tells_each_card_by_itself(server: Any, client_of: Any) -> None:
    cards = [
        {"asset_id": "a2", "http_status": 404, "status": "failed", "errors": []},
        {"asset_id": "a1", "http_status": 200, "status": "success", "asset": {"metadata": {"asset_id": "a1"}}},
        {"asset_id": "a3", "http_status": 403, "status": "failed", "asset": {"metadata": {}}},
    ]
    server.answers("GET /v2/assets/bulk", {"resources": cards})

    bulk = await endpoints.cards(client_of(server), CATALOG, ["a1", "a2", "a3"])

    assert [(item.asset_id, item.status, item.card) for item in bulk.items] == [
        ("a1", 200, {"metadata": {"asset_id": "a1"}}), ("a2", 404, None), ("a3", 403, None),
    ]  # fmt: skip
    assert bulk.at_us is not None
    assert server.calls()[0].query == {"catalog_id": "c1", "asset_ids": "a1,a2,a3"}


@pytest.mark.parametrize(
    "resources",
    [
        [],
        [{"asset_id": "a2", "http_status": 200, "asset": {}}],
        [{"asset_id": "a1", "http_status": 200}],
        [{"asset_id": "a1", "status": "success", "asset": {}}],
        [{"http_status": 200, "asset": {}}],
        None,
    ],
)
async def test_a_card_that_a_bulk_reading_is_silent_about_does_not_pass_for_missing(
    server: Any, client_of: Any, resources: Any
) -> None:
    server.answers("GET /v2/assets/bulk", {"resources": resources})

    with pytest.raises(CatalogAnswerInvalid):
        await endpoints.cards(client_of(server), CATALOG, ["a1"])


@pytest.mark.parametrize("number", [0, 21])
async def test_a_bulk_reading_has_its_bounds(server: Any, client_of: Any, number: int) -> None:
    with pytest.raises(ValueError, match="1 to 20"):
        await endpoints.cards(client_of(server), CATALOG, ["a"] * number)
    assert server.heard == []


async def test_a_profile_that_is_being_made_is_told_apart_and_one_that_failed_is_not_asked_for_again(
    server: Any, client_of: Any
) -> None:
    server.answers(
        "GET /v2/data_profiles/f1",
        lambda _: web.json_response({"entity": {}}, status=202),
        lambda _: web.json_response({"errors": [{"code": "failed", "message": "m"}]}, status=500),
    )
    client = client_of(server)

    assert (await endpoints.profile(client, CATALOG, "f1", "a1")).status == 202
    with pytest.raises(CatalogFailed):
        await endpoints.profile(client, CATALOG, "f1", "a1")
    assert len(server.calls()) == 2


async def test_a_card_in_the_trash_is_not_found(server: Any, client_of: Any) -> None:
    with pytest.raises(CatalogNotFound):
        await endpoints.card(client_of(server), CATALOG, "a1")
