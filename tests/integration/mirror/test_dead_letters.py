"""Dead letters: one row per message, counted, with its cause, without its secrets."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import pytest

from service.errors import BodyTooLarge, FieldInvalid, NotJson
from service.events.found import Found
from service.events.message import Message
from service.mirror import dead_letters
from service.mirror.dead_letters import Filter, dead_letter_of, fingerprint_of
from service.settings.model import PipelineSettings
from service.text.documents import canonical
from service.text.principals import Principals
from service.text.privacy import Privacy

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

KEY = "v2.data_profiles.x.POST"
SECRET = b"hunter2SWORDFISH"


async def letters(mirror: Mirror, which: Filter | None = None) -> list[Any]:
    async with mirror.store.read() as connection:
        return await dead_letters.find(connection, which or Filter(state=None))


async def test_the_same_message_again_is_counted_and_opened_again(mirror: Mirror) -> None:
    message = Message(KEY, b"nul")
    await mirror.take(message, message)
    async with mirror.store.write() as connection:
        await dead_letters.close(connection, [message.key], dead_letters.DISCARDED)
    (closed,) = await letters(mirror)
    assert (closed.state, closed.times) == ("discarded", 2)

    await mirror.take(message, Message(KEY + "x", b"nul"), Message(KEY, b"nul "))

    found = {letter.dead_letter_id: letter for letter in await letters(mirror)}
    assert len(found) == 2
    assert (found[message.key].state, found[message.key].times, found[message.key].closed_at) == ("open", 3, None)
    assert found[message.key].first_at < found[message.key].last_at


async def test_a_letter_tells_reason_class_remedy_and_the_original(mirror: Mirror) -> None:
    body = b'{"details":{"profile_id":7}}'
    await mirror.take(Message(KEY, body, {"n": 1, "deep": {"b": b"\xff", "t": "x\x00\ud800"}}))

    (letter,) = await letters(mirror)

    assert (letter.kind, letter.routing_key, letter.error_class) == ("event", KEY, "field")
    assert "details.profile_id" in letter.reason
    assert letter.remedy
    assert (letter.body, letter.body_size, letter.blanked, letter.truncated) == (body, len(body), False, False)
    assert letter.body_sha256 == hashlib.sha256(body).hexdigest()
    assert json.loads(letter.headers)["n"] == 1


async def test_a_body_that_is_too_large_is_kept_up_to_the_limit_and_no_half_secret_with_it(mirror: Mirror) -> None:
    for filling in range(980, 1060):
        await mirror.clear()
        body = b'{"a":"' + b"x" * filling + b'","password":"' + SECRET + b'","b":"' + b"y" * 900 + b'"}'
        await mirror.take(Message(KEY, body), settings=PipelineSettings(max_body_bytes=1024))
        (letter,) = await letters(mirror)
        assert (letter.error_class, letter.truncated, letter.body_size) == ("body_too_large", True, len(body))
        assert 0 < len(letter.body) <= 1024
        assert not any(SECRET[:size] in letter.body for size in range(6, len(SECRET)))


def test_what_grows_when_it_is_cleaned_is_truncated_and_says_so() -> None:
    message = Message(KEY, b"x")

    letter = dead_letter_of(message, NotJson(problem="x"), 100, Privacy(), {"text": "\ud800" * 100})

    assert letter.truncated
    assert len(letter.body) == 100


def test_headers_hold_no_secret_and_no_hidden_person() -> None:
    headers = {
        "Authorization": "Bearer " + SECRET.decode(),
        "user_id": "IBMid-1",
        "x": [{"token": SECRET}],
        "f": float("nan"),
    }

    letter = dead_letter_of(Message(KEY, b"x", headers), NotJson(problem="x"), 100, Privacy(Principals.DROP))

    assert letter.headers is not None
    assert SECRET.decode() not in letter.headers
    assert "IBMid" not in letter.headers


def test_a_fingerprint_is_of_the_cause_and_not_of_the_event() -> None:
    one, other = BodyTooLarge(size=5000, limit=10), BodyTooLarge(size=7, limit=10)
    third = FieldInvalid(field="a", problem="'x' is no time")
    fourth = FieldInvalid(field="a", problem="'y''s' is no time")

    assert fingerprint_of("c", str(one)) == fingerprint_of("c", str(other))
    assert fingerprint_of("c", str(one)) != fingerprint_of("d", str(one))
    assert fingerprint_of("c", str(third)) != fingerprint_of("c", str(one))
    assert fingerprint_of("c", str(fourth)) != fingerprint_of("c", str(FieldInvalid(field="b", problem="no")))


@pytest.mark.parametrize(
    ("which", "number"),
    [
        (Filter(), 3),
        (Filter(error_class="not_json"), 2),
        (Filter(topic="v2.*.POST"), 2),
        (Filter(topic="v2.data%"), 0),
        (Filter(topic="v2.data_profiles.#"), 3),
        (Filter(topic="v2.data?profiles.#"), 0),
        (Filter(ids=("%",)), 0),
        (Filter(state="discarded"), 0),
    ],
)
async def test_letters_are_found_by_what_one_knows_of_them(mirror: Mirror, which: Filter, number: int) -> None:
    await mirror.take(Message(KEY, b"nul"), Message(KEY, b"1"), Message("v2.data_profiles.x.PATCH", b"nul"))

    assert len(await letters(mirror, which)) == number
    async with mirror.store.read() as connection:
        assert await dead_letters.count(connection, which) == number


async def test_letters_are_grouped_by_cause(mirror: Mirror) -> None:
    await mirror.take(*(Message(KEY, b"x" * n) for n in range(1, 4)), Message(KEY, b"1"))

    async with mirror.store.read() as connection:
        groups = await dead_letters.count_by_fingerprint(connection)

    assert [(group.error_class, group.letters) for group in groups] == [("not_json", 3), ("not_an_object", 1)]


async def test_a_letter_is_found_by_the_first_characters_of_its_id(mirror: Mirror) -> None:
    message = Message(KEY, b"nul")
    await mirror.take(message)

    assert len(await letters(mirror, Filter(ids=(message.key[:6],)))) == 1


@pytest.mark.parametrize("depth", [3, 500])
@pytest.mark.parametrize("principals", list(Principals))
def test_a_letter_of_what_was_read_holds_neither_secrets_nor_people(principals: Principals, depth: int) -> None:
    """Of what nests too deep to be searched for people nothing is kept where they are to be hidden."""
    inner: Any = {"password": "hunter2", "owner_id": "IBMid-270000ANNA"}
    for _ in range(depth):
        inner = {"a": inner}
    letter = dead_letter_of(
        Found("asset", "a1", None, canonical(inner)), NotJson(problem="x"), 100_000, Privacy(principals)
    )
    assert b"hunter2" not in letter.body
    assert (b"IBMid-270000ANNA" in letter.body) == (principals is Principals.KEEP)
    assert bool(letter.body) == (depth == 3 or principals is Principals.KEEP)
