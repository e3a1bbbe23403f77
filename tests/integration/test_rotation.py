"""Whoever signs in asks for the secret of that moment: one that is exchanged in its file counts the next time."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web

from sandbox.parts.mounted import MountedSecrets
from sandbox.serving import serving
from service.amqp import management, tokens
from service.catalog.auth import TokenSource
from service.catalog.transport import Transport
from service.http.oidc import Issuer
from service.http.signin import SignIn
from service.settings.model import Settings, load
from service.telemetry.exporting import _exporter

Ask = Callable[[], Awaitable[object]]


@pytest.fixture
async def heard() -> AsyncIterator[tuple[str, list[str]]]:
    """Something over HTTP that gives a token to whoever asks; and all that it was signed in with, in clear."""
    seen: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        signed = request.headers.get("Authorization", "")
        if signed.startswith("Basic "):
            signed = base64.b64decode(signed.removeprefix("Basic ")).decode()
        seen.append(f"{signed} {await request.text()}")
        return web.json_response({"access_token": "t", "token": "t", "expires_in": 3600, "message_bytes": 7})

    app = web.Application()
    app.router.add_route("*", "/{any:.*}", answer)
    async with serving(app, 0, "127.0.0.1") as url:
        yield url, seen


def _management(settings: Settings) -> Ask:
    return lambda: management.queue_report(settings.amqp, "q")


def _broker_token(settings: Settings) -> Ask:
    async def ask() -> None:
        tokens.forget(settings.amqp)
        await tokens.token(settings.amqp)

    return ask


def _catalog(settings: Settings) -> Ask:
    async def ask() -> None:
        transport = Transport(settings.catalog)
        transport.open()
        await TokenSource(settings.catalog, transport.exchange).token()
        await transport.close()

    return ask


def _sign_in(settings: Settings) -> Ask:
    issuer = Issuer(settings.http)
    sign_in = SignIn(settings.http, issuer)

    async def ask() -> None:
        form: dict[str, str] = {}
        headers = sign_in._authenticated(form, None)
        async with (
            issuer.session() as session,
            session.post(settings.http.oidc_issuer or "", data=form, headers=headers),
        ):
            pass

    return ask


def _traces(settings: Settings) -> Ask:
    exporter = _exporter(settings.traces)
    return lambda: asyncio.to_thread(exporter.export, [])


@pytest.mark.parametrize(
    ("name", "secret", "others", "asking"),
    [
        ("AMQP__MANAGEMENT_URL", "http://u:{}@{place}", {}, _management),
        (
            "AMQP__TOKEN_CLIENT_SECRET", "{}",
            {"AMQP__TOKEN_URL": "http://{place}/t", "AMQP__TOKEN_CLIENT_ID": "us"}, _broker_token,
        ),
        ("CATALOG__PASSWORD", "{}", {"CATALOG__URL": "http://{place}", "CATALOG__USERNAME": "us"}, _catalog),
        (
            "HTTP__OIDC_CLIENT_SECRET", "{}",
            {"HTTP__OIDC_ISSUER": "http://{place}", "HTTP__OIDC_AUDIENCE": "a", "HTTP__OIDC_CLIENT_ID": "us",
             "HTTP__OIDC_REDIRECT_URL": "http://{place}/signin/done"}, _sign_in,
        ),
        ("TRACES__HEADERS", "Authorization={}", {"TRACES__ENDPOINT": "http://{place}"}, _traces),
    ],
    ids=lambda value: value if isinstance(value, str) and "__" in value else "",
)  # fmt: skip
async def test_the_next_sign_in_has_the_secret_that_was_exchanged(
    name: str, secret: str, others: dict[str, str], asking: Callable[[Settings], Ask],
    heard: tuple[str, list[str]], mounted: MountedSecrets, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    place = heard[0].removeprefix("http://")
    mounted.put({"secret": secret.format("0ldS3cret", place=place)})
    monkeypatch.setenv(f"CATALOG_MIRROR_{name}_FILE", str(mounted.path("secret")))
    for variable, value in others.items():
        monkeypatch.setenv(f"CATALOG_MIRROR_{variable}", value.format(place=place))
    ask = asking(load())

    await ask()
    mounted.put({"secret": secret.format("n3wS3cret", place=place)})
    await ask()

    signed = [line for line in heard[1] if "S3cret" in line]
    assert "0ldS3cret" in signed[0]
    assert "n3wS3cret" in signed[-1]
