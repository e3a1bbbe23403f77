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

#: The headers by which a trace is taken on and handed on, in AMQP as in HTTP (https://www.w3.org/TR/trace-context/).
#: As one text, as it is kept with what waits, the second stands behind the first and a space, which the first has not.
TRACEPARENT, TRACESTATE = "traceparent", "tracestate"

Attributes = Mapping[str, str | int]
NOTHING: Attributes = MappingProxyType({})

#: Later versions may have more behind the flags; `ff`, and an id of zeros alone, are none.
_FORM = re.compile(r"(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?", re.A)
_IS_SAMPLED = 0x01
#: What a system says of itself in `tracestate`; how many of them, and characters in all, are handed on.
_MEMBER = re.compile(
    r"([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
    r"=[\x20-\x2b\x2d-\x3c\x3e-\x7e]{0,255}[\x21-\x2b\x2d-\x3c\x3e-\x7e]"
)
_MOST_MEMBERS, _STATE_MAX, _LONG = 32, 512, 128


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
    #: `tracestate`: what systems on the way say of themselves.
    state: str = ""

    @classmethod
    def read(cls, value: object) -> Parent | None:
        """What headers say, as one text; None where it is none, or cannot be read: then a trace begins here."""
        parent, _, state = _text(value).partition(" ")
        found = _FORM.fullmatch(parent)
        if found is None or (found[1] == "00" and found[5]):
            return None
        return cls(found[2], found[3], bool(int(found[4], 16) & _IS_SAMPLED), _state(state))

    def __str__(self) -> str:
        parent = f"00-{self.trace_id}-{self.span_id}-{_IS_SAMPLED if self.is_sampled else 0:02x}"
        return f"{parent} {self.state}" if self.state else parent


def _text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("ascii", "replace")
    return value if isinstance(value, str) else ""


def _state(text: str) -> str:
    """What of `tracestate` is handed on: all; the newest, where it is long; nothing, where one cannot be read."""
    members = [member for part in text.split(",", 2 * _MOST_MEMBERS) if (member := part.strip(" \t"))]
    if len(members) > _MOST_MEMBERS or not all(map(_MEMBER.fullmatch, members)):
        return ""
    while len(",".join(members)) > _STATE_MAX:  # the standard would have long ones go first, then the oldest
        long = [place for place, member in enumerate(members) if len(member) > _LONG]
        members.pop(long[-1] if long else -1)
    return ",".join(members)


def carried(headers: Mapping[str, object]) -> str | None:
    """What headers carry of a trace, as one text; None where they carry none."""
    parent, state = (_text(headers.get(name)) for name in (TRACEPARENT, TRACESTATE))
    if not parent or " " in parent:
        return None
    return f"{parent} {state}" if state else parent


def headers_of(context: str | None) -> dict[str, str]:
    """The headers that carry on what `Span.context` was."""
    return dict(zip((TRACEPARENT, TRACESTATE), context.split(" ", 1), strict=False)) if context else {}


class Span:
    """One piece of a trace. This one is not recorded, as its sender wished, but handed on as it came."""

    __slots__ = ("context",)

    def __init__(self, context: str) -> None:
        #: What is sent on, as one text, so that what comes of it has this span as its parent.
        self.context = context

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
        """Go on from what headers carried, as one text; without that begin a trace, for a share of those who ask.

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
    return headers_of(span.context) if span else {}


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
