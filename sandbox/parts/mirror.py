"""The service in a process of its own, as a user runs it: started, killed, asked over HTTP, its log read."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, ClassVar, Self

from sandbox.parts.prepared import PreparedProcess, can_begin
from sandbox.parts.process import free_port

#: Seconds that a state may take to come about.
PATIENCE_S = 40.0
_LOG_TAIL = 3000
#: The service of this checkout.
COMMAND = (sys.executable, "-m", "service", "run")


def environment_of(settings: Mapping[str, str]) -> dict[str, str]:
    """Our environment with these settings (names without `CATALOG_MIRROR_`) and no others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("CATALOG_MIRROR_")}
    return kept | {f"CATALOG_MIRROR_{name}": value for name, value in settings.items()}


class MirrorProcess:
    """`catalog-mirror run` with these settings (names without `CATALOG_MIRROR_`); its log goes to a file.

    `command` starts another installation of it; with a number as `user` it runs as that user in group 0, as OpenShift
    would have it (only root can arrange that).
    """

    #: Fork those of this checkout from a process that has imported everything, instead of starting Python anew.
    is_prepared: ClassVar[bool] = False

    def __init__(
        self, log: Path, command: Sequence[str | Path] = COMMAND, user: int | None = None, **settings: str
    ) -> None:
        self._log = log
        self._command = [str(word) for word in command]
        self._identity: dict[str, Any] = {} if user is None else {"user": user, "group": 0, "extra_groups": []}
        self._port = free_port()
        self._environment = {
            "CATALOG_MIRROR_HTTP__HOST": "127.0.0.1",
            "CATALOG_MIRROR_HTTP__PORT": str(self._port),
            "CATALOG_MIRROR_HTTP__API_PORT": "0",
            "CATALOG_MIRROR_LOG__FORMAT": "json",
            **environment_of(settings),
        }
        self._process: asyncio.subprocess.Process | PreparedProcess | None = None

    async def start(self) -> None:
        """Start it; does not wait for anything."""
        if self.is_prepared and not self._identity and self._command == list(COMMAND) and can_begin(self._environment):
            self._process = PreparedProcess(COMMAND[3:], self._environment, self._log)
            return
        with self._log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._command, env=self._environment, stdout=log, stderr=log, **self._identity
            )

    async def wait_ready(self) -> None:
        """Wait until `/readyz` answers 200."""
        await self.wait_for(lambda status, body: status == 200)

    async def wait_for(self, condition: Any) -> dict[str, Any]:
        """Wait until `condition(status, body)` of `/readyz` holds; answers the body."""
        deadline = asyncio.get_running_loop().time() + PATIENCE_S
        last: Any = None
        while asyncio.get_running_loop().time() < deadline:
            if self._process is None or self._process.returncode is not None:
                raise AssertionError(f"the service ended:\n{self.log_text()[-_LOG_TAIL:]}")
            try:
                status, text = await self.get("/readyz")
                last = status, json.loads(text)
                if condition(*last):
                    body: dict[str, Any] = last[1]
                    return body
            except OSError:
                pass  # not listening yet
            await asyncio.sleep(0.1)
        raise AssertionError(f"waited in vain; last {last}\n{self.log_text()[-_LOG_TAIL:]}")

    async def get(self, path: str) -> tuple[int, str]:
        """One HTTP request; answers status and body."""
        return await asyncio.to_thread(_get, f"{self.url}{path}")

    @property
    def url(self) -> str:
        """Where probes and metrics are."""
        return f"http://127.0.0.1:{self._port}"

    async def kill(self) -> None:
        """SIGKILL: it ends between two instructions."""
        await self._end(signal.SIGKILL)

    async def terminate(self) -> int:
        """SIGTERM, as Kubernetes sends it; answers the exit code."""
        return await self._end(signal.SIGTERM)

    async def _end(self, number: signal.Signals) -> int:
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.send_signal(number)
        try:
            return await asyncio.wait_for(process.wait(), PATIENCE_S)
        except TimeoutError:
            process.kill()
            raise AssertionError(f"it did not end:\n{self.log_text()[-_LOG_TAIL:]}") from None

    def signal(self, number: signal.Signals) -> None:
        """Send any signal, such as SIGSTOP."""
        if self._process:
            self._process.send_signal(number)

    @property
    def pid(self) -> int:
        """The process's id, by which its replica is named."""
        return self._process.pid if self._process else 0

    @property
    def ended(self) -> bool:
        """Whether the process is gone."""
        return self._process is None or self._process.returncode is not None

    def log_text(self) -> str:
        """All that it said, over all its lives."""
        return self._log.read_text(encoding="utf-8", errors="replace")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._process and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


def _get(url: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, error.read().decode()
