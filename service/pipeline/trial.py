"""Tries in a process of its own whether reading a message kills: who dies of it there need not die of it here.

A process that is killed while it has a message in hand proves little: it may be short of memory, or be killed by
somebody else, again and again just as it begins. Where the process of the trial dies too, the message is to blame.
"""

from __future__ import annotations

import asyncio
import resource
import sys
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pickle import PicklingError  # nosec B403: the error alone; we read no pickle

import structlog

from service.errors import HandlerFailed
from service.events.message import Message
from service.pipeline.decoding import Decoder

log = structlog.get_logger(__name__)

#: Bytes of memory that reading one message may take, interpreter and handlers included: fewer than a container has
#: left, so that what fills memory is found by its trial, and does not take us along.
MEMORY_BYTES = 384 * 1024**2


async def survives(decoder: Decoder, message: Message, seconds: float) -> bool:
    """Whether a process that reads this message ends well within so many seconds; true where none could be had."""
    context = get_context("spawn")
    begun, begins = context.Pipe(duplex=False)
    process = context.Process(target=_read, args=(begins, decoder, message, seconds), daemon=True)
    try:
        await asyncio.to_thread(process.start)
        await asyncio.to_thread(process.join, seconds)
        return process.exitcode == 0 or not begun.poll()
    except (OSError, PicklingError, TypeError, AttributeError):  # no process to be had, or it cannot be told everything
        log.exception("trial_impossible", message=message.key)
        return True
    finally:
        begun.close()
        begins.close()
        if process.pid is not None:
            process.kill()


def _read(begins: Connection, decoder: Decoder, message: Message, seconds: float) -> None:
    """In the other process: should nobody wait for it any more, it ends by itself."""
    resource.setrlimit(resource.RLIMIT_CPU, (round(seconds) + 1,) * 2)
    resource.setrlimit(resource.RLIMIT_DATA, (MEMORY_BYTES,) * 2)
    begins.send_bytes(b"begun")
    error = decoder.read(message).error
    if isinstance(error, HandlerFailed) and error.details["problem"] == MemoryError.__name__:
        sys.exit(1)
