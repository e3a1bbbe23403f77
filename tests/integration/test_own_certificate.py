"""Broker and database that ask who we are: a certificate of ours is shown, and what is wrong with it is told."""

from __future__ import annotations

import shutil
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.errors import BROKER, POSTGRES, PartMissing
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.place import own_directory, unprivileged_user
from sandbox.parts.postgres import ROLE, PrivatePostgres
from sandbox.parts.process import free_port
from sandbox.parts.tls import Certificates
from service.amqp.connection import connected
from service.errors import MirrorError
from service.mirror.store import Store
from service.settings.model import AmqpSettings, StoreSettings
from tests.databases import leaving_no_socket

#: Certificate and key.
Pair = tuple[Path, Path]
#: Connects, showing this certificate and key.
Connect = Callable[[Path | None, Path | None], Awaitable[None]]

_LISTENER = """\
listeners.ssl.1 = 127.0.0.1:{port}
ssl_options.cacertfile = {certificates.ca}
ssl_options.certfile = {certificates.certificate}
ssl_options.keyfile = {certificates.key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = true
auth_mechanisms.1 = PLAIN
auth_mechanisms.2 = EXTERNAL
ssl_cert_login_from = common_name
"""
#: Over TCP our role needs a certificate of its own name; the tests make databases as who they are.
_ACCESS = f"""\
hostssl all {ROLE} 127.0.0.1/32 trust clientcert=verify-full
host postgres {ROLE} 127.0.0.1/32 trust
"""


class AskingBroker(PrivateBroker):
    """A broker that also listens for those who show a certificate."""

    def __init__(self, certificates: Certificates) -> None:
        self.tls_port = free_port()
        listener = _LISTENER.format(port=self.tls_port, certificates=certificates)
        super().__init__(management=True, configuration=listener, plugins=["rabbitmq_auth_mechanism_ssl"])

    def tls_url(self, vhost: str = "%2F", user: str = "guest:guest@", query: str = "") -> str:
        """How to reach it by TLS."""
        return f"amqps://{user}127.0.0.1:{self.tls_port}/{vhost}{query}"


@pytest.fixture(scope="module")
def asking_broker(certificates: Certificates, do_without: Any) -> Iterator[AskingBroker]:
    if not PrivateBroker.installed():
        do_without(PartMissing(BROKER))
    with AskingBroker(certificates) as broker:
        yield broker


@pytest.fixture(scope="module")
def asking_postgres(certificates: Certificates, do_without: Any) -> Iterator[PrivatePostgres]:
    if not PrivatePostgres.installed():
        do_without(PartMissing(POSTGRES))
    user = unprivileged_user("postgres")
    with ExitStack() as stack:
        place = own_directory("tls", user)  # where the server may read
        stack.callback(shutil.rmtree, place)
        (place / "hba").write_text(_ACCESS)
        for path in (certificates.key, certificates.certificate, certificates.ca):
            shutil.copy(path, place / path.name)
        for path in place.iterdir():
            path.chmod(0o600)
            if user:
                shutil.chown(path, user)
        files = {"ssl_cert_file": "server.pem", "ssl_key_file": "server.key", "ssl_ca_file": "ca.pem"}
        settings = {name: str(place / file) for name, file in (*files.items(), ("hba_file", "hba"))}
        yield stack.enter_context(PrivatePostgres(settings={"ssl": "on", **settings}))


@pytest.fixture
def ours(certificates: Certificates, tmp_path: Path) -> Pair:
    """A certificate in the name of our role, and its key."""
    return certificates.of_client(tmp_path, ROLE)


@pytest.fixture(params=["broker", "database"])
def side(request: pytest.FixtureRequest, certificates: Certificates) -> tuple[str, Connect]:
    """Who asks: its section of the settings, and how we connect to it."""
    if request.param == "broker":
        broker: AskingBroker = request.getfixturevalue("asking_broker")
        url = SecretStr(broker.tls_url())

        async def to_broker(cert: Path | None, key: Path | None) -> None:
            settings = AmqpSettings(url=url, ca_file=certificates.ca, cert_file=cert, key_file=key)
            async with connected(settings, "test"):
                pass

        return "AMQP", to_broker
    postgres: PrivatePostgres = request.getfixturevalue("asking_postgres")
    database = SecretStr(postgres.create_database(f"asked_{request.node.name.partition('[')[0][-30:]}"))

    async def to_database(cert: Path | None, key: Path | None) -> None:
        store = Store(StoreSettings(url=database, ca_file=certificates.ca, cert_file=cert, key_file=key))
        try:
            await store.check()
        finally:
            await store.close()

    return "STORE", to_database


async def _told(connect: Connect, cert: Path | None, key: Path | None) -> str:
    """What is said, and advised, of a connection that cannot be made."""
    async with leaving_no_socket():
        with pytest.raises(MirrorError) as caught:
            await connect(cert, key)
    return f"{caught.value} {caught.value.advice()}"


async def test_who_shows_its_certificate_is_let_in(side: tuple[str, Connect], ours: Pair, tmp_path: Path) -> None:
    _, connect = side
    await connect(*ours)
    both = tmp_path / "both.pem"
    both.write_bytes(ours[0].read_bytes() + ours[1].read_bytes())
    both.chmod(0o640)
    await connect(both, None)


async def test_the_database_sees_our_certificate(
    asking_postgres: PrivatePostgres, certificates: Certificates, ours: Pair
) -> None:
    url = SecretStr(asking_postgres.create_database("seen"))
    store = Store(StoreSettings(url=url, ca_file=certificates.ca, cert_file=ours[0], key_file=ours[1]))
    async with store.read() as connection:
        seen = "SELECT client_dn FROM pg_stat_ssl WHERE pid = pg_backend_pid()"
        assert (await connection.execute(sa.text(seen))).scalar_one() == f"/CN={ROLE}"
    await store.close()


async def test_without_one_it_is_told_which_settings_are_missing(side: tuple[str, Connect]) -> None:
    section, connect = side
    told = await _told(connect, None, None)
    assert f"CATALOG_MIRROR_{section}__CERT_FILE" in told
    assert f"CATALOG_MIRROR_{section}__KEY_FILE" in told


async def test_one_that_nobody_there_signed_is_told(
    side: tuple[str, Connect], certificates: Certificates, tmp_path: Path
) -> None:
    section, connect = side
    told = await _told(connect, *certificates.of_client(tmp_path, ROLE, by=certificates.stranger))
    assert f"CATALOG_MIRROR_{section}__CERT_FILE" in told


async def test_what_is_wrong_with_our_files_is_told_with_what_to_do(
    side: tuple[str, Connect], certificates: Certificates, ours: Pair, tmp_path: Path
) -> None:
    section, connect = side
    certificate, key = ours
    expired = certificates.of_client(tmp_path, "expired", days=-1)
    other_key = certificates.of_client(tmp_path, "other")[1]
    nothing, text, open_key = tmp_path / "nothing", tmp_path / "text", tmp_path / "open.key"
    text.write_text("no certificate")
    text.chmod(0o600)
    shutil.copy(key, open_key)
    open_key.chmod(0o644)
    for cert_file, key_file, words in (
        (*expired, ("CERT_FILE", "has expired at", "valid one")),
        (certificate, other_key, ("KEY_FILE", "is not that of the certificate", "belong together")),
        (nothing, key, ("CERT_FILE", "No such file", "Put the certificate")),
        (certificate, nothing, ("KEY_FILE", "No such file", "Put the private key")),
        (text, key, ("CERT_FILE", "holds no certificate", "PEM")),
        (certificate, text, ("KEY_FILE", "holds no private key", "Put the certificate's own key")),
        (certificate, open_key, ("KEY_FILE", "everybody may read", "chmod 600")),
        (certificate, _with_passphrase(key), ("KEY_FILE", "asks for a passphrase", "openssl pkey")),
        (None, key, ("CERT_FILE", "it is not set", "Name the certificate")),
    ):
        told = await _told(connect, cert_file, key_file)
        assert f"CATALOG_MIRROR_{section}__{words[0]}" in told
        for word in words[1:]:
            assert word in told


def _with_passphrase(key: Path) -> Path:
    from cryptography.hazmat.primitives import serialization

    loaded = serialization.load_pem_private_key(key.read_bytes(), None)
    form, sealed = serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"secret")
    made = key.with_suffix(".sealed")
    made.write_bytes(loaded.private_bytes(serialization.Encoding.PEM, form, sealed))
    made.chmod(0o600)
    return made


async def test_a_database_whose_role_is_not_the_name_in_our_certificate_says_so(
    asking_postgres: PrivatePostgres, certificates: Certificates, tmp_path: Path
) -> None:
    cert, key = certificates.of_client(tmp_path, "somebody")
    url = SecretStr(asking_postgres.create_database("named"))
    store = Store(StoreSettings(url=url, ca_file=certificates.ca, cert_file=cert, key_file=key))
    async with leaving_no_socket():
        with pytest.raises(MirrorError) as caught:
            await store.check()
        await store.close()
    assert "not that of the role" in caught.value.advice()


async def test_a_broker_takes_the_user_from_our_certificate(
    asking_broker: AskingBroker, certificates: Certificates, tmp_path: Path
) -> None:
    url = SecretStr(asking_broker.tls_url(user="", query="?auth=external"))
    for name in ("guest", "nobody-there"):
        cert, key = certificates.of_client(tmp_path, name)
        settings = AmqpSettings(url=url, ca_file=certificates.ca, cert_file=cert, key_file=key)
        if name == "guest":
            async with connected(settings, "test"):
                continue
        with pytest.raises(MirrorError, match="it refuses user") as caught:
            async with connected(settings, "test"):
                pass
        assert "name in our certificate" in caught.value.advice()


async def test_a_new_pair_is_taken_at_the_next_connection(
    asking_broker: AskingBroker,
    asking_postgres: PrivatePostgres,
    certificates: Certificates,
    ours: Pair,
    tmp_path: Path,
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    """The pair is replaced by one that nobody trusts, which is told and waited for, and then by a good one."""
    url, database = asking_broker.add_vhost("rotated"), asking_postgres.create_database("rotated")
    settings = {"AMQP__URL": asking_broker.tls_url("rotated"), "STORE__URL": database}
    for section in ("AMQP", "STORE"):
        settings |= {f"{section}__CA_FILE": str(certificates.ca), f"{section}__CERT_FILE": str(ours[0])}
        settings[f"{section}__KEY_FILE"] = str(ours[1])
    async with make_catalog(url) as catalog, mirror_process(**settings) as service:
        await service.wait_ready()
        await catalog.publish([profile_event(1)])
        certificates.of_client(tmp_path, ROLE, by=certificates.stranger)
        asking_broker.ctl("close_all_user_connections", "guest", "rotated")
        await service.wait_for(lambda _, body: "AMQP__CERT_FILE" in str(body["reasons"]))
        asking_postgres.restart()
        await service.wait_for(lambda _, body: "STORE__CERT_FILE" in str(body["reasons"]))
        certificates.of_client(tmp_path, ROLE)
        await service.wait_for(lambda _, body: body["reasons"] == [])
    store = Store(StoreSettings(url=SecretStr(database), ca_file=certificates.ca, cert_file=ours[0], key_file=ours[1]))
    async with store.read() as connection:
        assert (await connection.execute(sa.text("SELECT count(*) FROM data_profiles"))).scalar_one() == 1
    await store.close()
