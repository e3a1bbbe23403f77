"""A private RabbitMQ node: its own directory, cookie, ports and name server, beside whatever else the machine runs."""

import secrets
import shutil
import signal
import socket
from collections.abc import Sequence
from functools import cached_property
from types import TracebackType
from typing import Self
from urllib.parse import quote

from sandbox.parts.errors import BROKER, PartMissing
from sandbox.parts.management import ManagementApi
from sandbox.parts.place import find_program, inside, own_directory, system_root
from sandbox.parts.process import GuardedProcess, free_port, plain_environment, run_tool, wait_until

#: Seconds a node may take until it speaks AMQP; about 9 on two idle cores.
START_TIMEOUT_S = 90.0
#: Seconds a node may take to end in order.
STOP_TIMEOUT_S = 40.0
#: Seconds one `rabbitmqctl` may take.
CTL_TIMEOUT_S = 60.0

_PROGRAMS = ("/usr/lib/rabbitmq/bin", "/usr/lib/rabbitmq/lib/rabbitmq_server-*/sbin", "/opt/homebrew/sbin")
_PROTOCOL_HEADER = b"AMQP\x00\x00\x09\x01"

# Small machines have little memory and disk: neither is to raise an alarm that blocks publishers.
_CONFIGURATION = """\
disk_free_limit.absolute = 1MB
vm_memory_high_watermark.relative = 0.8
log.file.level = info
log.console = false
"""


class PrivateBroker:
    """One RabbitMQ node on loopback, with user and password guest; its directory goes when it is closed.

    With `joins` it becomes a member of that node's cluster when it starts for the first time. `configuration` is added
    to its `rabbitmq.conf`, `plugins` are enabled.
    All methods block: `start`, `stop` and `restart` for seconds, each `ctl` for about one.
    """

    def __init__(
        self,
        *,
        management: bool = False,
        joins: Self | None = None,
        configuration: str = "",
        plugins: Sequence[str] = (),
    ) -> None:
        root = system_root()
        server, ctl = find_program("rabbitmq-server", _PROGRAMS, root), find_program("rabbitmqctl", _PROGRAMS, root)
        epmd = find_program("epmd", ("/usr/lib/erlang/erts-*/bin", "/usr/lib*/erlang/erts-*/bin"), root)
        if server is None or ctl is None or epmd is None:
            raise PartMissing(BROKER)
        self._ctl = inside(root, ctl)
        self.port = free_port()
        self.directory = own_directory("broker")
        self.node = f"cm{secrets.token_hex(4)}@localhost"
        self._management_port = free_port() if management else None
        self._joins = joins
        self._names_port_is_ours = joins is None
        self.cookie: str = secrets.token_hex(16) if joins is None else joins.cookie
        self.environment = self._environment()
        self._write_files(configuration, plugins)
        # A name server of its own, since the node would start one as a daemon that stays behind.
        self._names = GuardedProcess(
            [*inside(root, epmd), "-port", self.environment["ERL_EPMD_PORT"], "-address", "127.0.0.1"],
            env=self.environment,
            directory=self.directory,
        )
        self._server = GuardedProcess(
            inside(root, server), env=self.environment, directory=self.directory, last_signal=signal.SIGKILL
        )

    @staticmethod
    def installed() -> bool:
        """Whether this machine has what a private node needs."""
        root = system_root()
        return (
            find_program("rabbitmq-server", _PROGRAMS, root) is not None and find_program("epmd", (), root) is not None
        )

    @property
    def url(self) -> str:
        """The default vhost of this node."""
        return self.vhost_url("/")

    @property
    def management_url(self) -> str | None:
        """Where the management API answers, where it was asked for."""
        return f"http://guest:guest@127.0.0.1:{self._management_port}" if self._management_port else None

    @property
    def running(self) -> bool:
        """Whether the node's process lives."""
        return self._server.running

    def vhost_url(self, name: str) -> str:
        """How to reach one vhost."""
        return f"amqp://guest:guest@127.0.0.1:{self.port}/{quote(name, safe='')}"

    def start(self) -> None:
        """Start the node, on the ports and with the data it had, and wait until it speaks AMQP."""
        if self._names_port_is_ours:
            self._names.start()
            self._names.wait_ready(lambda: _listens(int(self.environment["ERL_EPMD_PORT"])), timeout_s=10)
        self._server.start()
        self._server.wait_ready(self._is_ready, timeout_s=START_TIMEOUT_S)
        if self._joins is not None:
            self.ctl("stop_app")
            self.ctl("join_cluster", self._joins.node)
            self.start_app()
            self._joins = None

    def stop(self) -> None:
        """End the node in order: clients are told, queues are written; `start` brings it back."""
        self._server.end(signal.SIGTERM, timeout_s=STOP_TIMEOUT_S)

    def log_text(self) -> str:
        """What the node has logged so far."""
        return "".join(path.read_text(errors="replace") for path in sorted((self.directory / "log").glob("*.log")))

    @cached_property
    def version(self) -> str:
        """The version of RabbitMQ, such as 3.10.8."""
        return self.ctl("version").strip()

    def wait_registered(self, vhost: str, queue: str) -> None:
        """Wait until a new quorum queue would outlive `kill`.

        RabbitMQ 3.10 writes down that a quorum queue exists only some moments after it said so; killed before, it
        comes back with the queue and without a leader for it, for ever.
        """
        names = self.directory / "data" / self.node / "quorum" / self.node / "names.dets"
        entry = f"{vhost}_{queue}".encode()
        wait_until(lambda: names.exists() and entry in names.read_bytes(), timeout_s=15, what=f"{queue} is on disk")

    def kill(self) -> None:
        """End the node as a crash would: nobody is told, nothing is written; see `wait_registered`."""
        self._server.kill()

    def restart(self) -> None:
        """Stop in order and start again."""
        self.stop()
        self.start()

    def close(self) -> None:
        """End everything and remove the files; safe to call twice."""
        self._server.kill()
        self._names.kill()
        shutil.rmtree(self.directory, ignore_errors=True)

    def stop_app(self) -> None:
        """Stop the broker inside the running node, as an operator would: connections are closed with a reason."""
        self.ctl("stop_app")

    def start_app(self) -> None:
        """Start the broker inside the running node, and wait until it speaks AMQP."""
        self.ctl("start_app")
        wait_until(self._is_ready, timeout_s=START_TIMEOUT_S, what="the broker does not answer after start_app")

    def ctl(self, *arguments: str) -> str:
        """Run `rabbitmqctl` against this node and return what it said."""
        return run_tool([*self._ctl, "-q", "-n", self.node, *arguments], env=self.environment, timeout_s=CTL_TIMEOUT_S)

    def add_vhost(self, name: str) -> str:
        """Make a vhost on which guest may do everything, and return its URL."""
        if self.management_url:
            ManagementApi(self.management_url).add_vhost(name)
        else:
            self.ctl("add_vhost", name)
            self.ctl("set_permissions", "-p", name, "guest", ".*", ".*", ".*")
        return self.vhost_url(name)

    def delete_vhost(self, name: str) -> None:
        """Remove a vhost with everything in it; its connections are closed."""
        if self.management_url:
            ManagementApi(self.management_url).delete_vhost(name)
        else:
            self.ctl("delete_vhost", name)

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

    def _environment(self) -> dict[str, str]:
        return plain_environment(
            HOME=str(self.directory),
            ERL_EPMD_PORT=self._joins.environment["ERL_EPMD_PORT"] if self._joins else str(free_port()),
            # Two cores are shared with the database and the tests; schedulers that spin would take them.
            RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS="+sbwt none +sbwtdcpu none +sbwtdio none",
            RABBITMQ_NODENAME=self.node,
            RABBITMQ_NODE_IP_ADDRESS="127.0.0.1",
            RABBITMQ_NODE_PORT=str(self.port),
            RABBITMQ_DIST_PORT=str(free_port()),
            RABBITMQ_MNESIA_BASE=str(self.directory / "data"),
            RABBITMQ_LOG_BASE=str(self.directory / "log"),
            RABBITMQ_PID_FILE=str(self.directory / "pid"),
            RABBITMQ_ENABLED_PLUGINS_FILE=str(self.directory / "plugins"),
            RABBITMQ_CONFIG_FILE=str(self.directory / "rabbitmq.conf"),
            RABBITMQ_ADVANCED_CONFIG_FILE=str(self.directory / "none.config"),
            RABBITMQ_CONF_ENV_FILE="/none",
        )

    def _write_files(self, more: str, plugins: Sequence[str]) -> None:
        configuration = _CONFIGURATION + more
        if self._management_port:
            configuration += f"management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {self._management_port}\n"
            plugins = ["rabbitmq_management", *plugins]
        (self.directory / "rabbitmq.conf").write_text(configuration)
        (self.directory / "plugins").write_text(f"[{','.join(plugins)}].\n")
        cookie = self.directory / ".erlang.cookie"
        cookie.write_text(self.cookie)
        cookie.chmod(0o400)

    def _is_ready(self) -> bool:
        if not _speaks_amqp(self.port):
            return False
        return self.management_url is None or ManagementApi(self.management_url).answers()


def _listens(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), timeout=1).close()
    except OSError:
        return False
    return True


def _speaks_amqp(port: int) -> bool:
    """Whether the broker answers a protocol header with its first frame (Connection.Start, on channel 0)."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
            connection.sendall(_PROTOCOL_HEADER)
            return connection.recv(7)[:3] == b"\x01\x00\x00"
    except OSError:
        return False
