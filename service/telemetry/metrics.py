"""What is counted and timed, for Prometheus."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

#: Seconds; from "as it happens" to "a week behind".
_AGE_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 21600, 86400, 604800)
#: Seconds of one of our answers; few, as each route has its own.
_CALL_BUCKETS = (0.01, 0.05, 0.1, 0.25, 1, 5)
_PREFIX = "catalog_mirror_"


class Described(NamedTuple):
    """One metric: its name as it is scraped, counter, gauge or histogram, its labels, and what it counts."""

    name: str
    kind: str
    labels: tuple[str, ...]
    meaning: str


class Metrics:
    """All metrics of one process; each instance has a registry of its own, so that tests do not meet."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        #: All of them, in this order.
        self.described: list[Described] = []
        self.events = self._counter("events", "Events by matched pattern and outcome", "topic", "outcome")
        self.mended = self._counter(
            "openlineage_mended", "What of posted OpenLineage was changed or left out, to use the rest"
        )
        self.event_age = self._histogram("event_age_seconds", "From published to committed", buckets=_AGE_BUCKETS)
        self.batch_size = self._histogram(
            "batch_size", "Events in one transaction", buckets=(1, 5, 10, 25, 50, 100, 250, 500, 1000)
        )
        self.apply_seconds = self._histogram("apply_seconds", "Time of one transaction")
        self.deliveries = self._counter("deliveries", "Deliveries by target and outcome", "target", "outcome")
        self.delivery_age = self._histogram(
            "delivery_age_seconds", "From committed to delivered", "target", buckets=_AGE_BUCKETS
        )
        self.unlinked = self._counter(
            "unlinked_changes",
            "Changes that a target was not told because nothing is linked, or mapped, by kind",
            "target",
            "kind",
        )
        self.target_jobs = self._counter(
            "target_jobs", "Jobs at a target by operation and what became of them", "target", "operation", "outcome"
        )
        self.dead_letters = self._gauge("dead_letters", "Open dead letters")
        self.gaps = self._gauge("gaps", "Open gaps")
        self.circuit_open = self._gauge("circuit_open", "1 while a target is not delivered to", "target")
        self.consumer_alive = self._gauge(
            "consumer_alive", "0 while messages lie ready and the consumer takes none, although it may"
        )
        self.consumer_alive.set(1)  # until the watchdog, which is there with a broker only, finds otherwise
        self.stopped = self._gauge("stopped", "1 while nothing is consumed, by reason", "reason")
        self.queue_messages = self._gauge("queue_messages", "Messages that lie ready in our queues together")
        self.queue_bytes_free = self._gauge(
            "queue_bytes_free", "Bytes until one of our queues drops its oldest messages"
        )
        self.queue_messages_held = self._gauge(
            "queue_messages_held", "Messages of our queues that are neither ready nor in our hands"
        )
        for unknown in (self.queue_messages, self.queue_bytes_free, self.queue_messages_held):
            unknown.set(math.nan)  # until somebody looked: a 0 would be an alarm
        self.drift = self._gauge("drift", "Things that differ from the catalog and are not repaired, by kind", "kind")
        self.poll_lag = self._histogram(
            "poll_lag_seconds", "From modified in the catalog to found by polling, on its clock", buckets=_AGE_BUCKETS
        )
        self.traces_dropped = self._counter(
            "traces_dropped", "Spans that no collector was told of: too many waited (full), or not_taken", "reason"
        )
        self.expired = self._counter("expired_events", "Lineage events beyond RETENTION__LINEAGE, refused")
        self.expired_usage = self._counter("expired_usage", "Uses of assets beyond RETENTION__USAGE, refused")
        self.profile_drift = self._counter(
            "profile_drift", "Changes between runs of profiling that crossed a limit, by what changed", "change"
        )
        self.contract = self._gauge(
            "contract_changes",
            "What of the catalog's events and answers is not as it was: topic, new, gone, retyped",
            "what",
        )
        self.usage_batches = self._gauge(
            "usage_batches", "Batches of usage figures by target and state", "target", "state"
        )
        self.catalog_calls = self._counter(
            "catalog_calls", "Calls to the catalog's API by endpoint and status", "endpoint", "status"
        )
        self.catalog_call_seconds = self._histogram("catalog_call_seconds", "Time of one call to the catalog's API")
        self.http_requests = self._counter(
            "http_requests", "Calls of our APIs, and pages of the console, by route and status", "route", "status"
        )
        self.http_request_seconds = self._histogram(
            "http_request_seconds", "Time of one such call; what lasts while somebody looks on is not timed", "route",
            buckets=_CALL_BUCKETS,
        )  # fmt: skip
        self.catalog_budget_wait = self._histogram(
            "catalog_budget_wait_seconds", "Time that a call waited for its turn"
        )

    def _counter(self, name: str, meaning: str, *labels: str) -> Counter:
        self._describe(f"{name}_total", "counter", labels, meaning)
        return Counter(_PREFIX + name, meaning, labels, registry=self.registry)

    def _gauge(self, name: str, meaning: str, *labels: str) -> Gauge:
        self._describe(name, "gauge", labels, meaning)
        return Gauge(_PREFIX + name, meaning, labels, registry=self.registry)

    def _histogram(
        self, name: str, meaning: str, *labels: str, buckets: Sequence[float] = Histogram.DEFAULT_BUCKETS
    ) -> Histogram:
        self._describe(name, "histogram", labels, meaning)
        return Histogram(_PREFIX + name, meaning, labels, buckets=buckets, registry=self.registry)

    def _describe(self, name: str, kind: str, labels: tuple[str, ...], meaning: str) -> None:
        self.described.append(Described(_PREFIX + name, kind, labels, meaning))
