"""Where a broker and a database come from: a given URL, else Docker, else private parts, else a word on what to do.

`CATALOG_MIRROR_TEST_AMQP_URL` gives a broker; vhosts are made through its management API, which
`CATALOG_MIRROR_TEST_MANAGEMENT_URL` names where it is not at port 15672 of the same host.
`CATALOG_MIRROR_TEST_POSTGRES_URL` gives a database server, by a role that may create databases.
`CATALOG_MIRROR_TEST_ROOT` (`place`) has private parts of another system; Docker is not asked then.
`CATALOG_MIRROR_TEST_BROKER_IMAGE` and `CATALOG_MIRROR_TEST_POSTGRES_IMAGE` name what Docker runs.
"""

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from typing import TYPE_CHECKING, Protocol
from urllib.parse import quote, urlsplit, urlunsplit

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.errors import BROKER, POSTGRES, PartFailed, PartMissing
from sandbox.parts.management import ManagementApi
from sandbox.parts.place import system_root
from sandbox.parts.postgres import EMPTY, PrivatePostgres, answers, create_database, drop_database
from sandbox.parts.process import wait_until

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

AMQP_VARIABLE = "CATALOG_MIRROR_TEST_AMQP_URL"
MANAGEMENT_VARIABLE = "CATALOG_MIRROR_TEST_MANAGEMENT_URL"
POSTGRES_VARIABLE = "CATALOG_MIRROR_TEST_POSTGRES_URL"

BROKER_IMAGE = os.environ.get("CATALOG_MIRROR_TEST_BROKER_IMAGE") or "rabbitmq:3.13-management"
POSTGRES_IMAGE = os.environ.get("CATALOG_MIRROR_TEST_POSTGRES_IMAGE") or "postgres:17"
#: The plugin for several queues, which comes with RabbitMQ.
HASHING = "rabbitmq_consistent_hash_exchange"
#: Seconds a container may take until its server answers, the pull of its image left out.
CONTAINER_TIMEOUT_S = 120.0
#: Seconds the Docker daemon may take to say that it is there.
DOCKER_TIMEOUT_S = 10.0


class Broker(Protocol):
    """A broker on which one makes vhosts, wherever it runs."""

    @property
    def url(self) -> str: ...

    @property
    def management_url(self) -> str | None: ...

    def add_vhost(self, name: str) -> str: ...

    def delete_vhost(self, name: str) -> None: ...


class Postgres(Protocol):
    """A database server on which one makes databases, wherever it runs."""

    @property
    def url(self) -> str: ...

    def create_database(self, name: str, template: str = EMPTY) -> str: ...

    def drop_database(self, name: str) -> None: ...


class RemoteBroker:
    """A broker that somebody else runs."""

    def __init__(self, url: str, management_url: str) -> None:
        self.url = url
        self.management_url: str | None = management_url
        self.api = ManagementApi(management_url)

    def add_vhost(self, name: str) -> str:
        """Make a vhost and return its URL."""
        self.api.add_vhost(name)
        return urlunsplit(urlsplit(self.url)._replace(path=f"/{quote(name, safe='')}"))

    def delete_vhost(self, name: str) -> None:
        """Remove a vhost with everything in it."""
        self.api.delete_vhost(name)


class RemotePostgres:
    """A database server that somebody else runs."""

    def __init__(self, url: str) -> None:
        self.url = url

    def create_database(self, name: str, template: str = EMPTY) -> str:
        """Make a database, empty or a copy of another one that nobody uses, and return its URL."""
        return create_database(self.url, name, template)

    def drop_database(self, name: str) -> None:
        """Remove a database, ending its sessions."""
        drop_database(self.url, name)


def provide_broker() -> AbstractContextManager[Broker]:
    """The first broker in reach, with its management API; raises `PartMissing` where there is none."""
    if url := os.environ.get(AMQP_VARIABLE):
        return _given_broker(url)
    if system_root() is None and docker_answers():
        return _docker_broker()
    if PrivateBroker.installed():
        return PrivateBroker(management=True, plugins=[HASHING])
    raise PartMissing(BROKER, AMQP_VARIABLE)


def provide_postgres() -> AbstractContextManager[Postgres]:
    """The first database server in reach; raises `PartMissing` where there is none."""
    if url := os.environ.get(POSTGRES_VARIABLE):
        return _given_postgres(url)
    if system_root() is None and docker_answers():
        return _docker_postgres()
    if PrivatePostgres.installed():
        return PrivatePostgres()
    raise PartMissing(POSTGRES, POSTGRES_VARIABLE)


@cache
def docker_answers() -> bool:
    """Whether testcontainers is installed and a Docker daemon answers, asked as `sandbox/install.sh` asks."""
    if importlib.util.find_spec("testcontainers") is None or shutil.which("docker") is None:
        return False
    # By the command line: the library leaves its socket open when nobody answers.
    try:
        return subprocess.run(["docker", "info"], capture_output=True, timeout=DOCKER_TIMEOUT_S).returncode == 0
    except subprocess.TimeoutExpired:
        return False


@contextmanager
def _given_broker(url: str) -> Iterator[Broker]:
    parts = urlsplit(url)
    user, at, _ = parts.netloc.rpartition("@")
    broker = RemoteBroker(url, os.environ.get(MANAGEMENT_VARIABLE) or f"http://{user}{at}{parts.hostname}:15672")
    if not broker.api.answers():
        raise PartFailed(f"The management API of {AMQP_VARIABLE} does not answer. Set {MANAGEMENT_VARIABLE}.")
    yield broker


@contextmanager
def _given_postgres(url: str) -> Iterator[Postgres]:
    if not answers(url):
        raise PartFailed(f"The server of {POSTGRES_VARIABLE} does not answer.")
    yield RemotePostgres(url)


@contextmanager
def _docker_broker() -> Iterator[Broker]:
    with _container(BROKER_IMAGE, 5672, 15672) as container:
        host = container.get_container_host_ip()
        amqp, http = (container.get_exposed_port(port) for port in (5672, 15672))
        broker = RemoteBroker(f"amqp://guest:guest@{host}:{amqp}/%2F", f"http://guest:guest@{host}:{http}")
        wait_until(broker.api.answers, timeout_s=CONTAINER_TIMEOUT_S, what=f"{BROKER_IMAGE} does not answer")
        container.exec(["rabbitmq-plugins", "enable", HASHING])
        yield broker


@contextmanager
def _docker_postgres() -> Iterator[Postgres]:
    with _container(POSTGRES_IMAGE, 5432, POSTGRES_HOST_AUTH_METHOD="trust") as container:
        url = f"postgresql://postgres@{container.get_container_host_ip()}:{container.get_exposed_port(5432)}/postgres"
        wait_until(lambda: answers(url), timeout_s=CONTAINER_TIMEOUT_S, what=f"{POSTGRES_IMAGE} does not answer")
        yield RemotePostgres(url)


def _container(image: str, *ports: int, **variables: str) -> "AbstractContextManager[DockerContainer]":
    # Imported here: the demo of an installation without the tests' packages comes this way too.
    from testcontainers.core.container import DockerContainer

    return DockerContainer(image).with_exposed_ports(*ports).with_envs(**variables)
