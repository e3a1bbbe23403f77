"""`capture`: record the live topics to files that `replay` and `rehearse` read."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from service.amqp.connection import connected, translated
from service.cli.common import duration, err, opened_store, quiet_settings, run_async
from service.errors import BrokerUnavailable, NothingToConsume, UsageError
from service.events.message import Message
from service.events.recording import Recording, line_of
from service.pipeline.building import bindings_of
from service.queries.recorded import readings
from service.settings.model import Settings

#: Seconds between two looks into an empty queue, and before a link that broke is made anew.
EMPTY_S, RETRY_S = 0.1, 5.0


def capture(
    file: Annotated[
        str,
        typer.Argument(help="Where to write; - is stdout, .gz is compressed. An existing file is appended to."),
    ],
    seconds: Annotated[float | None, typer.Option(min=0.1, help="Stop after so many seconds.")] = None,
    lasts: Annotated[str | None, typer.Option("--for", help="Stop after so long: 90, 15m, 2h, 7d.")] = None,
    count: Annotated[int | None, typer.Option(min=1, help="Stop after so many messages.")] = None,
    binding: Annotated[list[str] | None, typer.Option(help="Pattern to record; default: those of `run`.")] = None,
    rotate_mb: Annotated[
        float | None, typer.Option(min=0.001, help="Begin a further file, FILE with a number, after so many megabytes.")
    ] = None,
    mirrored: Annotated[
        bool, typer.Option("--mirrored", help="Record what the mirror holds, as readings, and not what comes.")
    ] = False,
) -> None:
    """Record live messages, secrets blanked, from a queue of its own that goes with the command.

    The service's own queue is not touched. Stop with Ctrl-C. A broker that goes away is waited for; what it tells
    meanwhile is not recorded. With --mirrored no broker is asked: each state in the mirror becomes a message.
    """
    settings = quiet_settings()
    if settings.amqp.url is None and not mirrored:
        raise NothingToConsume()
    if mirrored and (seconds or lasts or count or binding):
        raise UsageError("--mirrored records all that there is", "Leave out --seconds, --for, --count and --binding.")
    lasts_s = seconds if lasts is None else duration(lasts)
    try:
        with Recording(None if file == "-" else Path(file), sys.stdout.buffer, rotate_mb) as recording:
            work = (
                _capture_mirrored(settings, recording)
                if mirrored
                else _capture(settings, recording, count, binding or bindings_of(settings))
            )
            run_async(_stopped(work, lasts_s))
    except OSError as error:
        raise UsageError(problem=f"{file}: {error.strerror}", advice="Name a file that can be written.") from None
    err.print(f"{recording.messages} messages recorded.")
    for path in recording.paths:
        err.print(f"Written to {path}.", markup=False)


async def _stopped(work: Coroutine[Any, Any, None], seconds: float | None) -> None:
    """The work until it is done, time is up, or somebody stops it."""
    task, stop = asyncio.create_task(work), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    told = asyncio.create_task(stop.wait())
    await asyncio.wait([task, told], timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
    for one in (task, told):
        one.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _capture(settings: Settings, recording: Recording, count: int | None, bindings: list[str]) -> None:
    """Record until there are enough messages; a link that breaks is made anew once it held."""
    while True:
        try:
            await _record(settings, recording, count, bindings)
            return
        except BrokerUnavailable as error:
            if not recording.has_begun:  # settings may be wrong
                raise
            err.print(f"{error} What it tells meanwhile is not recorded.", markup=False)
            await asyncio.sleep(RETRY_S)


async def _capture_mirrored(settings: Settings, recording: Recording) -> None:
    """Record each state that the mirror holds."""
    async with opened_store(settings) as store:
        async for message in readings(store):
            recording.add(line_of(message, settings.pipeline.max_depth, settings.pipeline.privacy()))


async def _record(settings: Settings, recording: Recording, count: int | None, bindings: list[str]) -> None:
    with translated(settings.amqp):
        async with connected(settings.amqp, "capture") as connection:
            channel = await connection.channel()
            await channel.set_qos(prefetch_count=settings.amqp.prefetch)
            queue = await channel.declare_queue(exclusive=True, auto_delete=True)
            for pattern in bindings:
                await queue.bind(settings.amqp.exchange, routing_key=pattern)
            err.print(f"Recording {', '.join(bindings)}. Ctrl-C stops.", markup=False)
            recording.has_begun = True
            while recording.messages != count:
                incoming = await queue.get(no_ack=True, fail=False)
                if incoming is None:
                    recording.flush()
                    await asyncio.sleep(EMPTY_S)
                    continue
                message = Message(incoming.routing_key or "", incoming.body, incoming.headers, incoming.message_id)
                recording.add(line_of(message, settings.pipeline.max_depth, settings.pipeline.privacy()))
