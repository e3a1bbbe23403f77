"""The newest RabbitMQ, PostgreSQL and PgBouncer that Debian has: our own tests, and a small measurement, on them.

They lie in the root of another Debian (`sandbox/root.sh`), below `.neighbours/roots`. Only root can have one; where
Docker is at hand, the images of the ordinary tests can be named instead (CONTRIBUTING.md).
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from sandbox.parts.errors import RootUnusable
from sandbox.parts.place import ROOT_VARIABLE
from tests.neighbours.environments import PLACE, ROOT

SUITE = "sid"
#: Seconds that making the root may take, and that the tests of one row may.
MAKING_S, PATIENCE_S = 900, 1200
#: Seconds that one test may take that says nothing else of itself.
ONE_TEST_S = 600
_TAIL = 6000

FAULTS = Path("tests/faults")
#: What breaks a broker, or depends on how it gives out, refuses, counts and cancels.
OF_A_BROKER = [
    *(FAULTS / f"test_{name}.py" for name in ("broker", "deliveries", "guards", "kill", "lineage_back", "link")),
    *(FAULTS / f"test_{name}.py" for name in ("poison", "start_order", "stopping", "topology")),
]
#: What breaks a database, or its schema while it is at work.
OF_A_DATABASE = [
    FAULTS / f"test_{name}.py" for name in ("postgres", "releases", "replicas", "restore", "store", "versions")
]
INTEGRATION = Path("tests/integration")


class Newest:
    """Another Debian, and our tests run on its servers."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._environment = {**os.environ, ROOT_VARIABLE: str(root), "CI": "yes"}  # what is missing there fails
        for name in [name for name in self._environment if name.startswith("PYTEST")]:
            del self._environment[name]

    def version(self, package: str) -> str:
        """The version of a package of it, without what Debian adds."""
        asked = ["chroot", str(self._root), "dpkg-query", "--show", "--showformat", "${Version}", package]
        return subprocess.run(asked, check=True, capture_output=True, text=True).stdout.partition("-")[0]

    def passes(self, *tests: Path | str) -> None:
        """Run tests on its servers; fails with what they said. Other neighbours are at work beside them."""
        self._run("pytest", "-q", "-n", "4", "--dist", "loadfile", "--timeout", str(ONE_TEST_S), *tests)

    def measured(self, *contenders: str, events: int) -> dict[str, Any]:
        """What `make bench` counts of these contenders, in one round."""
        said = self._run("benchmarks", "--events", str(events), "--rounds", "1", "--only", *contenders)
        counted: dict[str, Any] = json.loads(said.strip().splitlines()[-1])
        return counted

    def _run(self, module: str, *arguments: Path | str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=self._environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
        )
        assert done.returncode == 0, f"{done.stdout[-_TAIL:]}\n{done.stderr[-_TAIL:]}"
        return done.stdout


@pytest.fixture(scope="module")
def newest(do_without: Callable[[Exception], Any]) -> Newest:
    if os.geteuid() != 0:  # also in CI, whose machines give none to their tests
        pytest.skip("only root can have another system's servers (CONTRIBUTING.md)")
    root = PLACE / "roots" / SUITE
    made = subprocess.run(
        ["sh", "sandbox/root.sh", SUITE, root], cwd=ROOT, capture_output=True, text=True, timeout=MAKING_S
    )
    if made.returncode:
        do_without(RootUnusable(f"{SUITE} cannot be had: {(made.stderr or made.stdout)[-_TAIL:].strip()}"))
    return Newest(root)


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("RabbitMQ", "every test that breaks it")
def test_what_breaks_a_broker_loses_nothing(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(newest.version("rabbitmq-server"))
    newest.passes(*OF_A_BROKER)


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("RabbitMQ", "every test that breaks a cluster of three")
def test_what_breaks_a_cluster_loses_nothing(newest: Newest, tried: Callable[[str], None]) -> None:
    """Apart: three nodes that elect leaders want what two cores can do for themselves."""
    tried(newest.version("rabbitmq-server"))
    newest.passes(FAULTS / "test_cluster.py")


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("RabbitMQ", "rights, limits, moving a queue, TLS, certificates, tokens")
def test_a_broker_lets_us_in_and_refuses_us_as_we_say(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(newest.version("rabbitmq-server"))
    newest.passes(INTEGRATION / "amqp", INTEGRATION / "test_own_certificate.py", INTEGRATION / "test_relay.py")


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("PostgreSQL", "every test that breaks it, and upgrades of the schema under load")
def test_what_breaks_a_database_loses_nothing(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(_server_version(newest))
    newest.passes(*OF_A_DATABASE)


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("PostgreSQL", "the mirror's tables, views and questions")
def test_the_mirror_stands_in_a_database(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(_server_version(newest))
    newest.passes(INTEGRATION / "mirror", INTEGRATION / "test_own_certificate.py")


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("PgBouncer", "the whole way through its transaction mode")
def test_everything_goes_through_a_pooler(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(newest.version("pgbouncer"))
    files = (
        INTEGRATION / f"{name}.py"
        for name in ("test_pipeline", "test_sandbox_parts", "mirror/test_databases_of_real_life")
    )
    newest.passes(*files, "-k", "pgbouncer or pooler")


@pytest.mark.timeout(MAKING_S + PATIENCE_S)
@pytest.mark.neighbour("RabbitMQ with PostgreSQL", "a small measurement of the whole way")
def test_a_small_measurement_comes_to_its_end(newest: Newest, tried: Callable[[str], None]) -> None:
    tried(f"{newest.version('rabbitmq-server')}, {_server_version(newest)}")
    counted = newest.measured("raw_consumer", "mirror_postgresql", events=3000)
    assert counted


def _server_version(newest: Newest) -> str:
    """The server's package has the major version in its name."""
    major = newest.version("postgresql").partition("+")[0]
    return newest.version(f"postgresql-{major}")
