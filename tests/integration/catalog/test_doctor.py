"""`doctor` signs in to the catalog, counts what can be seen, and compares clocks."""

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web


@pytest.fixture
async def found(server: Any, run_command: Any, sqlite_url: str) -> Any:
    """Runs `doctor`; answers verdict, detail and remedy of each check about the catalog."""

    async def run(**settings: str) -> dict[str, tuple[str, str, str]]:
        base = {"CATALOG__URL": server.url, "CATALOG__IAM_URL": server.url, "CATALOG__API_KEY": server.api_key}
        output = await run_command("doctor", "--json", expect=None, STORE__URL=sqlite_url, **{**base, **settings})
        assert "SWORDFISH" not in output
        return {f["check"]: (f["verdict"], f["detail"], f["remedy"]) for f in json.loads(output)}

    return run


def answering(server: Any, catalogs: int = 0, projects: int = 0, spaces: int = 0) -> None:
    items = [{"id": number} for number in range(30)]
    server.answers("GET /v2/catalogs", {"catalogs": items[:catalogs], "nextBookmark": "b"}, {"catalogs": []})
    server.answers("GET /v2/projects", {"resources": items[:projects]})
    server.answers("GET /v2/spaces", {"resources": items[:spaces]})


async def test_a_catalog_in_order(server: Any, found: Any) -> None:
    answering(server, catalogs=2, projects=3)

    findings = await found()

    assert findings["catalog"][:2] == ("ok", f"signed in to {server.url}")
    assert findings["containers"][:2] == ("ok", "2 catalogs, 3 projects, 0 spaces can be seen")
    assert findings["clock"][0] == "ok"
    assert findings["targets"][0] == "ok"


async def test_no_catalog_is_no_finding(found: Any, server: Any) -> None:
    assert not {"catalog", "containers", "clock"} & (await found(CATALOG__URL="")).keys()
    assert server.heard == []


async def test_a_wrong_key_is_named(found: Any) -> None:
    verdict, detail, remedy = (await found(CATALOG__API_KEY="wrong-SWORDFISH"))["catalog"]

    assert verdict == "failed"
    assert "BXNIM0415E" in detail
    assert "CATALOG__API_KEY" in remedy


async def test_a_missing_key_is_named(found: Any) -> None:
    findings = await found(CATALOG__API_KEY="")

    assert findings["catalog"][0] == "failed"
    assert findings["targets"][0] == "failed"


async def test_a_catalog_that_is_not_there_is_named(found: Any) -> None:
    verdict, _, remedy = (await found(CATALOG__URL="http://127.0.0.1:1"))["catalogs"]

    assert verdict == "failed"
    assert "http://127.0.0.1:1" in remedy


async def test_nothing_to_see_is_a_warning(server: Any, found: Any) -> None:
    answering(server)

    assert (await found())["containers"][:2] == ("warning", "none can be seen")


async def test_a_service_that_is_not_there_is_a_warning(server: Any, found: Any) -> None:
    answering(server, catalogs=1)
    server.answers("GET /v2/projects")

    findings = await found()

    assert findings["projects"][0] == "warning"
    assert findings["containers"][:2] == ("ok", "1 catalogs, 0 spaces can be seen")


@pytest.mark.parametrize(("hours", "which"), [(-2, "ahead of"), (2, "behind")])
async def test_clocks_that_differ_are_a_warning(server: Any, found: Any, hours: int, which: str) -> None:
    answering(server)
    date = format_datetime(datetime.now(UTC) + timedelta(hours=hours), usegmt=True)
    server.answers("GET /v2/catalogs", lambda _: web.json_response({"catalogs": []}, headers={"Date": date}))

    verdict, detail, _ = (await found())["clock"]

    assert verdict == "warning"
    assert f"s {which} the catalog's" in detail


async def test_answers_without_a_date_are_a_warning(server: Any, found: Any) -> None:
    answering(server)
    server.answers("GET /v2/catalogs", lambda _: web.json_response({"catalogs": []}, headers={"Date": "?"}))

    assert (await found())["clock"][0] == "warning"
