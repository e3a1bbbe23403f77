"""The service is killed between a submission and its answer: Collibra never gets the figures of a window twice."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from sandbox.collibra.backend import PASSWORD, USERNAME, PocketCollibra, serve
from sandbox.parts.mirror import MirrorProcess
from service.changes import AssetSaved, Change, ConnectionDetails, Rank, UsageObserved, Version
from service.mirror import schema, writer
from service.text.documents import document

LOCATORS = {"db2": {"type": "DB2", "keys": ["{database}", "{schema}", "{name}"]}}


@pytest.fixture
async def pocket() -> AsyncIterator[tuple[PocketCollibra, str]]:
    made = PocketCollibra()
    made.knobs.answers = asyncio.Event()
    async with serve(made) as url:
        yield made, url


@pytest.fixture
def settings(pocket: tuple[PocketCollibra, str], tmp_path: Path) -> Callable[..., dict[str, str]]:
    """A service that lives on what is posted, and tells Collibra: `settings(store_url, **options)`."""

    def make(store_url: str, **more: Any) -> dict[str, str]:
        tokens, password = tmp_path / "tokens.yaml", tmp_path / "password"
        tokens.write_text("someone:\n  token: a-token-of-the-test\n  scopes: [read]\n")
        password.write_text(PASSWORD + "\n")
        options = {"locators": LOCATORS, "delay": 0, "poll": 0.1, "timeout_s": 20, **more}
        return {
            "STORE__URL": store_url, "HTTP__TOKENS_FILE": str(tokens), "TARGETS__COLLIBRA__URL": pocket[1],
            "TARGETS__COLLIBRA__USERNAME": USERNAME, "TARGETS__COLLIBRA__PASSWORD_FILE": str(password),
            "TARGETS__COLLIBRA__OPTIONS": json.dumps(options), "RELAY__POLL_S": "0.1", "LOG__LEVEL": "debug",
        }  # fmt: skip

    return make


async def _used(rows: Any) -> None:
    """An asset that was used yesterday by two users."""
    await schema.upgrade(rows.store)
    at_us = round((datetime.now(UTC) - timedelta(days=2)).timestamp() * 1_000_000)
    link = ConnectionDetails("db2", None, "db.example.com", None, "SHOP")
    changes: list[Change] = [
        AssetSaved("k1", Version(1, Rank.READ), document({}), connection=link),
        AssetSaved("a1", Version(1, Rank.READ), document({}), connection_id="k1", connection_path="/SALES/ORDERS"),
        *(UsageObserved(f"f{user}", "a1", at_us, "import", user) for user in ("ada", "bob")),
    ]
    async with rows.store.write() as connection:
        await writer.apply(connection, enumerate(changes))


async def _killed_after_it_sent(service: MirrorProcess, pocket: PocketCollibra, rows: Any) -> None:
    """Ready, at work, and killed when Collibra has taken the batch and not answered yet; then its lease is over."""
    await service.wait_ready()
    async with asyncio.timeout(30):
        await pocket.taken.wait()
    await service.kill()
    assert pocket.knobs.answers is not None
    pocket.knobs.answers.set()
    assert await rows.one("SELECT state FROM collibra_batches") == "sending"
    await rows.execute("UPDATE collibra_batches SET lease_until = prepared_at")


async def test_a_batch_whose_sender_was_killed_is_listed_as_uncertain_and_never_sent_again(
    pocket: tuple[PocketCollibra, str], settings: Any, postgres_url: str, mirror_process: Any, rows_of: Any,
    run_command: Any,
) -> None:  # fmt: skip
    collibra, rows, chosen = pocket[0], rows_of(postgres_url), settings(postgres_url)
    await _used(rows)
    async with mirror_process(**chosen) as service:
        await _killed_after_it_sent(service, collibra, rows)
        for _ in range(2):  # each start is a turn at once
            looks = len(collibra.calls)
            await service.start()
            await service.wait_ready()
            async with asyncio.timeout(30):
                while len(collibra.calls) == looks:
                    await asyncio.sleep(0.05)
            await rows.until("SELECT state FROM collibra_batches", "uncertain")
            assert await service.terminate() == 0
            await rows.execute("UPDATE collibra_batches SET looked_at = NULL")
        listed = json.loads(
            await run_command("usage", "batches", "--state", "uncertain", "--json", STORE__URL=postgres_url)
        )

    assert len(collibra.submissions) == 1
    assert [(batch["state"], batch["items"]) for batch in listed] == [("uncertain", 1)]
    assert PASSWORD not in service.log_text() + json.dumps(listed)


async def test_a_batch_whose_sender_was_killed_is_found_among_the_jobs_where_it_is_known_who_makes_ours(
    pocket: tuple[PocketCollibra, str], settings: Any, sqlite_url: str, mirror_process: Any, rows_of: Any
) -> None:
    collibra, rows = pocket[0], rows_of(sqlite_url)
    await _used(rows)
    async with mirror_process(**settings(sqlite_url, created_by=collibra.user_id())) as service:
        await _killed_after_it_sent(service, collibra, rows)
        await service.start()
        await service.wait_ready()
        await rows.until("SELECT state FROM collibra_batches", "accepted")
        assert await service.terminate() == 0

    assert len(collibra.submissions) == 1
    assert collibra.submissions[0][0]["queryCount"] == 2
    store = b"".join(
        file.read_bytes() for file in Path(sqlite_url.removeprefix("sqlite:///")).parent.glob("mirror.db*")
    )
    assert [PASSWORD in service.log_text(), PASSWORD.encode() in store] == [False, False]
    assert await rows.one("SELECT job_id FROM collibra_batches") == next(iter(collibra.jobs))
