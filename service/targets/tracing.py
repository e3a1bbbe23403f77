"""Traces of deliveries: a span of each that is traced, from where the relay takes it up to where it has arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from msgspec.structs import replace

from service.errors import MirrorError
from service.mirror.deliveries import Delivery
from service.telemetry.traces import Attributes, Kind, Span, Traces, within

#: The span of each delivery of a batch; None where it is not traced.
Spans = list[Span | None]


def begun(traces: Traces, target: str, batch: Sequence[Delivery]) -> Spans:
    """The spans of a batch, which go on in the traces of their events."""
    return [_begun(traces, target, delivery) if delivery.trace else None for delivery in batch]


def _begun(traces: Traces, target: str, delivery: Delivery) -> Span | None:
    about: Attributes = {
        "catalog_mirror.target": target,
        "catalog_mirror.kind": delivery.entity_kind,
        "catalog_mirror.change": delivery.change,
        "catalog_mirror.attempt": delivery.attempts + 1,
    }
    return traces.begin(f"deliver {target}", Kind.PRODUCER, delivery.trace, about)


def carrying(batch: Sequence[Delivery], spans: Spans) -> list[Delivery]:
    """The batch with what each is sent on with: its span is the parent of whatever comes of it."""
    if not any(spans):
        return list(batch)
    return [
        delivery if span is None else replace(delivery, trace=span.context)
        for delivery, span in zip(batch, spans, strict=True)
    ]


@contextmanager
def sending(spans: Spans) -> Iterator[None]:
    """What a target does for all of a batch belongs to the first that is traced; it names the rest where it can."""
    with within(next((span for span in spans if span is not None), None)):
        yield


def passing(delivery: Delivery) -> Span | None:
    """Within which a target sends what is of one delivery alone."""
    return Span(delivery.trace) if delivery.trace else None


def end(spans: Spans, results: Sequence[MirrorError | None]) -> None:
    """They have arrived, or failed."""
    for span, result in zip(spans, results, strict=True):
        if span is not None:
            span.end(result.error_class if result is not None else None)
