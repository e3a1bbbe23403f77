"""The gate before the consumer: closed while a person, the brake or the store says so, each with its reason.

Pausing never holds messages: the consumer gives back what it has and waits here.
"""

from __future__ import annotations

import asyncio


class Gate:
    """Open while nobody has a reason against it."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._changed = asyncio.Event()

    @property
    def reasons(self) -> dict[str, str]:
        """Who keeps it closed, and why."""
        return dict(self._reasons)

    @property
    def is_open(self) -> bool:
        """Whether consuming may go on."""
        return not self._reasons

    def close(self, who: str, why: str) -> None:
        """Close it, or replace the reason."""
        if self._reasons.get(who) != why:
            self._reasons[who] = why
            self._changed.set()

    def open(self, who: str) -> None:
        """Take this reason away."""
        if self._reasons.pop(who, None) is not None:
            self._changed.set()

    async def wait_open(self) -> None:
        """Return when it is open."""
        while self._reasons:
            await self._change()

    async def wait_closed(self) -> None:
        """Return when it is closed."""
        while not self._reasons:
            await self._change()

    async def _change(self) -> None:
        self._changed.clear()
        await self._changed.wait()
