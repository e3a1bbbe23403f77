"""Tokens of OAuth 2.0 where the broker wants one instead of a password (RabbitMQ: rabbitmq_auth_backend_oauth2).

We sign in as ourselves (RFC 6749, client credentials) and give the token as the password. Before it ends, the broker is
told another one over the same connection (`connection.update_secret`, https://www.rabbitmq.com/docs/oauth2), so nothing
is interrupted. One token serves all connections of the process; the secret is read anew from its file each time.
"""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus

import aiohttp
import structlog

from service.errors import BrokerLinkEnded, BrokerUnavailable, SettingInvalid
from service.settings.model import AmqpSettings
from service.settings.proxies import proxy_for
from service.text import documents
from service.text.quoting import quoted

log = structlog.get_logger(__name__)

#: Share of its life after which a token is renewed, and seconds until the next attempt where that failed.
RENEW_SHARE, RETRY_S = 0.7, 5.0
#: Characters of an answer that are shown.
_SHOWN = 300
#: Seconds that a token is taken to live where nobody says so.
DEFAULT_LIFE_S = 300.0
_SECTION = "CATALOG_MIRROR_AMQP__"


@dataclass(frozen=True, slots=True)
class Token:
    """What stands for a password, until when it is used (on the monotonic clock); neither is shown."""

    value: str = field(repr=False)
    renew_at: float


#: By address, client and scope: what all connections of this process share.
_kept: dict[tuple[str, ...], Token] = {}


async def token(settings: AmqpSettings) -> Token:
    """A token that is good for some time yet.

    Raises:
        BrokerUnavailable: it cannot be had now, with the words of whom we asked.
    """
    kept = _kept.get(_key(settings))
    if kept is None or time.monotonic() >= kept.renew_at:
        kept = _kept[_key(settings)] = await _asked_for(settings)
    return kept


def forget(settings: AmqpSettings) -> None:
    """The broker refuses the token: the next one is asked for."""
    _kept.pop(_key(settings), None)


def _key(settings: AmqpSettings) -> tuple[str, ...]:
    return str(settings.token_url), str(settings.token_client_id), str(settings.token_scope)


async def keep_fresh(settings: AmqpSettings, used: Token, update: Callable[[str], Awaitable[Any]]) -> None:
    """Have a connection go on with another token before each ends, until cancelled.

    Args:
        used: the token that the connection was opened with.
        update: tells the broker another one.
    """
    has_told = False
    while True:
        await asyncio.sleep(max(0.0, used.renew_at - time.monotonic()))
        try:
            another = await token(settings)
            await update(another.value)
            used, has_told = another, False
        except BrokerUnavailable as error:
            if not has_told:
                log.warning("broker_token_not_renewed", problem=str(error), remedy=error.advice())
            has_told = True
            await asyncio.sleep(RETRY_S)


async def _asked_for(settings: AmqpSettings) -> Token:
    asked_at = time.monotonic()
    status, body = await _post(settings)
    told = _object(body)
    if status != 200:
        said = " ".join(str(told[name]) for name in ("error", "error_description") if name in told)
        words = quoted(said, [_secret(settings)], _SHOWN)
        ours = f"Correct {_SECTION}TOKEN_CLIENT_ID and TOKEN_CLIENT_SECRET, or TOKEN_SCOPE."
        ask = (
            ours
            if status < 500
            else "It is for whoever runs it to mend; the service goes on by itself when it answers."
        )
        problem = f"it answers {status} to {settings.token_client_id!r}"
        raise _refused(settings, f"{problem}: {words}" if words else problem, ask)
    value = told.get("access_token")
    if not isinstance(value, str) or not value:
        ask = f"Does {_SECTION}TOKEN_URL name the token endpoint?"
        raise _refused(settings, "it answers without `access_token`", ask)
    life = told.get("expires_in")
    life_s = float(life) if isinstance(life, int | float) and life > 0 else DEFAULT_LIFE_S
    return Token(value, asked_at + life_s * RENEW_SHARE)


async def _post(settings: AmqpSettings) -> tuple[int, bytes]:
    url = str(settings.token_url)
    form = {"grant_type": "client_credentials"} | ({"scope": settings.token_scope} if settings.token_scope else {})
    # Both are encoded as in a form before they are joined (RFC 6749, section 2.3.1).
    pair = (quote_plus(settings.token_client_id or ""), quote_plus(_secret(settings)))
    headers = {"Authorization": aiohttp.encode_basic_auth(*pair)}
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.post(url, data=form, ssl=_trust(settings), proxy=proxy_for(url), allow_redirects=False) as answer,
        ):
            return answer.status, await answer.content.read(_LARGEST)
    except SettingInvalid as error:
        raise _refused(settings, str(error)[:-1], error.advice()) from None
    except (aiohttp.ClientError, TimeoutError) as error:
        ask = (
            f"Check that it is up, and {_SECTION}TOKEN_URL and CA_FILE; the service goes on by itself when it answers."
        )
        raise _refused(settings, str(error)[:200] or type(error).__name__, ask) from None


def _secret(settings: AmqpSettings) -> str:
    return settings.token_client_secret.get_secret_value() if settings.token_client_secret else ""


#: Bytes of an answer that are read; tokens have some thousand at most.
_LARGEST = 1024 * 1024


def _trust(settings: AmqpSettings) -> ssl.SSLContext:
    """Whoever gives tokens may be a public service: the system's certificates count beside those of one's own."""
    context = ssl.create_default_context()
    if settings.ca_file:
        try:
            context.load_verify_locations(settings.ca_file)
        except (OSError, ssl.SSLError) as error:
            raise SettingInvalid(setting=f"{_SECTION}CA_FILE", problem=f"{settings.ca_file}: {error}") from None
    return context


def _object(body: bytes) -> dict[str, Any]:
    try:
        value = documents.shallow(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _refused(settings: AmqpSettings, problem: str, ask: str) -> BrokerUnavailable:
    problem = f"no token can be had from {settings.token_url}: {problem}"
    return BrokerLinkEnded(problem=problem, where=str(settings.token_url), ask=ask)
