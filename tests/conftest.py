"""The real parts that tests ask for by name: each skips here when it is missing, and fails in CI."""

import gc
import os
import shutil
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import NoReturn, TypeVar

import pytest
from hypothesis import HealthCheck, settings

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.errors import AMQP_TOOLS, PartMissing
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.pgbouncer import PrivatePgBouncer
from sandbox.parts.postgres import PrivatePostgres
from sandbox.parts.providers import Broker, Postgres, provide_broker, provide_postgres
from sandbox.parts.tls import Certificates, make_certificates
from tests.databases import PARTS, Databases, SqliteFiles

pytest_plugins = ["tests.fixtures", "tests.browsing", "tests.statements"]

# How long an example takes on a busy machine is nobody's fault. In CI hypothesis has a profile of its own that says so.
if settings.get_current_profile_name() == "default":
    settings.register_profile("steady", deadline=None, suppress_health_check=[HealthCheck.too_slow])
    settings.load_profile("steady")

_MEMORY = Path("/dev/shm")
_ENOUGH_BYTES = 4 * 1024**3


def _prefer_memory() -> None:
    """Let what tests write lie in memory where there is room: a disk takes milliseconds for each commit of SQLite."""
    if _MEMORY.is_dir() and os.access(_MEMORY, os.W_OK):
        told = os.statvfs(_MEMORY)
        if told.f_bavail * told.f_frsize >= _ENOUGH_BYTES and not told.f_flag & getattr(os, "ST_NOEXEC", 0):
            os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(_MEMORY))


_prefer_memory()

#: Services and commands are forked, unless this is set to have Python start anew for each.
MirrorProcess.is_prepared = not os.environ.get("CATALOG_MIRROR_TEST_EXEC")

_T = TypeVar("_T")


def pytest_collection() -> None:
    """What comes into being while tests are collected stays."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Refuse tests of one name, of which xdist runs only the first.

    And never again look through the million objects of modules for garbage: half a second each time.
    """
    times = Counter(item.nodeid for item in session.items)
    if several := [name for name, number in times.items() if number > 1]:
        raise pytest.UsageError(f"more than one test is called {several[0]}")
    gc.collect()
    gc.freeze()
    gc.set_threshold(5_000, 10, 10)
    gc.enable()


def hold(stack: ExitStack, provide: Callable[[], AbstractContextManager[_T]]) -> _T:
    """Enter a part for as long as the stack lives; a missing one skips here and fails in CI."""
    try:
        return stack.enter_context(provide())
    except PartMissing as missing:
        _do_without(missing)


def _do_without(missing: Exception) -> NoReturn:
    """What is missing is a reason to skip for a person, and a failure for CI."""
    if os.environ.get("CI"):
        pytest.fail(str(missing), pytrace=False)
    pytest.skip(str(missing))


@pytest.fixture(scope="session", name="do_without")
def do_without() -> Callable[[Exception], NoReturn]:
    """What a test does about a part, or a tool, that is missing."""
    return _do_without


@pytest.fixture(scope="session")
def broker() -> Iterator[Broker]:
    """One broker a run, started when the first test asks."""
    with ExitStack() as stack:
        yield hold(stack, provide_broker)


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """One database server a run, started when the first test asks."""
    with ExitStack() as stack:
        yield hold(stack, provide_postgres)


@pytest.fixture(scope="module")
def private_broker() -> Iterator[PrivateBroker]:
    """A node of the module's own, that may be stopped and killed; started again for whoever comes after."""
    with ExitStack() as stack:
        yield hold(stack, lambda: PrivateBroker(management=True))


@pytest.fixture(scope="module")
def private_postgres() -> Iterator[PrivatePostgres]:
    """A cluster of the module's own, that may be stopped and killed."""
    with ExitStack() as stack:
        yield hold(stack, PrivatePostgres)


@pytest.fixture(scope="session")
def pgbouncer(postgres: Postgres) -> Iterator[PrivatePgBouncer]:
    """PgBouncer in transaction mode before the run's database server: `pgbouncer.through(postgres_url)`."""
    with ExitStack() as stack:
        yield hold(stack, lambda: PrivatePgBouncer(postgres.url))


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    """A CA of one's own with a certificate of loopback, and a CA that is a stranger."""
    return make_certificates(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="session")
def amqp_tools() -> None:
    """The AMQP tools that are not ours: `amqp-publish`, `amqp-consume`."""
    if shutil.which("amqp-publish") is None or shutil.which("amqp-consume") is None:
        _do_without(PartMissing(AMQP_TOOLS))


@pytest.fixture
def amqp_url(broker: Broker) -> Iterator[str]:
    """A vhost of this test's own."""
    name = f"test-{uuid.uuid4().hex}"
    yield broker.add_vhost(name)
    broker.delete_vhost(name)


@pytest.fixture
def empty_postgres_url(postgres: Postgres) -> Iterator[str]:
    """A database of this test's own, empty."""
    name = f"test_{uuid.uuid4().hex}"
    yield postgres.create_database(name)
    postgres.drop_database(name)


@pytest.fixture(scope="session")
def databases(postgres: Postgres) -> Iterator[Databases]:
    """Databases with our newest schema and nothing in them."""
    made = Databases(postgres, PARTS)
    yield made
    made.close()


@pytest.fixture(scope="session")
def partitioned_databases(postgres: Postgres) -> Iterator[Databases]:
    """The same with large tables in two parts."""
    made = Databases(postgres, parts=2)
    yield made
    made.close()


@pytest.fixture
def partitioned_url(partitioned_databases: Databases) -> Iterator[str]:
    """A database of this test's own, with large tables in two parts and nothing in them."""
    with partitioned_databases.lent() as url:
        yield url


@pytest.fixture
def postgres_url(databases: Databases) -> Iterator[str]:
    """A database of this test's own, with our newest schema and nothing in it."""
    with databases.lent() as url:
        yield url


@pytest.fixture(scope="session")
def sqlite_files(tmp_path_factory: pytest.TempPathFactory) -> SqliteFiles:
    """Makes files with our newest schema and nothing in them."""
    return SqliteFiles(tmp_path_factory.mktemp("migrated"))


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    """A file of this test's own, not made yet."""
    return f"sqlite:///{tmp_path / 'mirror.db'}"


@pytest.fixture
def sqlite_url(sqlite_files: SqliteFiles, tmp_path: Path) -> str:
    """A file of this test's own, with our newest schema and nothing in it."""
    return sqlite_files.copy_to(tmp_path / "mirror.db")


@pytest.hookimpl(tryfirst=True)
def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have what is marked so, and runs on each kind of store, run on tables in parts, too."""
    if "store_url" in metafunc.fixturenames and metafunc.definition.get_closest_marker("partitioned"):
        kinds = ["sqlite", "postgresql", "partitioned"]
        metafunc.definition.add_marker(pytest.mark.parametrize("store_url", kinds, indirect=True))


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """The test runs once on each kind of store, and where it is marked so, on one with tables in parts."""
    if request.param == "partitioned":
        return str(request.getfixturevalue("partitioned_url"))
    return _one_of(request, "sqlite_url", "postgres_url")


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_store_url(request: pytest.FixtureRequest) -> str:
    """The test runs once on each kind of store, without any schema."""
    return _one_of(request, "empty_sqlite_url", "empty_postgres_url")


def _one_of(request: pytest.FixtureRequest, sqlite: str, postgresql: str) -> str:
    url: str = request.getfixturevalue(sqlite if request.param == "sqlite" else postgresql)
    return url
