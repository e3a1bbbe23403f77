"""The pocket catalog over HTTP, seen by a plain client: documented shapes, limits and traps."""

from __future__ import annotations

import asyncio
import json
import sys
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aio_pika
import aiohttp
import pytest

from sandbox.catalog import access
from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.feed import EXCHANGE, Mischief, connect_feed
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.relationships import End
from sandbox.catalog.server import serve

GRANT = "urn:ibm:params:oauth:grant-type:apikey"

EVENT: dict[str, Any] = {
    "message_version": "v1",
    "user_id": "IBMid-1",
    "account_id": "999",
    "event_details": {
        "event_id": "e1",
        "event_type": "DATASET_MIRRORED",
        "event_category": ["additions"],
        "event_time": "2026-05-10T12:00:00.123Z",
        "event_source_service": "us",
    },
    "uses_assets": [{"id": "a1", "asset_type": "DataSet", "relation": {"name": "Used"}, "properties": {}}],
    "generates_assets": [],
}


class Client:
    """Calls, with a token of its own, and what came back."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self._session = session
        self.headers: dict[str, str] = {}
        self.status = 0
        self.answered: dict[str, str] = {}
        self.text = ""

    async def sign_in(self) -> None:
        answer = await self.post("/identity/token", data={"grant_type": GRANT, "apikey": access.API_KEY})
        self.headers = {"Authorization": f"Bearer {answer['access_token']}"}

    async def get(self, path: str, **query: Any) -> Any:
        return await self._call("GET", path, params=query)

    async def post(self, path: str, body: Any = None, data: Any = None, **query: Any) -> Any:
        return await self._call("POST", path, params=query, json=body, data=data)

    async def _call(self, method: str, path: str, **more: Any) -> Any:
        given = {key: value for key, value in more.items() if value is not None}
        async with self._session.request(method, path, headers=self.headers, **given) as response:
            self.status, self.answered = response.status, dict(response.headers)
            self.text = await response.text()
            return json.loads(self.text) if response.content_type == "application/json" else self.text


@pytest.fixture
def catalog() -> PocketCatalog:
    return PocketCatalog(seed=5, assets=200, clock=SteppingClock())


@pytest.fixture
async def client(catalog: PocketCatalog) -> AsyncIterator[Client]:
    async with serve(catalog) as url, aiohttp.ClientSession(url) as session:
        client = Client(session)
        await client.sign_in()
        yield client


@pytest.fixture
def here(catalog: PocketCatalog) -> str:
    """The first catalog."""
    return catalog.container_ids("catalog")[0]


@pytest.fixture
def project(catalog: PocketCatalog) -> str:
    return catalog.container_ids("project")[0]


def true_ids(catalog: PocketCatalog, container_id: str) -> set[str]:
    return {one["metadata"]["asset_id"] for _, where, one in catalog.true_assets() if where == container_id}


def asset_of(catalog: PocketCatalog, container_id: str, attribute: str) -> str:
    """The first asset of a container that carries an attribute and that everybody may open."""
    for _, where, one in catalog.true_assets():
        if where == container_id and attribute in one["entity"] and one["metadata"]["rov"]["mode"] == 0:
            return str(one["metadata"]["asset_id"])
    raise AssertionError(attribute)


async def pages(client: Client, container_id: str, asset_type: str = "asset", **body: Any) -> list[dict[str, Any]]:
    """All pages of a search."""
    path, body = f"/v2/asset_types/{asset_type}/search", {"query": "*:*", **body}
    answers = []
    while body:
        answers.append(await client.post(path, body, catalog_id=container_id))
        assert client.status == 200
        body = answers[-1].get("next", {})
    return answers


class TestSigningIn:
    async def test_a_key_gives_a_token_for_an_hour(self, client: Client, catalog: PocketCatalog) -> None:
        answer = await client.post("/identity/token", data={"grant_type": GRANT, "apikey": access.API_KEY})

        assert answer["token_type"] == "Bearer"
        assert answer["expires_in"] == 3600
        assert answer["expiration"] == int(catalog.clock.now()) + 3600

    async def test_on_premises_a_key_or_a_password_gives_a_token_that_does_not_tell_its_end(
        self, client: Client
    ) -> None:
        for credential in ({"api_key": access.API_KEY}, {"password": access.PASSWORD}):
            answer = await client.post("/icp4d-api/v1/authorize", {"username": access.USERNAME, **credential})
            assert "expiration" not in answer
            client.headers = {"Authorization": f"Bearer {answer['token']}"}
            await client.get("/v2/catalogs")
            assert client.status == 200

    @pytest.mark.parametrize("authorization", [None, "Bearer nonsense", "Basic abc"])
    async def test_without_a_valid_token_everything_is_401(self, client: Client, authorization: str | None) -> None:
        client.headers = {"Authorization": authorization} if authorization else {}
        answer = await client.get("/v2/catalogs")

        assert client.status == 401
        assert answer["errors"][0]["code"]

    async def test_tokens_expire_on_the_catalogs_clock_and_can_be_revoked(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        catalog.clock.offset_s += 3601
        await client.get("/v2/catalogs")
        assert client.status == 401

        await client.sign_in()
        catalog.tokens.revoke_all()
        await client.get("/v2/catalogs")
        assert client.status == 401

    async def test_a_wrong_key_is_refused(self, client: Client) -> None:
        await client.post("/identity/token", data={"grant_type": GRANT, "apikey": "wrong"})
        assert client.status == 400


class TestContainers:
    async def test_the_list_of_catalogs_ends_with_an_empty_page_and_has_a_bookmark_on_all(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        guids, query = [], {"limit": "1"}
        while True:
            answer = await client.get("/v2/catalogs", **query)
            assert answer["nextBookmark"]
            if not answer["catalogs"]:
                break
            guids += [one["metadata"]["guid"] for one in answer["catalogs"]]
            query["bookmark"] = answer["nextBookmark"]
        assert guids == catalog.container_ids("catalog")
        assert answer["nextSkip"] == 0

    async def test_each_kind_has_a_shape_of_its_own(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        project_id, space_id = catalog.container_ids("project")[0], catalog.container_ids("space")[0]
        one = await client.get(f"/v2/catalogs/{here}")
        assert one["metadata"].keys() == {"guid", "url", "creator_id", "create_time"}
        assert one["href"].startswith("http://localhost:9080/")

        projects = await client.get("/v2/projects")
        assert projects["total_results"] == 1
        assert projects["resources"][0]["metadata"]["guid"] == project_id
        assert projects["resources"][0] == await client.get(f"/v2/projects/{project_id}")

        spaces = await client.get("/v2/spaces")
        assert spaces["resources"][0] == await client.get(f"/v2/spaces/{space_id}")
        assert "next" not in spaces

    async def test_spaces_are_paged_by_a_token_in_a_href_to_a_host_that_cannot_be_reached(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        catalog.create_container("space", "Second")
        first = await client.get("/v2/spaces", limit=1)
        link = urlsplit(first["next"]["href"])
        assert link.netloc == "localhost:9080"

        second = await client.get("/v2/spaces", **{key: value[0] for key, value in parse_qs(link.query).items()})
        assert second["resources"][0]["entity"]["name"] == "Second"
        assert "next" not in second

    async def test_members_of_a_catalog_hide_groups_unless_they_are_asked_for(
        self, client: Client, here: str, catalog: PocketCatalog
    ) -> None:
        users = await client.get(f"/v2/catalogs/{here}/members")
        groups = await client.get(f"/v2/catalogs/{here}/members", member_type="group")

        assert all("user_iam_id" in one for one in users["members"])
        assert all("access_group_id" in one for one in groups["members"])
        told = users["total_results"] + groups["total_results"]
        assert told == sum(where == here for _, where, _ in catalog.true_members())

    async def test_members_of_projects_and_spaces_have_other_shapes(
        self, client: Client, catalog: PocketCatalog, project: str
    ) -> None:
        members = (await client.get(f"/v2/projects/{project}/members"))["members"]
        assert members[0].keys() == {"id", "user_name", "role", "type", "state"}

        space_id = catalog.container_ids("space")[0]
        page = await client.get(f"/v2/spaces/{space_id}/members", limit=2)
        assert len(page["resources"]) == 2
        assert page["next"]["href"]

    async def test_a_container_without_a_role_vanishes_and_is_forbidden(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        catalog.set_caller_role(here, None)

        listed = (await client.get("/v2/catalogs"))["catalogs"]
        assert here not in {one["metadata"]["guid"] for one in listed}
        for path in (f"/v2/catalogs/{here}", f"/v2/assets/{asset_id}", "/v2/trashed_assets"):
            await client.get(path, catalog_id=here)
            assert client.status == 403

    @pytest.mark.parametrize("status", [403, 410])
    async def test_the_content_of_an_archived_container_cannot_be_read_until_it_is_restored(
        self, client: Client, catalog: PocketCatalog, here: str, status: int
    ) -> None:
        catalog.knobs.archived_status = status
        asset_id = asset_of(catalog, here, "data_asset")
        catalog.archive_container(here)
        await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert client.status == status

        catalog.restore_container(here)
        await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert client.status == 200

    @pytest.mark.parametrize("path", ["/v2/projects/none", "/v2/catalogs/none", "/v2/spaces/none"])
    async def test_an_unknown_container_is_404_in_the_envelope_of_its_service(self, client: Client, path: str) -> None:
        answer = await client.get(path)

        assert client.status == 404
        assert (answer["code"] == "404") if "projects" in path else answer["errors"][0]["code"]


class TestSearch:
    async def test_pages_end_with_one_without_next_and_hold_everything_once(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        answers = await pages(client, here, limit=25)
        ids = [one["metadata"]["asset_id"] for answer in answers for one in answer["results"]]

        assert len(ids) == len(set(ids)) == answers[0]["total_rows"]
        assert set(ids) == true_ids(catalog, here)
        # 100 assets fill four pages, so the last one is empty.
        assert answers[-1]["results"] == []

    async def test_a_larger_limit_is_silently_cut(self, client: Client) -> None:
        catalog = PocketCatalog(1, 1000)
        async with serve(catalog) as url, aiohttp.ClientSession(url) as session:
            other = Client(session)
            await other.sign_in()
            answer = await other.post(
                "/v2/asset_types/asset/search",
                {"query": "*:*", "limit": 5000},
                catalog_id=catalog.container_ids("catalog")[0],
            )
        assert len(answer["results"]) == 200

    async def test_results_are_metadata_only_unless_more_is_asked_for(self, client: Client, here: str) -> None:
        plain = await client.post("/v2/asset_types/asset/search", {"query": "*:*", "limit": 1}, catalog_id=here)
        assert plain["results"][0].keys() == {"metadata", "href"}

        body = {"query": "*:*", "limit": 1, "include": "entity,attachments"}
        full = await client.post("/v2/asset_types/asset/search", body, catalog_id=here)
        assert full["results"][0].keys() == {"metadata", "entity", "attachments", "href"}
        assert full["next"]["include"] == "entity,attachments"

    async def test_everything_of_a_type_includes_assets_that_only_carry_it(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        carrying = [answer["results"] for answer in await pages(client, here, "data_profile")]
        types = {one["metadata"]["asset_type"] for results in carrying for one in results}
        assert types == {"data_asset"}

        primary = await pages(client, here, "data_profile", query="asset.asset_type:data_profile")
        assert primary[0]["total_rows"] == 0

    async def test_the_version_is_0_in_results_and_2_in_the_card(self, client: Client, here: str) -> None:
        results = [one for answer in await pages(client, here) for one in answer["results"]]
        card = await client.get(f"/v2/assets/{results[0]['metadata']['asset_id']}", catalog_id=here)

        assert {one["metadata"]["version"] for one in results} == {0}
        assert card["metadata"]["version"] == 2

    async def test_some_numbers_are_floats_and_in_scientific_notation(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        answer = await client.post("/v2/asset_types/asset/search", {"query": "*:*"}, catalog_id=here)
        assert "E12" in client.text
        assert '"access_count":0.0' in client.text
        truth = {one["metadata"]["asset_id"]: one["metadata"]["created"] for _, _, one in catalog.true_assets()}
        for one in answer["results"]:
            assert one["metadata"]["created"] == truth[one["metadata"]["asset_id"]]

    async def test_a_card_that_is_deleted_or_added_meanwhile_shifts_no_page(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        before = true_ids(catalog, here)
        first = await client.post("/v2/asset_types/asset/search", {"query": "*:*", "limit": 30}, catalog_id=here)
        seen = {one["metadata"]["asset_id"] for one in first["results"]}
        gone, new = catalog.delete_asset(min(seen), purge=True), catalog.create_asset(here, "new")
        rest = await pages(client, here, **first["next"])

        later = {one["metadata"]["asset_id"] for answer in rest for one in answer["results"]}
        assert later == (before | {new}) - seen - set(gone)

    @pytest.mark.parametrize(
        "body",
        [{}, {"query": "*:*", "limit": 0}, {"query": "*:*", "include": "all"}, {"query": "*:*", "bookmark": "?"}, []],
    )
    async def test_a_wrong_body_is_400(self, client: Client, here: str, body: Any) -> None:
        await client.post("/v2/asset_types/asset/search", body, catalog_id=here)
        assert client.status == 400

    async def test_an_unknown_type_is_404(self, client: Client, here: str) -> None:
        await client.post("/v2/asset_types/nonsense/search", {"query": "*:*"}, catalog_id=here)
        assert client.status == 404

    async def test_one_asset_can_be_looked_for(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        asset_id = asset_of(catalog, here, "connection")
        body = {"query": f'asset.asset_id:"{asset_id}" AND asset.asset_type:connection'}
        answer = await client.post("/v2/asset_types/asset/search", body, catalog_id=here)

        assert [one["metadata"]["asset_id"] for one in answer["results"]] == [asset_id]


class TestCards:
    async def test_exactly_one_container_must_be_named(
        self, client: Client, catalog: PocketCatalog, here: str, project: str
    ) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        for query in ({}, {"catalog_id": here, "project_id": project}):
            await client.get(f"/v2/assets/{asset_id}", **query)
            assert client.status == 400
        await client.get(f"/v2/assets/{asset_id}", project_id=project)
        assert client.status == 404

    async def test_the_answers_date_is_the_catalogs(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        catalog.clock.offset_s = 300
        await client.get(f"/v2/assets/{asset_of(catalog, here, 'data_asset')}", catalog_id=here)

        assert parsedate_to_datetime(client.answered["Date"]).timestamp() == int(catalog.clock.now())

    async def test_a_trashed_card_is_404_and_shows_without_entity_in_the_trash_which_answers_201(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        catalog.delete_asset(asset_id)
        await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert client.status == 404

        trash = await client.get("/v2/trashed_assets", catalog_id=here)
        assert client.status == 201
        assert trash["total_rows"] == 1
        assert "entity" not in trash["resources"][0]
        assert trash["resources"][0]["metadata"]["asset_state"] == "deleted"
        assert (await client.get("/v2/trashed_assets/count", catalog_id=here))["count"] == 1
        await client.get(f"/v2/trashed_assets/{asset_id}", catalog_id=here)
        assert client.status == 200

        catalog.purge(asset_id)
        await client.get(f"/v2/trashed_assets/{asset_id}", catalog_id=here)
        assert client.status == 404

    async def test_the_trash_is_filtered_by_time_and_paged(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        assert isinstance(catalog.clock, SteppingClock)
        ids = sorted(true_ids(catalog, here))[:5]
        for asset_id in ids:
            catalog.clock.advance(60)
            catalog.assets.move(catalog.assets.live(asset_id), catalog.assets.live(asset_id).life.TRASHED)
        newer = await client.get("/v2/trashed_assets", catalog_id=here, newer_than="2026-05-10T12:03:30Z")
        assert [one["metadata"]["asset_id"] for one in newer["resources"]] == ids[3:]

        seen: list[str] = []
        bookmark: dict[str, str] = {}
        while True:
            page = await client.get("/v2/trashed_assets", catalog_id=here, limit=2, **bookmark)
            if not page["resources"]:
                break
            seen += [one["metadata"]["asset_id"] for one in page["resources"]]
            bookmark = {"bookmark": page["bookmark"]}
        assert seen == ids

    async def test_bulk_answers_each_in_the_order_of_the_request(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        answer = await client.get("/v2/assets/bulk", catalog_id=here, asset_ids=f"none,{asset_id}")

        assert client.status == 200
        failed, read = answer["resources"]
        assert (failed["asset_id"], failed["http_status"], failed["status"]) == ("none", 404, "failed")
        assert failed["errors"]
        assert (read["http_status"], read["status"]) == (200, "success")
        assert read["asset"] == await client.get(f"/v2/assets/{asset_id}", catalog_id=here)

    @pytest.mark.parametrize("asset_ids", ["", ",".join("x" * 21), "a,,b"])
    async def test_bulk_takes_between_1_and_20_ids(self, client: Client, here: str, asset_ids: str) -> None:
        await client.get("/v2/assets/bulk", catalog_id=here, asset_ids=asset_ids)
        assert client.status == 400

    async def test_a_private_card_shows_metadata_only_to_those_who_are_no_members(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        asset_id = asset_of(catalog, here, "asset_terms")
        catalog.patch_asset(asset_id, rov_mode=8, member_roles={"IBMid-1": ["OWNER"]})
        card = await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert card.keys() == {"metadata", "href"}
        assert "asset_terms" in card["metadata"]["asset_attributes"]

        catalog.patch_asset(asset_id, rov_mode=16)
        await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert client.status == 403

    async def test_a_projects_card_names_a_catalog_that_nobody_may_read(
        self, client: Client, catalog: PocketCatalog, project: str
    ) -> None:
        card = await client.get(f"/v2/assets/{asset_of(catalog, project, 'data_asset')}", project_id=project)
        metadata = card["metadata"]
        assert metadata["project_id"] == metadata["sandbox_id"] == project

        await client.get(f"/v2/catalogs/{metadata['catalog_id']}")
        assert client.status == 404

    async def test_a_profiles_results_lie_behind_a_signed_url(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        asset_id = asset_of(catalog, here, "asset_terms")
        catalog.finish_profile(asset_id, profile_id := catalog.create_profile(asset_id))
        profile = await client.get(f"/v2/data_profiles/{profile_id}", catalog_id=here, dataset_id=asset_id)
        attachment_id = profile["entity"]["data_profile"]["attachment_id"]
        attachment = await client.get(f"/v2/assets/{asset_id}/attachments/{attachment_id}", catalog_id=here)
        assert "X-Amz-Signature=" in attachment["url"]

        signed = urlsplit(attachment["url"])
        client.headers = {}
        document = await client.get(f"{signed.path}?{signed.query}")
        assert document["columns"][0]["value_analysis"]["min_string"]
        await client.get(signed.path)
        assert client.status == 403

    async def test_reading_counts_as_access_where_that_is_switched_on(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        catalog.knobs.reads_touch_usage = True
        asset_id = asset_of(catalog, here, "data_asset")
        for expected in (1, 2):
            card = await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
            assert card["metadata"]["usage"]["access_count"] == expected

    async def test_statistics_need_a_known_kind_of_use(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        catalog.patch_asset(asset_id, name="edited")
        path = f"/v2/asset_statistics/{asset_id}/statistics"
        assert (await client.get(path, catalog_id=here, request_type="EDITS"))["count"] == 1
        await client.get(path, catalog_id=here, request_type="edits")
        assert client.status == 400

    async def test_types_are_listed_and_vanish_when_deleted(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        catalog.delete_asset_type("book")
        names = {one["name"] for one in (await client.get("/v2/asset_types", catalog_id=here))["resources"]}
        assert "data_asset" in names
        assert "book" not in names


class TestProfilesAndRelationships:
    @pytest.mark.parametrize(
        ("state", "status"), [("none", 200), ("submitted", 202), ("running", 202), ("failed", 500)]
    )
    async def test_a_profiles_status_tells_how_its_run_goes(
        self, client: Client, catalog: PocketCatalog, here: str, state: str, status: int
    ) -> None:
        asset_id = asset_of(catalog, here, "data_asset")
        profile_id = catalog.create_profile(asset_id)
        catalog.patch_profile(asset_id, profile_id, status=state)
        await client.get(f"/v2/data_profiles/{profile_id}", catalog_id=here, dataset_id=asset_id)
        assert client.status == status

    async def test_the_profiles_of_a_data_set_are_listed(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        _, _, truth = next(one for one in catalog.true_profiles() if one[1] == here)
        asset_id = truth["metadata"]["dataset_id"]
        answer = await client.get("/v2/data_profiles", catalog_id=here, dataset_id=asset_id)
        assert answer == {"resources": [truth]}

        bare = await client.get("/v2/data_profiles", catalog_id=here, dataset_id=asset_id, include_entity="false")
        assert "entity" not in bare["resources"][0]
        await client.get("/v2/data_profiles", catalog_id=here)
        assert client.status == 400

    async def test_relationships_are_paged_by_their_update_time(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        path, seen = "/v2/assets/search_relationships", list[dict[str, Any]]()
        bookmark: dict[str, str] = {}
        flags = {"include_source_columns": "true", "include_target_columns": "true"}
        while True:
            page = await client.post(path, catalog_id=here, limit=4, **flags, **bookmark)
            if not page["resources"]:
                break
            seen += page["resources"]
            bookmark = {"bookmark": page["bookmark"]}
        assert page["total_rows"] == len(catalog.relationships.of_container(here)) <= len(seen)
        assert [one["update_time"] for one in seen] == sorted(one["update_time"] for one in seen)
        ends = [end for one in seen for end in (one["source"], one["target"])]
        assert any("artifact_id" in end for end in ends)
        assert any("#COLUMN#" in end.get("asset_id", "") for end in ends)

        few = await client.post(path, catalog_id=here, include_source_columns="true", limit=200)
        assert not [one for one in few["resources"] if "#COLUMN#" in one["source"].get("asset_id", "")]

    async def test_only_newer_relationships_are_found_and_removed_ones_are_not_reported(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        first, second = sorted(true_ids(catalog, here))[:2]
        catalog.set_relationship(End(first), "related_to", End(second))
        query = {"catalog_id": here, "modified_after": "2026-05-01T00:00:00Z"}
        found = await client.post("/v2/assets/search_relationships", **query)
        assert [one["relationship_name"] for one in found["resources"]] == ["related_to"]

        catalog.unset_relationship(End(first), "related_to", End(second))
        assert (await client.post("/v2/assets/search_relationships", **query))["total_rows"] == 0

    async def test_a_page_may_exceed_its_limit_for_what_relates_to_itself(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        other = catalog.create_container("catalog", "Empty")
        asset_id = catalog.create_asset(other, "narcissus")
        catalog.set_relationship(End(asset_id), "related_to", End(asset_id))
        page = await client.post("/v2/assets/search_relationships", catalog_id=other, limit=1)
        assert (len(page["resources"]), page["total_rows"]) == (2, 1)

    async def test_types_of_relationships_are_listed(self, client: Client, catalog: PocketCatalog) -> None:
        answer = await client.get("/v2/asset_relationship_types", limit=4)
        assert len(answer["resources"]) == 4
        rest = await client.get("/v2/asset_relationship_types", bookmark=answer["bookmark"])
        assert len(rest["resources"]) == len(catalog.relationships.types) - 4


class TestLineage:
    async def test_both_legal_successes_occur_and_all_are_kept(self, client: Client, catalog: PocketCatalog) -> None:
        statuses = set()
        for number in range(40):
            event = EVENT | {"event_details": EVENT["event_details"] | {"event_id": f"e{number}"}}
            answer = await client.post("/v2/lineage_events", event)
            statuses.add(client.status)
            assert answer == "" if client.status == 204 else answer["metadata"]["source_event_id"] == f"e{number}"
        assert statuses == {202, 204}
        assert len(catalog.received_lineage()) == 40

    async def test_stored_events_have_other_names_for_the_same_things(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        await client.post("/v2/lineage_events", EVENT)
        answer = await client.get("/v2/asset_lineages/a1", catalog_id=catalog.container_ids("catalog")[0])

        (one,) = answer["resources"]
        assert one["metadata"]["source_event_id"] == "e1"
        assert one["entity"]["type"] == "DATASET_MIRRORED"
        assert one["entity"]["uses_assets"][0]["type"] == "DataSet"
        assert one["entity"]["properties"]["event_category"] == ["additions"]
        assert "_=" in answer["first"]["href"]
        assert (answer["limit"], answer["offset"]) == (50, 0)

    @pytest.mark.parametrize("body", [{}, {"event_details": {"event_id": "x"}}, [], {**EVENT, "uses_assets": [{}]}])
    async def test_what_is_no_lineage_event_is_400(self, client: Client, body: Any) -> None:
        await client.post("/v2/lineage_events", body)
        assert client.status == 400


class TestGlobalSearch:
    async def all_rows(self, client: Client, **range_: str) -> list[dict[str, Any]]:
        filters = [{"term": {"provider_type_id": "cams"}}, {"range": {"metadata.modified_on": range_}}]
        rows: list[dict[str, Any]] = []
        while True:
            body = {"query": {"bool": {"filter": filters}}, "size": 30, "from": len(rows)}
            answer = await client.post("/v3/search", body | {"sort": [{"metadata.modified_on": "asc"}]})
            if not answer["rows"]:
                assert len(rows) == answer["size"]
                return rows
            rows += answer["rows"]

    async def test_it_gives_every_asset_once_by_the_time_of_its_last_change(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        changed = asset_of(catalog, here, "asset_terms")
        catalog.patch_asset(changed, name="changed")
        catalog.delete_asset(gone := asset_of(catalog, here, "connection"))
        rows = await self.all_rows(client, gte="2000-01-01T00:00:00Z")

        ids = [row["entity"]["assets"]["asset_id"] for row in rows]
        assert len(ids) == len(set(ids))
        assert set(ids) == {one["metadata"]["asset_id"] for _, _, one in catalog.true_assets()}
        assert ids[-1] == changed
        assert gone not in ids
        times = [row["metadata"]["modified_on"] for row in rows]
        assert times == sorted(times)
        assert {row["last_updated_at"] == 0 for row in rows} == {True, False}

    async def test_a_range_gives_what_changed_in_it(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        catalog.patch_asset(changed := asset_of(catalog, here, "asset_terms"), name="changed")
        assert [row["artifact_id"] for row in await self.all_rows(client, gte="2026-05-01T00:00:00Z")] == [changed]

        truth = [one["metadata"]["usage"]["last_updated_at"] for _, _, one in catalog.true_assets()]
        rows = await self.all_rows(client, gte="2022-01-01T00:00:00Z", lt="2023-01-01T00:00:00Z")
        assert len(rows) == sum("2022" <= at < "2023" for at in truth)

    async def test_it_lags_and_shows_only_what_may_be_read(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        assert isinstance(catalog.clock, SteppingClock)
        catalog.knobs.index_lag_s = 10
        catalog.patch_asset(asset_of(catalog, here, "asset_terms"), name="changed")
        assert await self.all_rows(client, gte="2026-05-01T00:00:00Z") == []
        catalog.clock.advance(11)
        assert len(await self.all_rows(client, gte="2026-05-01T00:00:00Z")) == 1
        catalog.set_caller_role(here, None)
        assert await self.all_rows(client, gte="2026-05-01T00:00:00Z") == []

    async def test_filters_by_type_container_and_id(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        asset_id = asset_of(catalog, here, "connection")
        for order in ("asc", "desc"):
            sort = [{"metadata.modified_on": {"order": order}}]
            for filters, expected in (
                ([{"term": {"metadata.artifact_type": "connection"}}, {"term": {"entity.assets.catalog_id": here}}], 6),
                ([{"terms": {"artifact_id": [asset_id, "none"]}}], 1),
            ):
                answer = await client.post("/v3/search", {"query": {"bool": {"filter": filters}}, "sort": sort})
                ids = [row["artifact_id"] for row in answer["rows"]]
                assert (answer["size"], len(ids), asset_id in ids) == (expected, expected, True)

    async def test_10000_documents_are_the_end(self, client: Client) -> None:
        await client.post("/v3/search", {"query": {"match_all": {}}, "from": 9_990, "size": 10})
        assert client.status == 200
        await client.post("/v3/search", {"query": {"match_all": {}}, "from": 9_991, "size": 10})
        assert client.status == 400

    async def test_the_glossary_is_in_it_too(self, client: Client) -> None:
        body = {"query": {"bool": {"filter": [{"term": {"metadata.artifact_type": "policy"}}]}}, "size": 50}
        rows = (await client.post("/v3/search", body))["rows"]
        assert {row["provider_type_id"] for row in rows} == {"glossary"}


class TestGlossary:
    async def test_pages_by_offset_tell_a_next_one_on_the_last_too(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        asked = {"limit": 50, "workflow_status": "published"}
        page = await client.get("/v3/governance_artifact_types/all", **asked, offset=50)
        assert page["count"] == len(list(catalog.true_artifacts()))
        assert len(page["resources"]) == page["count"] - 50
        assert page["next"]["offset"] == 100
        empty = await client.get("/v3/governance_artifact_types/all", **asked, offset=100)
        assert empty["resources"] == []
        drafts = await client.get("/v3/governance_artifact_types/all", limit=50)
        assert drafts["resources"] == [], "without a status drafts are listed, and there are none"
        assert "next" not in empty

    @pytest.mark.parametrize("query", [{"limit": 201}, {"limit": 0}, {"limit": 10, "offset": 5}, {"limit": "x"}])
    async def test_limits_are_kept(self, client: Client, query: dict[str, Any]) -> None:
        await client.get("/v3/governance_artifact_types/glossary_term", **query)
        assert client.status == 400

    async def test_versions_latest_and_deleted_ones(self, client: Client, catalog: PocketCatalog) -> None:
        artifact_id = catalog.create_artifact("data_class", "Colour")
        catalog.patch_artifact(artifact_id, description="What it looks like.")
        latest = await client.get(f"/v3/governance_artifact_types/data_class/{artifact_id}")
        versions = (await client.get(f"/v3/data_classes/{artifact_id}/versions"))["resources"]
        assert latest == versions[0]
        assert [one["metadata"]["version_id"] for one in versions] == [f"{artifact_id}_1", f"{artifact_id}_0"]

        catalog.delete_artifact(artifact_id)
        await client.get(f"/v3/governance_artifact_types/data_class/{artifact_id}")
        assert client.status == 404
        deleted = await client.get("/v3/data_classes", status="DELETED", limit=1000)
        assert [one["metadata"]["artifact_id"] for one in deleted["resources"]] == [artifact_id]

    async def test_relationships_since_a_time(self, client: Client, catalog: PocketCatalog) -> None:
        first, second = (one.id for one in list(catalog.true_artifacts())[:2])
        catalog.glossary.relate(first, "related_to", second)
        page = await client.get("/v3/relationships", since="2026-05-01T00:00:00.000Z", limit=200)
        (one,) = page["relationships"]
        assert (one["entity"]["source_id"], one["entity"]["target_id"]) == (first, second)

    async def test_a_category_is_no_type_of_artifact_here(self, client: Client) -> None:
        await client.get("/v3/governance_artifact_types/category")
        assert client.status == 404

    async def test_categories_are_read_by_their_ids(self, client: Client, catalog: PocketCatalog) -> None:
        ids = [one.id for one in catalog.glossary.categories.all()]
        body = {"resources": [{"artifact_id": one} for one in [*ids, "00000000-0000-0000-0000-000000000000"]]}
        page = await client.post("/v3/categories/hierarchy?limit=1000", body)
        assert [one["metadata"]["artifact_id"] for one in page["resources"]] == ids
        assert (page["offset"], page["first"]["offset"]) == (0, "0")
        for query, wrong in (("limit=1001", body), ("limit=10", {"resources": [{"artifact_id": "x"}]}), ("", {})):
            await client.post(f"/v3/categories/hierarchy?{query}", wrong)
            assert client.status == 400

    async def test_roles_of_the_categories_above_are_told_unless_they_are_not_asked_for(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        people = next(one.id for one in catalog.glossary.categories.all() if one.name == "People")
        every = await client.get(f"/v3/categories/{people}/collaborators")
        assert [one["role"] for one in every["collaborators"]] == ["owner", "viewer"]
        own = await client.get(f"/v3/categories/{people}/collaborators", include_inherited="false")
        assert [one["role"] for one in own["collaborators"]] == ["viewer"]


class TestQualityListsAndJobs:
    async def test_issues_come_last_changed_first_and_archived_ones_only_when_asked_for(
        self, client: Client, catalog: PocketCatalog, here: str
    ) -> None:
        assert isinstance(catalog.clock, SteppingClock)
        catalog.clock.advance(1)
        old = catalog.quality.issues(here)[0]
        new = catalog.quality.report(old.check.id, old.asset.id, 500, 1000)
        catalog.quality.set_ignored(new, True)
        answer = await client.get("/data_quality/v4/issues", catalog_id=here, limit=2)
        assert answer["issues"][0]["id"] == new
        assert answer["issues"][0]["reported_for"].keys() == {"id", "nativeId"}
        assert answer["next"]["href"]
        assert "updated_at" not in answer["issues"][0]
        everything = await client.get("/data_quality/v4/issues", catalog_id=here, latest_only="false")
        assert everything["total_count"] == answer["total_count"] + 1

        scores = await client.get("/data_quality/v4/scores", catalog_id=here, asset_id=old.asset.id)
        assert scores["scores"][0]["score"] == 0.5

    async def test_children_are_shown_where_they_are_asked_for(self, client: Client, here: str) -> None:
        parents = await client.get("/data_quality/v4/assets", catalog_id=here)
        everything = await client.get("/data_quality/v4/assets", catalog_id=here, include_children="true")
        assert {one["type"] for one in parents["assets"]} == {"data_asset"}
        assert {one["type"] for one in everything["assets"]} == {"data_asset", "column"}
        checks = await client.get("/data_quality/v4/checks", catalog_id=here)
        assert checks["total_count"] == len(checks["checks"]) == 3

    async def test_the_envelope_of_quality_always_says_404(self, client: Client) -> None:
        answer = await client.get("/data_quality/v4/issues")
        assert client.status == 400
        assert answer["status_code"] == 404

    async def test_asset_lists_and_items_are_paged_by_start(self, client: Client, catalog: PocketCatalog) -> None:
        first = await client.get("/v2/asset_lists", limit=1)
        second = await client.get("/v2/asset_lists", limit=1, start=first["next"]["start"])
        assert first["total_count"] == len(catalog.lists.all()) == 2
        shown = [*first["asset_lists"], *second["asset_lists"]]
        assert sorted(shown, key=str) == sorted(catalog.lists.all(), key=str)
        list_id = first["asset_lists"][0]["id"]
        items = await client.get(f"/v2/asset_lists/{list_id}/items")
        assert sorted(items["items"], key=str) == sorted(catalog.lists.items(list_id), key=str)

    async def test_jobs_and_runs_are_paged_by_next(self, client: Client, catalog: PocketCatalog, project: str) -> None:
        first = await client.get("/v2/jobs", project_id=project, limit=1)
        second = await client.get("/v2/jobs", project_id=project, limit=1, next=first["next"])
        assert first["total_rows"] == 2
        assert "next" not in second
        job = first["results"][0]
        assert job["entity"]["job"]["last_run_status"] == "Completed"
        path = f"/v2/jobs/{job['metadata']['asset_id']}/runs"
        assert (await client.get(path, project_id=project, states="Completed"))["total_rows"] == 1
        assert (await client.get(path, project_id=project, states="Failed,Queued"))["total_rows"] == 0
        await client.get(path, project_id=project, states="completed")
        assert client.status == 400

    async def test_areas_and_imports_are_assets_with_an_endpoint_of_their_own(
        self, client: Client, catalog: PocketCatalog, project: str
    ) -> None:
        area_id = asset_of(catalog, project, "metadata_enrichment_area")
        path = f"/v2/metadata_enrichment/metadata_enrichment_area/{area_id}"
        assert (await client.get(path, project_id=project))["metadata"]["asset_id"] == area_id
        await client.get(path)
        assert client.status == 400
        await client.get(f"/v2/metadata_imports/{area_id}", project_id=project)
        assert client.status == 404
        catalog.delete_asset(area_id)
        await client.get(path, project_id=project)
        assert client.status == 410


class TestTrouble:
    async def test_too_many_calls_are_429_with_the_headers_that_are_switched_on(
        self, client: Client, catalog: PocketCatalog
    ) -> None:
        catalog.knobs.rate_limit_per_minute = 3
        statuses = []
        for _ in range(5):
            await client.get("/v2/catalogs")
            statuses.append(client.status)
        assert statuses == [200, 200, 200, 429, 429]
        assert int(client.answered["Retry-After"]) <= 60
        assert int(client.answered["X-RateLimit-Reset"]) > catalog.clock.now()

        catalog.knobs.rate_limit_headers = frozenset({"X-RateLimit-Reset"})
        answer = await client.get("/v2/projects")
        assert "Retry-After" not in client.answered
        assert answer["code"] == "429"

    async def test_random_failures_are_json_or_a_proxys_html(self, client: Client, catalog: PocketCatalog) -> None:
        catalog.knobs.failure_rate = 0.5
        statuses, kinds = set(), set()
        for _ in range(60):
            await client.get("/v2/catalogs")
            statuses.add(client.status)
            kinds.add(client.answered["Content-Type"].split(";")[0])
        assert statuses == {200, 500, 503}
        assert kinds == {"application/json", "text/html"}

    async def test_calls_are_counted_by_their_template(self, client: Client, catalog: PocketCatalog, here: str) -> None:
        for asset_id in ("a", "b"):
            await client.get(f"/v2/assets/{asset_id}", catalog_id=here)
        assert catalog.calls["GET /v2/assets/{asset_id}"] == 2
        await client.get("/v2/nonsense")
        assert client.status == 404
        assert catalog.calls["GET (unknown)"] == 1


async def test_the_feed_publishes_what_the_catalog_says(amqp_url: str) -> None:
    catalog = PocketCatalog(1, 100)
    connection = await aio_pika.connect(amqp_url)
    async with connection, connect_feed(amqp_url, Mischief(repeat=1.0, delay=0.5, delay_s=0.05)) as feed:
        channel = await connection.channel()
        queue = await channel.declare_queue("heard", durable=True)
        await queue.bind(EXCHANGE, "v2.data_profiles.*.POST")
        catalog.sink = feed
        asset_id = asset_of(catalog, catalog.container_ids("catalog")[0], "data_asset")
        profile_id = catalog.create_profile(asset_id)
        await feed.drain()

        assert feed.published == 2
        for _ in range(2):
            message = await queue.get(no_ack=True, timeout=5)
            assert message.routing_key == f"v2.data_profiles.{profile_id}.POST"


async def test_the_command_says_in_one_line_where_it_listens_and_ends_when_told() -> None:
    arguments = ["-m", "sandbox", "catalog", "--port", "0", "--assets", "1000000", "--changes-per-second", "50"]
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
    try:
        assert process.stdout is not None
        line = (await asyncio.wait_for(process.stdout.readline(), 30)).decode()
        url = line.split()[3].rstrip(",")
        assert access.API_KEY in line
        assert "1000000 assets in 2 catalogs, 1 project, 1 space" in line
        async with aiohttp.ClientSession(url) as session:
            client = Client(session)
            await client.sign_in()
            assert len((await client.get("/v2/catalogs"))["catalogs"]) == 2
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), 30) == 0
