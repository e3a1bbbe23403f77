"""`/api/…` over HTTP: who may read, in which form, what is not sent again, and what is refused."""

from __future__ import annotations

import csv
import gzip
import io
import itertools
import json
import re
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest
from yarl import URL

from service.changes import AssetColumn
from tests.integration.lineage.conftest import TOKENS
from tests.integration.queries.conftest import asset

if TYPE_CHECKING:
    from tests.integration.lineage.conftest import Client
    from tests.integration.queries.conftest import Write

pytestmark = pytest.mark.usefixtures("catalog")


@pytest.fixture
def store_url(sqlite_url: str) -> str:
    """What is asked of the store is tried on both kinds elsewhere."""
    return sqlite_url


PATHS = (
    "/api/overview",
    "/api/search?q=orders",
    "/api/assets?q=orders",
    "/api/assets/a-orders",
    "/api/artifacts?q=customer",
    "/api/artifacts/t-customer",
    "/api/views",
    "/api/views/v1_assets",
)


async def raw(api: Client, path: str, **headers: str) -> tuple[aiohttp.ClientResponse, bytes]:
    """The answer as it comes over the wire, compressed or not."""
    asked = {"Authorization": f"Bearer {TOKENS['reader']}", **headers}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(api.url + path, headers=asked) as response,
    ):
        return response, await response.read()


async def test_whoever_may_read_is_answered_and_nobody_else(api: Client) -> None:
    for path in PATHS:
        assert (await api.get(path, "reader"))[0] == 200, path
        assert (await api.get(path, "airflow"))[0] == 403, path
        assert (await api.get(path))[0] == 401, path


async def test_assets_and_artifacts_are_searched_alone(api: Client) -> None:
    _, every = await api.get("/api/search", "reader", q="customer")
    _, assets = await api.get("/api/assets", "reader", q="customer", type="data_asset")
    _, artifacts = await api.get("/api/artifacts", "reader", q="customer")

    assert {match["kind"] for match in every["matches"]} == {"asset", "artifact"}
    assert [match["id"] for match in assets["matches"]] == ["a-orders", "a-archive"]
    assert [match["id"] for match in artifacts["matches"]] == ["t-customer"]
    assert every["found"] == {"number": 4, "precision": "exact"}


async def test_the_next_page_is_linked_and_named(api: Client) -> None:
    seen: list[str] = []
    path = "/api/views/v1_assets?limit=2&columns=asset_id"
    while path:
        response, body = await raw(api, path, **{"Accept-Encoding": "identity"})
        seen += [row["asset_id"] for row in json.loads(body)["rows"]]
        path = URL(response.links["next"]["url"]).raw_path_qs if "next" in response.links else ""
    assert seen == ["a-archive", "a-invoices", "a-notebook", "a-orders", "s3://lake/raw/orders.parquet"]


async def test_what_did_not_change_is_not_sent_again(api: Client) -> None:
    for path in ("/api/views/v1_assets", "/api/assets/a-orders", "/api/views/v1_assets?format=csv"):
        first, body = await raw(api, path)
        again, nothing = await raw(api, path, **{"If-None-Match": first.headers["ETag"]})
        assert (first.status, again.status, nothing) == (200, 304, b"")
        assert first.headers["ETag"] == again.headers["ETag"]
        assert body


async def test_large_answers_are_compressed_for_whoever_takes_that(api: Client) -> None:
    plain, body = await raw(api, "/api/views", **{"Accept-Encoding": "identity"})
    packed, small = await raw(api, "/api/views", **{"Accept-Encoding": "gzip"})

    assert "Content-Encoding" not in plain.headers
    assert packed.headers["Content-Encoding"] == "gzip"
    assert gzip.decompress(small) == body
    assert len(small) < len(body) / 3


async def test_csv_is_safe_to_open_in_a_spreadsheet(api: Client, write: Write) -> None:
    names = ["=1+1", "+1", "-1", "@SUM(A1)", "\tx", "\rx", 'a "quoted", name', "plain"]
    await write(*(asset(f"x{number}", name, 9) for number, name in enumerate(names)))

    response, body = await raw(
        api, "/api/views/v1_assets?format=csv&columns=name,changed_at,is_stub&filter=asset_id:prefix:x",
        **{"Accept-Encoding": "identity"},
    )  # fmt: skip

    assert response.content_type == "text/csv"
    head, *rows = csv.reader(io.StringIO(body.decode(), newline=""))
    assert head == ["name", "changed_at", "is_stub"]
    assert [row[0] for row in rows] == ["'=1+1", "'+1", "'-1", "'@SUM(A1)", "'\tx", "'\rx", 'a "quoted", name', "plain"]
    assert {tuple(row[1:]) for row in rows} == {("2026-05-19T15:04:15+00:00", "false")}


async def test_numbers_below_zero_stay_numbers(api: Client, write: Write) -> None:
    await write(asset("y", "Y", 9, columns=(AssetColumn("-c", 1, scale=-2),)))

    _, body = await raw(
        api, "/api/views/v1_asset_columns?format=csv&columns=name,scale&filter=asset_id:eq:y",
        **{"Accept-Encoding": "identity"},
    )  # fmt: skip

    assert body.decode().splitlines() == ["name,scale", "'-c,-2"]


async def test_the_overview_is_told_whole(api: Client) -> None:
    _, found = await api.get("/api/overview", "reader")

    assert found["mirror"]["assets"] == {"number": 6, "precision": "exact"}
    assert found["coming"]["events_per_s"] == 0
    assert [one["what"] for one in found["stuck"]] == ["No replica is running"]


async def test_what_cannot_be_asked_is_refused_in_one_form_with_what_to_do(api: Client) -> None:
    _, page = await api.get("/api/search", "reader", q="customer", limit=1)
    refused: list[tuple[str, dict[str, Any], int, str]] = [
        ("/api/search", {"query": "x"}, 400, "There is no parameter 'query'; there are kind, q,"),
        ("/api/overview", {"q": "x"}, 400, "there are none"),
        ("/api/search", {"limit": "0"}, 400, "limit must be a whole number from 1 to 100."),
        ("/api/search", {"kind": "table"}, 400, "asset, data_set, artifact, container"),
        ("/api/search", {"changed_since": "yesterday"}, 400, "2026-05-10T15:04:15Z"),
        ("/api/search", {"q": "orders", "cursor": page["next"]}, 400, "of another query"),
        ("/api/search", {"q": "customer", "cursor": "AAAA"}, 400, "from the page before"),
        ("/api/search", {"q": " ".join("abcdefghijk")}, 400, "10 words at most"),
        ("/api/views/v1_assets", {"filter": "nmae:eq:x"}, 400, "There are asset_id,"),
        ("/api/views/v1_assets", {"columns": "name,nmae"}, 400, "has no column 'nmae'"),
        ("/api/views/v1_assets", {"format": "xml"}, 400, "json, csv"),
        ("/api/views/v1_assets", {"limit": "1001"}, 400, "from 1 to 1000"),
        ("/api/views/assets", {}, 404, "'assets' does not exist"),
        ("/api/assets/a-secret", {}, 404, "does not exist"),
        ("/api/artifacts/none", {}, 404, "does not exist"),
    ]
    for path, query, status, says in refused:
        got, body = await api.get(path, "reader", **query)
        assert got == status, (path, query, body)
        assert says in body["errors"][0]["message"], (path, query, body)


def _addresses() -> list[str]:
    """What the examples of the page ask for."""
    page = (Path(__file__).parents[3] / "docs/api.md").read_text(encoding="utf-8")
    return [_address(shlex.split(line)) for line in re.findall(r"^\$ (curl .*)$", page, re.M)]


def _address(words: list[str]) -> str:
    """The address that curl makes of its arguments."""
    url = next(word for word in words if word.startswith("http://localhost:8081"))
    query: list[tuple[str, str]] = []
    for option, value in itertools.pairwise(words):
        if option in ("-d", "--data-urlencode"):
            name, _, told = value.partition("=")
            query.append((name, told))
    return url.removeprefix("http://localhost:8081") + (f"?{urlencode(query)}" if query else "")


async def test_every_example_of_the_page_is_answered(api: Client) -> None:
    addresses = _addresses()
    assert len(addresses) > 8
    for address in addresses:
        response, body = await raw(api, address, **{"Accept-Encoding": "identity"})
        assert response.status == 200, (address, body)
        if "/api/search" in address or "/api/a" in address:
            assert re.search("a-orders|a-archive|t-customer", body.decode()), address
