"""One message from bytes to changes: route → parse → redact → handle. Nothing here touches the store.

What cannot be used carries its error; only the errors of our own code are raised.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from service.changes import (
    SECOND_US,
    AssetDeleted,
    AssetDeletionHinted,
    Change,
    LineageRecorded,
    Rank,
    RefreshAsked,
    Version,
)
from service.errors import BodyTooLarge, DataError, EventFromTheFuture, HandlerFailed, NotAnObject
from service.events.found import Found
from service.events.keys import words_of
from service.events.message import Event, Message
from service.mirror.usage.observing import Observer
from service.pipeline.routing import Handler, Router
from service.settings.model import PipelineSettings
from service.settings.scope import Scope
from service.telemetry.traces import Span, during
from service.text import documents
from service.text.forgotten import NOBODY, Forgotten
from service.text.redaction import may_hold_secrets, redact
from service.text.shapes import Shapes, key_shape
from service.text.times import to_datetime

log = structlog.get_logger(__name__)

#: Microseconds that an event may be ahead of our clock.
FUTURE_US = 86_400 * SECOND_US
#: The label of keys that no route takes: never the key itself, of which there are endlessly many.
OTHER_TOPIC = "other"


@dataclass(slots=True)
class Read:
    """One message, or thing of the catalog, on its way: what was read of it, and its fate."""

    source: Message | Found
    topic: str = OTHER_TOPIC
    changes: tuple[Change, ...] = ()
    error: DataError | None = None
    #: The redacted body, where redaction changed anything.
    clean: Any = None
    ignored: bool = False
    #: It lies beyond the retention horizon.
    expired: bool = False
    at_us: int | None = None
    #: Its span, where it is traced; it ends with the commit.
    span: Span | None = None


class Decoder:
    """Reads messages.

    Args:
        own_service: the `event_source_service` of our own lineage events, which are ignored when they come back.
        verifies_hints: a catalog can be asked, so hints ask for a refresh; else they count as deletions.
        forgotten: people who were forgotten in the mirror.
    """

    def __init__(
        self,
        router: Router,
        settings: PipelineSettings,
        own_service: str,
        scope: Scope,
        *,
        verifies_hints: bool,
        horizon_s: float | None = None,
        observer: Observer | None = None,
        shapes: Shapes | None = None,
        forgotten: Forgotten = NOBODY,
    ) -> None:
        self._router = router
        self._settings = settings
        self._privacy = settings.privacy(forgotten)
        self._own_service = own_service
        self._scope = scope
        self._horizon_us = None if horizon_s is None else round(horizon_s * SECOND_US)
        self._verifies_hints = verifies_hints
        self._observer = observer
        self._shapes = shapes

    def read(self, message: Message, span: Span | None = None) -> Read:
        """Decode, redact and handle one message, within a span; what cannot be used carries its error."""
        if message.problem is not None:
            return Read(message, error=message.problem)
        words = words_of(message.routing_key)
        route = self._router.route(words)
        if route is None or route.handler is None:
            self._learn(route.pattern.text if route else OTHER_TOPIC, words, {})
            return Read(message, route.pattern.text if route else OTHER_TOPIC, ignored=True)
        read = Read(message, route.pattern.text)
        too_large = self._too_large(message)
        try:
            body = self._envelope(message, too_large) if too_large else self._body(message, read)
            self._learn(read.topic, words, body)
            run = route.handler.run if span is None else _traced(route.handler, span)
            changes = tuple(run(Event(message.routing_key, words, body)))
            if too_large and not any(map(_can_be_read, changes)):
                raise too_large
            settled = tuple(self._settled(change) for change in changes)
            read.at_us = _checked_time(settled)
            read.changes = self._within(settled)
            read.ignored = not read.changes and bool(settled)
        except DataError as error:
            read.error = too_large or error
        except Exception as error:
            log.exception("handler_failed", handler=route.handler.name, topic=read.topic)
            read.error = HandlerFailed(handler=route.handler.name, problem=type(error).__name__)
        if read.error is not None:
            read.changes = ()
        elif any(isinstance(c, LineageRecorded) and c.source_service == self._own_service for c in read.changes):
            read.ignored, read.changes = True, ()
        elif any(isinstance(c, LineageRecorded) and self._is_too_old(c) for c in read.changes):
            read.ignored, read.expired, read.changes = True, True, ()
        return read

    def _learn(self, topic: str, words: tuple[str, ...], body: dict[str, Any]) -> None:
        """Look at the shape of one body in some."""
        if self._shapes and self._shapes.wants(topic):
            self._shapes.learn(f"event {key_shape(words)}", body)

    def _too_large(self, message: Message) -> BodyTooLarge | None:
        limit = self._settings.max_body_bytes
        return BodyTooLarge(size=len(message.body), limit=limit) if len(message.body) > limit else None

    def _envelope(self, message: Message, too_large: BodyTooLarge) -> dict[str, Any]:
        """What a body that is too large says beside its state, as if it had come without: it names what to read again.

        Raises:
            BodyTooLarge: no catalog can be asked, or nothing can be made of it.
        """
        if not self._verifies_hints:
            raise too_large
        named = documents.envelope(message.body)
        documents.check_depth(named, self._settings.max_depth)
        body: dict[str, Any] = redact(named)[0]
        return body

    def _body(self, message: Message, read: Read) -> dict[str, Any]:
        """The message's object, with secrets taken out, and what of people the settings hide."""
        body = documents.read(message.body, self._settings.max_depth)
        if may_hold_secrets(message.body):
            body, blanked = redact(body)
            read.clean = body if blanked else None
        hidden = self._privacy.hidden(body)
        if hidden is not body:
            body = read.clean = hidden
        if not isinstance(body, dict):
            raise NotAnObject(found=documents.type_of[type(body)])
        return body

    def _within(self, changes: tuple[Change, ...]) -> tuple[Change, ...]:
        """Those that are in scope."""
        if self._scope.is_everything:
            return changes
        return tuple(change for change in changes if self._scope.admits(change))

    def _is_too_old(self, event: LineageRecorded) -> bool:
        """Whether it lies beyond the horizon: it was removed long ago, and would be new again."""
        if self._horizon_us is None or event.version.at_us is None:
            return False
        return event.version.at_us < time.time_ns() // 1000 - self._horizon_us

    def _settled(self, change: Change) -> Change:
        """A hint becomes a refresh where a catalog can be asked, else a tombstone at its own time."""
        if not isinstance(change, AssetDeletionHinted):
            return self._observer.attached(change) if self._observer else change
        if self._verifies_hints:
            return RefreshAsked("asset", change.asset_id, reason="deletion_hinted")
        return AssetDeleted(change.asset_id, Version(change.at_us, Rank.DELETED), hinted=True)


def _traced(handler: Handler, span: Span) -> Callable[[Event], Iterable[Change]]:
    def run(event: Event) -> Iterable[Change]:
        with during(span.child("handle", attributes={"catalog_mirror.handler": handler.name})):
            return tuple(handler.run(event))

    return run


def _can_be_read(change: Change) -> bool:
    """Whether this asks for a reading that finds its thing: an asset's container is looked for, others' is not."""
    return isinstance(change, RefreshAsked) and (change.container is not None or change.kind == "asset")


def _checked_time(changes: Sequence[Change]) -> int | None:
    """The moment of the event; raises `EventFromTheFuture` if it is more than a day ahead."""
    moments = [change.version.at_us for change in changes if hasattr(change, "version")]
    newest = max((moment for moment in moments if moment is not None), default=None)
    if newest is not None and newest > time.time_ns() // 1000 + FUTURE_US:
        raise EventFromTheFuture(at=to_datetime(newest).isoformat())
    return newest
