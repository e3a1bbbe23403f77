"""`capture`: record the live topics to a file that `replay` reads."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Annotated

import typer

from service.amqp.connection import connected, translated
from service.cli.common import err, quiet_settings, run_async
from service.errors import NothingToConsume, UsageError
from service.events.message import Message
from service.events.recording import line_of
from service.pipeline.building import bindings_of
from service.settings.model import Settings


def capture(
    file: Annotated[str, typer.Argument(help="Where to write; - is stdout. An existing file is appended to.")],
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    binding: Annotated[list[str] | None, typer.Option(help="Pattern to record; default: those of `run`.")] = None,
) -> None:
    """Record live messages, secrets blanked, from a queue of its own that goes with the command.

    The service's own queue is not touched. Stop with Ctrl-C.
    """
    settings = quiet_settings()
    if settings.amqp.url is None:
        raise NothingToConsume()
    with _opened(file) as stream:
        recorded = run_async(_capture(settings, stream, seconds, count, binding or bindings_of(settings)))
    err.print(f"{recorded} messages recorded.")


@contextmanager
def _opened(name: str) -> Iterator[IO[bytes]]:
    if name == "-":
        yield sys.stdout.buffer
        return
    try:
        # Only for our eyes: metadata may be confidential even without secrets.
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    except OSError as error:
        raise UsageError(problem=f"{name}: {error.strerror}", advice="Name a file that can be written.") from None
    with os.fdopen(descriptor, "ab") as stream:
        yield stream
    err.print(f"Written to {Path(name)}.", markup=False)


async def _capture(
    settings: Settings, stream: IO[bytes], seconds: float | None, count: int | None, bindings: list[str]
) -> int:
    recorded = 0
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    with translated(settings.amqp):
        async with connected(settings.amqp, "capture") as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=settings.amqp.prefetch)
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            for pattern in bindings:
                await queue.bind(settings.amqp.exchange, routing_key=pattern)
            err.print(f"Recording {', '.join(bindings)}. Ctrl-C stops.", markup=False)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not stop.is_set() and recorded != count:
                        incoming = await queue.get(no_ack=True, fail=False)
                        if incoming is None:
                            stream.flush()
                            with suppress(TimeoutError):
                                await asyncio.wait_for(stop.wait(), 0.1)
                            continue
                        message = Message(
                            incoming.routing_key or "", incoming.body, incoming.headers, incoming.message_id
                        )
                        stream.write(line_of(message, settings.pipeline.max_depth, settings.pipeline.privacy()))
                        recorded += 1
    return recorded
