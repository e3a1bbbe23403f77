"""Exchange, queue and bindings: what we need, what is there, and whom to ask for the rest.

What may not be declared (settings) is only looked at. A failed look closes its channel, so each has one of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection
from aiormq.exceptions import ChannelAccessRefused, ChannelNotFoundEntity, ChannelPreconditionFailed

from service.amqp.connection import user, vhost
from service.errors import TopologyMissing
from service.settings.model import AmqpSettings

log = structlog.get_logger(__name__)
T = TypeVar("T")

#: Seconds for which a queue that is being deleted may still be found after its consumers were cancelled (RabbitMQ 4.3,
#: some milliseconds on one idle node), and between two looks. Declared anew then, its loss would be seen by nobody.
GOING_S, LOOK_S = 1.0, 0.05
#: A binding of our queue: exchange and pattern.
Binding = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Topology:
    """What `ensure` found or made."""

    queue_created: bool
    #: Whether the queue has the arguments that settings ask for; None: it is not ours to declare, so nobody asked.
    arguments_match: bool | None


def queue_arguments(settings: AmqpSettings) -> dict[str, Any]:
    """The arguments of our queue.

    The catalog comes first: a full queue drops its oldest messages (a gap that reconcile closes) instead of refusing
    the catalog's publishers, and there is no dead-letter exchange, whose default is to lose messages silently.
    """
    arguments: dict[str, Any] = {
        "x-queue-type": settings.queue_type,
        "x-max-length-bytes": settings.queue_max_bytes,
        "x-overflow": "drop-head",
    }
    if settings.queue_type == "quorum":
        arguments["x-delivery-limit"] = settings.delivery_limit
    return arguments


async def ensure(
    connection: AbstractConnection, settings: AmqpSettings, bindings: Sequence[str], *, going_s: float = 0.0
) -> Topology:
    """Have everything that consuming needs.

    Args:
        going_s: seconds after which a queue that is found is taken to stay.

    Raises:
        TopologyMissing: something is not there, or a right is: with vhost, user and what to ask for.
    """
    needs = _Needs(connection, settings)
    await needs.exchange()
    topology = await needs.queue(going_s)
    if settings.declare_queue:
        for pattern in bindings:
            await needs.binding(pattern)
    return topology


async def look_at_exchange(connection: AbstractConnection, settings: AmqpSettings) -> None:
    """Look whether the exchange is there and ours to use; declares nothing.

    Raises:
        TopologyMissing: it is not; the error says what to do.
    """
    await _Needs(connection, settings.model_copy(update={"declare_exchange": False})).exchange()


async def arguments_match(connection: AbstractConnection, settings: AmqpSettings) -> bool:
    """Whether our queue, which exists, has the arguments that settings ask for."""
    return (await _Needs(connection, settings).queue()).arguments_match is True


async def ready_messages(connection: AbstractConnection, settings: AmqpSettings, queue: str) -> int | None:
    """How many messages lie ready in the queue; None where there is no such queue.

    Raises:
        TopologyMissing: we have no right on it.
    """
    channel = await connection.channel()
    try:
        found = await channel.declare_queue(queue, passive=True)
        return found.declaration_result.message_count
    except ChannelNotFoundEntity:
        return None
    except ChannelAccessRefused as error:
        raise refused(settings, f"User {user(settings)!r} has no right on {queue!r}", error) from None
    finally:
        if not channel.is_closed:
            await channel.close()


async def unbind(connection: AbstractConnection, queue: str, bindings: Sequence[Binding]) -> None:
    """Remove bindings; one that is not there, or whose exchange is gone, is none."""
    for exchange, pattern in bindings:
        channel = await connection.channel()
        try:
            await (await channel.get_queue(queue, ensure=False)).unbind(exchange, routing_key=pattern)
        except ChannelNotFoundEntity:
            continue
        except ChannelAccessRefused as error:
            log.warning(
                "binding_not_removed", queue=queue, exchange=exchange, pattern=pattern, problem=str(error)[:200]
            )
        finally:
            if not channel.is_closed:
                await channel.close()


def refused(settings: AmqpSettings, what: str, error: Exception) -> TopologyMissing:
    """The error for a right that our user lacks: `what` it may not do, the broker's words, and the command for it."""
    return TopologyMissing(what=f"{what} ({_words(error)})", vhost=vhost(settings), ask=_rights(settings, str(error)))


def _words(error: Exception) -> str:
    return str(error).removeprefix("ACCESS_REFUSED - ")[:300]


def _rights(settings: AmqpSettings, words: str) -> str:
    """The command that gives our user exactly what it needs; rights on topics are given by one of their own."""
    if settings.token_url:
        place = f"{quote(vhost(settings), safe='')}/*"
        return (  # the third part is for topics; who has it, has the first two
            f"Have the token of {user(settings)!r} carry scopes for it, each after the broker's `resource_server_id` "
            f"and a dot: configure:{place} read:{place}/* write:{place}/* (CATALOG_MIRROR_AMQP__TOKEN_SCOPE)."
        )
    place = f"-p {vhost(settings)} {user(settings)}"
    if "access to topic" in words:
        publishes = "[^.]+".join(_pattern(part) for part in settings.lineage_key.split("{event_id}"))
        return (
            f"Ask the broker's owner to run: rabbitmqctl set_topic_permissions {place} {settings.exchange} "
            f"'^{publishes}$' '.*'"
        )
    exchange, queue = _pattern(settings.exchange), _pattern(settings.queue)
    declare = f"^({queue}|{exchange})$" if settings.declare_exchange else f"^{queue}$"
    return (
        f"Ask the broker's owner to run: rabbitmqctl set_permissions {place} "
        f"'{declare}' '^({queue}|{exchange})$' '^({queue}|{exchange})$'"
    )


def _pattern(name: str) -> str:
    """A regular expression for one name, as the broker reads it."""
    return name.replace(".", "\\.")


class _Needs:
    def __init__(self, connection: AbstractConnection, settings: AmqpSettings) -> None:
        self._connection = connection
        self._settings = settings

    async def _try(self, action: Callable[[AbstractChannel], Awaitable[T]]) -> T:
        channel = await self._connection.channel()
        try:
            async with asyncio.timeout(self._settings.connect_timeout_s):
                return await action(channel)
        finally:
            if not channel.is_closed:
                await channel.close()

    def _missing(self, what: str, ask: str) -> TopologyMissing:
        return TopologyMissing(what=what, vhost=vhost(self._settings), ask=ask)

    async def exchange(self) -> None:
        """The catalog's topic exchange."""
        settings = self._settings
        passive = not settings.declare_exchange
        kind = aio_pika.ExchangeType.TOPIC
        try:
            await self._try(lambda ch: ch.declare_exchange(settings.exchange, kind, durable=True, passive=passive))
        except ChannelNotFoundEntity:
            ask = (
                "Start the catalog first, or correct CATALOG_MIRROR_AMQP__EXCHANGE and the URL's vhost; on a broker "
                f"of your own set CATALOG_MIRROR_AMQP__DECLARE_EXCHANGE=true. User: {user(settings)!r}."
            )
            raise self._missing(f"The exchange {settings.exchange!r} does not exist", ask) from None
        except ChannelAccessRefused as error:
            what = f"User {user(settings)!r} has no right on the exchange {settings.exchange!r}"
            raise refused(settings, what, error) from None
        except ChannelPreconditionFailed:
            ask = "Unset CATALOG_MIRROR_AMQP__DECLARE_EXCHANGE: the exchange belongs to somebody else."
            raise self._missing(f"The exchange {settings.exchange!r} is not a durable topic exchange", ask) from None

    async def queue(self, going_s: float = 0.0) -> Topology:
        """Our own queue; declared where that is allowed."""
        settings = self._settings
        existed = await self._stays(going_s)
        if not settings.declare_queue:
            if existed:
                return Topology(queue_created=False, arguments_match=None)
            ask = f"Ask the broker's owner for it, bound to {settings.exchange!r}, with {queue_arguments(settings)}."
            raise self._missing(f"The queue {settings.queue!r} does not exist (user {user(settings)!r})", ask)
        return Topology(queue_created=not existed, arguments_match=await self._declare())

    async def _stays(self, going_s: float) -> bool:
        """Whether the queue is there, and still is after so many seconds."""
        deadline = time.monotonic() + going_s
        while await self._is_there():
            if time.monotonic() >= deadline:
                return True
            await asyncio.sleep(LOOK_S)
        return False

    async def _is_there(self) -> bool:
        settings = self._settings
        try:
            await self._try(lambda ch: ch.declare_queue(settings.queue, passive=True))
        except ChannelNotFoundEntity:
            return False
        except ChannelAccessRefused as error:
            raise refused(settings, f"User {user(settings)!r} has no right on {settings.queue!r}", error) from None
        return True

    async def _declare(self) -> bool:
        """Declare the queue; False where one with other arguments is there, which then stays as it is."""
        settings = self._settings
        try:
            arguments = queue_arguments(settings)
            await self._try(lambda ch: ch.declare_queue(settings.queue, durable=True, arguments=arguments))
        except ChannelPreconditionFailed as error:
            log.warning("queue_arguments_differ", queue=settings.queue, problem=str(error)[:300])
            return False
        except ChannelAccessRefused as error:
            what = f"User {user(settings)!r} may not declare the queue {settings.queue!r}"
            raise refused(settings, what, error) from None
        return True

    async def binding(self, pattern: str) -> None:
        """One binding of our queue to the exchange."""
        settings = self._settings

        async def bind(channel: AbstractChannel) -> None:
            queue = await channel.get_queue(settings.queue, ensure=False)
            await queue.bind(settings.exchange, routing_key=pattern)

        try:
            await self._try(bind)
        except (ChannelAccessRefused, ChannelNotFoundEntity) as error:
            what = f"User {user(settings)!r} may not bind {settings.queue!r} to {settings.exchange!r} with {pattern!r}"
            raise refused(settings, what, error) from None
