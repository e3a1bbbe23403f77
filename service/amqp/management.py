"""The broker's management API, where a URL is given: it alone tells how our queues are, and what they lost.

Its figures are some seconds old, and each is of another moment (`service.amqp.tally`).
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, quote, unquote, urlsplit, urlunsplit

import aiohttp

from service.amqp import queues, tokens
from service.amqp.connection import trust, vhost
from service.amqp.tally import Tally
from service.amqp.topology import Binding
from service.errors import BrokerUnavailable, ManagementUnavailable, SettingInvalid, TopologyMissing
from service.settings.model import AmqpSettings, hide_password
from service.settings.proxies import proxy_for
from service.text import documents
from service.text.quoting import quoted

#: Share of the queue's bytes from which on it counts as full: the API's figures are some seconds old.
FULL = 0.98
#: Deliveries after which a quorum queue drops a message where neither argument nor policy says otherwise, and the major
#: version of RabbitMQ from which on that is so.
_DEFAULT_LIMIT, LIMITED_SINCE = 20, 4
#: Fewer deliveries than this are used up by a bad night of outages, and then events are dropped without a word.
LEAST_DELIVERY_LIMIT = 100
#: What is to be said where nobody can tell the limit, and what to do.
LIMIT_UNKNOWN = (
    f"the queue is not as we would declare it, and RabbitMQ {LIMITED_SINCE} drops a message after {_DEFAULT_LIMIT} "
    "deliveries unless argument or policy say otherwise",
    "Set CATALOG_MIRROR_AMQP__MANAGEMENT_URL, so that it is looked at, or have the queue declared as `catalog-mirror "
    "topology show` says.",
)


@dataclass(frozen=True, slots=True)
class QueueReport:
    """A queue of ours, as the management API tells of it; None stands for what it does not tell."""

    bytes_used: int | None
    bytes_max: int | None
    messages: int | None
    #: Deliveries after which a message is dropped; None: never, or not known.
    delivery_limit: int | None
    #: Members of a quorum queue, and those of them that are at work.
    members: int
    online: int
    tally: Tally | None
    #: Messages that somebody took and nobody acknowledged.
    unacknowledged: int | None
    #: Who consumes: tag and channel of each.
    consumers: tuple[tuple[str, str], ...]

    @property
    def bytes_free(self) -> int | None:
        """Bytes until the oldest messages are dropped."""
        if self.bytes_used is None or self.bytes_max is None:
            return None
        return max(0, self.bytes_max - self.bytes_used)

    @property
    def is_full(self) -> bool:
        """Whether the oldest messages are being dropped, or about to be: one more like those in it has no room."""
        if self.bytes_used is None or self.bytes_max is None:
            return False
        one_more = self.bytes_used // self.messages if self.messages else 0
        return self.bytes_used + one_more >= self.bytes_max * FULL

    @property
    def is_half_full(self) -> bool:
        """Whether what vanished was rather dropped at the bound than purged: messages may be of any size."""
        return self.bytes_used is not None and self.bytes_max is not None and 2 * self.bytes_used >= self.bytes_max

    @property
    def has_majority(self) -> bool:
        """Whether enough of its members are at work for anything to be taken out of it or put into it."""
        return not self.members or 2 * self.online > self.members

    @property
    def drops_soon(self) -> bool:
        """Whether a message is dropped after so few deliveries that outages alone could use them up."""
        return self.delivery_limit is not None and self.delivery_limit < LEAST_DELIVERY_LIMIT


async def queue_report(settings: AmqpSettings, queue: str) -> QueueReport | None:
    """How a queue of ours is; None where no URL is set, or there is no such queue.

    Raises:
        ManagementUnavailable: the API cannot be reached, or refuses us, with its words.
    """
    if settings.management_url is None:
        return None
    told = await _ask(settings, f"queues/{_of_vhost(settings, queue)}")
    if told is None:
        if await _ask(settings, "overview") is None:
            raise _unavailable(settings, "there is no such thing at this address")
        return None
    if not isinstance(told, dict):
        raise _unavailable(settings, "what it answers is not about a queue")
    limit = told.get("delivery_limit")
    major = LIMITED_SINCE if limit is not None else await _major_version(settings)
    return report_of(told, settings.queue_max_bytes, major)


def report_of(queue: Mapping[str, Any], bytes_max: int, major: int) -> QueueReport:
    """What the answer about one queue says.

    Args:
        bytes_max: the bound where the queue's own arguments do not tell one.
        major: the broker's major version.
    """
    arguments, policy = _object(queue, "arguments"), _object(queue, "effective_policy_definition")
    return QueueReport(
        bytes_used=_number(queue.get("message_bytes")),
        bytes_max=_least(arguments.get("x-max-length-bytes", bytes_max), policy.get("max-length-bytes")),
        messages=_number(queue.get("messages")),
        delivery_limit=_delivery_limit(queue, arguments, policy, major),
        members=len(queue.get("members") or ()),
        online=len(queue.get("online") or ()),
        tally=_tally(queue),
        unacknowledged=_number(queue.get("messages_unacknowledged")),
        consumers=tuple(_consumer(one) for one in queue.get("consumer_details") or () if isinstance(one, dict)),
    )


def _consumer(details: Mapping[str, Any]) -> tuple[str, str]:
    return str(details.get("consumer_tag")), str(_object(details, "channel_details").get("name"))


def _delivery_limit(
    queue: Mapping[str, Any], arguments: Mapping[str, Any], policy: Mapping[str, Any], major: int
) -> int | None:
    """The limit in force: of argument and policies the lower one, else the default of the version.

    4.3 says it outright, as a number or `unlimited`, where its policies are some seconds behind.
    """
    told = queue.get("delivery_limit")
    if told == "unlimited" or queue.get("type") != "quorum":
        return None
    limit = _least(arguments.get("x-delivery-limit"), policy.get("delivery-limit"), told)
    asked = any(name in place for name, place in (("x-delivery-limit", arguments), ("delivery-limit", policy)))
    return _DEFAULT_LIMIT if limit is None and not asked and major >= LIMITED_SINCE else limit


def _least(*values: Any) -> int | None:
    """The smallest of what are numbers of at least 0; a negative one means that there is no limit."""
    return min((value for value in values if isinstance(value, int) and value >= 0), default=None)


def _object(queue: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A part of the answer; one that is empty comes as a list from some versions."""
    value = queue.get(name)
    return value if isinstance(value, dict) else {}


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _tally(queue: Mapping[str, Any]) -> Tally | None:
    counted, present = queue.get("message_stats"), queue.get("messages")
    if not isinstance(counted, dict) or not isinstance(present, int):
        return None
    taken = sum(_number(counted.get(name)) or 0 for name in ("ack", "deliver_no_ack", "get_no_ack"))
    return Tally(_number(counted.get("publish")) or 0, taken, present)


def drops_too_soon(settings: AmqpSettings, queue: str, report: QueueReport) -> TopologyMissing:
    """The error for a queue whose delivery limit is too low to consume it safely."""
    limit = report.delivery_limit
    ask = (
        f"Ask the broker's owner for a `delivery-limit` of {settings.delivery_limit} (at least {LEAST_DELIVERY_LIMIT}) "
        "in the policy or operator policy that matches it (`rabbitmqctl list_policies`, `list_operator_policies`). "
        "Where it is the queue's own argument, `catalog-mirror topology apply --migrate` moves it."
    )
    what = f"The queue {queue!r} drops a message without a word after {limit} deliveries"
    return TopologyMissing(what=what, vhost=vhost(settings), ask=ask)


async def bindings_of(settings: AmqpSettings, ours: str) -> list[Binding] | None:
    """What a queue of ours, or the exchange before several, is bound with, whoever bound it.

    None where no URL is set, or there is no such thing.

    Raises:
        ManagementUnavailable: the API cannot be reached, or refuses us.
    """
    place = _of_vhost(settings, ours)
    is_exchange = ours == queues.spreader(settings)
    path = f"exchanges/{place}/bindings/destination" if is_exchange else f"queues/{place}/bindings"
    listed = await _ask(settings, path)
    if listed is None:
        return None
    return [(str(one["source"]), str(one["routing_key"])) for one in listed if one.get("source")]


async def channel_unacknowledged(settings: AmqpSettings, name: str) -> int | None:
    """How many messages a channel has in hand; None where it is gone, or that is not told.

    Raises:
        ManagementUnavailable: the API cannot be reached, or does not show us this channel.
    """
    channel = await _ask(settings, f"channels/{quote(name, safe='')}")
    return _number(channel.get("messages_unacknowledged")) if isinstance(channel, dict) else None


async def _major_version(settings: AmqpSettings) -> int:
    overview = await _ask(settings, "overview")
    version = str((overview or {}).get("rabbitmq_version", "")).partition(".")[0]
    return int(version) if version.isdecimal() else 0


def _of_vhost(settings: AmqpSettings, name: str) -> str:
    return f"{quote(vhost(settings), safe='')}/{quote(name, safe='')}"


async def _ask(settings: AmqpSettings, path: str) -> Any:
    """What the API answers; None where it is not to be asked, or has no such thing."""
    if settings.management_url is None:
        return None
    parts = urlsplit(settings.management_url.get_secret_value())
    who = await _who(settings, parts)
    headers = {"Authorization": f"Basic {b64encode(who.encode()).decode()}"}
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path.rstrip('/')}/api/{path}", "", ""))
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_s)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
            session.get(url, ssl=trust(settings), proxy=proxy_for(url), allow_redirects=False) as answer,
        ):
            if answer.status == 404:
                return None
            if answer.status != 200:
                said = quoted(await answer.text(errors="replace"), [who.partition(":")[2]], 200)
                raise _unavailable(settings, f"it answers {answer.status} {answer.reason or ''}, {said!r}")
            return documents.shallow(await answer.read())
    except SettingInvalid as error:
        raise _unavailable(settings, f"{error} {error.advice()}") from None
    except (aiohttp.ClientError, TimeoutError, ValueError) as error:
        raise _unavailable(settings, str(error)[:200] or type(error).__name__) from None


async def _who(settings: AmqpSettings, parts: SplitResult) -> str:
    """User and password; a token is taken for one, too, where the URL names nobody."""
    if settings.token_url and not parts.username:
        try:
            return f"{settings.token_client_id}:{(await tokens.token(settings)).value}"
        except BrokerUnavailable as error:
            raise _unavailable(settings, str(error)) from None
    return f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"


def _unavailable(settings: AmqpSettings, problem: str) -> ManagementUnavailable:
    url = settings.management_url
    return ManagementUnavailable(problem=problem, where=hide_password(url.get_secret_value()) if url else "")
