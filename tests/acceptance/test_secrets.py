"""No secret of any event is in store, log, dead letters, metrics or capture."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sandbox.parts.mirror import MirrorProcess

#: One marker in every place where a secret may hide.
SECRETS = [f"s3cr3t-{number:02d}-value" for number in range(12)]


def _events() -> list[tuple[str, bytes]]:
    s = iter(SECRETS)
    state = {
        "metadata": {"guid": "p1"},
        "password": next(s),
        "connection": {"properties": {"api_key": next(s), "deep": [{"access_token": {"value": next(s)}}]}},
        "text": json.dumps({"secret_key": next(s)}),
        "url": f"https://user:{next(s)}@example.com/?X-Amz-Signature={next(s)}",
        "pairs": [{"name": "client_secret", "value": next(s)}],
    }
    good = json.dumps({"published": "2026-05-10T15:04:15Z", "state": state}).encode()
    broken = b'{"published": "x", "password": "%s", "token": \'%s\'' % (next(s).encode(), next(s).encode())
    wrong = json.dumps({"published": [], "state": {}, "details": {"credential": next(s)}}).encode()
    hidden = b'{"state": {"metadata": {"guid": "p2"}, "\\u0070assword": "%s"}}' % next(s).encode()
    lineage = json.dumps({"event_details": {"event_id": "e1"}, "user_id": "u", "authorization": next(s)}).encode()
    return [
        ("v2.data_profiles.p1.POST", good),
        ("v2.data_profiles.p3.POST", broken),
        ("v2.data_profiles.p4.POST", wrong),
        ("v2.data_profiles.p2.POST", hidden),
        ("v2.lineage_events.e1.POST", lineage),
    ]


async def test_no_secret_of_any_event_is_in_store_log_metrics_or_capture(
    catalog: Any,
    amqp_url: str,
    sqlite_url: str,
    tmp_path: Path,
    mirror_process: Callable[..., MirrorProcess],
    rows_of: Callable[..., Any],
    run_command: Callable[..., Any],
) -> None:
    capture = tmp_path / "capture.ndjson"
    rows = rows_of(sqlite_url)
    recording = asyncio.create_task(
        run_command("capture", str(capture), "--count", "5", "--seconds", "40", AMQP__URL=amqp_url)
    )
    while not await _is_recording(catalog):
        await asyncio.sleep(0.1)
    async with mirror_process(AMQP__URL=amqp_url, STORE__URL=sqlite_url, LOG__LEVEL="debug") as service:
        await service.wait_ready()
        await catalog.publish(_events())
        await rows.until("SELECT count(*) FROM dead_letters", 2)
        await rows.until("SELECT count(*) FROM data_profiles", 2)
        await recording
        _, metrics = await service.get("/metrics")
        await service.terminate()
    letters = await run_command("dead-letters", "list", "--json", STORE__URL=sqlite_url)
    places = {"log": service.log_text(), "metrics": metrics, "capture": capture.read_text(), "dead letters": letters}
    places |= {str(path): path.read_bytes().decode("latin-1") for path in tmp_path.glob("mirror.db*")}
    found = [(place, secret) for place, text in places.items() for secret in SECRETS if secret in text]
    assert found == []
    assert len(capture.read_text().splitlines()) == 5, "the capture holds every message all the same"
    again = await run_command("replay", str(capture), "--json", STORE__URL=f"sqlite:///{tmp_path / 'again.db'}")
    assert json.loads(again.splitlines()[-1])["dead_lettered"] == 2


async def _is_recording(catalog: Any) -> bool:
    """Whether the capture's queue is bound: a probe that is returned says it is not."""
    import aio_pika

    try:
        await catalog.exchange.publish(aio_pika.Message(b"{}"), "v2.data_profiles.probe.DELETE", mandatory=True)
    except aio_pika.exceptions.PublishError:
        return False
    return True
