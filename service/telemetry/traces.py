"""Traces: the way of one message or call through the parts, as spans that name their parent (W3C Trace Context).

This is what the parts know. By itself it is off: nothing begins, and a message costs nothing more. `exporting` tells an
OpenTelemetry collector; it is made where settings name one, and only then its libraries are imported.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from enum import Enum, auto
from types import MappingProxyType

#: The header by which a trace is taken on and handed on, in AMQP as in HTTP (https://www.w3.org/TR/trace-context/).
TRACEPARENT = "traceparent"

Attributes = Mapping[str, str | int]
NOTHING: Attributes = MappingProxyType({})

#: Later versions may have more behind the flags; `ff`, and an id of zeros alone, are none.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.A)
_IS_SAMPLED = 0x01


class Kind(Enum):
    """What a span is to the other side, where there is one."""

    INTERNAL = auto()
    SERVER = auto()
    CLIENT = auto()
    PRODUCER = auto()
    CONSUMER = auto()


@dataclass(frozen=True, slots=True)
class Parent:
    """The span elsewhere that something goes on from; ids as hex."""

    trace_id: str
    span_id: str
    is_sampled: bool

    @classmethod
    def read(cls, value: object) -> Parent | None:
        """What a header says; None where it is none, or cannot be read: then a trace begins here."""
        text = value.decode("ascii", "replace") if isinstance(value, bytes) else value
        found = _FORM.fullmatch(text) if isinstance(text, str) else None
        if found is None or (found[1] == "00" and found[5]):
            return None
        return cls(found[2], found[3], bool(int(found[4], 16) & _IS_SAMPLED))

    def __str__(self) -> str:
        return f"00-{self.trace_id}-{self.span_id}-{_IS_SAMPLED if self.is_sampled else 0:02x}"


class Span:
    """One piece of a trace. This one is not recorded, as its sender wished, but handed on as it came."""

    __slots__ = ("traceparent",)

    def __init__(self, traceparent: str) -> None:
        #: What is sent on, so that what comes of it has this span as its parent.
        self.traceparent = traceparent

    @property
    def is_recorded(self) -> bool:
        """Whether a collector is told."""
        return False

    @property
    def exemplar(self) -> dict[str, str] | None:
        """By which a metric names it; None where there will be nothing to find."""
        return None

    def child(self, name: str, kind: Kind = Kind.INTERNAL, attributes: Attributes = NOTHING) -> Span:
        """A piece of it, which begins now."""
        return self

    def link(self, other: Span) -> None:
        """Say that another span has to do with it without being its parent."""

    def note(self, attributes: Attributes) -> None:
        """Say more of it: never a value of the catalog, nothing secret, nothing of people."""

    def end(self, problem: str | None = None) -> None:
        """It is over; `problem` is the class of the error that it failed by."""


class Traces:
    """Begins spans. This one is off, and begins none."""

    @property
    def is_on(self) -> bool:
        """Whether anything may begin; whoever would have to prepare something asks first."""
        return False

    def begin(self, name: str, kind: Kind, parent: object, attributes: Attributes = NOTHING) -> Span | None:
        """Go on from what the header `traceparent` says; without one begin a trace, for a share of those who ask.

        Returns:
            The span; None where this one is not traced.
        """
        return None

    def close(self, within_s: float) -> None:
        """Send what is left, in so many seconds at most; blocks."""


OFF = Traces()
_current: ContextVar[Span | None] = ContextVar("span", default=None)


def current() -> Span | None:
    """The span of what is done here; None where it is not traced."""
    return _current.get()


def headers() -> dict[str, str]:
    """What a call from here carries on."""
    span = _current.get()
    return {TRACEPARENT: span.traceparent} if span else {}


@contextmanager
def within(span: Span | None) -> Iterator[None]:
    """What is done in here belongs to this span, which may be none."""
    token = _current.set(span)
    try:
        yield
    finally:
        _current.reset(token)


@contextmanager
def during(span: Span) -> Iterator[Span]:
    """What is done in here belongs to this span, and it ends with it: as failed, where something is raised."""
    with within(span):
        try:
            yield span
        except BaseException as error:
            span.end(type(error).__name__)
            raise
    span.end()
