"""The broker's management API, where a URL is given: it alone tells how full our queue is."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlsplit, urlunsplit

import aiohttp

from service.amqp.connection import trust, vhost
from service.settings import AmqpSettings, refreshed

#: Share of the queue's bytes from which on it counts as full: the API's figures are some seconds old.
FULL = 0.98


@dataclass(frozen=True, slots=True)
class Fill:
    """How full the queue is."""

    bytes_used: int
    bytes_max: int

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
    settings = refreshed(settings)
    if settings.management_url is None:
        return None
    parts = urlsplit(settings.management_url.get_secret_value())
    auth = aiohttp.BasicAuth(parts.username or "guest", parts.password or "guest")
    host = parts.netloc.rpartition("@")[2]
    path = f"{parts.path.rstrip('/')}/api/queues/{quote(vhost(settings), safe='')}/{quote(settings.queue, safe='')}"
    timeout = aiohttp.ClientTimeout(total=settings.connect_timeout_s)
    async with (
        aiohttp.ClientSession(timeout=timeout, auth=auth) as session,
        session.get(urlunsplit((parts.scheme, host, path, "", "")), ssl=trust(settings)) as answer,
    ):
        if answer.status != 200:
            return None
        queue = await answer.json()
    arguments = queue.get("arguments") or {}
    bound = arguments.get("x-max-length-bytes", settings.queue_max_bytes)
    used = queue.get("message_bytes")
    return Fill(used, bound) if isinstance(used, int) and isinstance(bound, int) else None
