"""A private PgBouncer in transaction mode, as companies put one before their database."""

import shutil
import signal
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

from sandbox.parts.errors import PGBOUNCER, PartMissing
from sandbox.parts.place import find_program, inside, own_directory, system_root, unprivileged_user
from sandbox.parts.postgres import answers
from sandbox.parts.process import GuardedProcess, free_port, plain_environment

#: Seconds it may take until a query passes.
START_TIMEOUT_S = 15.0

_PROGRAMS = ("/usr/sbin", "/opt/homebrew/bin")

_CONFIGURATION = """\
[databases]
* = host={host} port={server_port} user={role}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = {pool_size}
max_client_conn = 500
server_reset_query =
"""


class PrivatePgBouncer:
    """One PgBouncer in transaction mode before the server that `server_url` names.

    With `pool_size` server connections for all clients together, a client that relies on its session is found out.
    """

    def __init__(self, server_url: str, *, pool_size: int = 4) -> None:
        root = system_root()
        program = find_program("pgbouncer", _PROGRAMS, root)
        if program is None:
            raise PartMissing(PGBOUNCER)
        self._server_url = server_url
        self.port = free_port()
        user = unprivileged_user("postgres")
        self.directory = own_directory("pgbouncer", user)
        configuration = self.directory / "pgbouncer.ini"
        configuration.write_text(self._configuration(pool_size))
        configuration.chmod(0o644)
        self._process = GuardedProcess(
            [*inside(root, program, user), configuration],
            env=plain_environment(),
            directory=self.directory,
            user=None if root else user,  # in another system the command itself drops to the user
        )

    @staticmethod
    def installed() -> bool:
        """Whether this machine has it."""
        return find_program("pgbouncer", _PROGRAMS, system_root()) is not None

    def database_url(self, name: str) -> str:
        """How to reach one of the server's databases through the pooler."""
        role = urlsplit(self._server_url).username
        return f"postgresql://{role}@127.0.0.1:{self.port}/{name}"

    def through(self, database_url: str) -> str:
        """The same database as `database_url`, through the pooler."""
        return self.database_url(urlsplit(database_url).path.removeprefix("/"))

    def start(self) -> None:
        """Start it and wait until a query passes."""
        self._process.start()
        url = self.through(self._server_url)
        self._process.wait_ready(lambda: answers(url), timeout_s=START_TIMEOUT_S)

    def stop(self) -> None:
        """End it, cutting its clients off; `start` brings it back."""
        self._process.end(signal.SIGTERM, timeout_s=5)

    def close(self) -> None:
        """End it and remove its files; safe to call twice."""
        self._process.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

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

    def _configuration(self, pool_size: int) -> str:
        server = urlsplit(self._server_url)
        role = server.username or "postgres"
        if server.password:
            role += f" password={server.password}"
        return _CONFIGURATION.format(
            host=server.hostname, server_port=server.port or 5432, role=role, port=self.port, pool_size=pool_size
        )
