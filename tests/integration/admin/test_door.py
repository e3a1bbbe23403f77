"""No admin call works without its token, from another origin, by a form, or through the public port."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest

from service.errors import SettingInvalid
from service.http import guesses
from service.http.admin import openapi
from service.http.admin.api import AdminApi
from service.http.admin.calls import Means
from service.http.api import Api
from service.http.probes import listening
from service.operations.work import Desk
from service.settings.model import CatalogSettings, HttpSettings, Settings
from service.telemetry.metrics import Metrics
from tests.integration.admin.conftest import TOKENS

if TYPE_CHECKING:
    from tests.integration.admin.conftest import Client
    from tests.integration.conftest import Mirror

#: The door is the same whatever is behind it.
pytestmark = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
#: Every call, with a name where its path has one.
CALLS = [
    (call.method, call.path.removeprefix("/api/admin").replace("{", "").replace("}", "")) for call in openapi.CALLS
]


async def nothing_happened(mirror: Mirror) -> bool:
    tables = ("audit_log", "controls", "refreshes")
    return [await mirror.one(f"SELECT count(*) FROM {table}") for table in tables] == [0, 0, 0]


async def test_no_call_works_without_a_token_or_with_one_of_another_scope(admin: Client, mirror: Mirror) -> None:
    for method, path in [*CALLS, ("GET", "/openapi.json")]:
        for token, expected in ((None, 401), ("reader", 403), ("ingester", 403)):
            status, problem = await admin.call(method, path, b"{}", token=token)
            assert (status, len(problem["errors"])) == (expected, 1), (method, path, token)
    assert await nothing_happened(mirror)


async def test_no_call_works_from_a_page_of_another_origin_also_with_a_good_token(
    admin: Client, mirror: Mirror
) -> None:
    host = admin.url.removeprefix("http://")
    strangers: list[dict[str, str]] = [
        {"Origin": "https://evil.example"}, {"Origin": "null"}, {"Origin": f"http://{host}.evil.example"},
        {"Origin": f"file://{host}"}, {"Sec_Fetch_Site": "cross-site"}, {"Sec_Fetch_Site": "same-site"},
        {"Origin": f"http://{host}", "Sec_Fetch_Site": "cross-site"},
    ]  # fmt: skip
    for method, path in [*CALLS, ("GET", "/openapi.json")]:
        for headers in strangers:
            status, problem = await admin.call(method, path, b"{}", **headers)
            assert status == 403, (method, path, headers)
            assert "other origins" in problem["errors"][0]["message"]
    assert await nothing_happened(mirror)
    assert await admin.get("/gaps", Origin=admin.url, Sec_Fetch_Site="same-origin") == []
    status, _ = await admin.call("OPTIONS", "/gaps", Origin="https://evil.example", Access_Control_Request_Method="GET")
    assert status == 403, "nothing is ever allowed to a page that asks first"


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data", "text/plain", ""])
async def test_what_a_form_sends_is_no_call(admin: Client, mirror: Mirror, kind: str) -> None:
    told = await admin.refused("/consuming/pause", b"{}", 415, Content_Type=kind or "application/octet-stream")
    assert "application/json" in told
    assert await nothing_happened(mirror)


async def test_no_call_is_answered_on_the_public_port(mirror: Mirror, tokens_file: Path) -> None:
    api = Api(Settings(http=HttpSettings(tokens_file=tokens_file)), mirror.store, mirror.pipeline())
    headers = {"Authorization": f"Bearer {TOKENS['dana']}"}
    async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
        for method, path in [*CALLS, ("GET", "/openapi.json")]:
            url = f"http://127.0.0.1:{port}/api/admin{path}"
            async with session.request(method, url, json={}, headers=headers) as response:
                assert response.status == 404, path
    assert await nothing_happened(mirror)


async def test_without_tokens_it_is_off_and_says_so(mirror: Mirror) -> None:
    api = AdminApi(Means(Settings(http=HttpSettings(admin_port=0)), mirror.store, Desk(mirror.store)), Metrics())
    with pytest.raises(SettingInvalid, match="off without tokens"):
        async with api.serving():
            pass


async def test_guesses_are_slowed_and_a_right_token_beside_them_is_taken(
    admin: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(guesses, "HELD_S", 0.01)
    statuses = [(await admin.call("GET", "/gaps", token=f"a-guess-of-someone-{number}"))[0] for number in range(20)]
    assert statuses == [401] * guesses.FREE + [429] * (20 - guesses.FREE)
    assert await admin.get("/gaps") == []
    async with aiohttp.ClientSession() as session:
        headers = {"Authorization": "Bearer one-more-guess-0123"}
        async with session.get(f"{admin.url}/api/admin/gaps", headers=headers) as response:
            assert int(response.headers["Retry-After"]) > 0


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        ("/consuming/pause", {"reasons": "x"}, "There is no member 'reasons'; there are reason"),
        ("/consuming/pause", {"reason": "x" * 501}, "reason is not usable"),
        ("/consuming/pause", {"reason": 7}, "reason is not usable"),
        ("/consuming/pause", {"reason": "a\0b"}, "NUL"),
        ("/consuming/pause", b"[]", "The body is not usable"),
        ("/consuming/pause", b"{", "The body is not usable"),
        ("/consuming/pause", b"\xff", "The body is not usable"),
        ("/consuming/pause?really=1", {}, "There is no parameter 'really'"),
        ("/log-level", {"level": "loud"}, "level is not usable"),
        ("/log-level", {"level": "debug", "lasts_s": 86_401}, "lasts_s is not usable"),
        ("/log-level", b'{"level": "debug", "lasts_s": NaN}', "lasts_s is not usable"),
        ("/dead-letters/replay", {}, "Name ids, a filter, or `all`"),
        ("/dead-letters/replay", {"all": True, "rate": -1}, "rate is not usable"),
        ("/dead-letters/replay", {"ids": ["a"] * 501}, "ids is not usable"),
        ("/dead-letters/discard", {"since": "yesterday"}, "since is not usable"),
        ("/reading/reconcile", {"accept_deletions": True}, "accept_deletions needs repair"),
        ("/refresh", {"id": "a", "kind": "planet"}, "there is no kind"),
    ],
)
async def test_bad_input_is_one_clear_error(served: Any, mirror: Mirror, path: str, body: Any, says: str) -> None:
    async with served(catalog=CatalogSettings(url="https://catalog.example")) as admin:
        status, problem = await admin.call("POST", path, body)
    assert (status, len(problem["errors"])) == (400, 1), problem
    assert says in problem["errors"][0]["message"]
    assert await nothing_happened(mirror)


async def test_a_body_over_its_bound_is_refused(mirror: Mirror, tokens_file: Path) -> None:
    http = HttpSettings(tokens_file=tokens_file, admin_port=0, max_body_bytes=1024)
    api = AdminApi(Means(Settings(http=http), mirror.store, Desk(mirror.store)), Metrics())
    headers = {"Authorization": f"Bearer {TOKENS['dana']}"}
    async with listening(api.application(), "127.0.0.1", 0, "") as port, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{port}/api/admin/dead-letters/x/diff"
        async with session.post(url, json={"body": "x" * 2000}, headers=headers) as response:
            assert response.status == 413


async def test_a_listing_takes_no_parameter_that_it_does_not_know(admin: Client) -> None:
    for query, says in (
        ("limit=0", "limit is not usable"), ("limit=1_0", "limit is not usable"), ("limit=1&limit=2", "given twice"),
        ("state=ajar", "state is not usable"), ("page=2", "There is no parameter 'page'"),
        ("topic=%00", "topic is not usable"), ("since=2026-05-10", "since is not usable"),
    ):  # fmt: skip
        status, problem = await admin.call("GET", f"/dead-letters?{query}")
        assert status == 400, query
        assert says in problem["errors"][0]["message"]
