"""The private real parts do what the fault tests rely on."""

import asyncio
import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aio_pika
import asyncpg
import pytest

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.errors import BROKER, PartMissing
from sandbox.parts.pgbouncer import PrivatePgBouncer
from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.process import GuardedProcess, off_loop, wait_until
from sandbox.parts.proxy import TcpProxy


@pytest.fixture
async def proxied(postgres_url: str) -> AsyncIterator[tuple[TcpProxy, asyncpg.Connection]]:
    """A connection to PostgreSQL that goes through a proxy."""
    async with TcpProxy.before(postgres_url) as proxy:
        connection = await asyncpg.connect(proxy.through(postgres_url))
        yield proxy, connection
        connection.terminate()


async def test_a_message_of_the_c_tools_arrives_in_aio_pika(amqp_url: str, amqp_tools: None) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        queue = await (await connection.channel()).declare_queue("round-trip", durable=True)
        await asyncio.to_thread(
            subprocess.run, ["amqp-publish", f"--url={amqp_url}", "-r", queue.name, "-b", "hello"], check=True
        )
        message = await queue.get(timeout=5)

    assert message.body == b"hello"


async def test_each_test_has_a_vhost_of_its_own(amqp_url: str) -> None:
    async with await aio_pika.connect(amqp_url) as connection:
        with pytest.raises(aio_pika.exceptions.ChannelNotFoundEntity):
            await (await connection.channel()).declare_queue("round-trip", passive=True)


async def test_a_cut_is_seen_by_a_real_connection_and_a_new_one_passes(
    proxied: tuple[TcpProxy, asyncpg.Connection], postgres_url: str
) -> None:
    proxy, connection = proxied
    assert await connection.fetchval("SELECT 1") == 1

    proxy.cut()
    with pytest.raises((OSError, asyncpg.PostgresConnectionError, asyncpg.InterfaceError)):
        await connection.fetchval("SELECT 1")

    again = await asyncpg.connect(proxy.through(postgres_url))
    assert await again.fetchval("SELECT 2") == 2
    await again.close()


async def test_a_stalled_connection_stays_open_and_goes_on(proxied: tuple[TcpProxy, asyncpg.Connection]) -> None:
    proxy, connection = proxied

    with proxy.stalled():
        query = asyncio.ensure_future(connection.fetchval("SELECT 1"))
        done, _ = await asyncio.wait([query], timeout=0.3)
        assert not done

    assert await asyncio.wait_for(query, 5) == 1


async def test_a_refusing_proxy_takes_no_new_connection(
    proxied: tuple[TcpProxy, asyncpg.Connection], postgres_url: str
) -> None:
    proxy, connection = proxied
    proxy.refuse()

    with pytest.raises((OSError, asyncpg.PostgresConnectionError)):
        await asyncpg.connect(proxy.through(postgres_url))
    assert await connection.fetchval("SELECT 1") == 1


async def test_a_delay_slows_an_answer_down(proxied: tuple[TcpProxy, asyncpg.Connection]) -> None:
    proxy, connection = proxied
    proxy.delay(0.1)
    began = asyncio.get_running_loop().time()

    await connection.fetchval("SELECT 1")

    assert asyncio.get_running_loop().time() - began >= 0.2


async def test_pgbouncer_gives_one_server_connection_to_clients_in_turn(
    private_postgres: PrivatePostgres,
) -> None:
    url = private_postgres.url
    async with off_loop(PrivatePgBouncer(url, pool_size=1)) as pooler:
        first, second = [await asyncpg.connect(pooler.through(url), statement_cache_size=0) for _ in range(2)]
        backends = {await client.fetchval("SELECT pg_backend_pid()") for client in (first, second)}
        await first.close()
        await second.close()

    assert len(backends) == 1


async def test_the_shared_pgbouncer_reaches_the_tests_database(postgres_url: str, pgbouncer: PrivatePgBouncer) -> None:
    connection = await asyncpg.connect(pgbouncer.through(postgres_url), statement_cache_size=0)
    database = await connection.fetchval("SELECT current_database()")
    await connection.close()

    assert postgres_url.endswith(f"/{database}")


async def test_what_is_committed_outlives_a_killed_database(private_postgres: PrivatePostgres) -> None:
    connection = await asyncpg.connect(private_postgres.url)
    await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
    await asyncio.to_thread(private_postgres.kill)
    connection.terminate()

    await asyncio.to_thread(private_postgres.start)

    connection = await asyncpg.connect(private_postgres.url)
    assert await connection.fetchval("SELECT answer FROM kept") == 42
    await connection.close()


def test_a_store_has_a_url(store_url: str) -> None:
    assert store_url.split("://")[0] in {"sqlite", "postgresql"}


@pytest.mark.parametrize("outage", ["restart", "kill", "stop_app"])
async def test_a_persistent_message_outlives_the_brokers_outage(private_broker: PrivateBroker, outage: str) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, f"outage-{outage}")
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        await channel.declare_queue("kept", durable=True, arguments={"x-queue-type": "quorum"})
        message = aio_pika.Message(b"kept", delivery_mode=aio_pika.DeliveryMode.PERSISTENT)
        await channel.default_exchange.publish(message, routing_key="kept")

        await asyncio.to_thread(private_broker.wait_registered, f"outage-{outage}", "kept")
        await asyncio.to_thread(_go_through, private_broker, outage)

    async with await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("kept")
        assert (await queue.get(timeout=20)).body == b"kept"


def _go_through(broker: PrivateBroker, outage: str) -> None:
    if outage == "restart":
        broker.restart()
    elif outage == "kill":
        broker.kill()
        broker.start()
    else:
        broker.stop_app()
        broker.start_app()


_HOLD = """
import sys
from sandbox.parts.postgres import PrivatePostgres
with PrivatePostgres() as part:
    print(part.directory, part.port, flush=True)
    sys.stdin.read()
"""


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL])
def test_a_part_does_not_outlive_its_killed_owner(private_postgres: PrivatePostgres, end: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        directory = Path(owner.stdout.readline().split()[0])
        assert directory.exists()
        os.kill(owner.pid, end)

    wait_until(lambda: not directory.exists(), timeout_s=20, what="the part is still there")
    assert str(directory) not in _command_lines()


_BEGIN = """
import sys
from pathlib import Path
from sandbox.parts.prepared import PreparedProcess
from sandbox.parts.process import free_port
if __name__ == "__main__":
    settings = {"AMQP__URL": "amqp://127.0.0.1:1/", "STORE__URL": "sqlite:///m.db", "HTTP__API_PORT": "0"}
    settings["HTTP__PORT"] = str(free_port())
    environment = {f"CATALOG_MIRROR_{name}": value for name, value in settings.items()}
    print(PreparedProcess(["run"], environment, Path("log")).pid, flush=True)
    sys.stdin.read()
"""


def test_a_prepared_service_does_not_outlive_a_killed_run(tmp_path: Path) -> None:
    """One that waits for a broker which is not there would wait for ever."""
    (tmp_path / "begin.py").write_text(_BEGIN)
    (tmp_path / "log").touch()
    with subprocess.Popen(
        [sys.executable, "begin.py"], cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(Path.cwd())},
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    ) as owner:  # fmt: skip
        assert owner.stdout is not None
        service = int(owner.stdout.readline())
        try:
            wait_until(
                lambda: "broker_unavailable" in (tmp_path / "log").read_text(),
                timeout_s=60,
                what="the service does not run",
            )
        finally:
            owner.kill()

    wait_until(lambda: not _is_alive(service), timeout_s=20, what="the service is still there")


def _is_alive(process: int) -> bool:
    """One that ended and that nobody has asked yet is not."""
    told = subprocess.run(["ps", "-o", "stat=", "-p", str(process)], capture_output=True, text=True).stdout
    return bool(told) and not told.startswith("Z")


def _command_lines() -> str:
    return subprocess.run(["ps", "-eo", "args"], check=True, capture_output=True, text=True).stdout


def test_what_is_missing_is_said_with_what_to_do() -> None:
    text = str(PartMissing(BROKER, "CATALOG_MIRROR_TEST_AMQP_URL"))

    for way in ("apt-get install", "dnf install", "Docker", "CATALOG_MIRROR_TEST_AMQP_URL"):
        assert way in text


@pytest.mark.parametrize("turns", range(8))
async def test_a_proxy_that_ends_closes_what_it_has_just_taken(turns: int) -> None:
    """Left open, it would be found by the garbage collector and fail another test."""
    with socket.socket() as silent:  # takes connections, says nothing
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        async with TcpProxy(*silent.getsockname()) as proxy:
            reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
            for _ in range(turns):
                await asyncio.sleep(0)
        with contextlib.suppress(ConnectionError):
            assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()


def test_the_cpu_of_a_part_holds_that_of_children_that_live_and_that_ended(tmp_path: Path) -> None:
    burn = "import time\nend = time.process_time() + 0.3\nwhile time.process_time() < end: pass\n"
    forever = f"{burn}time.sleep(60)"
    script = '"$0" -c "$1"; "$0" -c "$2" & wait'
    process = GuardedProcess(
        ["/bin/sh", "-c", script, sys.executable, burn, forever], env=os.environ, directory=tmp_path
    )
    assert process.cpu_s() == 0
    process.start()
    try:
        wait_until(lambda: process.cpu_s() >= 0.58, timeout_s=20, what="one child's CPU is counted, not both")
    finally:
        process.kill()


def test_a_command_of_a_script_has_the_files_and_the_end_of_one_that_was_started_anew(
    commands_path: str, tmp_path: Path
) -> None:
    environment = {**os.environ, "PATH": commands_path, "CATALOG_MIRROR_STORE__URL": f"sqlite:///{tmp_path}/m.db"}

    def bash(script: str) -> tuple[int, str]:
        done = subprocess.run(["bash", "-c", script], cwd=tmp_path, env=environment, capture_output=True, text=True)
        return done.returncode, done.stdout + done.stderr

    assert bash("cd / && catalog-mirror --version | head -n 1 >$OLDPWD/said")[0] == 0
    assert (tmp_path / "said").read_text().startswith("catalog-mirror ")
    assert bash("catalog-mirror no-such-command")[0] == 2
    assert bash("catalog-mirror db upgrade && catalog-mirror docs settings | head -n 1")[0] == 0
    assert '"dead_lettered": 1' in bash("echo '{' | catalog-mirror replay - --json")[1]
