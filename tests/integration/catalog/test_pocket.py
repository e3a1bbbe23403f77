"""The client against the sandbox's catalog, which others wrote from the same documents, with its traps on."""

from contextlib import aclosing
from typing import Any

import pytest
from pydantic import SecretStr

from sandbox.catalog import access
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from service.catalog.client import CatalogClient, Patience, Request
from service.catalog.paging import Pages
from service.changes import Container
from service.settings.model import CatalogSettings
from service.text.shapes import Shapes
from tests import listed

PATIENCE = Patience(attempts=12, first_s=0.001, longest_s=0.3)


def settings(url: str, **changes: Any) -> CatalogSettings:
    return CatalogSettings(url=url, iam_url=url, api_key=SecretStr(access.API_KEY), calls_per_minute=60_000, **changes)


async def ids(pages: Pages) -> list[str]:
    async with aclosing(pages):
        return [item["metadata"]["asset_id"] async for page in pages for item in page.items]


@pytest.mark.parametrize(
    "knobs",
    [
        Knobs(),
        Knobs(failure_rate=0.2),
        Knobs(rate_limit_per_minute=5, rate_limit_window_s=0.2, rate_limit_headers=frozenset({"Retry-After"})),
        Knobs(bookmark_on_last_page=False, internal_hrefs=False),
    ],
)
async def test_everything_is_read_once_whatever_gets_in_the_way(knobs: Knobs) -> None:
    catalog = PocketCatalog(seed=1, assets=500, knobs=knobs)
    async with serve(catalog) as url, CatalogClient(settings(url), patience=PATIENCE) as client:
        for kind in ("catalog", "project", "space"):
            for container_id in catalog.container_ids(kind):
                found = await ids(listed.assets(client, Container(kind, container_id)))
                true = [
                    card["metadata"]["asset_id"]
                    for k, c, card in catalog.true_assets()
                    if (k, c) == (kind, container_id)
                ]
                assert sorted(found) == sorted(true)
        relationships = [
            page.items async for page in listed.relationships(client, Container("catalog", found_in(catalog)))
        ]
        assert relationships


def found_in(catalog: PocketCatalog) -> str:
    """The first catalog."""
    return catalog.container_ids("catalog")[0]


async def test_a_listing_that_was_cut_off_goes_on_with_another_client() -> None:
    catalog = PocketCatalog(seed=2, assets=400)
    async with serve(catalog) as url:
        place = Container("catalog", found_in(catalog))
        read: list[Any] = []
        cursor: str | None = None
        for _ in range(1000):
            async with (
                CatalogClient(settings(url)) as client,
                aclosing(listed.relationships(client, place, cursor=cursor)) as pages,
            ):
                page = await anext(pages)
            read += page.items
            cursor = page.cursor
            if cursor is None:
                break
        async with CatalogClient(settings(url)) as client:
            whole = [item async for page in listed.relationships(client, place) for item in page.items]
    assert read == whole
    assert len(whole) > 25


async def test_tokens_that_are_revoked_are_renewed_without_anyone_noticing() -> None:
    catalog = PocketCatalog(seed=3, assets=50)
    async with serve(catalog) as url, CatalogClient(settings(url)) as client:
        for _ in range(3):
            assert [page async for page in listed.catalogs(client)]
            catalog.tokens.revoke_all()


async def test_on_premises_too() -> None:
    catalog = PocketCatalog(seed=3, assets=50)
    changes: dict[str, Any] = {"username": access.USERNAME}
    async with serve(catalog) as url, CatalogClient(settings(url, **changes)) as client:
        assert [page async for page in listed.spaces(client)]


async def test_the_shapes_of_answers_are_learnt_by_endpoint_and_never_a_value() -> None:
    shapes = Shapes(1)
    catalog = PocketCatalog(seed=1, assets=5)
    async with serve(catalog) as url, CatalogClient(settings(url), shapes=shapes) as client:
        await client.call(Request("catalogs", "GET", "/v2/catalogs"))
    tallies = shapes.take()
    assert set(tallies) == {"answer catalogs"}
    assert ("catalogs[].metadata.guid", "text") in tallies["answer catalogs"].seen
    assert found_in(catalog) not in str(tallies)
