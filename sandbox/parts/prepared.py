"""Commands of this checkout in processes that need not import anything any more: forks of one that has.

A test that starts a service is about what the service does, not about how Python imports it, which takes ten times as
long as the rest of its start. Each is a process like any other: with its own id, environment, signals and end.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["sandbox.parts.preloaded"])
_NAMES = ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS", "LD_PRELOAD", "LD_LIBRARY_PATH", "TZ")
#: What changes how an interpreter starts, as it is for us: with another value of one it has to be started anew.
_AT_START = {name: os.environ.get(name) for name in _NAMES}


def can_begin(environment: Mapping[str, str]) -> bool:
    """Whether a fork of us behaves in this environment as a new interpreter would."""
    return all(environment.get(name) == value for name, value in _AT_START.items())


class PreparedProcess:
    """`catalog-mirror WORDS…`, with the face of a process of asyncio; its output is added to a file."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str], log: Path) -> None:
        told = (list(words), dict(environment), str(Path.cwd()), str(log))
        self._process = _context.Process(target=_begin, args=told)
        self._process.start()

    @property
    def pid(self) -> int:
        """Its id."""
        return self._process.pid or 0

    @property
    def returncode(self) -> int | None:
        """Its exit code; of one that a signal ended, the signal's number below zero; None while it runs."""
        return self._process.exitcode

    async def wait(self) -> int:
        """Wait for its end."""
        loop, ended = asyncio.get_running_loop(), asyncio.Event()
        loop.add_reader(self._process.sentinel, ended.set)
        try:
            await ended.wait()
        finally:
            loop.remove_reader(self._process.sentinel)
        await asyncio.to_thread(self._process.join)
        return self._process.exitcode or 0

    def send_signal(self, number: signal.Signals) -> None:
        """Send it a signal."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """SIGKILL."""
        self.send_signal(signal.SIGKILL)


def begin_serving(serve: Callable[..., None], *told: object) -> BaseProcess:
    """A process that has imported everything, in which `serve` runs; it ends with us."""
    process = _context.Process(target=serve, args=told, daemon=True)
    process.start()
    return process


def become(words: Sequence[str], environment: Mapping[str, str], directory: str, files: Sequence[int]) -> None:
    """What a shell would see to, with files as input, output and errors; and then the command."""
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(directory)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", closefd=False)
    sys.stderr = os.fdopen(2, "w", buffering=1, closefd=False)
    for name in (signal.SIGINT, signal.SIGTERM):
        signal.signal(name, signal.default_int_handler if name is signal.SIGINT else signal.SIG_DFL)
    sys.argv = ["catalog-mirror", *words]
    from service.cli import main

    main()


def _begin(words: list[str], environment: dict[str, str], directory: str, log: str) -> None:
    threading.Thread(target=_end_with_our_parent, daemon=True).start()
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    become(words, environment, directory, [os.open(os.devnull, os.O_RDONLY), output, os.dup(output)])


def _end_with_our_parent() -> None:
    """A run of tests that is killed leaves no service behind that waits for its broker for ever."""
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
    os.kill(os.getpid(), signal.SIGKILL)
