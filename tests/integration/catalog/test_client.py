"""Calls: what may pass is tried again, what the catalog asks for is heeded, and nothing leads to another host."""

import asyncio
import gzip
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from service.catalog import endpoints
from service.catalog.client import CatalogClient, Patience, Request
from service.changes import Container
from service.errors import (
    CatalogAnswerInvalid,
    CatalogAnswerTooLarge,
    CatalogBusy,
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogLeadsElsewhere,
    CatalogNotFound,
    CatalogRejected,
    CatalogUnreachable,
    DataError,
    MirrorError,
    TransientError,
)
from service.telemetry.metrics import Metrics

HERE = Container("catalog", "c1")
THING = Request("thing", "GET", "/v2/thing")
POST = Request("thing", "POST", "/v2/thing", body={"a": 1})
OK = {"ok": True}

Reply = Callable[[web.Request], web.StreamResponse]


def status(number: int, **headers: str) -> Reply:
    body = {"trace": "t1", "errors": [{"code": "c", "message": "m"}]}
    return lambda _: web.json_response(
        body, status=number, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def moved(number: int, place: str) -> Reply:
    return lambda _: web.Response(status=number, headers={"Location": place})


# What may pass.


@pytest.mark.parametrize("number", [408, 429, 500, 502, 503, 504])
async def test_what_may_pass_is_tried_again(server: Any, client_of: Any, number: int) -> None:
    server.answers("GET /v2/thing", status(number), status(number), OK)

    with capture_logs() as logs:
        assert (await client_of(server).call(THING)).object() == OK

    assert len(server.calls()) == 3
    assert [line["event"] for line in logs] == ["catalog_call_retried"] * 2


@pytest.mark.parametrize(
    ("number", "error", "calls"),
    [
        (400, CatalogRejected, 1), (403, CatalogForbidden, 1), (404, CatalogNotFound, 1), (409, CatalogRejected, 1),
        (410, CatalogGone, 1), (418, CatalogRejected, 1), (429, CatalogBusy, 3), (500, CatalogFailed, 3),
        (501, CatalogFailed, 1), (503, CatalogFailed, 3),
    ],
)  # fmt: skip
async def test_what_stays_is_an_error_of_its_own(
    server: Any, client_of: Any, number: int, error: type[MirrorError], calls: int
) -> None:
    server.answers("GET /v2/thing", status(number, Date="Sun, 10 May 2026 15:00:00 GMT"))

    with pytest.raises(error, match=rf"GET /v2/thing\b.*: status {number}, c: m") as caught:
        await client_of(server).call(THING)

    assert len(server.calls()) == calls
    assert caught.value.details["trace"] == "t1"
    assert caught.value.details["at_us"] <= 1_778_425_200_000_000
    assert isinstance(caught.value, DataError | TransientError)


@pytest.mark.parametrize("number", [200, 201, 202, 203])
async def test_every_2xx_is_success(server: Any, client_of: Any, number: int) -> None:
    server.answers("GET /v2/thing", lambda _: web.json_response(OK, status=number))

    answer = await client_of(server).call(THING)

    assert (answer.status, answer.object()) == (number, OK)


async def test_a_connection_that_breaks_is_tried_again(server: Any, client_of: Any) -> None:
    def cut(request: web.Request) -> web.StreamResponse:
        assert request.transport
        request.transport.close()
        return web.Response()

    async def cut_half_way(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Length": "100"})
        await response.prepare(request)
        await response.write(b"{")
        assert request.transport
        request.transport.close()
        return response

    server.answers("GET /v2/thing", cut, cut_half_way, OK)

    assert (await client_of(server).call(THING)).object() == OK


async def test_a_server_that_is_not_there_is_named(server: Any, client_of: Any) -> None:
    client = client_of(server)
    await client.sign_in()
    dead = CatalogClient(client.settings.model_copy(update={"url": "http://127.0.0.1:1"}), patience=Patience(2, 0.001))
    async with dead:
        with pytest.raises(CatalogUnreachable) as caught:
            await dead.call(THING)

    assert "GET /v2/thing" in str(caught.value)
    assert "http://127.0.0.1:1" in caught.value.advice()


async def test_a_server_that_is_silent_is_given_up(server: Any, client_of: Any) -> None:
    async def silent(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(30)
        return web.Response()

    server.answers("GET /v2/thing", silent)

    with pytest.raises(CatalogUnreachable, match=r"nothing within 0\.2 s"):
        await client_of(server, timeout_s=0.2, patience=Patience(attempts=1)).call(THING)


# How long the catalog asks to wait.


def asked_by_date(seconds: float) -> dict[str, str]:
    now = datetime.now(UTC) + timedelta(hours=5)  # its clock is not ours
    return {"Retry_After": format_datetime(now + timedelta(seconds=seconds), usegmt=True), "Date": format_datetime(now)}


def asked_by_reset(seconds: float) -> dict[str, str]:
    now = datetime.now(UTC) + timedelta(hours=5)
    return {"X_RateLimit_Reset": str(int(now.timestamp() + seconds)), "Date": format_datetime(now, usegmt=False)}


@pytest.mark.parametrize("headers", [{"Retry_After": "1"}, asked_by_date(2), asked_by_reset(2)])
@pytest.mark.parametrize("number", [429, 503])
async def test_a_wait_that_is_asked_for_is_heeded(
    server: Any, client_of: Any, headers: dict[str, str], number: int
) -> None:
    server.answers("GET /v2/thing", status(number, **headers), OK)
    client = client_of(server, patience=Patience(attempts=2, first_s=0.001, longest_s=5))
    started = time.monotonic()

    await client.call(THING)

    assert 0.9 < time.monotonic() - started < 4


async def test_a_wait_that_is_too_long_is_cut_and_told(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/thing", status(429, Retry_After="3600"))
    started = time.monotonic()

    with pytest.raises(CatalogBusy) as caught:
        await client_of(server).call(THING)

    assert 0.35 < time.monotonic() - started < 4
    assert caught.value.details["wait_s"] == 3600


async def test_whoever_waits_to_try_again_keeps_no_place(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/thing", status(429, Retry_After="1"), OK)
    server.answers("GET /v2/other", OK)
    client = client_of(server, concurrency=1, patience=Patience(attempts=2, longest_s=2))
    waiting = asyncio.create_task(client.call(THING))
    async with asyncio.timeout(5):
        while not server.calls("/v2/thing"):
            await asyncio.sleep(0)

    async with asyncio.timeout(0.8):
        await client.call(Request("other", "GET", "/v2/other"))
    await waiting


# Pace and metrics.


async def test_no_more_calls_at_once_than_allowed(server: Any, client_of: Any) -> None:
    now = most = 0

    async def slow(_: web.Request) -> web.StreamResponse:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.01)
        now -= 1
        return web.json_response(OK)

    server.answers("GET /v2/thing", slow)
    one, two = client_of(server, concurrency=3), client_of(server, concurrency=3)

    await asyncio.gather(*(client.call(THING) for client in (one, two) for _ in range(15)))

    assert most == 3


async def test_calls_keep_to_the_budget_and_are_counted(server: Any, client_of: Any) -> None:
    metrics = Metrics()
    server.answers("GET /v2/thing", OK, status(404))
    client = client_of(server, metrics, calls_per_minute=600, concurrency=50)
    started = time.monotonic()

    await asyncio.gather(*(client.call(THING) for _ in range(15)), return_exceptions=True)

    assert time.monotonic() - started > 0.45
    sample = metrics.registry.get_sample_value
    assert sample("catalog_mirror_catalog_calls_total", {"endpoint": "thing", "status": "200"}) == 1
    assert sample("catalog_mirror_catalog_calls_total", {"endpoint": "thing", "status": "404"}) == 14
    assert sample("catalog_mirror_catalog_calls_total", {"endpoint": "sign_in", "status": "200"}) == 1
    assert sample("catalog_mirror_catalog_call_seconds_count") == 16
    assert sample("catalog_mirror_catalog_budget_wait_seconds_count") == 15


# Where answers come from.


@pytest.mark.parametrize("number", [301, 302, 303, 307, 308])
async def test_another_host_is_never_followed_to(server: Any, serve: Any, client_of: Any, number: int) -> None:
    other = await serve()
    server.answers("GET /v2/thing", moved(number, f"{other.url}/v2/thing?a"))
    client = client_of(server)

    with pytest.raises(CatalogLeadsElsewhere, match=other.url) as caught:
        await client.call(THING)

    assert other.heard == []
    assert other.url in caught.value.advice()


@pytest.mark.parametrize("place", ["https://{host}/v2/moved", "//evil.invalid/x", "http://[x", "ftp://{host}/x"])
async def test_another_scheme_or_no_url_is_not_followed(server: Any, client_of: Any, place: str) -> None:
    host = server.url.removeprefix("http://")
    location = place.replace("{host}", host)
    server.answers("GET /v2/thing", moved(302, location))

    with pytest.raises((CatalogLeadsElsewhere, CatalogAnswerInvalid)):
        await client_of(server).call(THING)


async def test_a_redirect_on_the_same_host_is_followed_with_the_token(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/thing", moved(302, "/v2/moved?page=2"))
    server.answers("GET /v2/moved", OK)

    assert (await client_of(server).call(THING)).object() == OK
    assert server.calls("/v2/moved")[0].query == {"page": "2"}


async def test_a_call_with_a_body_is_sent_again_only_where_that_is_meant(server: Any, client_of: Any) -> None:
    server.answers("POST /v2/thing", moved(307, "/v2/moved"), moved(302, "/v2/moved"))
    server.answers("POST /v2/moved", OK)
    client = client_of(server)

    assert (await client.call(POST)).object() == OK
    assert server.calls("/v2/moved")[0].json == {"a": 1}
    with pytest.raises(CatalogAnswerInvalid, match="redirects"):
        await client.call(POST)


async def test_redirects_without_end_are_an_error(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/thing", moved(302, "/v2/thing"))

    with pytest.raises(CatalogAnswerInvalid, match="more than 5 times"):
        await client_of(server).call(THING)


async def test_cookies_are_not_kept(server: Any, client_of: Any) -> None:
    def baked(_: web.Request) -> web.StreamResponse:
        response = web.json_response(OK)
        response.set_cookie("session", "1")
        return response

    server.answers("GET /v2/thing", baked)
    client = client_of(server)
    for _ in range(2):
        await client.call(THING)

    assert all("Cookie" not in heard.headers for heard in server.heard)


# TLS.


async def test_a_certificate_of_ones_own_is_trusted_where_settings_name_it(
    serve: Any, client_of: Any, certificate: Any
) -> None:
    server = await serve(certificate.context)
    server.answers("GET /v2/thing", OK)

    assert (await client_of(server, ca_file=certificate.file).call(THING)).object() == OK


async def test_a_certificate_that_nobody_vouches_for_is_refused(serve: Any, client_of: Any, certificate: Any) -> None:
    server = await serve(certificate.context)

    with pytest.raises(CatalogUnreachable, match="CATALOG__CA_FILE"):
        await client_of(server, patience=Patience(attempts=1)).call(THING)

    assert server.heard == []


async def test_a_certificate_for_another_host_is_refused(serve: Any, client_of: Any, certificate: Any) -> None:
    server = await serve(certificate.context)
    server.url = server.url.replace("127.0.0.1", "localhost")

    with pytest.raises(CatalogUnreachable, match="certificate"):
        await client_of(server, ca_file=certificate.file, patience=Patience(attempts=1)).call(THING)


# Bodies.


async def test_a_large_answer_is_refused_before_it_is_read(server: Any, client_of: Any) -> None:
    sent = 0

    async def endless(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        response = web.StreamResponse()
        await response.prepare(request)
        try:
            for _ in range(1000):
                await response.write(b" " * 65_536)
                sent += 1
        except ConnectionError:
            pass
        return response

    server.answers(
        "GET /v2/thing", endless, lambda _: web.Response(body=b" " * 5000), lambda _: web.Response(body=b"1" * 1024)
    )
    client = client_of(server, max_answer_bytes=1024)

    for _ in range(2):
        with pytest.raises(CatalogAnswerTooLarge, match=r"more than the 1024 bytes that CATALOG__MAX_ANSWER_BYTES"):
            await client.call(THING)
    assert sent < 1000
    assert len((await client.call(THING)).body) == 1024


async def test_what_is_packed_counts_unpacked(server: Any, client_of: Any) -> None:
    bomb = gzip.compress(b" " * 10_000_000)

    def packed(_: web.Request) -> web.StreamResponse:
        return web.Response(body=bomb, headers={"Content-Encoding": "gzip"})

    server.answers("GET /v2/thing", packed)

    with pytest.raises(CatalogAnswerTooLarge):
        await client_of(server, max_answer_bytes=1_000_000).call(THING)


@pytest.mark.parametrize("body", [b"<html>Sign in</html>", b"{", b"\xff\xfe", b""])
async def test_a_page_instead_of_json_is_an_error(server: Any, client_of: Any, body: bytes) -> None:
    server.answers("GET /v2/assets/a1", lambda _: web.Response(body=body, content_type="text/html"))

    answer = await endpoints.card(client_of(server), HERE, "a1")

    with pytest.raises(CatalogAnswerInvalid, match="GET /v2/assets/a1"):
        answer.object()


async def test_an_answer_is_from_before_it_was_asked_for(server: Any, client_of: Any) -> None:
    async def slow(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(0.3)
        return web.json_response(OK, headers={"Date": "Sun, 10 May 2026 15:00:00 GMT"})

    server.answers("GET /v2/thing", slow, lambda _: web.json_response(OK, headers={"Date": "now"}))
    client = client_of(server)

    assert (await client.call(THING)).at_us == 1_778_425_199_000_000
    assert (await client.call(THING)).at_us is None


async def test_no_token_and_no_key_is_shown_by_an_error(server: Any, client_of: Any, caplog: Any, capsys: Any) -> None:
    def echo(request: web.Request) -> web.StreamResponse:
        return web.Response(
            text=json.dumps({"message": str(dict(request.headers)), "trace": "key-hunter2"}), status=400
        )

    server.answers("GET /v2/thing", echo, lambda request: web.Response(text=str(dict(request.headers)), status=503))
    client = client_of(server, api_key=SecretStr("key-hunter2"))
    server.api_key = "key-hunter2"

    for kind in (CatalogRejected, CatalogFailed):
        caught: pytest.ExceptionInfo[MirrorError]
        with pytest.raises(kind) as caught:
            await client.call(THING)
        shown = f"{caught.value} {caught.value!r} {caught.value.details} {caplog.text} {capsys.readouterr()}"
        assert "SWORDFISH" not in shown
        assert "hunter2" not in shown


async def test_queries_are_encoded_whatever_is_in_them(server: Any, client_of: Any) -> None:
    server.answers("GET /v2/thing", OK)
    query = {"a": "x&y=z#?+ %2F/ü", "since": "2026-05-10T15:00:00+02:00"}

    await client_of(server).call(Request("thing", "GET", "/v2/thing", query))

    assert server.calls()[0].query == query


async def test_the_url_may_have_a_path(server: Any, client_of: Any) -> None:
    server.answers("GET /base/v2/thing", OK)

    assert (await client_of(server, url=f"{server.url}/base/").call(THING)).object() == OK


@pytest.mark.parametrize("asset_id", ["../../admin", "a/b?c#d", "%2e%2e", "ü"])
async def test_an_id_stays_one_segment_of_the_path(server: Any, client_of: Any, asset_id: str) -> None:
    with pytest.raises(CatalogNotFound):
        await endpoints.card(client_of(server), HERE, asset_id)

    (heard,) = server.calls()
    assert heard.path.startswith("/v2/assets/")
    assert heard.path.count("/") == 3


@pytest.mark.parametrize("asset_id", ["", ".", ".."])
async def test_an_id_that_is_a_path_is_not_sent(server: Any, client_of: Any, asset_id: str) -> None:
    with pytest.raises(DataError):
        await endpoints.card(client_of(server), HERE, asset_id)

    assert server.heard == []
