"""The clock inside a contender: it starts as consuming begins and is read as the last event is acknowledged.

All contenders stand on aiormq's channel, so it is attached there, in the same way for each. What comes before
consuming (interpreter, imports, migrations, connecting) is left out for all alike. Moments are on the machine's
monotonic clock, which the measuring process reads too.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from aiormq.channel import Channel


class Stopwatch:
    """Tells on stdout, a JSON line each: `began`, `acked`, and how things are for every line that comes on stdin."""

    def __init__(self, expected: int) -> None:
        self._expected = expected
        self._acked = 0
        self._last_tags: dict[int, int] = {}
        self._began = False
        # The command may print; its lines are not to mix with ours.
        self._out = os.fdopen(os.dup(sys.stdout.fileno()), "w")
        os.dup2(sys.stderr.fileno(), sys.stdout.fileno())

    def attach(self) -> None:
        """Watch every channel of this process, and answer questions."""
        consume, ack = Channel.basic_consume, Channel.basic_ack

        async def watched_consume(channel: Channel, *args: Any, **kwargs: Any) -> Any:
            if not self._began:
                self._began = True
                self._tell("began")
            return await consume(channel, *args, **kwargs)

        async def watched_ack(channel: Channel, delivery_tag: int, multiple: bool = False, wait: bool = True) -> None:
            await ack(channel, delivery_tag, multiple, wait)
            self._count(id(channel), delivery_tag, multiple)

        vars_of: Any = Channel
        vars_of.basic_consume, vars_of.basic_ack = watched_consume, watched_ack
        threading.Thread(target=self._answer, daemon=True).start()

    def _count(self, channel: int, tag: int, multiple: bool) -> None:
        """Acknowledgements through a tag count what they cover; contenders use one way or the other, never both."""
        if multiple:
            self._acked += tag - self._last_tags.get(channel, 0)
            self._last_tags[channel] = tag
        else:
            self._acked += 1
        if self._acked == self._expected:
            self._tell("acked")

    def _answer(self) -> None:
        for _ in iter(partial(sys.stdin.readline), ""):
            self._tell("asked")

    def _tell(self, what: str) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        state = {
            "what": what,
            "at_s": time.monotonic(),
            "cpu_s": used.ru_utime + used.ru_stime,
            "rss_mib": peak_rss_mib(),
        }
        self._out.write(json.dumps(state) + "\n")
        self._out.flush()


def peak_rss_mib() -> float:
    """The most memory that this process ever had, in MiB."""
    status = Path("/proc/self/status")
    if status.exists():
        # Not `ru_maxrss`: it starts with what the parent had when it started us.
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM:"))
        return int(line.split()[1]) / 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024**2
