"""A broker that wants tokens of OAuth 2.0 instead of a password, with its own plugin."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from sandbox.parts.broker import PrivateBroker
from sandbox.parts.errors import BROKER, PartMissing
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.tokens import EVERYTHING, RESOURCE, PocketTokens
from service.amqp import management, tokens, topology
from service.amqp.channel import UNROUTABLE, Outgoing
from service.amqp.connection import connected
from service.amqp.publisher import Publisher
from service.errors import BrokerUnavailable, MirrorError, SettingInvalid, TopologyMissing
from service.settings.model import AmqpSettings, load

#: Seconds that a token lives where it is to be renewed soon.
SHORT_S = 6


@pytest.fixture(scope="module")
def giver(tmp_path_factory: pytest.TempPathFactory) -> PocketTokens:
    return PocketTokens(tmp_path_factory.mktemp("tokens"))


@pytest.fixture(scope="module")
def wanting(giver: PocketTokens, do_without: Any) -> Iterator[PrivateBroker]:
    """A broker that takes its tokens, and our passwords for what the tests arrange."""
    if not PrivateBroker.installed():
        do_without(PartMissing(BROKER))
    plugins = ["rabbitmq_auth_backend_oauth2"]
    with PrivateBroker(management=True, configuration=giver.broker_configuration, plugins=plugins) as broker:
        yield broker


@pytest.fixture
async def settings(giver: PocketTokens, wanting: PrivateBroker) -> AsyncIterator[AmqpSettings]:
    tokens._kept.clear()
    giver.life_s, giver.scope, giver.audience, giver.is_up, giver.given = 3600, EVERYTHING, RESOURCE, True, 0
    async with giver.serve() as url:
        yield AmqpSettings(
            url=SecretStr(f"amqp://127.0.0.1:{wanting.port}/%2F"),
            management_url=SecretStr(str(wanting.management_url).replace("guest:guest@", "")),
            token_url=url,
            token_client_id=giver.client,
            token_client_secret=SecretStr(giver.secret),
            token_scope="all.of.it",
            connect_timeout_s=5,
        )


async def _refused(settings: AmqpSettings, **changed: Any) -> MirrorError:
    with pytest.raises(MirrorError) as caught:
        async with connected(settings.model_copy(update=changed), "test"):
            pass
    return caught.value


async def test_one_token_opens_every_connection(settings: AmqpSettings, giver: PocketTokens) -> None:
    async with connected(settings, "test"), connected(settings, "test"):
        assert giver.given == 1


async def test_what_is_wrong_with_signing_in_is_told_in_their_words(
    settings: AmqpSettings, giver: PocketTokens
) -> None:
    error = await _refused(settings, token_client_secret=SecretStr("SWORDFISH"))
    assert "answers 401 to 'mirror': invalid_client Invalid client" in str(error)
    assert "TOKEN_CLIENT_SECRET" in error.advice()
    assert "SWORDFISH" not in f"{error} {error.advice()}"
    assert "TOKEN_URL" in (await _refused(settings, token_url="http://127.0.0.1:1/token")).advice()
    giver.is_up = False
    error = await _refused(settings)
    assert isinstance(error, BrokerUnavailable)
    assert "temporarily_unavailable" in str(error)


async def test_a_token_that_the_broker_does_not_take_is_told_and_not_used_again(
    settings: AmqpSettings, giver: PocketTokens
) -> None:
    giver.audience = "somebody-else"
    error = await _refused(settings)
    assert "it refuses user 'mirror'" in str(error)
    assert "resource_server_id" in error.advice()
    giver.audience = RESOURCE
    async with connected(settings, "test"):
        pass


async def test_scopes_that_are_missing_are_told_and_those_are_enough(
    settings: AmqpSettings, giver: PocketTokens
) -> None:
    ours = settings.model_copy(update={"declare_exchange": True})
    giver.scope = f"{RESOURCE}.read:*/*"
    async with connected(ours, "test") as connection:
        with pytest.raises(TopologyMissing) as caught:
            await topology.ensure(connection, ours, ["v2.data_profiles.*.POST"])
    told = caught.value.advice()
    assert "rabbitmqctl" not in told
    giver.scope = " ".join(f"{RESOURCE}.{scope}" for scope in re.findall(r"(?:configure|read|write):\S+", told))
    tokens.forget(ours)
    async with connected(ours, "test") as connection:
        await topology.ensure(connection, ours, ["v2.data_profiles.*.POST"])
    publisher = Publisher(ours)
    message = Outgoing("id-1", settings.lineage_key.replace("{event_id}", "id-1"), b"{}")
    assert await publisher.publish([message]) == [UNROUTABLE]
    await publisher.close()


async def test_the_management_api_takes_the_token_too(settings: AmqpSettings) -> None:
    ours = settings.model_copy(update={"declare_exchange": True})
    async with connected(ours, "test") as connection:
        await topology.ensure(connection, ours, [])
    report = await management.queue_report(settings, settings.queue)
    assert report is not None
    assert report.delivery_limit == settings.delivery_limit


async def test_a_connection_outlives_its_token_and_a_server_that_is_away_for_a_moment(
    settings: AmqpSettings,
    giver: PocketTokens,
    wanting: PrivateBroker,
    tmp_path: Path,
    sqlite_url: str,
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    """Mirror and lineage back, for several lives of a token, without a new connection."""
    url, rows = await asyncio.to_thread(wanting.add_vhost, "tokens"), rows_of(sqlite_url)
    giver.life_s = SHORT_S
    secret = tmp_path / "secret"
    secret.write_text(giver.secret + "\n")
    chosen = {
        "AMQP__URL": f"amqp://127.0.0.1:{wanting.port}/tokens",
        "AMQP__TOKEN_URL": str(settings.token_url),
        "AMQP__TOKEN_CLIENT_ID": giver.client,
        "AMQP__TOKEN_CLIENT_SECRET_FILE": str(secret),
    }
    async with make_catalog(url) as catalog, mirror_process(STORE__URL=sqlite_url, **chosen) as service:
        await service.wait_ready()
        for number in range(3):
            await catalog.publish([profile_event(number)])
            await rows.until("SELECT count(*) FROM data_profiles", number + 1)
            await rows.until("SELECT count(*) FROM deliveries", 0)
            # Time itself is the condition: of the token that it began with nothing is left.
            await asyncio.sleep(SHORT_S)
        assert giver.given > 3
        assert "broker_unavailable" not in service.log_text()
        assert service.log_text().count('"consuming"') == 1
        giver.is_up = False
        async with asyncio.timeout(30):  # the broker ends the connection then from 4.0 on, and before does nothing
            while "broker_token_not_renewed" not in service.log_text():
                await asyncio.sleep(0.2)
        await asyncio.sleep(SHORT_S)
        giver.is_up = True
        await service.wait_for(lambda _, body: body["reasons"] == [])
        await catalog.publish([profile_event(7)])
        await rows.until("SELECT count(*) FROM data_profiles", 4)


def test_who_asks_for_tokens_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_AMQP__TOKEN_URL", "https://id.example.com/token")
    with pytest.raises(SettingInvalid, match="TOKEN_CLIENT_ID"):
        load()
