"""Calls a backend over HTTP, in JSON, and judges its answers: arrived, refused for good, or to be tried again."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

import aiohttp

from service import __version__
from service.catalog.refusals import asked_to_wait
from service.errors import AnswerLost, DeliveryRejected, MirrorError, SettingInvalid, TargetUnavailable
from service.settings.proxies import proxy_for
from service.settings.trust import Trust
from service.targets.options import setting_of
from service.targets.sign_in import SignIn
from service.telemetry import traces
from service.text import documents
from service.text.quoting import quoted

#: Headers by which a backend's operator finds a call again (IBM's among them).
SUPPORT_HEADERS = ("x-global-transaction-id", "x-request-id", "x-correlation-id", "cf-ray", "server-timing")
#: Seconds to wait for a connection at most.
_CONNECT_S = 10.0
#: Bytes of an answer that are read.
_MAX_ANSWER = 1_048_576
#: Characters of an answer that are told, and bytes that are searched for them.
_SHOWN, _SEARCHED = 300, 4096
#: What shows that nothing was sent: no connection, or none through the proxy.
_UNSENT = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError, aiohttp.ClientHttpProxyError)
_JSON: Mapping[str, str] = MappingProxyType({"Content-Type": "application/json"})
#: Statuses with which a backend may ask for a pause, and seconds of it that it gets at most.
_PAUSING = (429, 503)
_MAX_PAUSE_S = 3600.0
#: What is sent: JSON as bytes, or what makes a form.
Body = bytes | Callable[[], aiohttp.FormData] | None
#: Attempts after which "internal error" counts as the event's fault: such answers were seen for valid events for days.
MAX_INTERNAL_ERRORS = 8


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    #: It was longer than we read.
    is_cut: bool = False
    #: What we signed in with, or sent beside: not told, should somebody repeat it.
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def is_success(self) -> bool:
        """It was taken."""
        return 200 <= self.status < 300

    @property
    def is_page(self) -> bool:
        """It is for people: of a proxy, say, that wants somebody to sign in."""
        return self.body.lstrip()[:1] == b"<"

    def data(self) -> Any:
        """The body as JSON, null for what nests deeper than we walk; None where it is none."""
        try:
            return documents.shallow(self.body)
        except ValueError:
            return None

    def told(self) -> str:
        """Status, the beginning of the body, and the ids that support asks for."""
        text = quoted(self.body[:_SEARCHED].decode("utf-8", "replace"), self.secrets, _SHOWN)
        ids = [f"{name}: {self.headers[name][:120]}" for name in SUPPORT_HEADERS if name in self.headers]
        data = self.data()
        if isinstance(data, dict) and isinstance(data.get("trace"), str):
            ids.append(f"trace: {data['trace'][:120]}")
        return f"HTTP {self.status} {text}{' [' + ', '.join(ids) + ']' if ids else ''}".strip()


class Poster:
    """One backend; opened at the first post.

    Where it refuses with `Retry-After` (RFC 9110, 10.2.3) or `X-RateLimit-Reset`, nothing is sent to it until then.

    Args:
        fresh: each call has a connection of its own: one that is kept may die unseen, and an answer seem lost although
            nothing was taken.
        max_answer: bytes of an answer that are read.

    Raises:
        SettingInvalid: the URL is not one of HTTP, or the certificates cannot be used.
    """

    def __init__(
        self,
        target: str,
        url: str,
        sign_in: SignIn,
        timeout_s: float,
        ca_file: Path | None = None,
        *,
        fresh: bool = False,
        max_answer: int = _MAX_ANSWER,
    ) -> None:
        if not url.startswith("http"):
            raise SettingInvalid(setting=setting_of(target, "URL"), problem="it must start with http:// or https://")
        self._target = target
        self.url = url
        self._sign_in = sign_in
        self._trust = Trust(ca_file, f"TARGETS__{target.upper()}__CA_FILE")
        self._timeout = aiohttp.ClientTimeout(total=timeout_s, sock_connect=min(timeout_s, _CONNECT_S))
        self._proxy = proxy_for(url)
        self._fresh = fresh
        self._max_answer = max_answer
        self._session: aiohttp.ClientSession | None = None
        self._quiet_until = 0.0

    async def post(self, path: str, value: Any) -> Reply:
        """Post a JSON value; once more, signed in anew, where the first is refused for that.

        Raises:
            AnswerLost: it may have been taken: the connection stood, and no answer came.
            TransientError: nothing was taken: no connection, nobody to sign in now, or it asked us to wait.
        """
        return await self.post_bytes(documents.canonical(value), _JSON, path)

    async def post_bytes(self, body: bytes, headers: Mapping[str, str], path: str = "") -> Reply:
        """Post bytes as they are, with headers that say what they are; raises as `post` does."""
        return await self._call("POST", path, body, {}, headers)

    async def post_form(self, path: str, form: Callable[[], aiohttp.FormData]) -> Reply:
        """Post a form with files, made anew for each try; otherwise as `post`."""
        return await self._call("POST", path, form, {})

    async def delete(self, path: str, value: Any = None) -> Reply:
        """Delete what a path, or the value beside it, names; raises as `post` does."""
        if value is None:
            return await self._call("DELETE", path, None, {})
        return await self._call("DELETE", path, documents.canonical(value), {}, _JSON)

    async def get(self, path: str, parameters: Mapping[str, str] = MappingProxyType({})) -> Reply:
        """Ask; raises as `post` does."""
        return await self._call("GET", path, None, parameters)

    async def _call(
        self,
        method: str,
        path: str,
        body: Body,
        parameters: Mapping[str, str],
        about: Mapping[str, str] = MappingProxyType({}),
    ) -> Reply:
        if (left_s := self._quiet_until - time.monotonic()) > 0:
            raise TargetUnavailable(target=self._target, problem=f"it asked us to wait for another {left_s:.0f} s")
        signed = await self._sign_in.authorization()
        reply = await self._send(method, path, body, parameters, about, signed)
        if reply.status == 401 and (other := await self._sign_in.renewed(signed)) != signed:
            reply = await self._send(method, path, body, parameters, about, other)
        if reply.status in _PAUSING:
            self._quiet_until = time.monotonic() + min(asked_to_wait(reply.headers) or 0.0, _MAX_PAUSE_S)
        return reply

    async def _send(
        self,
        method: str,
        path: str,
        body: Body,
        parameters: Mapping[str, str],
        about: Mapping[str, str],
        signed: str | None,
    ) -> Reply:
        headers = {**about, **traces.headers()}
        if signed:
            headers["Authorization"] = signed
        try:
            async with self._opened().request(
                method,
                self.url + path,
                data=body() if callable(body) else body,
                params=parameters,
                headers=headers,
                allow_redirects=False,
                ssl=self._trust.context,
                proxy=self._proxy,
            ) as response:
                answer = await read_all(response.content, self._max_answer)
                is_cut = len(answer) >= self._max_answer
                return Reply(response.status, answer, response.headers, is_cut, _secrets_in(signed))
        except (aiohttp.ClientError, OSError, TimeoutError) as error:
            way = f" through proxy {self._proxy.host}:{self._proxy.port}" if self._proxy else ""
            problem = f"{type(error).__name__} at {self.url}{path}{way}"
            lost = not isinstance(error, _UNSENT)
            raise (AnswerLost if lost else TargetUnavailable)(target=self._target, problem=problem) from None

    def judge(self, reply: Reply, attempts: int) -> MirrorError | None:
        """What an answer means for the delivery that was posted."""
        told = reply.told()
        if reply.is_success:
            return TargetUnavailable(target=self._target, problem=f"a page answers: {told}") if reply.is_page else None
        if reply.status == 500 and attempts + 1 >= MAX_INTERNAL_ERRORS:
            return DeliveryRejected(target=self._target, problem=f"{told} ({attempts + 1} times)")
        if reply.status in (401, 403):
            return TargetUnavailable(target=self._target, problem=f"it does not accept our token: {told}")
        if reply.status in (404, 405) or 300 <= reply.status < 400:
            return TargetUnavailable(target=self._target, problem=f"{self.url} is not where it takes events: {told}")
        if reply.status in (407, 408, 425, 429) or reply.status >= 500:
            return TargetUnavailable(target=self._target, problem=told)
        return DeliveryRejected(target=self._target, problem=told)

    async def close(self) -> None:
        """Close the connections."""
        await self._sign_in.close()
        session, self._session = self._session, None
        if session is not None:
            await session.close()

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            # The default name of Python's own clients is refused at IBM's edge.
            agent = {"User-Agent": f"catalog-mirror/{__version__}"}
            self._session = aiohttp.ClientSession(
                headers=agent,
                timeout=self._timeout,
                cookie_jar=aiohttp.DummyCookieJar(),
                connector=aiohttp.TCPConnector(force_close=self._fresh),
            )
        return self._session


def _secrets_in(signed: str | None) -> tuple[str, ...]:
    """What of the header is secret: a token, or a password."""
    scheme, _, value = (signed or "").partition(" ")
    if scheme != "Basic":
        return (value,)
    return value, base64.b64decode(value).decode().partition(":")[2]


async def read_all(content: aiohttp.StreamReader, limit: int = _MAX_ANSWER) -> bytes:
    """The whole answer, which may come in pieces, up to the limit."""
    read = bytearray()
    while len(read) < limit and (piece := await content.read(limit - len(read))):
        read += piece
    return bytes(read)
