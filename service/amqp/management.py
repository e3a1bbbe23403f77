"""The broker's management API, where a URL is given: it alone tells how full our queue is, and what it lost."""

from __future__ import annotations

from base64 import b64encode
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

import aiohttp

from service.amqp.connection import trust, vhost
from service.amqp.tally import Tally
from service.amqp.topology import Binding
from service.proxies import proxy_for
from service.settings import AmqpSettings, refreshed

#: Share of the queue's bytes from which on it counts as full: the API's figures are some seconds old.
FULL = 0.98


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the queue is."""

    bytes_used: int
    bytes_max: int
    #: None where the broker does not count.
    tally: Tally | None = None

    @property
    def bytes_free(self) -> int:
        """Bytes until the oldest messages are dropped."""
        return max(0, self.bytes_max - self.bytes_used)

    @property
    def is_full(self) -> bool:
        """Whether the oldest messages are being dropped, or about to be."""
        return self.bytes_used >= self.bytes_max * FULL


async def queue_fill(settings: AmqpSettings) -> Fill | None:
    """How full our queue is; None where no URL is set, or the API does not tell."""
    queue = await _ask(settings, f"queues/{_of_vhost(settings)}")
    if not isinstance(queue, dict):
        return None
    arguments = queue.get("arguments") or {}
    bound = arguments.get("x-max-length-bytes", settings.queue_max_bytes)
    used = queue.get("message_bytes")
    return Fill(used, bound, _tally(queue)) if isinstance(used, int) and isinstance(bound, int) else None


def _tally(queue: dict[str, Any]) -> Tally | None:
    counted, present = queue.get("message_stats"), queue.get("messages")
    if not isinstance(counted, dict) or not isinstance(present, int):
        return None
    taken = sum(_count(counted, name) for name in ("ack", "deliver_no_ack", "get_no_ack"))
    return Tally(_count(counted, "publish"), taken, present)


def _count(counted: dict[str, Any], name: str) -> int:
    value = counted.get(name)
    return value if isinstance(value, int) else 0


async def queue_bindings(settings: AmqpSettings) -> list[Binding]:
    """What our queue is bound with, whoever bound it; nothing where no URL is set, or the API does not tell."""
    found = await _ask(settings, f"queues/{_of_vhost(settings)}/bindings")
    listed = found if isinstance(found, list) else []
    return [(str(one["source"]), str(one["routing_key"])) for one in listed if one.get("source")]


def _of_vhost(settings: AmqpSettings) -> str:
    return f"{quote(vhost(settings), safe='')}/{quote(settings.queue, safe='')}"


async def _ask(settings: AmqpSettings, path: str) -> Any:
    """What the API answers; None where it is not to be asked, or refuses."""
    settings = refreshed(settings)
    if settings.management_url is None:
        return None
    parts = urlsplit(settings.management_url.get_secret_value())
    who = f"{unquote(parts.username or 'guest')}:{unquote(parts.password or 'guest')}"
    headers = {"Authorization": f"Basic {b64encode(who.encode()).decode()}"}
    url = urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], f"{parts.path.rstrip('/')}/api/{path}", "", ""))
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout, headers=headers) as session,
        session.get(url, ssl=trust(settings), proxy=proxy_for(url)) as answer,
    ):
        return await answer.json() if answer.status == 200 else None
