"""What keeps us out of the broker, or ends the link, is told in the broker's own words, with what to do about it."""

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
from pydantic import SecretStr

from sandbox.parts.management import ManagementApi
from sandbox.parts.providers import Broker
from sandbox.parts.tls import Certificates, tls_front
from service.amqp import topology
from service.amqp.channel import Outgoing
from service.amqp.connection import connected, translated, underlay
from service.amqp.publisher import Publisher
from service.errors import BrokerUnavailable, MirrorError, TopologyMissing
from service.settings.model import AmqpSettings

PASSWORD = "pw-SWORDFISH"


@pytest.fixture
def api(broker: Broker) -> ManagementApi:
    assert broker.management_url is not None
    return ManagementApi(broker.management_url)


@pytest.fixture
def stranger(amqp_url: str, api: ManagementApi) -> Iterator[str]:
    """A user without any right: the test's vhost by its URL."""
    name = f"stranger-{uuid4().hex[:8]}"
    api.add_user(name, PASSWORD)
    parts = urlsplit(amqp_url)
    yield parts._replace(netloc=f"{name}:{PASSWORD}@{parts.hostname}:{parts.port}").geturl()
    api.delete_user(name)


async def _refused(url: str, **more: Any) -> MirrorError:
    with pytest.raises(MirrorError) as caught:
        async with connected(AmqpSettings(url=SecretStr(url), connect_timeout_s=5, **more), "test"):
            pass
    assert "SWORDFISH" not in f"{caught.value} {caught.value.advice()}"
    return caught.value


async def test_a_vhost_that_does_not_exist_is_named_and_is_no_outage(amqp_url: str) -> None:
    error = await _refused(amqp_url.rsplit("/", 1)[0] + "/no-such-vhost")
    assert isinstance(error, TopologyMissing)
    assert "vhost no-such-vhost not found" in str(error)


async def test_what_is_no_longer_open_and_who_does_not_answer_is_told_in_words(amqp_url: str) -> None:
    settings = AmqpSettings(url=SecretStr(amqp_url), connect_timeout_s=7)
    async with connected(settings, "test") as link:
        channel = await underlay(link).channel()
        await channel.close()
        with pytest.raises(BrokerUnavailable, match="cannot be used: the channel is closed"), translated(settings):
            await channel.basic_qos(prefetch_count=1)
    with pytest.raises(BrokerUnavailable, match="cannot be used: the connection is closed"), translated(settings):
        await channel.connection.channel()
    with pytest.raises(BrokerUnavailable, match="cannot be used: no answer within 7 s"), translated(settings):
        raise TimeoutError


async def test_a_vhost_that_is_not_ours_is_named_with_the_user(stranger: str) -> None:
    error = await _refused(stranger)
    assert isinstance(error, TopologyMissing)
    assert "refused for user 'stranger-" in str(error)


async def test_a_wrong_password_is_told_from_an_outage(stranger: str) -> None:
    error = await _refused(stranger.replace(PASSWORD, "wrong"))
    assert "it refuses user 'stranger-" in str(error)
    assert "Correct user and password" in error.advice()


async def test_each_failure_of_tls_has_its_own_remedy(amqp_url: str, certificates: Certificates) -> None:
    port = urlsplit(amqp_url).port or 0
    async with tls_front(port, certificates) as front:
        told = {
            name: (await _refused(f"{scheme}://guest:guest@{host}:{to}/", ca_file=ca)).advice()
            for name, scheme, host, to, ca in (
                ("another CA", "amqps", "127.0.0.1", front, certificates.stranger),
                ("no CA of ours", "amqps", "127.0.0.1", front, None),
                ("plain text to TLS", "amqp", "127.0.0.1", front, None),
                ("TLS to plain text", "amqps", "127.0.0.1", port, certificates.ca),
            )
        }
    assert "CATALOG_MIRROR_AMQP__CA_FILE" in told["another CA"]
    assert "CATALOG_MIRROR_AMQP__CA_FILE" in told["no CA of ours"]
    assert "amqps://" in told["plain text to TLS"]
    assert "speaks no TLS" in told["TLS to plain text"]


async def test_nobody_listening_stays_an_outage(certificates: Certificates) -> None:
    error = await _refused("amqp://guest:guest@127.0.0.1:1/")
    assert isinstance(error, BrokerUnavailable)
    assert "up and reachable" in error.advice()


@pytest.fixture
def given(api: ManagementApi) -> Callable[[str, str], None]:
    """Runs what an error advises the broker's owner to run."""

    def run(advice: str, vhost: str) -> None:
        words = advice.split("rabbitmqctl ")[1].replace("'", "").split()
        assert words[:3] == ["set_topic_permissions", "-p", vhost]
        user, exchange, write, read = words[3:]
        api.set_topic_permissions(vhost, user, exchange, write=write, read=read)

    return run


async def test_a_topic_that_is_not_ours_to_read_or_write_is_named_with_the_command_that_gives_it(
    amqp_url: str, stranger: str, api: ManagementApi, make_catalog: Callable[[str], Any], given: Any
) -> None:
    vhost, name = urlsplit(amqp_url).path[1:], urlsplit(stranger).username or ""
    api.set_permissions(vhost, name)
    settings = AmqpSettings(url=SecretStr(stranger))
    async with make_catalog(amqp_url), connected(settings, "test") as connection:
        api.set_topic_permissions(vhost, name, "CatalogServiceMessageHub", write="^$", read="^nothing$")
        with pytest.raises(TopologyMissing, match=r"access to topic 'v2\.data_profiles\.\*\.POST'") as caught:
            await topology.ensure(connection, settings, ["v2.data_profiles.*.POST"])
        publisher = Publisher(settings)
        message = Outgoing("id-1", settings.lineage_key.replace("{event_id}", "id-1"), b"{}")
        with pytest.raises(TopologyMissing, match=r"may not publish .*topic 'v2\.lineage_events"):
            await publisher.publish([message])

        given(caught.value.advice(), vhost)
        await topology.ensure(connection, settings, ["v2.data_profiles.*.POST"])
        assert await publisher.publish([message]) == [None]
        await publisher.close()
