"""Signing in at the console with an issuer, as a browser does it: the issuer is another site."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import aiohttp
import pytest
from aiohttp import web

from sandbox.parts.process import free_port
from service.http.admin.api import AdminApi
from service.http.admin.calls import Means
from service.http.probes import listening
from service.operations.work import Desk
from service.settings.model import HttpSettings, Settings
from service.telemetry.metrics import Metrics
from tests.integration.test_signin import Provider

if TYPE_CHECKING:
    from pathlib import Path

    from tests.integration.conftest import Mirror
    from tests.integration.console.conftest import Serve
    from tests.integration.console.test_console import People


class SignsIn(Provider):
    """A pocket issuer with a page: whoever comes is Dana, and is sent back at once."""

    def application(self) -> web.Application:
        app = super().application()
        app.add_routes([web.get("/authorize", self.authorize), web.get("/link", self.link)])
        return app

    async def link(self, request: web.Request) -> web.Response:
        """A page of another site that leads to ours."""
        return web.Response(text=f'<a href="{request.query["to"]}">The page</a>', content_type="text/html")

    async def authorize(self, request: web.Request) -> web.Response:
        asked = dict(request.query)
        self.codes["c0de"] = asked
        back = {"code": "c0de", "state": asked["state"], "iss": self.url}
        return web.Response(status=303, headers={"Location": f"{asked['redirect_uri']}?{urlencode(back)}"})


@pytest.fixture
async def issuer() -> AsyncIterator[SignsIn]:
    made = SignsIn()
    async with listening(made.application(), "127.0.0.1", 0, "") as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def settings_of(issuer: SignsIn, port: int) -> dict[str, Any]:
    return {
        "oidc_issuer": issuer.url, "oidc_audience": "mirror", "oidc_scope_prefix": "m:", "oidc_client_id": "console",
        "oidc_redirect_url": f"http://localhost:{port}/signin/done",
    }  # fmt: skip


async def test_somebody_signs_in_at_the_issuer_and_is_led_to_where_they_wanted(
    serve: Serve, issuer: SignsIn, person: People
) -> None:
    port = free_port()
    async with serve(port=port, **settings_of(issuer, port)):
        dana = await person(f"http://localhost:{port}", others=(issuer.url,))
        await dana.goto("/dead-letters?state=open")
        await dana.click("link", "Sign in with your organisation")
        await dana.page.wait_for_url(f"http://localhost:{port}/dead-letters?state=open")
        assert "dana" in await dana.page.locator("header").inner_text()
        held = {one["name"]: one for one in await dana.context.cookies()}
        assert set(held) == {"catalog_mirror_session"}, "what was kept for the way is gone"
        assert held["catalog_mirror_session"]["sameSite"] == "Strict"


async def test_at_the_admin_port_people_come_from_links_and_from_the_issuer(
    mirror: Mirror, tokens_file: Path, issuer: SignsIn, person: People
) -> None:
    port = free_port()
    http = HttpSettings(tokens_file=tokens_file, admin_port=port, **settings_of(issuer, port))
    async with AdminApi(Means(Settings(http=http), mirror.store, Desk(mirror.store)), Metrics()).serving():
        dana = await person(f"http://localhost:{port}", others=(issuer.url,))
        await dana.page.goto(f"{issuer.url}/link?to=http://localhost:{port}/targets")  # as an alert has it
        await dana.page.get_by_role("link", name="The page").click()
        await dana.click("link", "Sign in with your organisation")
        await dana.page.wait_for_url(f"http://localhost:{port}/targets")
        assert await dana.page.get_by_role("heading", level=1).inner_text() == "Targets"


async def test_who_may_nothing_does_not_come_in(serve: Serve, issuer: SignsIn, person: People) -> None:
    port = free_port()
    issuer.access_token = issuer.signed(aud="mirror", scope="other")
    async with serve(port=port, **settings_of(issuer, port)):
        dana = await person(f"http://localhost:{port}", others=(issuer.url,))
        await dana.goto("/signin")
        await dana.click("link", "Sign in with your organisation")
        await dana.page.get_by_role("alert").wait_for()
        assert "has none of the scopes" in await dana.text()
        assert [one["name"] for one in await dana.context.cookies()] != ["catalog_mirror_session"]


async def test_an_answer_that_this_browser_did_not_ask_for_is_refused(serve: Serve, issuer: SignsIn) -> None:
    port = free_port()
    async with serve(port=port, **settings_of(issuer, port)), aiohttp.ClientSession() as session:
        for kept in (None, "bm90IGpzb24=", "W3t9LCIvIl0="):
            cookies = {"catalog_mirror_signing_in": kept} if kept else {}
            address = f"http://localhost:{port}/signin/done?code=c0de&state=x"
            async with session.get(address, cookies=cookies) as answer:
                assert answer.status == 403
                assert "did not ask to sign in" in await answer.text()
                assert not answer.cookies.get("catalog_mirror_session")
