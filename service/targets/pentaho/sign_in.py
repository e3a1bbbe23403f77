"""Signing in at Pentaho: user and password, form-encoded, for a token that lasts until a call is refused."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import aiohttp

from service import __version__
from service.errors import TargetUnavailable
from service.settings.proxies import proxy_for
from service.settings.trust import Trust
from service.targets.pentaho.answers import told_of
from service.targets.pentaho.data_sources import scrubbed
from service.targets.pentaho.options import SignInOptions
from service.targets.posting import Reply, read_all


class PasswordSignIn:
    """A token for user and password, kept until it is refused; many who meet a refused one renew it once."""

    def __init__(
        self, target: str, url: str, username: str, password: Callable[[], str | None], options: SignInOptions,
        timeout_s: float, ca_file: Path | None,
    ) -> None:  # fmt: skip
        self._target = target
        self._url = url + options.path
        self._username = username
        self._password = password
        self._options = options
        self._timeout = aiohttp.ClientTimeout(total=timeout_s)
        self._trust = Trust(ca_file, f"TARGETS__{target.upper()}__CA_FILE")
        self._lock = asyncio.Lock()
        self._header: str | None = None

    async def authorization(self) -> str | None:
        """With the token that was good the last time.

        Raises:
            TargetUnavailable: nobody signs us in now.
        """
        return self._header or await self.renewed(None)

    async def renewed(self, refused: str | None) -> str | None:
        """With a new one, unless somebody renewed it meanwhile; raises as `authorization` does."""
        async with self._lock:
            if self._header is None or self._header == refused:
                self._header = f"Bearer {await self._signed_in()}"
            return self._header

    async def _signed_in(self) -> str:
        reply = await self._post()
        data = reply.data()
        token = data.get("data", {}).get("accessToken") if isinstance(data, dict) and _has_data(data) else None
        if not reply.is_success or not isinstance(token, str) or not token:
            told = told_of(scrubbed(reply, [self._password() or ""]))
            problem = f"it does not sign us in as {self._username}: {told}"
            if reply.is_success:  # what it says may be a token in another place
                problem = f"its sign-in at {self._url} answers without data.accessToken"
            raise TargetUnavailable(target=self._target, problem=problem)
        return token

    async def _post(self) -> Reply:
        fields = {
            "username": self._username, "password": self._password() or "", "client_id": self._options.client_id,
            "grant_type": self._options.grant_type, "scope": self._options.scope,
        }  # fmt: skip
        form = {name: value for name, value in fields.items() if value is not None}
        agent = {"User-Agent": f"catalog-mirror/{__version__}"}
        try:
            async with (
                aiohttp.ClientSession(
                    headers=agent, timeout=self._timeout, cookie_jar=aiohttp.DummyCookieJar()
                ) as session,
                session.post(
                    self._url, data=form, allow_redirects=False, ssl=self._trust.context, proxy=proxy_for(self._url)
                ) as response,
            ):
                return Reply(response.status, await read_all(response.content), response.headers)
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            problem = f"{type(error).__name__} at {self._url}"
            raise TargetUnavailable(target=self._target, problem=problem) from None

    async def close(self) -> None:
        """Nothing stays open."""


def _has_data(data: dict[str, object]) -> bool:
    return isinstance(data.get("data"), dict)
