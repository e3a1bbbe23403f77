"""The overview as it changes: made once for all who look, and sent as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress
from typing import Generic, TypeVar

import structlog

from service.errors import StoreUnavailable

log = structlog.get_logger(__name__)

T = TypeVar("T")

#: Seconds between two looks, while anybody looks.
EVERY_S = 2.0
#: People who may look on at once; a browser holds one connection for each page that is open.
MAX_WATCHERS = 200


class Full(Exception):
    """As many look on as may."""


class Live(Generic[T]):
    """Makes something again and again while anybody looks on, once for all of them."""

    def __init__(self, make: Callable[[], Awaitable[T]], every_s: float = EVERY_S) -> None:
        self._make = make
        self._every_s = every_s
        self._changed = asyncio.Condition()
        self._made: T | None = None
        self._number = 0
        self._watchers = 0
        self._maker: asyncio.Task[None] | None = None
        self._ended = False

    async def watch(self) -> AsyncGenerator[T]:
        """What is made from now on; ends when the service does.

        Raises:
            Full: too many look on.
        """
        if self._watchers >= MAX_WATCHERS:
            raise Full
        self._watchers += 1
        if self._maker is None:
            self._maker = asyncio.create_task(self._keep_making(), name="console_live")
        seen = self._number
        try:
            while True:
                seen, made = await self._newer(seen)
                if made is None:
                    return
                yield made
        finally:
            self._watchers -= 1
            if not self._watchers and self._maker is not None:
                self._maker.cancel()
                self._maker = None

    async def _newer(self, seen: int) -> tuple[int, T | None]:
        """What is made after the one with this number, and its number; None: the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._ended or self._number > seen)
            return self._number, None if self._ended else self._made

    async def end(self) -> None:
        """Let all who look on go."""
        if self._maker is not None:
            self._maker.cancel()
            with suppress(asyncio.CancelledError):
                await self._maker
            self._maker = None
        async with self._changed:
            self._ended = True
            self._changed.notify_all()

    async def _keep_making(self) -> None:
        while True:
            try:
                made = await self._make()
            except StoreUnavailable as error:
                log.info("console_waits_for_store", problem=str(error))
            else:
                async with self._changed:
                    self._made, self._number = made, self._number + 1
                    self._changed.notify_all()
            await asyncio.sleep(self._every_s)
