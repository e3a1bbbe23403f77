"""Dead letters, as every way to them has it: nobody overwrites somebody, ids may be beginnings, bodies are bounded."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from service.errors import BodyTooLarge, UsageError
from service.events.message import Message
from service.mirror.dead_letters import Filter
from service.operations import dead_letters
from service.operations.acting import Act, Way
from service.operations.dead_letters import DeadLetterUnknown, EditedMeanwhile
from service.settings.model import PipelineSettings

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

RULES = PipelineSettings()
DANA, ERIK = Act("dana", Way.CONSOLE, "because"), Act("erik", Way.COMMAND)


@pytest.fixture
async def letter(mirror: Mirror) -> str:
    message = Message("v2.data_profiles.p1.PATCH", b'{"published": "yesterday"}')
    await mirror.take(message, Message("v2.data_profiles.p2.PATCH", b"nul"))
    return message.key


async def test_of_two_edits_at_once_one_is_saved_and_the_other_is_told_whose(mirror: Mirror, letter: str) -> None:
    seen = await dead_letters.editable(mirror.store, letter)
    edits = [dead_letters.edit(mirror.store, RULES, letter, f'{{"by": "{act.by}"}}'.encode(), seen.digest, act)
             for act in (DANA, ERIK)]  # fmt: skip

    done, refused = sorted(
        await asyncio.gather(*edits, return_exceptions=True), key=lambda one: isinstance(one, Exception)
    )

    assert isinstance(done, dead_letters.Edited)
    assert isinstance(refused, EditedMeanwhile)
    whole = await dead_letters.one(mirror.store, letter)
    winner = json.loads(whole.body or b"")["by"]
    assert f"{winner}, at " in str(refused)
    assert whole.digest == done.digest
    assert (whole.original_body, [entry.who for entry in whole.history]) == (b'{"published": "yesterday"}', [winner])
    assert whole.history[0].detail == {
        "way": "console" if winner == "dana" else "command", "bytes_before": 26, "bytes_after": done.bytes_after,
    }  # fmt: skip


async def test_a_letter_that_was_met_again_meanwhile_is_still_the_one_that_was_seen(
    mirror: Mirror, letter: str
) -> None:
    seen = await dead_letters.editable(mirror.store, letter)
    await mirror.take(Message("v2.data_profiles.p1.PATCH", b'{"published": "yesterday"}'))
    assert (await dead_letters.edit(mirror.store, RULES, letter, b"{}", seen.digest, DANA)).bytes_after == 2


async def test_beginnings_name_one_letter_or_are_refused(mirror: Mirror, letter: str) -> None:
    assert (await dead_letters.one(mirror.store, letter[:12])).letter.dead_letter_id == letter
    with pytest.raises(UsageError, match="stands for 2"):
        await dead_letters.one(mirror.store, "")
    with pytest.raises(DeadLetterUnknown):
        await dead_letters.one(mirror.store, "%")
    await dead_letters.discard(mirror.store, Filter((letter,)), DANA)
    with pytest.raises(DeadLetterUnknown, match="that is open"):
        await dead_letters.editable(mirror.store, letter)
    with pytest.raises(DeadLetterUnknown):
        await dead_letters.discard(mirror.store, Filter((letter,)), DANA)


async def test_a_body_over_the_bound_is_refused_before_anything_is_read(mirror: Mirror, letter: str) -> None:
    small = PipelineSettings(max_body_bytes=1024)
    for action in (
        dead_letters.diff(mirror.store, small, letter, b"x" * 1025),
        dead_letters.edit(mirror.store, small, letter, b"x" * 1025, "", DANA),
    ):
        with pytest.raises(BodyTooLarge):
            await action
    assert await mirror.one("SELECT count(*) FROM audit_log") == 0


async def test_secrets_of_a_new_body_are_shown_by_no_look_and_written_nowhere(mirror: Mirror, letter: str) -> None:
    new = b'{"published": "today", "password": "hush-hush"}'
    lines = await dead_letters.diff(mirror.store, RULES, letter, new)
    assert "hush-hush" not in "".join(line.text for line in lines)
    seen = await dead_letters.editable(mirror.store, letter)
    assert (await dead_letters.edit(mirror.store, RULES, letter, new, seen.digest, DANA)).blanked
    assert b"hush-hush" not in ((await dead_letters.one(mirror.store, letter)).body or b"")
