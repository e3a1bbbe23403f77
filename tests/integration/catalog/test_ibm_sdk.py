"""IBM's own client (data-intelligence-sdk) reads the pocket catalog: what it asks for is answered as it expects."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest

from sandbox.catalog import access
from sandbox.catalog.forms import Forms
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve

wxdi = pytest.importorskip("wxdi", reason="data-intelligence-sdk, IBM's own client, is not installed: make install")

from wxdi.common.auth import AuthConfig, AuthProvider, EnvironmentType  # noqa: E402
from wxdi.data_contracts import DataContractsProvider  # noqa: E402
from wxdi.dq_validator.provider import (  # noqa: E402
    CamsProvider,
    ChecksProvider,
    DimensionsProvider,
    DQAssetsProvider,
    DQSearchProvider,
    GlossaryProvider,
    IssuesProvider,
    ProviderConfig,
)

CHECK_TYPE = "data_rule"


@pytest.fixture(params=[False, True], ids=["as it arrives", "as it is described"])
def pocket_catalog(request: pytest.FixtureRequest) -> PocketCatalog:
    """A catalog in either of the forms of data contracts."""
    return PocketCatalog(seed=1, assets=40, knobs=Knobs(forms=Forms(flat_contracts=request.param)))


@pytest.fixture
async def url(pocket_catalog: PocketCatalog) -> AsyncIterator[str]:
    """Where it is served."""
    async with serve(pocket_catalog) as told:
        yield told


async def signed_in(url: str, **place: str) -> Any:
    """The client's settings, with a token that it got by its own sign-in."""

    def sign_in() -> str:
        signing = AuthConfig(environment_type=EnvironmentType.IBM_CLOUD, url=url, api_key=access.API_KEY)
        return str(AuthProvider(signing).get_token())

    return ProviderConfig(url, f"Bearer {await asyncio.to_thread(sign_in)}", **place)


@pytest.fixture
async def config(url: str) -> Any:
    """Signed in."""
    return await signed_in(url)


def places(catalog: PocketCatalog) -> list[tuple[str, str]]:
    """The first catalog and the first project."""
    return [(kind, catalog.container_ids(kind)[0]) for kind in ("catalog", "project")]


async def test_issues_with_their_assets_and_checks(pocket_catalog: PocketCatalog, config: Any) -> None:
    def read(kind: str, container_id: str) -> None:
        where = {f"{kind}_id": container_id}
        known = pocket_catalog.quality.issues(container_id)
        assert known
        listed = DQAssetsProvider(config).get_assets(**where, include_children=True, limit=200)["assets"]
        columns = DQAssetsProvider(config).get_assets(**where, include_children=True, asset_type="column")["assets"]
        assert {one["type"] for one in listed} >= {one["type"] for one in columns} == {"column"}
        for issue in known:
            asset_id, check_id = issue.asset.id, issue.check.id
            search, issues = DQSearchProvider(config), IssuesProvider(config)
            told = search.search_dq_asset(issue.asset.native_id, **where, asset_type="data_asset")
            assert (told["id"], told["name"]) == (asset_id, issue.asset.name)
            check = search.search_dq_check(f"{container_id}/{check_id}", CHECK_TYPE, **where)
            assert (check["id"], check["name"]) == (check_id, issue.check.name)
            assert {one["id"] for one in ChecksProvider(config).get_checks(asset_id, CHECK_TYPE, **where)} == {check_id}
            assert ChecksProvider(config).get_checks(asset_id, "format", **where) == []
            assert issues.get_issue_id(asset_id, check_id, **where) == issue.id
            assert issues.get_issue(asset_id, check_id, **where)["number_of_occurrences"] == issue.occurrences
            listed_one = issues.get_issues(asset_id, CHECK_TYPE, check_id, **where)
            assert listed_one is not None
            assert listed_one["id"] == issue.id
            dimension = DimensionsProvider(config).search_dimension(issue.check.dimension.upper())
            assert dimension == check["dimension"]["id"]
        with pytest.raises(ValueError, match="404"):
            IssuesProvider(config).get_issue("nobody", "nothing", **where)

    for kind, container_id in places(pocket_catalog):
        await asyncio.to_thread(read, kind, container_id)


async def test_terms_and_their_versions(pocket_catalog: PocketCatalog, config: Any) -> None:
    def read() -> None:
        glossary = GlossaryProvider(config)
        for artifact in pocket_catalog.glossary.published("glossary_term")[:5]:
            pocket_catalog.glossary.patch(artifact.id, description="told anew")
            term = glossary.get_published_artifact_by_id(artifact.id)
            assert term.metadata.name == artifact.latest["metadata"]["name"]
            assert term.metadata.version_id == artifact.latest["metadata"]["version_id"]
            first = artifact.versions[0]["metadata"]["version_id"]
            assert glossary.get_term_by_version_id(artifact.id, first).metadata.revision == "0"
        with pytest.raises(ValueError, match="version"):
            glossary.get_term_by_version_id(artifact.id, "none")

    await asyncio.to_thread(read)


async def test_data_contracts_and_their_test_runs(pocket_catalog: PocketCatalog, config: Any) -> None:
    def read(kind: str, container_id: str) -> None:
        client = DataContractsProvider(config)

        def call(what: str) -> Any:
            return getattr(client, what.format(kind))

        listed = call("list_{}_data_contracts")(container_id)
        known = {one.id: one for one in pocket_catalog.contracts.of(container_id)}
        assert listed.total_count == len(known) > 0
        assert {one.id for one in listed.data_contracts} == set(known)
        for contract_id, one in known.items():
            told = call("get_{}_data_contract")(container_id, contract_id)
            assert (told.id, told.name) == (contract_id, one.name)
            # What is nested it leaves where it is.
            contract = told.contract_json or told.entity["ibm_data_contract"]["contract_json"]
            assert contract["version"] == one.version
            if not one.runs:
                with pytest.raises(ValueError, match="404"):
                    call("list_{}_data_contract_test_results")(container_id, contract_id)
                continue
            runs = call("list_{}_data_contract_test_results")(container_id, contract_id).test_results
            assert runs[0].id == one.runs[-1].id
            assert len(runs) == (1 if kind == "catalog" else len(one.runs))
            run = call("get_{}_data_contract_test_result")(container_id, contract_id, one.runs[0].id)
            assert run.summary.data_quality.total_checks == one.runs[0].checks

    for kind, container_id in places(pocket_catalog):
        await asyncio.to_thread(read, kind, container_id)


async def test_data_assets_of_a_project(pocket_catalog: PocketCatalog, url: str) -> None:
    """Of a catalog it reads none: it wants a `project_id` on every card."""
    project = pocket_catalog.container_ids("project")[0]
    client = CamsProvider(await signed_in(url, project_id=project))

    def read() -> int:
        number = 0
        for _, place, card in pocket_catalog.true_assets(as_seen=True):
            if place == project and card.get("entity", {}).get("data_asset", {}).get("columns"):
                told = client.get_asset_by_id(card["metadata"]["asset_id"])
                assert told.metadata.name == card["metadata"]["name"]
                names = [one["name"] for one in card["entity"]["data_asset"]["columns"]]
                assert [one.name for one in told.entity.data_asset.columns] == names
                number += 1
        return number

    assert await asyncio.to_thread(read) > 0
