"""Outages of the broker: the consumer comes back by itself, and what may be lost is on record as a gap."""

import asyncio
import base64
import gzip
import json
import re
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractIncomingMessage
from aiohttp import web
from sqlalchemy.engine import make_url
from standardwebhooks import Webhook

from sandbox.parts.management import ManagementApi
from sandbox.parts.mirror import MirrorProcess
from sandbox.parts.mounted import MountedSecrets
from sandbox.serving import serving
from service.amqp.hands import HELD_S

EVENTS = 300
#: Messages of a recording.
RECORDED = 10


@pytest.fixture
def events(profile_event: Callable[..., tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    return [profile_event(number, at_s=number) for number in range(EVENTS)]


async def test_a_deleted_queue_is_made_anew_and_recorded_as_a_gap(
    catalog: Any,
    events: list[tuple[str, bytes]],
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await catalog.publish(events[:10])
        await rows.until("SELECT count(*) FROM data_profiles", 10)
        await catalog.channel.queue_delete("catalog-mirror")
        await rows.until("SELECT count(*) FROM gaps WHERE kind = 'queue_recreated' AND closed_at IS NULL", 1)
        assert "consumer_cancelled" in service.log_text(), "the broker's word for it"
        await catalog.publish(events[10:20])
        await rows.until("SELECT count(*) FROM data_profiles", 20)


async def test_a_long_absence_is_recorded_as_a_gap(
    catalog: Any,
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await service.terminate()
    assert await rows.one("SELECT count(*) FROM gaps") == 0
    await asyncio.sleep(1.2)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, AMQP__GAP_AFTER="1") as service:
        await service.wait_ready()
        await rows.until("SELECT count(*) FROM gaps WHERE kind = 'absence'", 1)


@pytest.mark.timeout(180)
async def test_a_restarted_broker_finds_the_consumer_again(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    events: list[tuple[str, bytes]],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    rows = rows_of(sqlite_url)
    async with make_catalog(private_broker.url) as catalog:
        async with mirror_process(AMQP__URL=private_broker.url, STORE__URL=sqlite_url) as service:
            await service.wait_ready()
            await catalog.publish(events[:100])
            await rows.until("SELECT count(*) FROM data_profiles", 100)
            await asyncio.to_thread(private_broker.stop_app)
            status, _ = await service.get("/livez")
            assert status == 200, "an outage of the broker never fails liveness"
            await service.wait_for(lambda status, body: status == 200 and body["status"] == "degraded")
            await asyncio.to_thread(private_broker.start_app)
            async with make_catalog(private_broker.url) as again:
                await again.publish(events[100:])
                await rows.until("SELECT count(*) FROM data_profiles", EVENTS)


@pytest.mark.parametrize("instead", ["wrong:password@", "guest:guest@"])
async def test_a_management_api_that_cannot_be_used_is_told(
    broker: Any,
    catalog: Any,
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    run_command: Callable[..., Any],
    instead: str,
) -> None:
    """A wrong password, and an address at which something else answers."""
    url = broker.management_url.replace("guest:guest@", instead) + ("" if "wrong" in instead else "/elsewhere")
    settings = {"AMQP__URL": amqp_url, "STORE__URL": sqlite_url, "AMQP__MANAGEMENT_URL": url}
    async with mirror_process(**settings) as service:
        await service.wait_ready()
        body = await service.wait_for(lambda status, body: body["reasons"] != [])
        assert "AMQP__MANAGEMENT_URL" in body["reasons"][0]
        told = await run_command("doctor", expect=1, **settings)
        assert "management API" in told
        assert "tag `management`" in told
        assert "wrong:password" not in service.log_text() + told


@pytest.mark.timeout(180)
async def test_a_queue_that_was_full_before_anybody_counted_is_a_gap(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "full-before")
    settings = {"AMQP__MANAGEMENT_URL": private_broker.management_url, "AMQP__QUEUE_MAX_BYTES": "50000"}
    async with make_catalog(url) as catalog:
        arguments = {"x-queue-type": "quorum", "x-max-length-bytes": 50_000, "x-overflow": "drop-head"}
        queue = await catalog.channel.declare_queue(
            "catalog-mirror", durable=True, arguments=arguments | {"x-delivery-limit": 10_000}
        )
        await queue.bind(catalog.exchange, "v2.data_profiles.*.PATCH")
        await catalog.publish(("v2.data_profiles.big.PATCH", b"x" * 5000) for _ in range(30))
        api = ManagementApi(private_broker.management_url)
        async with asyncio.timeout(30):
            while api.call("GET", "/api/queues/full-before/catalog-mirror").get("messages", 0) < 9:
                await asyncio.sleep(0.5)
        async with mirror_process(AMQP__URL=url, STORE__URL=sqlite_url, **settings) as service:
            await service.wait_ready()
            await rows_of(sqlite_url).until("SELECT count(*) FROM gaps WHERE kind = 'queue_full'", 1)


@pytest.mark.timeout(180)
async def test_messages_in_the_hand_of_somebody_else_are_told_for_as_long_as_they_are(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    """A tool that looks into our queue: its messages are neither ready nor with us, and nothing else shows that."""
    url = await asyncio.to_thread(private_broker.add_vhost, "held")
    settings = {"AMQP__MANAGEMENT_URL": private_broker.management_url, "AMQP__WATCHDOG_INTERVAL_S": "1"}
    async with (
        make_catalog(url) as catalog,
        mirror_process(AMQP__URL=url, STORE__URL=sqlite_url, **settings) as service,
    ):
        await service.wait_ready()
        async with await aio_pika.connect(url) as connection:
            channel = await connection.channel()
            await channel.set_qos(3)
            await (await channel.get_queue("catalog-mirror", ensure=False)).consume(_keep)
            await catalog.publish(profile_event(number) for number in range(20))
            await asyncio.sleep(HELD_S - 10)
            assert json.loads((await service.get("/readyz"))[1])["reasons"] == [], "it may be about to acknowledge"
            body = await service.wait_for(lambda _, body: body["reasons"] != [])
            (told,) = body["reasons"]
            assert "3 messages of the queue 'catalog-mirror' were neither ready nor in our hands" in told
            assert "list_consumers -p held" in told
            assert '"why": "held"' in service.log_text()
            assert "catalog_mirror_queue_messages_held 3.0" in (await service.get("/metrics"))[1]
            async with asyncio.timeout(20):
                while "neither ready" not in await run_command("status", STORE__URL=sqlite_url):
                    await asyncio.sleep(1)
        await rows_of(sqlite_url).until("SELECT count(*) FROM data_profiles", 20)
        await service.wait_for(lambda _, body: body["reasons"] == [])


async def test_a_missing_right_is_named_with_the_command_that_gives_it(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "rights")
    await asyncio.to_thread(private_broker.ctl, "add_user", "mirror", "pw")
    await asyncio.to_thread(private_broker.ctl, "set_permissions", "-p", "rights", "mirror", "^$", "^$", "^$")
    ours = url.replace("guest:guest", "mirror:pw")
    assert ours != url
    async with make_catalog(url):
        async with mirror_process(AMQP__URL=ours, STORE__URL=sqlite_url) as service:
            body = await service.wait_for(lambda status, body: "set_permissions" in " ".join(body["reasons"]))
            advice = " ".join(body["reasons"]).split("run: rabbitmqctl ")[1]
            given = [word.strip("'") for word in advice.split("'") if word.strip()]
            arguments = [*given[0].split(), *given[1:4]]
            await asyncio.to_thread(private_broker.ctl, *arguments)
            await service.wait_ready()
        assert "pw" not in service.log_text()


async def test_a_rotated_password_is_read_from_its_file_at_the_next_connection(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    sqlite_url: str,
    tmp_path: Path,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "rotate")
    await asyncio.to_thread(private_broker.ctl, "add_user", "rotating", "old")
    await asyncio.to_thread(private_broker.ctl, "set_permissions", "-p", "rotate", "rotating", ".*", ".*", ".*")
    secret = tmp_path / "amqp-url"
    secret.write_text(url.replace("guest:guest", "rotating:old") + "\n")
    async with make_catalog(url) as catalog:
        async with mirror_process(AMQP__URL_FILE=str(secret), STORE__URL=sqlite_url) as service:
            await service.wait_ready()
            secret.write_text(url.replace("guest:guest", "rotating:new") + "\n")
            await asyncio.to_thread(private_broker.ctl, "change_password", "rotating", "new")
            await asyncio.to_thread(private_broker.ctl, "close_all_user_connections", "rotating", "rotated tonight")
            await catalog.publish([profile_event(1)])
            await rows_of(sqlite_url).until("SELECT count(*) FROM data_profiles", 1)
            (told,) = [line for line in service.log_text().splitlines() if '"broker_unavailable"' in line]
            assert "rotated tonight" in told, "whoever closes a connection is quoted"
            assert "Somebody on the broker's side" in told


class Hook:
    """A receiver that takes one token at a time, and looks whether that signed which counts."""

    def __init__(self) -> None:
        self.token, self.secret = "", ""
        self.told: set[str] = set()

    async def take(self, request: web.Request) -> web.Response:
        body = await request.read()
        if request.headers.get("Authorization") != f"Bearer {self.token}":
            return web.Response(status=401)
        Webhook(self.secret).verify(body, dict(request.headers), json_parse=False)
        self.told |= {event["subject"] for event in json.loads(body)}
        return web.Response(status=204)


async def test_credentials_rotate_under_load_and_no_event_is_refused(
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    private_broker: Any,
    postgres_url: str,
    mounted: MountedSecrets,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    """Of broker, store and target at once, while events come: the volume is exchanged, then the old ones are gone."""
    url = await asyncio.to_thread(private_broker.add_vhost, "rotating")
    rows, hook, names, sent = rows_of(postgres_url), Hook(), ("rotating_old", "rotating_new"), 0
    app = web.Application()
    app.router.add_post("/", hook.take)

    async def make(name: str) -> None:
        await asyncio.to_thread(private_broker.ctl, "add_user", name, "secret")
        await asyncio.to_thread(private_broker.ctl, "set_permissions", "-p", "rotating", name, ".*", ".*", ".*")

    def mount(name: str) -> None:
        secret = "whsec_" + base64.b64encode(f"secret of {name}".ljust(32).encode()).decode()
        mounted.put({
            "amqp-url": url.replace("guest:guest", f"{name}:secret"),
            "store-url": make_url(postgres_url).set(username=name).render_as_string(hide_password=False),
            "token": f"token of {name}", "secret": secret,
        })  # fmt: skip
        hook.token, hook.secret = f"token of {name}", secret

    async def publish(number: int) -> None:
        nonlocal sent
        await catalog.publish(profile_event(sent + n, at_s=sent + n) for n in range(number))
        sent += number

    async def go_on() -> None:
        while not done.is_set():
            await publish(5)
            await rows.until(f"SELECT count(*) >= {sent - 20} FROM data_profiles", True)

    await asyncio.gather(*(make(name) for name in names))
    await rows.execute(*(f"CREATE ROLE {name} LOGIN SUPERUSER" for name in names))
    mount("rotating_old")
    async with serving(app, 0, "127.0.0.1") as place, make_catalog(url) as catalog:
        settings = {
            "AMQP__URL_FILE": str(mounted.path("amqp-url")), "STORE__URL_FILE": str(mounted.path("store-url")),
            "TARGETS__WEBHOOK__URL": place, "TARGETS__WEBHOOK__TOKEN_FILE": str(mounted.path("token")),
            "TARGETS__WEBHOOK__SECRET_FILE": str(mounted.path("secret")), "RELAY__RETRY_MAX_S": "1",
        }  # fmt: skip
        async with mirror_process(**settings) as service:
            await service.wait_ready()
            done = asyncio.Event()
            going_on = asyncio.create_task(go_on())
            await rows.until("SELECT count(*) > 0 FROM data_profiles", True)
            mount("rotating_new")
            await asyncio.to_thread(private_broker.ctl, "delete_user", "rotating_old")  # which closes its connections
            await rows.execute(
                "ALTER ROLE rotating_old NOLOGIN",
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotating_old'",
            )
            done.set()
            await going_on
            await publish(5)
            await rows.until("SELECT count(*) FROM data_profiles", sent)
            await rows.until("SELECT count(*) FROM deliveries", 0)
    assert await rows.all("SELECT routing_key, reason FROM dead_letters") == []
    assert len(hook.told) == sent
    await rows.execute(*(f"DROP ROLE {name}" for name in names))


async def test_nothing_is_asked_of_the_broker_that_is_to_be_taken_away(
    rig: Callable[..., Any],
    private_broker: Any,
    sqlite_url: str,
    tmp_path: Path,
    run_command: Callable[..., Any],
) -> None:
    """Global prefetch, transient queues that are not exclusive, and the like: brokers of today log who uses them."""
    if private_broker.version.startswith("3."):
        pytest.skip("this broker does not log who uses what is to be taken away")
    url, before = await asyncio.to_thread(private_broker.add_vhost, "taken-away"), _going(private_broker)
    async with rig("nothing broken", url, sqlite_url) as world:
        capturing = asyncio.create_task(run_command("capture", str(tmp_path / "seen"), "--count", "5", AMQP__URL=url))
        while not capturing.done():
            await world.publish(5)
            await asyncio.sleep(0.5)
        await world.resumed()
        assert _going(private_broker) == before


async def test_a_recording_goes_on_when_the_broker_is_back(
    private_broker: Any,
    make_catalog: Callable[[str], Any],
    profile_event: Callable[..., tuple[str, bytes]],
    tmp_path: Path,
    run_command: Callable[..., Any],
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "recorded")
    await asyncio.to_thread(private_broker.ctl, "add_user", "recorder", "pw")
    await asyncio.to_thread(private_broker.ctl, "set_permissions", "-p", "recorded", "recorder", ".*", ".*", ".*")
    ours, seen = url.replace("guest:guest", "recorder:pw"), tmp_path / "seen.ndjson.gz"
    async with make_catalog(url) as catalog:
        words = ("capture", str(seen), "--for", "5m", "--count", str(RECORDED))
        recording = asyncio.create_task(run_command(*words, AMQP__URL=ours))
        await _recorded(catalog, profile_event(1), seen)
        await asyncio.to_thread(private_broker.ctl, "close_all_user_connections", "recorder", "for a while")
        while not recording.done():  # what comes before it is back is not recorded
            await catalog.publish([profile_event(2)])
            await asyncio.sleep(0.5)
        assert "What it tells meanwhile is not recorded" in " ".join((await recording).split())
    with gzip.open(seen) as lines:
        assert len(lines.read().splitlines()) == RECORDED


async def _recorded(catalog: Any, event: tuple[str, bytes], seen: Path) -> None:
    """Publish this until it is in the file."""
    async with asyncio.timeout(60):
        while not (seen.exists() and zlib.decompressobj(wbits=31).decompress(seen.read_bytes())):
            await catalog.publish([event])
            await asyncio.sleep(0.5)


def _going(broker: Any) -> list[str]:
    """What was used of that; the command that lists what is in use misses some (findings)."""
    return re.findall(r"Deprecated features: `(\w+)`", broker.log_text())


async def test_a_missing_exchange_is_named_with_vhost_user_and_what_to_ask_for(
    amqp_url: str,
    sqlite_url: str,
    make_catalog: Callable[[str], Any],
    mirror_process: Callable[..., MirrorProcess],
) -> None:
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        body = await service.wait_for(
            lambda status, body: status == 503 and any("exchange" in r for r in body["reasons"])
        )
        reason = " ".join(body["reasons"])
        for word in ("CatalogServiceMessageHub", "vhost", "test-", "guest", "DECLARE_EXCHANGE"):
            assert word in reason
        async with make_catalog(amqp_url):
            await service.wait_ready()


async def test_a_broker_that_is_restarted_and_killed_while_publishing_and_acknowledging(
    rig: Callable[..., Any], private_broker: Any, sqlite_url: str
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "restarts")
    async with rig("broker restarted", url, sqlite_url) as world:
        await world.publish(20)
        await world.mirrored()
        await asyncio.to_thread(private_broker.wait_registered, "restarts", "catalog-mirror")
        for outage in (private_broker.stop, private_broker.kill):
            publishing = asyncio.create_task(world.publish(300))
            await asyncio.sleep(0.4)
            await asyncio.to_thread(outage)
            assert (await world.service.get("/livez"))[0] == 200
            await asyncio.to_thread(private_broker.start)
            await publishing
            await world.resumed()


async def test_rights_that_are_revoked_while_it_consumes_are_named_and_waited_for(
    rig: Callable[..., Any], private_broker: Any, sqlite_url: str
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "revoked")
    ctl = private_broker.ctl
    await asyncio.to_thread(ctl, "add_user", "revoked", "pw")
    grant = ("set_permissions", "-p", "revoked", "revoked", ".*", ".*", ".*")
    await asyncio.to_thread(ctl, *grant)
    through = url.replace("guest:guest", "revoked:pw")
    async with rig("rights revoked", url, sqlite_url, through=through) as world:
        await world.publish(20)
        await world.mirrored()
        await asyncio.to_thread(ctl, "set_permissions", "-p", "revoked", "revoked", "^$", "^$", "^$")
        await asyncio.to_thread(ctl, "close_all_user_connections", "revoked", "rights changed")
        await world.publish(100)
        await world.service.wait_for(lambda status, body: "set_permissions" in " ".join(body["reasons"]))
        await asyncio.to_thread(ctl, *grant)
        await world.resumed()


async def test_a_memory_alarm_of_the_broker_stops_what_goes_out_and_not_what_comes_in(
    rig: Callable[..., Any], private_broker: Any, sqlite_url: str
) -> None:
    url = await asyncio.to_thread(private_broker.add_vhost, "alarm")
    async with rig("broker's memory alarm", url, sqlite_url) as world:
        await world.publish(50)
        await world.mirrored()
        await asyncio.to_thread(private_broker.ctl, "set_vm_memory_high_watermark", "0.00001")
        await asyncio.sleep(3)
        assert (await world.service.get("/livez"))[0] == 200
        await asyncio.to_thread(private_broker.ctl, "set_vm_memory_high_watermark", "0.8")
        await world.resumed()


async def test_a_consumer_timeout_of_the_broker_meets_nobody_who_waits_with_a_message_in_hand(
    rig: Callable[..., Any], private_broker: Any, postgres_url: str
) -> None:
    """The store is locked for longer than the broker lets anybody hold a message."""
    url = await asyncio.to_thread(private_broker.add_vhost, "timeout")
    for name, value in (("consumer_timeout", "7000"), ("channel_tick_interval", "1000")):
        await asyncio.to_thread(private_broker.ctl, "eval", f"application:set_env(rabbit, {name}, {value}).")
    async with rig("consumer_timeout", url, postgres_url, STORE__TIMEOUT_S="2") as world:
        await world.publish(50)
        await world.mirrored()
        somebody = await asyncpg.connect(postgres_url)
        async with somebody.transaction():
            await somebody.execute("LOCK TABLE data_profiles IN ACCESS EXCLUSIVE MODE")
            await world.publish(50)
            async with asyncio.timeout(30):
                await _met_by_timeout(url)
        await somebody.close()
        assert "consumer_cancelled" not in world.service.log_text()
        assert "broker_unavailable" not in world.service.log_text()
        await world.resumed()


async def _met_by_timeout(url: str) -> None:
    """Hold a message until the broker does something about it: it closes the channel, or (4.3) cancels the consumer."""
    met = asyncio.Event()
    async with await aio_pika.connect(url) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("held", durable=True, arguments={"x-queue-type": "quorum"})
        await channel.default_exchange.publish(aio_pika.Message(b"x"), "held")
        below = await channel.get_underlay_channel()
        below.on_consumer_cancel_callbacks.add(lambda _: met.set())
        below.closing.add_done_callback(lambda _: met.set())
        await queue.consume(_keep)
        await met.wait()


async def _keep(_: AbstractIncomingMessage) -> None:
    """Nothing is acknowledged."""
