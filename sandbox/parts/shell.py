"""`catalog-mirror` for the scripts of a shell, without a start of Python for each command: forks of `prepared`.

Pages of documents have more than a hundred commands. Each is a process with the arguments, environment, directory,
input and outputs that its shell gave it, and ends as it does; what the shell started stands in for it until then.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import socket
import sys
from multiprocessing.connection import wait
from pathlib import Path
from types import TracebackType
from typing import Self

from sandbox.parts.prepared import become, begin_serving

_LENGTH = 8
#: What a shell starts: it tells the server whom to be, hands signals on, and ends as the command did.
_PROGRAM = """#!{python} -IS
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as server:
    server.connect({place!r})
    told = json.dumps([sys.argv[1:], dict(os.environ), os.getcwd()]).encode()
    socket.send_fds(server, [len(told).to_bytes({length}, "big")], [0, 1, 2])
    server.sendall(told)
    answers = server.makefile("rb")
    pid = int(answers.readline())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    code = int(answers.readline())
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
sys.exit(code)
"""


class PreparedCommands:
    """A folder for `PATH` with a `catalog-mirror` in it, for as long as this is entered."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "bin"
        self._place = directory / "commands"
        self._listener = socket.socket(socket.AF_UNIX)

    def __enter__(self) -> Self:
        self._listener.bind(str(self._place))
        self._listener.listen(32)
        self._server = begin_serving(_serve, self._listener)
        self._listener.close()
        self.directory.mkdir()
        program = self.directory / "catalog-mirror"
        program.write_text(_PROGRAM.format(python=sys.executable, place=str(self._place), length=_LENGTH), "utf-8")
        program.chmod(0o755)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.terminate()
        self._server.join()
        self._server.close()


def _serve(listener: socket.socket) -> None:
    """In a process that has imported everything: a child for each command, which forks it and waits for its end."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who answer
    parent = multiprocessing.parent_process()
    ended = [] if parent is None else [parent.sentinel]
    while listener in wait([listener, *ended]):
        connection, _ = listener.accept()
        if not os.fork():
            listener.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _answer(connection)
            return
        connection.close()


def _answer(connection: socket.socket) -> None:
    """Be the command, in the end, or wait for who is."""
    length, files, _, _ = socket.recv_fds(connection, _LENGTH, 3)
    told = connection.recv(int.from_bytes(length, "big"), socket.MSG_WAITALL)
    if pid := os.fork():
        for file in files:
            os.close(file)
        connection.sendall(b"%d\n" % pid)
        _, status = os.waitpid(pid, 0)
        connection.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
        os._exit(0)
    connection.close()
    words, environment, directory = json.loads(told)
    become(words, environment, directory, files)
