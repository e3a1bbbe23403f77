"""Server processes that never outlive the one who started them."""

import asyncio
import contextlib
import os
import pwd
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from typing import TypedDict, TypeVar

from sandbox.parts.errors import PartFailed

_T = TypeVar("_T")

#: Seconds between two looks at a condition.
POLL_INTERVAL_S = 0.05
#: Below the range from which systems give out ports by themselves (from 32768 on Linux, 49152 elsewhere), so that a
#: server that is down for a moment finds its port free again.
PORT_RANGE = range(20_000, 30_000)
#: Ports that belong to servers of this process, also while they do not listen yet.
_given_out: set[int] = set()
#: Bytes of a log that are shown when a process fails.
LOG_TAIL_BYTES = 3000

# Ends when told to; when the pipe closes instead, we are gone, also by SIGKILL, and the group follows us.
_GUARD = """
if read -r _; then exit 0; fi
kill -s "$2" -- "-$1" 2>/dev/null
left=100
while [ "$left" -gt 0 ] && kill -s 0 -- "-$1" 2>/dev/null; do sleep 0.1; left=$((left - 1)); done
kill -s KILL -- "-$1" 2>/dev/null
rm -rf -- "$3"
"""


def free_port() -> int:
    """A port that nothing listens on, on any interface, and that was not given out before."""
    while True:
        port = random.choice(PORT_RANGE)
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(("", port))
            if port not in _given_out:
                _given_out.add(port)
                return port


def wait_until(condition: Callable[[], bool], *, timeout_s: float, what: str) -> None:
    """Look at `condition` until it holds; raises `PartFailed` naming `what` when it takes too long."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise PartFailed(f"Waited {timeout_s:g} s in vain: {what}.")
        time.sleep(POLL_INTERVAL_S)


def run_tool(argv: Sequence[str | Path], *, env: Mapping[str, str], user: str | None = None, timeout_s: float) -> str:
    """Run a tool to its end and return what it said; raises `PartFailed` with its errors."""
    done = subprocess.run(
        [str(word) for word in argv],
        env=dict(env),
        timeout=timeout_s,
        capture_output=True,
        text=True,
        cwd="/",
        **_as_user(user),
    )
    if done.returncode != 0:
        raise PartFailed(f"{Path(argv[0]).name} failed ({done.returncode}): {done.stderr.strip() or done.stdout}")
    return done.stdout


def plain_environment(**more: str) -> dict[str, str]:
    """An environment that carries nothing of ours into a server but what it needs."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR", "LD_LIBRARY_PATH") if name in os.environ}
    return {**kept, "LC_ALL": "C.UTF-8" if sys.platform == "linux" else "C", **more}


@asynccontextmanager
async def off_loop(part: AbstractContextManager[_T]) -> AsyncIterator[_T]:
    """Hold a part inside a loop: it is started and ended in a thread."""
    entered = await asyncio.to_thread(part.__enter__)
    try:
        yield entered
    finally:
        await asyncio.to_thread(part.__exit__, None, None, None)


class GuardedProcess:
    """One server and its children, in a session of their own, with a guard that ends them when we are gone.

    `last_signal` is what the guard sends first; `directory` is removed after a guarded end.
    """

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        env: Mapping[str, str],
        directory: Path,
        user: str | None = None,
        last_signal: signal.Signals = signal.SIGTERM,
    ) -> None:
        self._argv = [str(word) for word in argv]
        self._env = dict(env)
        self._directory = directory
        self._user = user
        self._last_signal = last_signal
        self._log = directory / f"{Path(self._argv[0]).name}.out"
        self._process: subprocess.Popen[bytes] | None = None
        self._guard: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether the process has been started and not ended yet."""
        return self._process is not None and self._process.poll() is None

    def cpu_s(self) -> float:
        """Seconds of CPU that it and its children took so far, in user space and kernel; Linux alone tells.

        Children that ended count with who waited for them (proc(5), `cutime`). What lives is told in hundredths of a
        second, each process by itself.
        """
        return _family_ticks(self._process.pid) / os.sysconf("SC_CLK_TCK") if self._process else 0.0

    def start(self) -> None:
        """Start it, its output going to a file in its directory; it may not be ready yet."""
        if self.running:
            return
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                self._argv,
                env=self._env,
                cwd=self._directory,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **_as_user(self._user),
            )
        self._guard = self._post_guard(self._process.pid)

    def wait_ready(self, ready: Callable[[], bool], *, timeout_s: float) -> None:
        """Wait for `ready`; raises `PartFailed` with the end of the log when it ends or takes too long instead."""

        def ready_or_ended() -> bool:
            return not self.running or ready()

        try:
            wait_until(ready_or_ended, timeout_s=timeout_s, what=f"{self._log.stem} does not answer")
        except PartFailed as error:
            raise PartFailed(f"{error} Its log ends with:\n{self._log_tail()}") from None
        if not self.running:
            raise PartFailed(f"{self._log.stem} ended as it started. Its log ends with:\n{self._log_tail()}")

    def end(self, with_signal: signal.Signals, *, timeout_s: float) -> None:
        """Ask it to end, and kill the whole group when it takes too long."""
        if self._process is None:
            return
        if self.running:
            self._signal_group(with_signal)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
        self.kill()

    def kill(self) -> None:
        """End the whole group at once, as a crash of the machine would."""
        if self._process is None:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait()
        wait_until(self._group_is_gone, timeout_s=30, what=f"{self._log.stem} cannot be killed")
        self._process = None
        self._dismiss_guard()

    def _post_guard(self, group: int) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            ["/bin/sh", "-c", _GUARD, "guard", str(group), self._last_signal.name[3:], str(self._directory)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )

    def _dismiss_guard(self) -> None:
        if self._guard is not None:
            self._guard.communicate(b"done\n")
            self._guard = None

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, number)

    def _group_is_gone(self) -> bool:
        if self._process is None:
            return True
        try:
            os.killpg(self._process.pid, 0)
        except (ProcessLookupError, PermissionError):
            # macOS says PermissionError of a group that holds only zombies.
            return True
        return False

    def _log_tail(self) -> str:
        return self._log.read_bytes()[-LOG_TAIL_BYTES:].decode(errors="replace")


def _family_ticks(pid: int) -> int:
    """Ticks of CPU of a process and of all that descend from it: proc(5), `/proc/pid/stat`, fields 14 to 17."""
    told = {int(path.parent.name): _fields(path) for path in Path("/proc").glob("[0-9]*/stat")}
    family = {pid}
    while more := {child for child, fields in told.items() if fields and int(fields[1]) in family} - family:
        family |= more
    return sum(int(ticks) for member in family for ticks in told.get(member, [])[11:15])


def _fields(stat: Path) -> list[str]:
    """The fields from the third on, which come after the name; none where the process has just ended."""
    try:
        return stat.read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return []


class _UserArguments(TypedDict, total=False):
    user: str
    group: int
    extra_groups: list[int]


def _as_user(user: str | None) -> _UserArguments:
    """What `subprocess` has to be told to drop to `user`; nothing when it is to stay who we are."""
    if user is None:
        return {}
    return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
