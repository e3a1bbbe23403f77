"""Signing in: in time, once for all who wait, again after a 401, and without showing anything."""

import asyncio
import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from service.catalog.auth import credentials_of
from service.catalog.client import Request
from service.catalog.clouds import exchange_of, way_of
from service.errors import CatalogAnswerInvalid, CatalogRefused, CatalogUnreachable, MirrorError, SettingInvalid
from service.settings.model import CatalogSettings, load

API_KEY = "key-hunter2+SWORDFISH/="
PASSWORD = "password hunter2"
THING = Request("thing", "GET", "/v2/thing")
OK = {"ok": True}


@pytest.fixture(autouse=True)
def _thing(server: Any) -> None:
    server.answers("GET /v2/thing", OK)


async def test_one_token_serves_all_calls_and_says_who_asks(server: Any, client_of: Any) -> None:
    client = client_of(server)

    for _ in range(3):
        assert (await client.call(THING)).object() == OK

    assert server.sign_ins == 1
    headers = server.calls()[0].headers
    assert headers["Authorization"] == f"Bearer {server.tokens[0]}"
    assert headers["User-Agent"].startswith("catalog-mirror/")


async def test_however_many_wait_there_is_one_sign_in(server: Any, client_of: Any) -> None:
    client = client_of(server, concurrency=50)

    await asyncio.gather(*(client.call(THING) for _ in range(50)))

    assert server.sign_ins == 1


async def test_a_sign_in_that_fails_is_not_repeated_by_each_who_waits(server: Any, client_of: Any) -> None:
    client = client_of(server, api_key=SecretStr("wrong"), concurrency=50)

    results = await asyncio.gather(*(client.call(THING) for _ in range(50)), return_exceptions=True)

    assert {type(result) for result in results} == {CatalogRefused}
    assert server.sign_ins == 1


async def test_credentials_that_were_refused_are_left_alone_for_a_while(
    server: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(server, api_key=SecretStr("wrong"))
    now, later = time.monotonic(), 0.0
    monkeypatch.setattr("service.catalog.auth.time", SimpleNamespace(monotonic=lambda: now + later, time=time.time))

    for later, sign_ins in ((0, 1), (1, 1), (9, 1), (11, 2), (12, 2), (22, 3)):
        with pytest.raises(CatalogRefused, match="BXNIM0415E"):
            await client.call(THING)
        assert server.sign_ins == sign_ins, later


async def test_whoever_is_cancelled_while_signing_in_leaves_it_to_the_next(server: Any, client_of: Any) -> None:
    begun, go = asyncio.Event(), asyncio.Event()

    async def slow(request: web.Request) -> web.StreamResponse:
        begun.set()
        await go.wait()
        made: web.StreamResponse = await server._sign_in(request)
        return made

    server.sign_in = slow
    client = client_of(server)
    first = asyncio.create_task(client.call(THING))
    await begun.wait()
    second = asyncio.create_task(client.call(THING))
    await asyncio.sleep(0)
    first.cancel()
    go.set()

    assert (await second).object() == OK
    with pytest.raises(asyncio.CancelledError):
        await first


@pytest.mark.parametrize("shown", ["expires_in", "expiration", "jwt"])
async def test_a_token_is_renewed_before_it_ends(
    server: Any, client_of: Any, monkeypatch: pytest.MonkeyPatch, shown: str
) -> None:
    claims = base64.urlsafe_b64encode(json.dumps({"exp": int(time.time()) + 3600}).encode()).decode().rstrip("=")

    def sign_in(_: web.Request) -> web.StreamResponse:
        token = f"h.{claims}.s{len(server.tokens)}" if shown == "jwt" else f"t{len(server.tokens)}"
        server.tokens.append(token)
        life = {"expires_in": 3600, "expiration": int(time.time()) + 3600, "jwt": None}[shown]
        return web.json_response({"access_token": token} | ({} if life is None else {shown: life}))

    server.sign_in = sign_in
    client = client_of(server)
    now, a_day_s = time.monotonic(), 86_400
    later = 0.0
    # Our clock is a day behind the issuer's, which must not matter.
    clocks = SimpleNamespace(monotonic=lambda: now + later, time=lambda: time.time() - a_day_s)
    monkeypatch.setattr("service.catalog.auth.time", clocks)

    for later, sign_ins in ((0, 1), (3200, 1), (3350, 2), (3600, 2), (3350 + 3290, 2), (3350 + 3350, 3)):
        await client.call(THING)
        assert server.sign_ins == sign_ins, later
    assert server.calls()[-1].headers["Authorization"] == f"Bearer {server.tokens[-1]}"


async def test_after_a_401_there_is_one_new_token_for_all(server: Any, client_of: Any) -> None:
    client = client_of(server, concurrency=20)
    await client.call(THING)
    server.tokens[0] = "taken away"

    await asyncio.gather(*(client.call(THING) for _ in range(20)))

    assert server.sign_ins == 2


async def test_a_second_401_is_an_error_and_no_loop(server: Any, client_of: Any) -> None:
    client = client_of(server)
    server.answers("GET /v2/thing", lambda _: web.json_response({"errors": [{"code": "no"}]}, status=401))

    with pytest.raises(CatalogRefused, match="also with a new token") as caught:
        await client.call(THING)

    assert (server.sign_ins, len(server.calls())) == (2, 2)
    assert "CATALOG__API_KEY" in caught.value.advice()


async def test_a_key_in_a_file_may_rotate(
    server: Any, client_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "key").write_text(API_KEY)
    monkeypatch.setenv("CATALOG_MIRROR_CATALOG__API_KEY_FILE", str(tmp_path / "key"))
    client = client_of(server, api_key=load().catalog.api_key)
    await client.call(THING)

    server.api_key, server.tokens[0] = "key-2", "taken away"
    with pytest.raises(CatalogRefused):
        await client.call(THING)
    (tmp_path / "key").write_text("")  # just being written
    with pytest.raises(CatalogRefused):
        await client.call(THING)
    (tmp_path / "key").write_text("key-2\n")
    assert (await client.call(THING)).object() == OK


@pytest.mark.parametrize(
    "secret", [{"api_key": SecretStr(API_KEY)}, {"api_key": None, "password": SecretStr(PASSWORD)}]
)
async def test_on_premises_a_user_signs_in_at_the_catalog(server: Any, client_of: Any, secret: dict[str, Any]) -> None:
    client = client_of(server, username="admin", iam_url="https://nowhere.invalid", **secret)

    await client.call(THING)
    server.tokens[0] = "taken away"
    await client.call(THING)

    assert [heard.path for heard in server.heard].count("/icp4d-api/v1/authorize") == 2


Answer = Callable[[web.Request], web.StreamResponse]


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (lambda _: web.json_response({"message": f"no user with {PASSWORD}"}, status=401), CatalogRefused),
        (lambda _: web.json_response({"error": f"key {API_KEY} x"}, status=403), CatalogRefused),
        (lambda _: web.Response(text=f"<html>{API_KEY}</html>", status=404), CatalogRefused),
        (lambda _: web.Response(text="<html>Sign in</html>"), CatalogAnswerInvalid),
        (lambda _: web.json_response({"token_type": "Bearer"}), CatalogAnswerInvalid),
        (lambda _: web.json_response({"access_token": "", "token": ""}), CatalogAnswerInvalid),
        (lambda _: web.json_response({"access_token": "a\r\nX: y", "token": "a\r\nX: y"}), CatalogAnswerInvalid),
        (lambda _: web.json_response({"access_token": 1, "token": [1]}), CatalogAnswerInvalid),
        (lambda _: web.json_response([]), CatalogAnswerInvalid),
        (lambda _: web.Response(status=302, headers={"Location": "http://127.0.0.1:1/x"}), MirrorError),
        (lambda _: web.Response(text=f"{API_KEY} {PASSWORD}", status=503), MirrorError),
    ],
)
@pytest.mark.parametrize("way", [{"username": "admin"}, {}])
async def test_a_sign_in_that_fails_says_why_and_shows_nothing(
    server: Any, client_of: Any, caplog: pytest.LogCaptureFixture, reply: Answer, error: type[MirrorError], way: Any
) -> None:
    server.sign_in = reply
    client = client_of(server, password=SecretStr(PASSWORD), **way)

    with capture_logs() as logs, pytest.raises(error) as caught:
        await client.call(THING)

    shown = f"{caught.value} {caught.value!r} {caught.value.advice()} {caught.value.details} {logs} {caplog.text}"
    assert "SWORDFISH" not in shown
    assert "hunter2" not in shown
    assert caught.value.advice()
    assert server.calls() == []


async def test_a_service_that_cannot_be_reached_is_named(server: Any, client_of: Any) -> None:
    client = client_of(server, iam_url="http://127.0.0.1:1")

    with pytest.raises(CatalogUnreachable, match="POST /identity/token") as caught:
        await client.call(THING)

    assert "http://127.0.0.1:1" in caught.value.advice()


async def test_nothing_of_a_client_shows_a_secret(server: Any, client_of: Any) -> None:
    client = client_of(server)
    await client.call(THING)

    seen = [
        client,
        client._tokens,
        client._transport,
        client._tokens._token,
        client._tokens._credentials(),
        client.settings,
    ]
    shown = " ".join(f"{thing!r} {thing} {getattr(thing, '__dict__', '')}" for thing in seen)
    assert "SWORDFISH" not in shown


@pytest.mark.parametrize("auth", ["mcsp", "gov"])
async def test_signing_in_on_the_other_clouds(server: Any, client_of: Any, auth: str) -> None:
    """As data-intelligence-sdk 2.3.0 and ibm-cloud-sdk-core 3.28.0 do it."""
    client = client_of(server, auth=auth, account_id="my/account")

    assert (await client.call(THING)).object() == OK

    (sign_in,) = [heard for heard in server.heard if heard not in server.calls()]
    paths = {"mcsp": "/api/2.0/accounts/my%2Faccount/apikeys/token", "gov": "/api/rest/mcsp/apikeys/token"}
    assert sign_in.path == paths[auth]
    assert server.calls()[0].headers["Authorization"] == f"Bearer {server.tokens[0]}"
    refused = client_of(server, auth=auth, account_id="my/account", api_key=SecretStr("wrong"))
    with pytest.raises(CatalogRefused) as caught:
        await refused.call(THING)
    assert "API_KEY" in caught.value.advice()


@pytest.mark.parametrize(
    ("url", "way", "exchange"),
    [
        ("https://api.dataplatform.cloud.ibm.com", "iam", "https://iam.cloud.ibm.com"),
        ("https://api.eu-de.dai.cloud.ibm.com", "iam", "https://iam.cloud.ibm.com"),
        ("https://api.ap-south-1.aws.data.ibm.com", "mcsp", "https://account-iam.platform.saas.ibm.com"),
        ("https://dai.ibmforusgov.com", "gov", "https://dai.ibmforusgov.com"),
        ("https://api.dai.ibmforusgov.com/x", "gov", "https://dai.ibmforusgov.com"),
        ("https://cpd.example.com", "iam", "https://iam.cloud.ibm.com"),
        ("https://aws.ibm.com.example.com", "iam", "https://iam.cloud.ibm.com"),
        ("https://notibmforusgov.com", "iam", "https://iam.cloud.ibm.com"),
    ],
)
def test_a_cloud_is_known_by_its_host(url: str, way: str, exchange: str) -> None:
    settings = CatalogSettings(url=url, api_key=SecretStr("k"))

    assert (way_of(settings), exchange_of(settings)) == (way, exchange)
    assert way_of(CatalogSettings(url=url, username="admin")) == "cpd"
    assert exchange_of(CatalogSettings(url=url, iam_url="https://iam.example.com")) == "https://iam.example.com"


def test_aws_needs_an_account() -> None:
    with pytest.raises(SettingInvalid, match="ACCOUNT_ID"):
        credentials_of(CatalogSettings(url="https://x", auth="mcsp", api_key=SecretStr("k")))
