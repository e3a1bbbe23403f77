"""Keeps the service going inside a pod that belongs to somebody else: `python -m service.process.supervisor`.

Kubernetes calls a pod unready while one of its containers has ended, whatever that container was for. A sidecar must
not do that to its host: so this process ends only when it is told to, and starts the service again, ever more slowly,
when that ended (settings that cannot be used, say) or no longer lives. It imports nothing of the service.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

from service.process import healthcheck

#: The service.
COMMAND = (sys.executable, "-m", "service", "run")
#: Seconds between two looks at `/livez`.
LOOK_S = 15.0
#: So many failed looks in a row, once it had answered, and the service is started again.
FAILED_LOOKS = 3
#: Seconds before a service that ended is started again: the first time, and at most.
PAUSE_S, PAUSE_MAX_S = 1.0, 60.0
#: A service that ran for so many seconds was well, so the next pause is a first one.
WELL_AFTER_S = 300.0
#: Seconds that a service which no longer lives gets to stop in good order.
GRACE_S = 10.0


class Supervisor:
    """One service, started again for as long as nobody says stop."""

    def __init__(
        self,
        command: Sequence[str] = COMMAND,
        is_alive: Callable[[], bool] = healthcheck.is_alive,
        look_s: float = LOOK_S,
        pause_s: float = PAUSE_S,
    ) -> None:
        self._command = command
        self._is_alive = is_alive
        self._look_s = look_s
        self._first_pause_s = pause_s
        self._stop = threading.Event()
        self._service: subprocess.Popen[bytes] | None = None

    def run(self) -> None:
        """Run until SIGTERM or SIGINT, which the service gets too; how long it may drain is the pod's affair."""
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._stopped)
        pause_s = self._first_pause_s
        while not self._stop.is_set():
            began = time.monotonic()
            code = self._run_once()
            if self._stop.is_set():
                break
            if time.monotonic() - began > WELL_AFTER_S:
                pause_s = self._first_pause_s
            _tell("service_ended", exit_code=code, again_in_s=pause_s)
            self._stop.wait(pause_s)
            pause_s = min(2 * pause_s, PAUSE_MAX_S)

    def _stopped(self, number: int, _: FrameType | None) -> None:
        self._stop.set()
        if self._service is not None:
            self._service.send_signal(number)

    def _run_once(self) -> int:
        """Start the service and watch it until it ended."""
        self._service = subprocess.Popen(self._command)
        if self._stop.is_set():  # told to stop while it was being started
            self._service.terminate()
        answered, failed = False, 0
        while True:
            try:
                return self._service.wait(self._look_s)
            except subprocess.TimeoutExpired:
                alive = self._is_alive()
            answered = answered or alive
            failed = 0 if alive or not answered else failed + 1
            if failed >= FAILED_LOOKS and not self._stop.is_set():
                _tell("service_not_alive", failed_looks=failed)
                return self._end(self._service)

    def _end(self, service: subprocess.Popen[bytes]) -> int:
        service.terminate()
        try:
            return service.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            service.kill()
            return service.wait()


def _tell(event: str, **fields: object) -> None:
    print(json.dumps({"event": event, "level": "warning", "logger": __name__, **fields}), file=sys.stderr, flush=True)


if __name__ == "__main__":
    Supervisor().run()
