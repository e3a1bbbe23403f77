"""Spans for an OpenTelemetry collector: kept in a bounded queue, sent from a thread by OTLP over HTTP.

A collector that is away, slow or refuses costs spans, which are counted, and nobody's time. Only here the libraries of
OpenTelemetry (extra `otel`) are imported.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping
from queue import Empty, Full, Queue
from socket import gethostname
from threading import Event, Thread
from typing import Any

import requests
import structlog
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    TraceState,
    set_span_in_context,
)
from opentelemetry.trace import Span as OtelSpan
from prometheus_client import Counter

from service import __version__
from service.errors import SettingInvalid
from service.settings.model import TracesSettings
from service.telemetry.traces import NOTHING, Attributes, Kind, Parent, Span, Traces

log = structlog.get_logger(__name__)

#: Spans that wait at most, and that one call carries; some kB each.
QUEUE_MAX, BATCH_MAX = 4096, 512
#: Seconds between two calls, in which spans gather.
PAUSE_S = 0.5
#: Where a collector takes spans, below its URL (https://opentelemetry.io/docs/specs/otlp/#otlphttp-request).
PATH = "/v1/traces"
#: Why a span is dropped: too many wait, or the collector did not take it.
FULL, NOT_TAKEN = "full", "not_taken"
_KINDS = {kind: SpanKind[kind.name] for kind in Kind}
#: Attributes by which a span says that it failed.
_ERROR = "error.type"


class Exporting(Traces):
    """Begins spans that a collector is told of.

    Raises:
        SettingInvalid: the certificates or the headers cannot be used.
    """

    def __init__(self, settings: TracesSettings, dropped: Counter) -> None:
        logging.getLogger("opentelemetry").setLevel(logging.CRITICAL)  # what is lost is ours to report
        self._sampled = settings.sampled
        self._outbox = Outbox(_exporter(settings), dropped)
        about = {
            "service.name": "catalog-mirror",
            "service.version": __version__,
            "service.instance.id": gethostname(),
        }
        provider = TracerProvider(sampler=ALWAYS_ON, resource=Resource(about), shutdown_on_exit=False)
        provider.add_span_processor(self._outbox)
        self._tracer = provider.get_tracer("catalog-mirror", __version__)

    @property
    def is_on(self) -> bool:
        """It is."""
        return True

    def begin(self, name: str, kind: Kind, parent: object, attributes: Attributes = NOTHING) -> Span | None:
        """As whoever began the trace wished; of those that begin here, for the share that settings name."""
        found = Parent.read(parent)
        if found is None:
            return self._recorded(name, kind, Context(), attributes) if random.random() < self._sampled else None
        if not found.is_sampled:
            return Span(str(found))
        there = SpanContext(
            int(found.trace_id, 16), int(found.span_id, 16), is_remote=True,
            trace_flags=TraceFlags(TraceFlags.SAMPLED), trace_state=TraceState.from_header([found.state]),
        )  # fmt: skip
        return self._recorded(name, kind, set_span_in_context(NonRecordingSpan(there), Context()), attributes)

    def _recorded(self, name: str, kind: Kind, context: Context, attributes: Attributes) -> Span:
        return Recorded(self._tracer, self._tracer.start_span(name, context, _KINDS[kind], attributes))

    def close(self, within_s: float) -> None:
        """Send what is left, in so many seconds at most; what is not sent then is counted and told."""
        self._outbox.close(within_s)


class Recorded(Span):
    """A span that a collector is told of once it has ended."""

    __slots__ = ("_span", "_tracer")

    def __init__(self, tracer: Tracer, span: OtelSpan) -> None:
        context = span.get_span_context()
        state = context.trace_state.to_header()
        trace_id, span_id = f"{context.trace_id:032x}", f"{context.span_id:016x}"
        super().__init__(str(Parent(trace_id, span_id, is_sampled=True, state=state)))
        self._tracer = tracer
        self._span = span

    @property
    def is_recorded(self) -> bool:
        """It is."""
        return True

    @property
    def exemplar(self) -> dict[str, str]:
        """Its trace and itself."""
        context = self._span.get_span_context()
        return {"trace_id": f"{context.trace_id:032x}", "span_id": f"{context.span_id:016x}"}

    def child(self, name: str, kind: Kind = Kind.INTERNAL, attributes: Attributes = NOTHING) -> Span:
        """A piece of it, which begins now."""
        context = set_span_in_context(self._span, Context())
        return Recorded(self._tracer, self._tracer.start_span(name, context, _KINDS[kind], attributes))

    def link(self, other: Span) -> None:
        """Name the other; of one that is not recorded there is nothing to find."""
        if isinstance(other, Recorded):
            self._span.add_link(other._span.get_span_context())  # noqa: SLF001 (of our own kind)

    def note(self, attributes: Attributes) -> None:
        """Say more of it."""
        self._span.set_attributes(attributes)

    def end(self, problem: str | None = None) -> None:
        """It is over; a second end is none."""
        if problem is not None:
            self._span.set_attribute(_ERROR, problem)
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


class Outbox(SpanProcessor):
    """What ended and was not sent yet.

    The SDK's own drops without counting, and takes as long as it likes for the last.

    Args:
        dropped: counts by reason, `FULL` or `NOT_TAKEN`.
    """

    def __init__(self, exporter: SpanExporter, dropped: Counter) -> None:
        self._exporter = exporter
        self._dropped = dropped
        self._waiting: Queue[ReadableSpan] = Queue(QUEUE_MAX)
        self._stopping = Event()
        self._is_taken = True
        self._thread = Thread(target=self._send_on, name="traces", daemon=True)  # a collector that hangs keeps nobody
        self._thread.start()

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span, where there is room; never waits."""
        try:
            self._waiting.put_nowait(span)
        except Full:
            self._dropped.labels(FULL).inc()

    def close(self, within_s: float) -> None:
        """Send the rest; after so many seconds give the collector up, and count what it did not take."""
        self._stopping.set()
        self._thread.join(within_s)
        if not self._thread.is_alive():
            self._exporter.shutdown()
            return
        left = len(self._batch(QUEUE_MAX))
        self._exporter.shutdown()
        self._dropped.labels(NOT_TAKEN).inc(left)
        log.warning("traces_given_up", spans=left, after_s=within_s)

    def _send_on(self) -> None:
        while not (self._stopping.wait(PAUSE_S) and self._waiting.empty()):
            while batch := self._batch(BATCH_MAX):
                self._send(batch)

    def _batch(self, at_most: int) -> list[ReadableSpan]:
        batch: list[ReadableSpan] = []
        try:
            while len(batch) < at_most:
                batch.append(self._waiting.get_nowait())
        except Empty:
            pass
        return batch

    def _send(self, batch: list[ReadableSpan]) -> None:
        is_taken = self._exporter.export(batch) is SpanExportResult.SUCCESS
        if not is_taken:
            self._dropped.labels(NOT_TAKEN).inc(len(batch))
        if is_taken != self._is_taken:
            self._is_taken = is_taken
            if is_taken:
                log.info("traces_taken_again")
            else:
                log.warning("traces_not_taken", spans=len(batch), remedy="Look whether TRACES__ENDPOINT answers.")


def _exporter(settings: TracesSettings) -> SpanExporter:
    base = settings.endpoint or ""
    if settings.ca_file is not None and not settings.ca_file.is_file():
        raise SettingInvalid(setting="CATALOG_MIRROR_TRACES__CA_FILE", problem=f"{settings.ca_file} is no file")
    return OTLPSpanExporter(
        endpoint=base if base.endswith(PATH) else base + PATH,
        certificate_file=str(settings.ca_file) if settings.ca_file else None,
        session=_session(settings),
        timeout=settings.timeout_s,
    )


def _session(settings: TracesSettings) -> requests.Session:
    """What sends, with the headers as their file says at each call."""
    _headers(settings)  # what cannot be used is told at the start

    def sign(request: requests.PreparedRequest) -> requests.PreparedRequest:
        request.headers.update(_headers(settings))
        return request

    session = _Session()
    session.auth = sign
    return session


class _Session(requests.Session):
    """One whose own certificates count also where REQUESTS_CA_BUNDLE is set, which would win (psf/requests, #3829)."""

    def merge_environment_settings(self, url: Any, proxies: Any, stream: Any, verify: Any, cert: Any) -> Any:
        """As the environment says, but for what settings say."""
        return super().merge_environment_settings(url, proxies, stream, self.verify if verify is None else verify, cert)


def _headers(settings: TracesSettings) -> Mapping[str, str]:
    found: dict[str, str] = {}
    for part in (settings.headers.get_secret_value() if settings.headers else "").split(","):
        name, is_pair, value = (word.strip() for word in part.partition("="))
        if part.strip() and not (name and is_pair):
            raise SettingInvalid(setting="CATALOG_MIRROR_TRACES__HEADERS", problem="it must be name=value, name=value")
        if name:
            found[name] = value
    return found
