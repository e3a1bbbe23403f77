"""Connections to the broker, and what their failures mean in plain words.

Consuming, publishing and probing each use a connection of their own: a broker that is short of memory blocks
connections that publish, and a consumer on such a connection could not acknowledge.
"""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import aio_pika
import aiormq
from aio_pika.abc import AbstractConnection
from aiormq.exceptions import AMQPError, AuthenticationError, ConnectionClosed, ProbableAuthenticationError
from yarl import URL

from service import __version__
from service.amqp import tokens, wire
from service.amqp.deliveries import FrameReader, Frames
from service.amqp.remedies import unavailable
from service.amqp.tokens import Token
from service.errors import BrokerLinkEnded, BrokerUnavailable, SettingInvalid, TopologyMissing
from service.settings.model import AmqpSettings, hide_password
from service.settings.trust import mutual

wire.install()

#: What may be raised while talking to the broker. A channel that closes also cancels whoever waits on it.
_ERRORS = (AMQPError, OSError, TimeoutError, RuntimeError, asyncio.CancelledError)
#: What to do where the broker refuses the user.
_NAMED_IN_URL = "Correct user and password in CATALOG_MIRROR_AMQP__URL, or in the file that AMQP__URL_FILE names."
_SIGNED_IN = (
    "The broker does not take our token, its log says why: its `resource_server_id` must be among the audience, and it "
    "must know the key. CATALOG_MIRROR_AMQP__TOKEN_SCOPE says which scopes we ask for."
)
_AS_CERTIFICATE = (
    "Ask the broker's owner for a user of the name in our certificate (its subject, or what `ssl_cert_login_from` "
    "says) and for the plugin rabbitmq_auth_mechanism_ssl; else leave `auth=external` out of CATALOG_MIRROR_AMQP__URL."
)


class Link(aio_pika.Connection):
    """A connection whose deliveries can be taken as they come in (`deliveries`)."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._frames = Frames()
        self.kwargs["transport_factory"] = self._frames

    @property
    def reader(self) -> FrameReader:
        """What the client reads its frames from; raises `RuntimeError` before there is one."""
        if self._frames.reader is None:
            raise RuntimeError("the connection was never opened")
        return self._frames.reader


@contextmanager
def translated(settings: AmqpSettings) -> Iterator[None]:
    """Turn whatever the client raises when a link breaks into `BrokerUnavailable`."""
    try:
        yield
    except _ERRORS as error:
        task = asyncio.current_task()
        if isinstance(error, asyncio.CancelledError) and task is not None and task.cancelling():
            raise  # we are being cancelled, not the channel
        raise unavailable(_said(error, settings), where(settings)) from error


#: How the client tells of what is no longer open: by how it looks in memory.
_SHOWN = re.compile(r"<(Channel|Connection)\b.*> closed")


def _said(error: BaseException, settings: AmqpSettings) -> str:
    """What the client raises, in words."""
    if isinstance(error, TimeoutError):
        return f"no answer within {settings.connect_timeout_s:g} s"
    return _SHOWN.sub(lambda shown: f"the {shown[1].lower()} is closed", str(error)) or type(error).__name__


def where(settings: AmqpSettings) -> str:
    """The broker's URL without user and password."""
    return hide_password(settings.url.get_secret_value()) if settings.url else "no broker"


def vhost(settings: AmqpSettings) -> str:
    """The vhost that the URL names."""
    path = urlsplit(settings.url.get_secret_value()).path if settings.url else ""
    return unquote(path[1:]) or "/"


def user(settings: AmqpSettings) -> str:
    """The user that the URL names; where our certificate names it, a word for that."""
    if _by_certificate(settings):
        return "NAME-IN-OUR-CERTIFICATE"
    if settings.token_url:
        return settings.token_client_id or ""
    return unquote(urlsplit(settings.url.get_secret_value()).username or "guest") if settings.url else ""


def _address(settings: AmqpSettings, token: Token | None) -> URL:
    """The URL, with a token as the password where there is one; the broker takes the user's name from it."""
    url = URL(settings.url.get_secret_value() if settings.url else "")
    return url.with_user(settings.token_client_id).with_password(token.value) if token else url


def _by_certificate(settings: AmqpSettings) -> bool:
    """Whether the URL asks for `EXTERNAL`: the broker takes the user from our certificate."""
    query = parse_qs(urlsplit(settings.url.get_secret_value()).query) if settings.url else {}
    return query.get("auth", [""])[-1].upper() == "EXTERNAL"


@asynccontextmanager
async def connected(settings: AmqpSettings, purpose: str) -> AsyncIterator[Link]:
    """A connection for one purpose, closed at the end.

    Raises:
        BrokerUnavailable: it cannot be reached or refuses us; the message says why.
        TopologyMissing: the user may not enter the vhost, or there is none of that name.
    """
    token = await tokens.token(settings) if settings.token_url else None
    connection = await _connect(settings, purpose, token)
    renewing = asyncio.create_task(_renew(connection, settings, token)) if token else None
    try:
        yield connection
    finally:
        if renewing:
            renewing.cancel()
        await _close(connection, settings)


async def _renew(connection: AbstractConnection, settings: AmqpSettings, used: Token) -> None:
    async def update(value: str) -> None:
        with translated(settings):
            await underlay(connection).update_secret(value, reason="renewed", timeout=settings.connect_timeout_s)

    await tokens.keep_fresh(settings, used, update)


async def _connect(settings: AmqpSettings, purpose: str, token: Token | None) -> Link:
    if settings.url is None:
        raise SettingInvalid(setting="CATALOG_MIRROR_AMQP__URL", problem="it is not set")
    try:
        async with asyncio.timeout(settings.connect_timeout_s):
            return await aio_pika.connect(
                _address(settings, token),
                connection_class=Link,
                ssl_context=_tls(settings),
                heartbeat=settings.heartbeat_s,
                client_properties={"connection_name": f"catalog-mirror {purpose}", "version": __version__},
            )
    except SettingInvalid as error:  # files are written anew while we run: that is waited for, as an outage is
        raise BrokerLinkEnded(problem=str(error)[:-1], where=where(settings), ask=error.advice()) from None
    except (AuthenticationError, ProbableAuthenticationError):
        tokens.forget(settings)
        ask = _AS_CERTIFICATE if _by_certificate(settings) else _SIGNED_IN if token else _NAMED_IN_URL
        raise BrokerLinkEnded(problem=f"it refuses user {user(settings)!r}", where=where(settings), ask=ask) from None
    except ConnectionClosed as error:
        raise _refused(settings, str(error)) from None
    except (AMQPError, OSError, TimeoutError, RuntimeError) as error:
        raise unavailable(_said(error, settings), where(settings), opening=True) from None


def _refused(settings: AmqpSettings, text: str) -> BrokerUnavailable | TopologyMissing:
    if "NOT_ALLOWED" in text or "vhost" in text or "INTERNAL_ERROR" in text:
        name, who = vhost(settings), user(settings)
        return TopologyMissing(
            what=f"User {who!r} may not enter ({text[:120]})",
            vhost=name,
            ask=f"Ask the broker's owner for vhost {name!r} and for rights of {who!r} on it; "
            "`catalog-mirror doctor` says which.",
        )
    return unavailable(text, where(settings))


def _tls(settings: AmqpSettings) -> ssl.SSLContext | None:
    if settings.url is None or not settings.url.get_secret_value().startswith("amqps"):
        return None
    return trust(settings)


def trust(settings: AmqpSettings) -> ssl.SSLContext:
    """Whom we believe to be the broker, and who we are to it.

    Raises:
        SettingInvalid: a file of them cannot be used.
    """
    return mutual("AMQP", settings.ca_file, settings.cert_file, settings.key_file)


async def _close(connection: AbstractConnection, settings: AmqpSettings) -> None:
    """Close politely, but not for longer than a dead link deserves."""
    with suppress(BrokerUnavailable), translated(settings):
        async with asyncio.timeout(settings.connect_timeout_s):
            await connection.close()


def version_of(connection: AbstractConnection) -> tuple[int, ...]:
    """The broker's version, as numbers; none where it does not tell."""
    told = str((underlay(connection).server_properties or {}).get("version", ""))
    return tuple(int(part) for part in re.findall(r"\d+", told)[:3])


def underlay(connection: AbstractConnection) -> aiormq.abc.AbstractConnection:
    """The aiormq connection below an aio-pika one."""
    if connection.transport is None:
        raise RuntimeError("the connection is closed")
    return connection.transport.connection
