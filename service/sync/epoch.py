"""Noticing that the store was restored from a backup.

Every replica counts, in the store and in a marker outside of it. A store that is behind the marker is an older
one: events of the time between are missing from it, though nobody missed them, and deliveries that went out are pending
again: all are held until a person releases them. The marker is a file (`SYNC__EPOCH_FILE`), or where none is set a
queue of ours on the broker that holds one message.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractQueue

from service.amqp.connection import connected, translated
from service.errors import TopologyMissing, TransientError
from service.mirror import controls, deliveries
from service.mirror.store import Store
from service.settings.model import AmqpSettings, Settings

log = structlog.get_logger(__name__)

#: The control that counts in the store.
EPOCH = "epoch"
#: Seconds between two counts: how old a backup has to be to be noticed.
COUNT_S = 60.0
GAP = "store_restored"


class Marker(Protocol):
    """A number outside the store."""

    async def read(self) -> int | None:
        """The number; None where there is none yet.

        Raises:
            TransientError: it cannot be looked at now.
        """

    async def write(self, number: int) -> None:
        """Keep this number; raises as `read`."""


class FileMarker:
    """A file outside the store."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def read(self) -> int | None:
        """What the file says; one that says nothing usable counts as none."""
        with suppress(OSError, ValueError):
            return int(self._path.read_text(encoding="ascii"))
        return None

    async def write(self, number: int) -> None:
        """Replace the file in one step."""
        try:
            beside = self._path.with_name(self._path.name + ".new")
            beside.write_text(f"{number}\n", encoding="ascii")
            beside.replace(self._path)
        except OSError as error:
            log.warning("epoch_not_written", path=str(self._path), problem=str(error))


class QueueMarker:
    """A queue of ours that keeps the newest message only."""

    def __init__(self, settings: AmqpSettings) -> None:
        self._settings = settings
        self._name = f"{settings.queue}.epoch"

    async def read(self) -> int | None:
        """Look at the message, and give it back."""
        async with connected(self._settings, "epoch") as connection:
            with translated(self._settings):
                channel = await connection.channel()
                message = await (await self._queue(channel)).get(fail=False)
                if message is None:
                    return None
                await message.nack(requeue=True)
        with suppress(ValueError):
            return int(message.body)
        return None

    async def write(self, number: int) -> None:
        """Put a message; the one before drops out."""
        async with connected(self._settings, "epoch") as connection:
            with translated(self._settings):
                channel = await connection.channel()
                await self._queue(channel)
                sent = aio_pika.Message(str(number).encode(), delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
                await channel.default_exchange.publish(sent, self._name)

    async def _queue(self, channel: AbstractChannel) -> AbstractQueue:
        arguments = {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "drop-head"}
        return await channel.declare_queue(self._name, durable=True, arguments=arguments)  # type: ignore[arg-type]


def marker_of(settings: Settings) -> Marker | None:
    """The marker that these settings name; None: a restored store is not noticed."""
    if settings.sync.epoch_file is not None:
        return FileMarker(settings.sync.epoch_file)
    if settings.amqp.url is not None and settings.amqp.declare_queue:
        return QueueMarker(settings.amqp)
    return None


class Epoch:
    """Counts, and compares."""

    def __init__(self, store: Store, marker: Marker) -> None:
        self._store = store
        self._marker = marker
        self._checked = False

    async def look(self) -> None:
        """Check once at start; a marker that cannot be reached now is looked at later."""
        try:
            await self.check()
            self._checked = True
        except (TransientError, TopologyMissing) as error:
            log.info("epoch_unknown", problem=str(error))

    async def check(self) -> bool:
        """Whether the store is an older one than the marker knows; then it is on record as a gap.

        What was pending at that time may have gone out since: all deliveries are held.

        Raises:
            TransientError: store or marker cannot be looked at.
        """
        outside, inside = await self._marker.read(), await self._counted()
        if outside is None or inside >= outside:
            return False
        detail = f"the store is from epoch {inside}, the marker outside of it from {outside}: it was restored"
        async with self._store.writing() as connection:
            await controls.record_gap(connection, GAP, detail, None)
            await controls.set_control(connection, EPOCH, outside)
            if await deliveries.count(connection):
                await controls.set_control(connection, controls.HELD, {"reason": detail})
        log.error("gap", kind=GAP, detail=detail)
        return True

    async def count(self) -> None:
        """One further, first in the store: a crash in between must not look like a restore."""
        number = await self._counted() + 1
        async with self._store.writing() as connection:
            await controls.set_control(connection, EPOCH, number)
        await self._marker.write(number)

    async def run(self) -> None:
        """Count, until cancelled; what cannot be reached is tried again."""
        while True:
            if not self._checked:
                await self.look()
            try:
                if self._checked:
                    await self.count()
            except (TransientError, TopologyMissing) as error:
                log.info("epoch_not_counted", problem=str(error))
            await asyncio.sleep(COUNT_S)

    async def _counted(self) -> int:
        async with self._store.reading() as connection:
            known = await controls.read_controls(connection)
        return int(known[EPOCH][0]) if EPOCH in known else 0
