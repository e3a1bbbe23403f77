"""What flows through this replica: how much in the seconds since the last look, and how old it was when it arrived.

It is read from the metrics, so that nothing is counted twice; the heartbeat tells it to the store, where the overview
adds the replicas up.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable
from typing import Any

from prometheus_client import Counter, Gauge, Histogram

from service.telemetry.metrics import Metrics

#: Topics that are told, those with most events.
TOPICS = 20
#: Seconds that have to pass before there is something new to tell.
LEAST_S = 1.0


class Flow:
    """Rates of one replica."""

    def __init__(self, metrics: Metrics, clock: Callable[[], float] = time.monotonic) -> None:
        self._metrics = metrics
        self._clock = clock
        self._told: dict[str, Any] = {}
        self._at, self._before = clock(), self._totals()

    def look(self) -> dict[str, Any]:
        """What came through since the last look, for JSON: numbers per second, mean ages in seconds.

        Keys: `events_per_s`, `event_age_s` (null: no event had a time), `topics` (by matched pattern), `targets` (by
        name: `per_s`, `age_s`), `queue_messages` and `queue_bytes_free` (null: not known).
        """
        seconds = self._clock() - self._at
        if self._told and seconds < LEAST_S:
            return self._told
        now = self._totals()
        grown = {key: value - self._before.get(key, 0.0) for key, value in now.items()}
        self._at, self._before = self._clock(), now
        self._told = _told(grown, max(seconds, LEAST_S)) | {
            "queue_messages": _known(self._metrics.queue_messages),
            "queue_bytes_free": _known(self._metrics.queue_bytes_free),
        }
        return self._told

    def _totals(self) -> dict[tuple[str, str], float]:
        """What the metrics have come to: events by topic, and number and sum of ages, of events and by target."""
        totals: dict[tuple[str, str], float] = {}
        for labels, number in _samples(self._metrics.events, "_total"):
            key = ("topic", labels["topic"])
            totals[key] = totals.get(key, 0.0) + number
        for what, metric in (("event", self._metrics.event_age), ("target", self._metrics.delivery_age)):
            for ending in ("_count", "_sum"):
                for labels, number in _samples(metric, ending):
                    totals[what + ending, labels.get("target", "")] = number
        return totals


def _told(grown: dict[tuple[str, str], float], seconds: float) -> dict[str, Any]:
    topics = {name: number / seconds for (what, name), number in grown.items() if what == "topic" and number}
    most = sorted(topics.items(), key=lambda topic: (-topic[1], topic[0]))[:TOPICS]
    targets = [name for what, name in grown if what == "target_count"]
    return {
        "events_per_s": round(sum(topics.values()), 3),
        "event_age_s": _mean(grown, "event", ""),
        "topics": {name: round(number, 3) for name, number in most},
        "targets": {
            name: {
                "per_s": round(grown["target_count", name] / seconds, 3),
                "age_s": _mean(grown, "target", name),
            }
            for name in targets
        },
    }


def _mean(grown: dict[tuple[str, str], float], what: str, name: str) -> float | None:
    number = grown.get((f"{what}_count", name), 0.0)
    return round(grown[f"{what}_sum", name] / number, 3) if number else None


def _samples(metric: Counter | Gauge | Histogram, ending: str) -> Iterable[tuple[dict[str, str], float]]:
    for family in metric.collect():
        for sample in family.samples:
            if sample.name.endswith(ending):
                yield sample.labels, sample.value


def _known(gauge: Gauge) -> int | None:
    value = next(iter(_samples(gauge, "")))[1]
    return None if math.isnan(value) else int(value)
