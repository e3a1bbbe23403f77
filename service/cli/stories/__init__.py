"""Stories that `demo --story` tells by themselves, in seconds: each against pocket systems, and checked at its end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

from sandbox.story import Step
from service.changes import Origin
from service.cli.common import out
from service.events.message import Message
from service.mirror.store import Store
from service.operations.replaying import replaying_pipeline
from service.process.app import Service
from service.settings.model import Settings


@dataclass(frozen=True, slots=True)
class Stage:
    """What a story is told on: settings of its own store, a folder, and a service that runs while it is wanted.

    `fail` words what came out otherwise, to be raised.
    """

    settings: Settings
    folder: Path
    running: Callable[[Settings], AbstractAsyncContextManager[Service]]
    fail: Callable[[str], Exception]


Story = Callable[[Stage], Awaitable[None]]


def said(what: str) -> None:
    """What somebody does."""
    out.print(f"  → {what}", markup=False, soft_wrap=True)


def came(what: str) -> None:
    """What comes of it."""
    out.print(f"  ← {what}", style="green", markup=False, soft_wrap=True)


async def take(settings: Settings, store: Store, steps: Iterable[Step]) -> None:
    """Mirror some messages as if they had just come, told to targets as such."""
    pipeline = await replaying_pipeline(settings, store, deliver=True)
    for step in steps:
        said(f"{step.routing_key:<45} {step.shows}")
        await pipeline.process([Message(step.routing_key, step.body)], Origin.REPLAY)
