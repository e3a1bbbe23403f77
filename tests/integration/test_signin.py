"""Signing in with an OpenID Connect issuer: what the browser is asked, what comes back, and what is not believed."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import rsa
from pydantic import SecretStr

from service.errors import SettingInvalid
from service.http import signin
from service.http.oidc import Issuer, IssuerUnreachable
from service.http.probes import listening
from service.http.signin import Begun, SignIn, SignInRefused
from service.http.tokens import Scope
from service.settings.model import HttpSettings

KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
BACK = "https://mirror.example/signed-in"


class Provider:
    """A pocket issuer: signs Dana in and gives tokens for the code, as RFC 6749 and 7636 have it."""

    def __init__(self) -> None:
        self.url = ""
        self.codes: dict[str, dict[str, str]] = {}
        #: What the ID token claims otherwise, what is answered instead of the access token, and in place of it all.
        self.claims: dict[str, Any] = {}
        self.access_token: str | None = None
        self.instead: web.Response | None = None
        self.asked: list[dict[str, str]] = []

    def application(self) -> web.Application:
        app = web.Application()
        app.add_routes([
            web.get("/.well-known/openid-configuration", self.configuration), web.get("/keys", self.keys),
            web.post("/token", self.token),
        ])  # fmt: skip
        return app

    async def configuration(self, _: web.Request) -> web.Response:
        return web.json_response({
            "issuer": self.url, "jwks_uri": f"{self.url}/keys", "token_endpoint": f"{self.url}/token",
            "authorization_endpoint": f"{self.url}/authorize?tenant=1",
        })  # fmt: skip

    async def keys(self, _: web.Request) -> web.Response:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        return web.json_response({"keys": [key | {"kid": "k1", "use": "sig", "alg": "RS256"}]})

    def sign_in(self, begun: Begun) -> dict[str, str]:
        """What the browser brings back after Dana signed in."""
        asked = {name: value for name, (value,) in parse_qs(urlsplit(begun.url).query).items()}
        self.codes["c0de"] = asked
        return {"code": "c0de", "state": asked["state"]}

    async def token(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.asked.append(form | {"authorization": request.headers.get("Authorization", "")})
        if self.instead is not None:
            return self.instead
        asked = self.codes.pop(form["code"], None)
        proof = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode().rstrip("=")
        if asked is None or (proof, form["redirect_uri"]) != (asked["code_challenge"], asked["redirect_uri"]):
            return web.json_response({"error": "invalid_grant"}, status=400)
        told = {"aud": "console", "sub": "u1", "preferred_username": "dana", "nonce": asked["nonce"], **self.claims}
        access = self.access_token or self.signed(aud="mirror", scope="m:read m:operate x")
        return web.json_response({"id_token": self.signed(**told), "access_token": access, "token_type": "Bearer"})

    def signed(self, **claims: Any) -> str:
        told = {"iss": self.url, "exp": time.time() + 60, **claims}
        return jwt.encode(told, KEY, "RS256", headers={"kid": "k1"})


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    made = Provider()
    async with listening(made.application(), "127.0.0.1", 0, "") as port:
        made.url = f"http://127.0.0.1:{port}"
        yield made


def settings(provider: Provider, **more: Any) -> HttpSettings:
    told: dict[str, Any] = {
        "oidc_issuer": provider.url, "oidc_audience": "mirror", "oidc_scope_prefix": "m:", "oidc_client_id": "console",
        "oidc_redirect_url": BACK, "oidc_client_secret": SecretStr("s3cret: %"),
    }  # fmt: skip
    return HttpSettings(**(told | more))


@pytest.fixture
def sign_in(provider: Provider) -> SignIn:
    chosen = settings(provider)
    return SignIn(chosen, Issuer(chosen))


async def test_somebody_is_sent_to_the_issuer_and_comes_back_as_who_they_are(
    sign_in: SignIn, provider: Provider
) -> None:
    begun = await sign_in.begin()
    asked = parse_qs(urlsplit(begun.url).query)
    assert begun.url.startswith(f"{provider.url}/authorize?tenant=1&")
    assert (asked["code_challenge_method"], asked["redirect_uri"], asked["scope"]) == (
        ["S256"], [BACK], ["openid profile"],
    )  # fmt: skip
    assert begun.pending.verifier not in begun.url

    caller = await sign_in.finish(begun.pending, provider.sign_in(begun))

    assert (caller.name, set(caller.scopes)) == ("dana", {Scope.READ, Scope.OPERATE})
    sent = base64.b64encode(b"console:s3cret%3A%20%25").decode()
    assert provider.asked[0]["authorization"] == f"Basic {sent}"


async def test_a_public_client_says_its_name_alone(provider: Provider) -> None:
    chosen = settings(provider, oidc_client_secret=None)
    sign_in = SignIn(chosen, Issuer(chosen))
    begun = await sign_in.begin()
    assert (await sign_in.finish(begun.pending, provider.sign_in(begun))).name == "dana"
    assert (provider.asked[0]["client_id"], provider.asked[0]["authorization"]) == ("console", "")


async def test_scopes_stand_in_the_id_token_where_the_access_token_is_for_another_service(
    sign_in: SignIn, provider: Provider
) -> None:
    for access in ("opaque", provider.signed(aud="another", scope="m:operate")):
        provider.access_token, provider.claims = access, {"scope": ["m:read"]}
        begun = await sign_in.begin()
        assert (await sign_in.finish(begun.pending, provider.sign_in(begun))).scopes == {Scope.READ}


async def test_no_two_sign_ins_share_a_secret(sign_in: SignIn) -> None:
    pending = [(await sign_in.begin()).pending for _ in range(2)]
    parts = [part for one in pending for part in (one.state, one.nonce, one.verifier)]
    assert len(set(parts)) == 6
    assert all(len(part) >= 43 for part in parts), "RFC 7636, 4.1"


async def test_an_answer_to_what_another_browser_asked_is_not_believed(sign_in: SignIn, provider: Provider) -> None:
    mine, theirs = await sign_in.begin(), await sign_in.begin()
    back = provider.sign_in(theirs)
    for query in (back, back | {"state": ""}, {"code": "c0de"}, back | {"state": "ä\udc80"}):
        with pytest.raises(SignInRefused, match="none to what this browser asked"):
            await sign_in.finish(mine.pending, query)
    assert provider.asked == [], "no code of somebody else is exchanged"


@pytest.mark.parametrize(
    ("claims", "says"),
    [
        ({"nonce": "another"}, "none for this sign-in"), ({"nonce": None}, "none for this sign-in"),
        ({"aud": "another"}, "not good"), ({"iss": "https://another"}, "not good"), ({"exp": 1}, "not good"),
        ({"azp": "another"}, "another client"),
    ],
)  # fmt: skip
async def test_an_id_token_that_is_not_for_us_is_not_believed(
    sign_in: SignIn, provider: Provider, claims: dict[str, Any], says: str
) -> None:
    provider.claims = claims
    begun = await sign_in.begin()
    with pytest.raises(SignInRefused, match=says):
        await sign_in.finish(begun.pending, provider.sign_in(begun))


async def test_a_code_is_good_once_and_for_whoever_began(sign_in: SignIn, provider: Provider) -> None:
    begun = await sign_in.begin()
    back = provider.sign_in(begun)
    with pytest.raises(SignInRefused, match="does not take the code"):
        await sign_in.finish(replace(begun.pending, verifier="x" * 43), back)
    with pytest.raises(SignInRefused, match="does not take the code"):
        await sign_in.finish(begun.pending, back)


async def test_a_refusal_a_delay_or_another_issuer_ends_it(
    sign_in: SignIn, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = await sign_in.begin()
    back = provider.sign_in(begun)
    for query, says in (
        ({"error": "access_denied", "state": back["state"]}, "did not agree"),
        ({"state": back["state"]}, "did not agree"),
        (back | {"iss": "https://another"}, "another sign-in service"),
    ):
        with pytest.raises(SignInRefused, match=says):
            await sign_in.finish(begun.pending, query)
    monkeypatch.setattr(signin, "PATIENCE_S", -1.0)
    with pytest.raises(SignInRefused, match="too long"):
        await sign_in.finish(begun.pending, back)


@pytest.mark.parametrize(
    ("instead", "error"),
    [
        (web.Response(status=503), IssuerUnreachable), (web.Response(text="x" * 300_000), IssuerUnreachable),
        (web.Response(text="hello"), SignInRefused), (web.json_response([]), SignInRefused),
        (web.Response(status=302, headers={"Location": "https://evil.example"}), SignInRefused),
        (web.json_response({}), SignInRefused),
    ],
)  # fmt: skip
async def test_what_is_no_answer_of_an_issuer_signs_nobody_in(
    sign_in: SignIn, provider: Provider, instead: web.Response, error: type[Exception]
) -> None:
    provider.instead = instead
    begun = await sign_in.begin()
    with pytest.raises(error):
        await sign_in.finish(begun.pending, provider.sign_in(begun))


async def test_an_issuer_that_is_away_is_told(provider: Provider) -> None:
    chosen = settings(provider, oidc_issuer="http://127.0.0.1:1")
    with pytest.raises(IssuerUnreachable):
        await SignIn(chosen, Issuer(chosen)).begin()


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"oidc_client_id": None}, "OIDC_CLIENT_ID"), ({"oidc_redirect_url": None}, "OIDC_REDIRECT_URL"),
        ({"oidc_scopes": "profile"}, "openid"),
    ],
)  # fmt: skip
def test_what_settings_lack_is_named(more: dict[str, Any], says: str) -> None:
    provider = Provider()
    provider.url = "https://id.example"
    chosen = settings(provider, **more)
    with pytest.raises(SettingInvalid, match=says):
        SignIn(chosen, Issuer(chosen))
