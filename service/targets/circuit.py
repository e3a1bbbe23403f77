"""The circuit of a target: open while it takes nothing, so that one delivery alone tries it from time to time."""

from __future__ import annotations

import random
import time

import structlog

from service.errors import MirrorError
from service.telemetry.metrics import Metrics

log = structlog.get_logger(__name__)


class Circuit:
    """Closed at first; `judge` opens and closes it."""

    def __init__(self, target: str, retry_max_s: float, metrics: Metrics) -> None:
        self._target = target
        self._retry_max_s = retry_max_s
        self._gauge = metrics.circuit_open.labels(target)
        self._gauge.set(0)
        self._failures = 0
        self._probe_at = 0.0
        #: Why it is open; None: it is closed.
        self.notice: MirrorError | None = None

    @property
    def wants_probe(self) -> bool:
        """It is open, and the target was left alone for long enough."""
        return self.notice is not None and time.monotonic() >= self._probe_at

    def judge(self, error: MirrorError | None, *, reached: bool) -> float:
        """Open or close it by what became of an attempt; answers the seconds until it is tried again.

        Args:
            reached: the target was heard of; else an attempt without an error says nothing of it.
        """
        if error is None:
            if self.notice and reached:
                log.info("circuit_closed", target=self._target)
                self.notice, self._failures = None, 0
            self._gauge.set(self.notice is not None)
            return 0.0
        self._failures += 1
        wait_s = _backoff(self._failures, self._retry_max_s)
        if self.notice is None:
            log.warning("circuit_opened", target=self._target, problem=str(error), remedy=error.advice())
        self.notice, self._probe_at = error, time.monotonic() + wait_s
        self._gauge.set(1)
        return wait_s


def _backoff(failures: int, longest_s: float) -> float:
    """Seconds until the next attempt: 1, 2, 4 … with jitter, at most `longest_s`."""
    return min(longest_s, 2.0 ** min(failures - 1, 30) * random.uniform(0.75, 1.25))
