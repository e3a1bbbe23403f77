"""A private PostgreSQL cluster in a directory of its own, beside whatever else the machine runs."""

import asyncio
import shutil
import signal
from collections.abc import Coroutine, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit, urlunsplit

import asyncpg

from sandbox.parts.errors import POSTGRES, PartMissing
from sandbox.parts.place import find_program, inside, own_directory, system_root, unprivileged_user
from sandbox.parts.process import GuardedProcess, free_port, plain_environment, run_tool, wait_until

T = TypeVar("T")

#: The one role, a superuser that needs no password on loopback.
ROLE = "mirror"
#: The database that is empty on every server.
EMPTY = "template0"
#: Seconds a cluster may take to be made, or to answer; it may have a crash to recover from.
START_TIMEOUT_S = 60.0
#: Seconds a cluster may take to end in order.
STOP_TIMEOUT_S = 30.0
#: Seconds one administrative statement may take.
STATEMENT_TIMEOUT_S = 30.0

_PROGRAMS = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")


class PrivatePostgres:
    """One PostgreSQL cluster on loopback; its directory goes when it is closed.

    `fsync=False` trades the safety of a machine's crash for speed; a bench that compares passes True. `settings` are
    further server settings. With `follows` it is a standby of that cluster until `promote`.
    All methods block for up to a second or so.
    """

    def __init__(
        self, *, fsync: bool = False, settings: Mapping[str, str] | None = None, follows: Self | None = None
    ) -> None:
        root = system_root()
        initdb, server = find_program("initdb", _PROGRAMS, root), find_program("postgres", _PROGRAMS, root)
        copy = find_program("pg_basebackup", _PROGRAMS, root)
        if initdb is None or server is None or copy is None:
            raise PartMissing(POSTGRES)
        self.user = unprivileged_user("postgres")
        self._initdb, self._copy = inside(root, initdb, self.user), inside(root, copy, self.user)
        #: Whom `subprocess` drops to; in another system the command itself does.
        self._starts_as = None if root else self.user
        self._follows = follows
        self.port = free_port()
        self.directory = own_directory("postgres", self.user)
        self._data = self.directory / "data"
        self._env = plain_environment(HOME=str(self.directory))
        self._server = GuardedProcess(
            [*inside(root, server, self.user), "-D", self._data, *self._options(fsync, settings or {})],
            env=self._env,
            directory=self.directory,
            user=self._starts_as,
            last_signal=signal.SIGQUIT,
        )

    @staticmethod
    def installed() -> bool:
        """Whether this machine has what a private cluster needs."""
        return find_program("initdb", _PROGRAMS, system_root()) is not None

    @property
    def url(self) -> str:
        """The maintenance database."""
        return self.database_url("postgres")

    @property
    def running(self) -> bool:
        """Whether the server's process lives."""
        return self._server.running

    def cpu_s(self) -> float:
        """Seconds of CPU that the server has taken so far, all of its processes together; Linux alone tells."""
        return self._server.cpu_s()

    def database_url(self, name: str) -> str:
        """How to reach one database."""
        return f"postgresql://{ROLE}@127.0.0.1:{self.port}/{name}"

    def start(self) -> None:
        """Start the server, on the port and with the data it had, and wait until it takes connections."""
        if not self._data.exists():
            self._make_cluster()
        self._server.start()
        self._server.wait_ready(lambda: answers(self.url), timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """End the server in order, ending its clients' sessions; `start` brings it back."""
        self._server.end(signal.SIGINT, timeout_s=STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End the server without a checkpoint: the next start recovers as after a crash."""
        self._server.end(signal.SIGQUIT, timeout_s=STOP_TIMEOUT_S)

    def restart(self) -> None:
        """Stop in order and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End the server and remove the files; safe to call twice."""
        self.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def wait_for_standby(self) -> None:
        """Commit nothing from now on that the standby does not have."""
        _run(self.url, "ALTER SYSTEM SET synchronous_standby_names = '*'")
        _run(self.url, "SELECT pg_reload_conf()")

    def promote(self) -> None:
        """Let a standby take over."""
        _run(self.url, "SELECT pg_promote()")

    def create_database(self, name: str, template: str = EMPTY) -> str:
        """Make a database, empty or a copy of another one that nobody uses, and return its URL."""
        return create_database(self.url, name, template)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending its sessions."""
        drop_database(self.url, name)

    def __enter__(self) -> Self:
        try:
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_cluster(self) -> None:
        if self._follows is not None:
            origin: list[str | Path] = ["-h", "127.0.0.1", "-p", str(self._follows.port), "-U", ROLE]
            arguments = [*self._copy, "-D", self._data, "-X", "stream", "-R", "-c", "fast", *origin]
            run_tool(arguments, env=self._env, user=self._starts_as, timeout_s=START_TIMEOUT_S)
            return
        options: list[str | Path] = ["-D", self._data, "-A", "trust", "-U", ROLE, "-E", "UTF8", "--locale=C", "-N"]
        run_tool([*self._initdb, *options], env=self._env, user=self._starts_as, timeout_s=START_TIMEOUT_S)

    def _options(self, fsync: bool, settings: Mapping[str, str]) -> list[str]:
        durable = "on" if fsync else "off"
        chosen = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.directory),
            "fsync": durable,
            "full_page_writes": durable,
            **settings,
        }
        return [word for name, value in chosen.items() for word in ("-c", f"{name}={value}")]


def answers(url: str) -> bool:
    """Whether a database takes connections and answers a query."""
    try:
        _run(url, "SELECT 1")
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
        return False
    return True


def create_database(server_url: str, name: str, template: str = EMPTY) -> str:
    """Make a database like `template` on the server that `server_url` names, and return its URL."""
    # A session that has just ended may hold the template for a moment longer.
    made = partial(_made, server_url, name, template)
    wait_until(made, timeout_s=STATEMENT_TIMEOUT_S, what=f"database {name} cannot be made")
    return urlunsplit(urlsplit(server_url)._replace(path=f"/{name}"))


def drop_database(server_url: str, name: str) -> None:
    """Remove a database, ending its sessions; one that is gone already is well."""
    _run(server_url, f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')


def _made(server_url: str, name: str, template: str) -> bool:
    try:
        _run(server_url, f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    except asyncpg.ObjectInUseError:
        return False
    return True


def run_apart(asked: Coroutine[Any, Any, T]) -> T:
    """Run it in a loop and a thread of its own, so that callers inside a loop are served too."""
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(asyncio.run, asked).result()


def _run(url: str, statement: str) -> None:
    run_apart(_execute(url, statement))


async def _execute(url: str, statement: str) -> None:
    connection = await asyncpg.connect(url, timeout=STATEMENT_TIMEOUT_S, statement_cache_size=0)
    try:
        await connection.execute(statement, timeout=STATEMENT_TIMEOUT_S)
    finally:
        await connection.close()
