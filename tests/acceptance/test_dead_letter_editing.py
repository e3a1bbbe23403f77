"""A dead letter is mended, tried again, and what was done to it is on record."""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

Run = Callable[..., Awaitable[str]]


@pytest.fixture
async def letter(run_command: Run, sqlite_url: str, tmp_path: Path) -> str:
    """The id of a dead letter: a profile event without a usable `published`."""
    key = "v2.data_profiles.p1.PATCH"
    body = {"published": "yesterday", "state": {"metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1"}}}
    recording = tmp_path / "events.ndjson"
    recording.write_text(json.dumps({"routing_key": key, "body": body}) + "\n")
    await run_command("replay", str(recording), STORE__URL=sqlite_url)
    (found,) = json.loads(await run_command("dead-letters", "list", "--json", STORE__URL=sqlite_url))
    return str(found["dead_letter_id"])


async def test_a_field_is_mended_and_the_letter_replayed(
    letter: str, run_command: Run, sqlite_url: str, rows_of: Callable[[str], Any]
) -> None:
    await run_command(
        "dead-letters", "edit", letter[:10], "--set", "published=2026-05-10T15:04:15Z", "--reason", "a typing mistake",
        STORE__URL=sqlite_url,
    )  # fmt: skip
    replayed = await run_command("dead-letters", "replay", letter[:10], "--json", STORE__URL=sqlite_url)

    assert {name: number for name, number in json.loads(replayed).items() if number} == {"replayed": 1}
    assert await rows_of(sqlite_url).one("SELECT profile_id FROM v1_data_profiles WHERE NOT is_stub") == "p1"
    shown = json.loads(await run_command("dead-letters", "show", letter, "--json", STORE__URL=sqlite_url))
    assert "yesterday" in shown["original_body"]
    assert "2026-05-10" in shown["body"]
    assert [entry["action"] for entry in shown["history"]] == ["dead_letter.replay", "dead_letter.edit"]
    assert shown["history"][1]["reason"] == "a typing mistake"


async def test_a_whole_body_comes_from_a_file_and_secrets_in_it_are_blanked(
    letter: str, run_command: Run, sqlite_url: str, tmp_path: Path
) -> None:
    body = tmp_path / "body.json"
    body.write_text('{"published": "2026-05-10T15:04:15Z", "details": {"profile_id": "p1"}, "password": "hush-hush"}')
    told = await run_command("dead-letters", "edit", letter, "--body", str(body), STORE__URL=sqlite_url)

    assert "Secrets in it were blanked" in told
    shown = await run_command("dead-letters", "show", letter, "--json", STORE__URL=sqlite_url)
    assert "hush-hush" not in shown


async def test_what_cannot_be_edited_says_why(letter: str, run_command: Run, sqlite_url: str) -> None:
    edit = ("dead-letters", "edit", letter)
    assert "no PATH=VALUE" in await run_command(*edit, "--set", "published", expect=2, STORE__URL=sqlite_url)
    assert "no object before" in await run_command(*edit, "--set", "published.at=1", expect=1, STORE__URL=sqlite_url)
    assert "no dead letter" in await run_command(
        "dead-letters", "edit", "0000", "--set", "a=1", expect=1, STORE__URL=sqlite_url
    )


async def test_filters_choose_by_entity_and_time(letter: str, run_command: Run, sqlite_url: str) -> None:
    async def number(*options: str) -> int:
        found = await run_command("dead-letters", "list", *options, "--json", STORE__URL=sqlite_url)
        return len(json.loads(found))

    assert await number("--entity", "p1") == 1
    assert await number("--entity", "p") == 0
    assert await number("--since", "2020-01-01") == 1
    assert await number("--until", "2020-01-01") == 0


async def test_everything_a_person_does_is_on_record(run_command: Run, sqlite_url: str, letter: str) -> None:
    await run_command("pause", "--reason", "maintenance", STORE__URL=sqlite_url)
    await run_command("resume", STORE__URL=sqlite_url)
    await run_command("dead-letters", "discard", letter, "--reason", "a test", STORE__URL=sqlite_url)

    found = json.loads(await run_command("audit", "--json", STORE__URL=sqlite_url))

    assert [entry["action"] for entry in found] == ["dead_letter.discard", "consuming.resume", "consuming.pause"]
    assert {entry["who"] for entry in found} != {""}
