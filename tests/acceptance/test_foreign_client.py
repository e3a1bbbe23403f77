"""Bytes from a client that is not ours: each is mirrored, ignored, or a dead letter with a reason."""

import asyncio
import random
import re
from collections.abc import Callable
from typing import Any

import aio_pika
import pytest

from sandbox.parts.mirror import MirrorProcess

KEYS = (
    "v2.data_profiles.p1.POST",
    "v2.lineage_events.e1.POST",
    "v2.metadata_enrichment.m1.create_enrichment_area",
    "v3.gss.cams.assets.action",
)
BODIES = (
    b"",
    b"null",
    b"[]",
    b"{}",
    b'"text"',
    b"\xff\xfe\x00",
    b"{" * 5000,
    b'{"a":' * 500 + b"1" + b"}" * 500,
    b'{"state": {"metadata": {"guid": "\\ud800"}}}',
    b'{"state": {"metadata": {"guid": "x\\u0000"}}}',
    b'{"state": {"x": "\\ud800 \\u0000", "n": 123456789012345678901234567890, "f": 1E400}}',
    b'{"published": "yesterday", "state": {}}',
    b'{"published": 1e999, "state": {}}',
    b'{"details": {"profile_id": 7}}',
    b'{"event_details": {"event_id": "e", "event_time": true}}',
    b'{"uses_assets": [{"id": ""}]}',
    '{"state": {"emoji": "🜁"}}'.encode(),
    b'{"artifact_guid": "a1", "message_type": "DELETE_MESSAGE", "last_updated_at": 1.7E12}',
)


@pytest.mark.usefixtures("amqp_tools")
async def test_any_bytes_of_amqp_publish_are_mirrored_ignored_or_a_dead_letter_with_a_reason(
    catalog: Any,
    amqp_url: str,
    store_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    chance = random.Random(20260510)
    noise = [chance.randbytes(chance.randrange(1, 400)) for _ in range(10)]
    rows = rows_of(store_url)
    settings = {"PIPELINE__BRAKE_FAILURES": "200"}
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=store_url, **settings) as service:
        await service.wait_ready()
        sent = 0
        for body in (*BODIES, *noise):
            for key in KEYS:
                await _amqp_publish(amqp_url, key, body)
                sent += 1
        await _until_counted(service, sent)
        letters = await rows.all("SELECT routing_key, error_class, reason, remedy FROM dead_letters")
        assert letters
        assert all(reason and remedy for _, _, reason, remedy in letters)
        assert (await service.get("/livez"))[0] == 200
        await _amqp_publish(amqp_url, "v2.data_profiles.good.POST", b'{"state": {"metadata": {"guid": "good"}}}')
        await rows.until("SELECT count(*) FROM data_profiles WHERE profile_id = 'good'", 1)
        assert await service.terminate() == 0
    assert "Traceback" not in service.log_text()


@pytest.mark.usefixtures("amqp_tools")
async def test_keys_and_headers_that_a_client_library_cannot_read_do_not_stop_the_mirror(
    catalog: Any,
    amqp_url: str,
    sqlite_url: str,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
) -> None:
    deep: dict[str, Any] = {}
    for _ in range(420):
        deep = {"a": deep}
    rows = rows_of(sqlite_url)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url) as service:
        await service.wait_ready()
        await _amqp_publish(amqp_url, b"v2.data_profiles.\xff\xfe.POST", b"{")
        body = b'{"state": {"metadata": {"guid": "deep"}}}'
        await catalog.exchange.publish(aio_pika.Message(body, headers=deep), "v2.data_profiles.deep.POST")
        await _amqp_publish(amqp_url, "v2.data_profiles.after.POST", b'{"state": {"metadata": {"guid": "after"}}}')
        await rows.until("SELECT count(*) FROM data_profiles", 2)
        assert await rows.one("SELECT routing_key FROM dead_letters") == "v2.data_profiles.\\xff\\xfe.POST"


async def _amqp_publish(url: str, key: str | bytes, body: bytes) -> None:
    """The C client: no message id, no content type, no headers."""
    process = await asyncio.create_subprocess_exec(
        "amqp-publish", "-u", url, "-e", "CatalogServiceMessageHub", "-r", key, stdin=asyncio.subprocess.PIPE
    )
    await process.communicate(body)
    assert process.returncode == 0


async def _until_counted(service: MirrorProcess, expected: int) -> None:
    total = 0.0
    for _ in range(200):
        _, metrics = await service.get("/metrics")
        total = sum(float(number) for number in re.findall(r"^catalog_mirror_events_total\{.*\} (\S+)$", metrics, re.M))
        if total == expected:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{total} of {expected} events were counted")
