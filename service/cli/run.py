"""`run`: the service itself."""

from __future__ import annotations

import asyncio

from service.process.app import Service
from service.settings.model import Settings, load
from service.telemetry.logs import configure_logging


def run() -> None:
    """Consume, mirror, relay and serve HTTP until SIGTERM, then drain.

    Any start order works: the service waits for broker, topology and store, says what it waits for, and goes on by
    itself. Needs CATALOG_MIRROR_AMQP__URL, or CATALOG_MIRROR_CATALOG__URL to poll without a broker, or both.
    """
    settings = load()
    configure_logging(settings.log)
    asyncio.run(_run(settings))


async def _run(settings: Settings) -> None:
    await Service(settings).run()
