"""Who may call: tokens, the limit of calls per minute, and failures that come out of nowhere."""

from __future__ import annotations

import base64
import random
import secrets
import time
from typing import Any

import msgspec

from sandbox.catalog.clock import Clock
from sandbox.catalog.containers import CALLER
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.problems import Problem

USERNAME = "mirror"
API_KEY = "pocket-api-key"
PASSWORD = "pocket-password"


class Tokens:
    """Bearer tokens; they expire on the catalog's clock."""

    def __init__(self, clock: Clock, knobs: Knobs) -> None:
        self._clock, self._knobs = clock, knobs
        self._expires: dict[str, float] = {}

    def issue(self) -> tuple[str, float]:
        """A new token, and when it expires (Unix seconds). It looks like a JWT; nobody can check its signature."""
        now_s = self._clock.now()
        expires_s = now_s + self._knobs.token_life_s
        claims = {"sub": CALLER, "iat": int(now_s), "exp": int(expires_s), "jti": secrets.token_hex(8)}
        parts = ({"alg": "RS256"}, claims)
        token = ".".join([*(_base64(msgspec.json.encode(part)) for part in parts), _base64(b"pocket")])
        self._expires = {old: at_s for old, at_s in self._expires.items() if at_s > self._clock.now()}
        self._expires[token] = expires_s
        return token, expires_s

    def revoke_all(self) -> None:
        """Make every token invalid before its time."""
        self._expires.clear()

    def check(self, authorization: str | None) -> None:
        """Raises Problem 401 unless the header carries a token that is valid now."""
        scheme, _, token = (authorization or "").partition(" ")
        if scheme.lower() != "bearer" or self._expires.get(token, 0.0) <= self._clock.now():
            raise Problem(401, "invalid_auth_token", "The token is missing, invalid or expired.")


class RateLimit:
    """So many calls in a window of real time; what is told of it depends on the knobs."""

    def __init__(self, clock: Clock, knobs: Knobs) -> None:
        self._clock, self._knobs = clock, knobs
        self._window_started = 0.0
        self._used = 0

    def take(self) -> dict[str, str] | None:
        """Count a call; answers the headers of a refusal, None where the call may go on."""
        limit = self._knobs.rate_limit_per_minute
        if limit is None:
            return None
        now = time.monotonic()
        if now - self._window_started >= self._knobs.rate_limit_window_s:
            self._window_started, self._used = now, 0
        self._used += 1
        if self._used <= limit:
            return None
        left_s = self._window_started + self._knobs.rate_limit_window_s - now
        told = {
            "Retry-After": str(max(1, round(left_s))),
            "X-RateLimit-Reset": str(int(self._clock.now() + left_s) + 1),
            "X-RateLimit-Remaining": "0",
        }
        return {name: value for name, value in told.items() if name in self._knobs.rate_limit_headers}


class Failures:
    """Calls that fail for no reason, reproducibly for a seed."""

    def __init__(self, knobs: Knobs, seed: int) -> None:
        self._knobs, self._rng, self._count = knobs, random.Random(seed), 0

    def strike(self) -> tuple[int, bool] | None:
        """The status of a call that fails, and whether a proxy says so in HTML; None for most."""
        if self._knobs.failure_rate <= 0 or self._rng.random() >= self._knobs.failure_rate:
            return None
        self._count += 1
        status = self._rng.choice(self._knobs.failure_statuses)
        # A success that is none is the page of a proxy that wants somebody to sign in.
        return status, status < 300 or (self._knobs.html_failures and self._count % 2 == 0)


def authorize(body: Any) -> None:
    """The sign-in of an installation on premises: name, and key or password; raises Problem 401."""
    given = body if isinstance(body, dict) else {}
    known = given.get("api_key") == API_KEY or given.get("password") == PASSWORD
    if given.get("username") != USERNAME or not known:
        raise Problem(401, "unauthorized", "Wrong user name, key or password.")


def _base64(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")
