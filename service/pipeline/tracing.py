"""Traces of events: a span of each that is traced, from its decoding to its commit, and one of a batch that has such.

The transaction of a batch is part of its first such event's trace, and linked with the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from service.errors import DataError
from service.events.message import Message
from service.pipeline.decoding import Decoder, Read
from service.telemetry.traces import Kind, Traces, carried, current, during


def traced(decoder: Decoder, traces: Traces, message: Message) -> Read:
    """Read a message as part of the trace that its headers name, else of what is done here, else of one that begins."""
    here = current()
    parent = carried(message.headers) or (here.context if here else None)
    about = {"messaging.rabbitmq.destination.routing_key": message.routing_key}
    span = traces.begin("process", Kind.CONSUMER, parent, about)
    if span is None:
        return decoder.read(message)
    with during(span.child("decode")) as decode:
        read = decoder.read(message, decode)
    read.span = span
    if span.is_recorded:
        span.note({"catalog_mirror.event": message.key, "messaging.destination.template": read.topic})
    return read


@contextmanager
def committing(reads: Sequence[Read]) -> Iterator[dict[int, DataError]]:
    """One transaction of these events, whose spans end with it.

    Yields:
        A place for the errors of those that the transaction keeps as dead letters, by their place in the batch.
    """
    failed: dict[int, DataError] = {}
    problem: str | None = None
    recorded = [read.span for read in reads if read.span is not None and read.span.is_recorded]
    if not recorded:
        yield failed
        return
    batch = recorded[0].child("commit", attributes={"messaging.batch.message_count": len(reads)})
    for span in recorded:
        batch.link(span)
        if span is not recorded[0]:  # whose child it is
            span.link(batch)
    try:
        with during(batch):
            yield failed
    except BaseException as error:
        problem = type(error).__name__
        raise
    finally:
        for place, read in enumerate(reads):
            if read.span is not None:
                read.span.end(failed[place].error_class if place in failed else problem)
