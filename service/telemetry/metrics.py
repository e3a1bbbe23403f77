"""What the service says about itself: log lines with stable event names, and Prometheus metrics."""

from __future__ import annotations

import logging
import math
import sys
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from service.settings.model import LogSettings

#: Seconds; from "as it happens" to "a week behind".
_AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 604800)


class Metrics:
    """All metrics of one process; each instance has a registry of its own, so that tests do not meet."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        self.events = Counter(
            "catalog_mirror_events", "Events by matched pattern and outcome", ["topic", "outcome"], registry=registry
        )
        self.mended = Counter(
            "catalog_mirror_openlineage_mended", "What of posted OpenLineage was changed or left out, to use the rest",
            registry=registry,
        )  # fmt: skip
        self.event_age = Histogram(
            "catalog_mirror_event_age_seconds", "From published to committed", buckets=_AGE_BUCKETS, registry=registry
        )
        self.batch_size = Histogram(
            "catalog_mirror_batch_size", "Events in one transaction",
            buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1000), registry=registry,
        )  # fmt: skip
        self.apply_seconds = Histogram("catalog_mirror_apply_seconds", "Time of one transaction", registry=registry)
        self.deliveries = Counter(
            "catalog_mirror_deliveries", "Deliveries by target and outcome", ["target", "outcome"], registry=registry
        )
        self.delivery_age = Histogram(
            "catalog_mirror_delivery_age_seconds", "From committed to delivered", ["target"],
            buckets=_AGE_BUCKETS, registry=registry,
        )  # fmt: skip
        self.unlinked = Counter(
            "catalog_mirror_unlinked_changes", "Changes that a target was not told because nothing is linked, by kind",
            ["target", "kind"], registry=registry,
        )  # fmt: skip
        self.target_jobs = Counter(
            "catalog_mirror_target_jobs", "Jobs at a target by operation and what became of them",
            ["target", "operation", "outcome"], registry=registry,
        )  # fmt: skip
        self.dead_letters = Gauge("catalog_mirror_dead_letters", "Open dead letters", registry=registry)
        self.gaps = Gauge("catalog_mirror_gaps", "Open gaps", registry=registry)
        self.circuit_open = Gauge(
            "catalog_mirror_circuit_open", "1 while a target is not delivered to", ["target"], registry=registry
        )
        self.consumer_alive = Gauge(
            "catalog_mirror_consumer_alive", "0 while messages lie ready and the consumer takes none, although it may",
            registry=registry,
        )  # fmt: skip
        self.consumer_alive.set(1)  # until the watchdog, which is there with a broker only, finds otherwise
        self.stopped = Gauge(
            "catalog_mirror_stopped", "1 while nothing is consumed, by reason", ["reason"], registry=registry
        )
        self.queue_messages = Gauge(
            "catalog_mirror_queue_messages", "Messages that lie ready in our queue", registry=registry
        )
        self.queue_bytes_free = Gauge(
            "catalog_mirror_queue_bytes_free", "Bytes until our queue drops its oldest messages", registry=registry
        )
        for unknown in (self.queue_messages, self.queue_bytes_free):
            unknown.set(math.nan)  # until somebody looked: a 0 would be an alarm
        self.drift = Gauge(
            "catalog_mirror_drift", "Things that differ from the catalog and are not repaired, by kind", ["kind"],
            registry=registry,
        )  # fmt: skip
        self.poll_lag = Histogram(
            "catalog_mirror_poll_lag_seconds", "From modified in the catalog to found by polling, on its clock",
            buckets=_AGE_BUCKETS, registry=registry,
        )  # fmt: skip
        self.expired = Counter(
            "catalog_mirror_expired_events", "Lineage events beyond RETENTION__LINEAGE, refused", registry=registry
        )
        self.expired_usage = Counter(
            "catalog_mirror_expired_usage", "Uses of assets beyond RETENTION__USAGE, refused", registry=registry
        )
        self.usage_batches = Gauge(
            "catalog_mirror_usage_batches", "Batches of usage figures by target and state", ["target", "state"],
            registry=registry,
        )  # fmt: skip
        self.catalog_calls = Counter(
            "catalog_mirror_catalog_calls", "Calls to the catalog's API by endpoint and status", ["endpoint", "status"],
            registry=registry,
        )  # fmt: skip
        self.catalog_call_seconds = Histogram(
            "catalog_mirror_catalog_call_seconds", "Time of one call to the catalog's API", registry=registry
        )
        self.catalog_budget_wait = Histogram(
            "catalog_mirror_catalog_budget_wait_seconds", "Time that a call waited for its turn", registry=registry
        )


def _console() -> structlog.dev.ConsoleRenderer:
    """Plain tracebacks: the richer ones show local variables, which hold bodies before redaction."""
    return structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)


def configure_logging(settings: LogSettings) -> None:
    """Set up structlog, and send the standard library's log lines the same way, to stderr."""
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Any = _console() if console else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[*shared, structlog.processors.format_exc_info, renderer] if not console else [*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    final: list[Any] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if not console:
        final.append(structlog.processors.format_exc_info)
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*final, renderer]))
    logging.basicConfig(handlers=[handler], level=max(level, logging.WARNING), force=True)
    for name in ("aiormq", "aio_pika", "alembic"):  # their retries are ours to report
        logging.getLogger(name).setLevel(logging.CRITICAL if level > logging.DEBUG else logging.DEBUG)
