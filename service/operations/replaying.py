"""Replaying: the pipeline for what people replay, and what becomes of a dead letter that is tried again."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Origin
from service.errors import LineInvalid
from service.events.message import Message
from service.events.recording import read_line
from service.mirror import controls, deliveries, refreshes
from service.mirror import dead_letters as letters
from service.mirror.dead_letters import DELIVERY, OPEN, REPLAYED
from service.mirror.store import Store
from service.operations.acting import Act
from service.pipeline.building import pipeline_of
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings
from service.targets.base import installed_targets
from service.telemetry.metrics import Metrics


async def replaying_pipeline(settings: Settings, store: Store, *, deliver: bool) -> Pipeline:
    """A pipeline for replayed messages; with `deliver`, for the targets too."""
    targets = installed_targets(settings)
    async with store.writing() as connection:
        await controls.ensure_targets(connection, [target.name for target in targets])
    if deliver:  # told of replayed changes, too
        for target in targets:
            target.origins = frozenset(Origin)
    return pipeline_of(settings, store, Metrics(), targets)


class Replayer:
    """Tries letters again, one by one: a letter may be megabytes."""

    def __init__(self, store: Store, pipeline: Pipeline, act: Act, *, deliver: bool, can_read: bool) -> None:
        self._store = store
        self._pipeline = pipeline
        self._act = act
        self._deliver = deliver
        self._can_read = can_read

    async def replay(self, dead_letter_id: str) -> str | None:
        """How it went, as `Replayed` counts it; None where somebody else closed it meanwhile."""
        async with self._store.reading() as connection:
            letter = await letters.read(connection, dead_letter_id)
        if letter is None or letter.state != OPEN:
            return None
        if letters.was_read(letter):
            return await self._read_again(letter)
        if letter.truncated:
            return await self._end(letter, "cut_off")
        if letter.kind == DELIVERY:
            return await self._send_again(letter)
        outcome = await self._pipeline.process([_message(letter)], Origin.REPLAY)
        if outcome.fates[Fate.DEAD_LETTERED]:
            return await self._end(letter, "failed_again")
        return await self._end(letter, "replayed", REPLAYED)

    async def _read_again(self, letter: Any) -> str:
        """Ask for what could not be read to be read again, by the service that runs."""
        origin = Origin.LIVE if self._deliver else Origin.REPLAY
        asked = letters.reading_of(letter, origin) if self._can_read else None
        if asked is None:
            return await self._end(letter, "cannot_be_read")
        async with self._store.writing() as connection:
            await refreshes.ask(connection, [asked])
            return await self._close(connection, letter, "to_be_read", REPLAYED)

    async def _send_again(self, letter: Any) -> str:
        async with self._store.writing() as connection:
            state = await deliveries.revive(connection, letter)
            return await self._close(connection, letter, "replayed", state)

    async def _end(self, letter: Any, result: str, state: str | None = None) -> str:
        async with self._store.writing() as connection:
            return await self._close(connection, letter, result, state)

    async def _close(self, connection: AsyncConnection, letter: Any, result: str, state: str | None) -> str:
        """Write down how it went; the letter stays open without a state."""
        if state is not None:
            await letters.close(connection, [letter.dead_letter_id], state)
        detail = {"result": result, "delivered": self._deliver}
        await self._act.record(connection, "dead_letter.replay", letter.dead_letter_id, detail)
        return result


def _message(letter: Any) -> Message:
    """The message that the letter keeps, under the name that it has."""
    if letter.error_class == LineInvalid.error_class:
        return dataclasses.replace(read_line(letter.body), known_as=letter.dead_letter_id)
    headers = json.loads(letter.headers) if letter.headers else {}
    return Message(letter.routing_key, letter.body, headers, known_as=letter.dead_letter_id)
