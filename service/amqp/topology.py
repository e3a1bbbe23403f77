"""Exchange, queues and bindings: what we need, what is there, and whom to ask for the rest.

What may not be declared (settings) is only looked at. A failed look closes its channel, so each has one of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar
from urllib.parse import quote

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractExchange, AbstractQueue
from aiormq.exceptions import (
    ChannelAccessRefused,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    ConnectionCommandInvalid,
)

from service.amqp import queues
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

    #: Queues that were not there.
    created: tuple[str, ...]
    #: Whether each queue has the arguments that settings ask for; None: they are not ours to declare, so nobody asked.
    arguments_match: bool | None


@dataclass(frozen=True, slots=True)
class Former:
    """What former settings left behind on the broker."""

    bindings: Sequence[Binding] = ()
    #: Queues that may hold messages yet.
    queues: Sequence[str] = ()


def queue_arguments(settings: AmqpSettings) -> dict[str, Any]:
    """The arguments of each of our queues.

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
    found = [await needs.queue(name, going_s) for name in queues.names(settings)]
    if settings.declare_queue and settings.queues > 1:
        await needs.spreading()
    if settings.declare_queue:
        for pattern in bindings:
            await needs.binding(pattern)
    created = tuple(name for one in found for name in one.created)
    return Topology(created, all(one.arguments_match for one in found) if settings.declare_queue else None)


async def leave(connection: AbstractConnection, settings: AmqpSettings, patterns: Sequence[str], was: Former) -> None:
    """Have nothing more come by what former settings left behind, now that there is what settings name.

    Its queues stay: who consumes empties them, and `migration` deletes them.
    """
    if not settings.declare_queue:
        return
    await unbind(connection, settings, queues.holder(settings), was.bindings)
    if settings.queues > 1:  # where there was one queue, all came to it alone
        now = [(settings.exchange, pattern) for pattern in patterns]
        await unbind(connection, settings, settings.queue, [*now, *was.bindings])
    for name in was.queues:
        await unbind(connection, settings, name, [(queues.spreader(settings), queues.WEIGHT)])
    if was.queues and settings.queues == 1:
        async with connection.channel() as channel:
            await channel.exchange_delete(queues.spreader(settings))
    if was.bindings or was.queues:
        log.info("bindings_removed", queue=settings.queue, bindings=was.bindings, queues=was.queues)


async def look_at_exchange(connection: AbstractConnection, settings: AmqpSettings) -> None:
    """Look whether the exchange is there and ours to use; declares nothing.

    Raises:
        TopologyMissing: it is not; the error says what to do.
    """
    await _Needs(connection, settings.model_copy(update={"declare_exchange": False})).exchange()


async def arguments_match(connection: AbstractConnection, settings: AmqpSettings, queue: str) -> bool:
    """Whether a queue of ours, which exists, has the arguments that settings ask for."""
    return (await _Needs(connection, settings).queue(queue)).arguments_match is True


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


async def unbind(
    connection: AbstractConnection, settings: AmqpSettings, ours: str, bindings: Iterable[Binding]
) -> None:
    """Remove bindings of a queue of ours, or of the exchange before them; one that is not there is none."""
    for exchange, pattern in bindings:
        channel = await connection.channel()
        try:
            await (await _bound(channel, settings, ours)).unbind(exchange, routing_key=pattern)
        except ChannelNotFoundEntity:
            continue
        except ChannelAccessRefused as error:
            log.warning("binding_not_removed", of=ours, exchange=exchange, pattern=pattern, problem=str(error)[:200])
        finally:
            if not channel.is_closed:
                await channel.close()


async def _bound(channel: AbstractChannel, settings: AmqpSettings, ours: str) -> AbstractQueue | AbstractExchange:
    """What of ours is bound, by its name."""
    if ours == queues.spreader(settings):
        return await channel.get_exchange(ours, ensure=False)
    return await channel.get_queue(ours, ensure=False)


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
    if settings.queues > 1:
        queue = f"{queue}(\\.[0-9]+|\\.hash)?"
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

    async def queue(self, name: str, going_s: float = 0.0) -> Topology:
        """One queue of ours; declared where that is allowed."""
        settings = self._settings
        existed = await self._stays(name, going_s)
        if not settings.declare_queue:
            if existed:
                return Topology(created=(), arguments_match=None)
            ask = f"Ask the broker's owner for it, bound to {settings.exchange!r}, with {queue_arguments(settings)}."
            raise self._missing(f"The queue {name!r} does not exist (user {user(settings)!r})", ask)
        return Topology(created=() if existed else (name,), arguments_match=await self._declare(name))

    async def _stays(self, name: str, going_s: float) -> bool:
        """Whether the queue is there, and still is after so many seconds."""
        deadline = time.monotonic() + going_s
        while await self._is_there(name):
            if time.monotonic() >= deadline:
                return True
            await asyncio.sleep(LOOK_S)
        return False

    async def _is_there(self, name: str) -> bool:
        settings = self._settings
        try:
            await self._try(lambda ch: ch.declare_queue(name, passive=True))
        except ChannelNotFoundEntity:
            return False
        except ChannelAccessRefused as error:
            raise refused(settings, f"User {user(settings)!r} has no right on {name!r}", error) from None
        return True

    async def _declare(self, name: str) -> bool:
        """Declare the queue; False where one with other arguments is there, which then stays as it is."""
        settings = self._settings
        try:
            arguments = queue_arguments(settings)
            await self._try(lambda ch: ch.declare_queue(name, durable=True, arguments=arguments))
        except ChannelPreconditionFailed as error:
            log.warning("queue_arguments_differ", queue=name, problem=str(error)[:300])
            return False
        except ChannelAccessRefused as error:
            what = f"User {user(settings)!r} may not declare the queue {name!r}"
            raise refused(settings, what, error) from None
        return True

    async def spreading(self) -> None:
        """The exchange of ours that spreads the events, and our queues behind it."""
        settings, exchange = self._settings, queues.spreader(self._settings)
        try:
            await self._try(lambda ch: ch.declare_exchange(exchange, queues.KIND, durable=True))
        except ConnectionCommandInvalid:
            ask = (
                f"Ask the broker's owner to run: rabbitmq-plugins enable {queues.PLUGIN} (on each node; it comes with "
                "RabbitMQ), or set CATALOG_MIRROR_AMQP__QUEUES=1."
            )
            raise self._missing(f"The broker has no exchanges of type {queues.KIND}", ask) from None
        except ChannelAccessRefused as error:
            raise refused(settings, f"User {user(settings)!r} may not declare {exchange!r}", error) from None
        except ChannelPreconditionFailed:
            ask = "Choose another CATALOG_MIRROR_AMQP__QUEUE: that name belongs to somebody else."
            raise self._missing(f"The exchange {exchange!r} is no durable one of type {queues.KIND}", ask) from None
        for name in queues.names(settings):
            await self._bind(name, exchange, queues.WEIGHT)

    async def binding(self, pattern: str) -> None:
        """One binding of ours to the catalog's exchange."""
        await self._bind(queues.holder(self._settings), self._settings.exchange, pattern)

    async def _bind(self, ours: str, exchange: str, pattern: str) -> None:
        settings = self._settings

        async def bind(channel: AbstractChannel) -> None:
            await (await _bound(channel, settings, ours)).bind(exchange, routing_key=pattern)

        try:
            await self._try(bind)
        except (ChannelAccessRefused, ChannelNotFoundEntity) as error:
            what = f"User {user(settings)!r} may not bind {ours!r} to {exchange!r} with {pattern!r}"
            raise refused(settings, what, error) from None
