"""Recorded lines: what was captured is what is replayed, and any line is a message."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import LineInvalid
from service.events.message import Message
from service.events.recording import Recording, line_of, read_line, read_lines, unpacked
from service.text.principals import Principals
from service.text.privacy import Privacy, clean_body

SECRET = "hunter2SWORDFISH"
headers = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(), st.binary(), st.datetimes()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)


@given(st.text(), st.binary(), st.dictionaries(st.text(), headers, max_size=3), st.one_of(st.none(), st.text()))
@example("k", b"\xef\xbb\xbf{}", {}, None)
@example("k", b'{"a":1.0 }', {"x": float("nan")}, "")
def test_any_message_comes_back_from_its_line(key: str, body: bytes, head: Any, message_id: str | None) -> None:
    line = line_of(Message(key, body, head, message_id), 64, Privacy())

    assert line.count(b"\n") == 1
    again = read_line(line.strip())
    assert again.problem is None
    assert (again.routing_key, again.body) == (key, clean_body(body, 64, Privacy())[0])
    assert (again.message_id or None) == (message_id or None)
    assert set(again.headers) == set(head)


@given(st.binary())
@example(b'{"routing_key":"k","body":' + b"[" * 700 + b"]" * 700 + b"}")
@example(b'{"routing_key":"k","body":' + b"[" * 895 + b"]" * 895 + b"}")
@example(b'{"routing_key":"k","body":"\\ud800"}')
@example(b'{"routing_key":"\\ud800","body":[1E400,"\\ud800"]}')
def test_any_line_is_a_message(line: bytes) -> None:
    message = read_line(line)

    assert message.problem is not None or isinstance(message.body, bytes)
    assert len(message.key) == 40


@pytest.mark.parametrize(
    "line",
    [
        {},
        {"routing_key": "k"},
        {"routing_key": 1, "body": "x"},
        {"routing_key": "k", "body": "x", "body_base64": "eA=="},
        {"routing_key": "k", "body_base64": "x"},
        {"routing_key": "k", "body_base64": "é"},
        {"routing_key": "k", "body_base64": ["eA=="]},
        {"routing_key": "k", "body": "x", "headers": [1]},
        {"routing_key": "k", "body": "x", "message_id": 1},
        [],
        "text",
    ],
)
def test_a_line_that_is_no_message_says_why(line: Any) -> None:
    problem = read_line(json.dumps(line).encode()).problem

    assert isinstance(problem, LineInvalid)
    assert str(problem).startswith("The line is no recorded message: ")


def test_a_body_is_text_or_json_or_base64() -> None:
    lines: list[dict[str, Any]] = [
        {"body": '{"a": 1}'},
        {"body": {"a": 1.0}},
        {"body_base64": base64.b64encode(b"\xff").decode()},
    ]

    bodies = [read_line(json.dumps({"routing_key": "k", **line}).encode()).body for line in lines]

    assert bodies == [b'{"a": 1}', b'{"a":1}', b"\xff"]


def test_a_line_that_is_too_long_is_one_problem_and_the_rest_goes_on() -> None:
    good = b'{"routing_key":"k","body":"x"}\n'
    stream = io.BytesIO(good + b"x" * 1000 + b"\n\n" + good + b"y" * 1000)

    messages = list(read_lines(stream, 100))

    assert [message.problem is None for message in messages] == [True, False, True, False]
    assert "longer than 100 bytes" in str(messages[1].problem)


@pytest.mark.parametrize(
    "body", [json.dumps({"password": SECRET}).encode(), b'\xff{"password":"' + SECRET.encode() + b'"}']
)
def test_no_secret_is_recorded(body: bytes) -> None:
    head = {"Authorization": f"Bearer {SECRET}", "x": {"token": SECRET.encode()}, "note": f"pwd={SECRET}"}

    line = line_of(Message("k", body, head), 64, Privacy())

    assert SECRET.encode() not in line
    assert SECRET.encode() not in read_line(line).body


def test_no_person_is_recorded_where_people_are_dropped() -> None:
    line = line_of(Message("k", b'{"owner_id":"IBMid-1"}', {"user_id": "IBMid-1"}), 64, Privacy(Principals.DROP))

    assert b"IBMid" not in line


def recorded(path: Path, lines: list[bytes], rotate_mb: float | None = None) -> list[Path]:
    with Recording(path, io.BytesIO(), rotate_mb) as recording:
        for line in lines:
            recording.add(line)
            recording.flush()
    return recording.paths


def read(paths: list[Path]) -> list[Message]:
    found: list[Message] = []
    for path in paths:
        with path.open("rb") as stream:
            found += read_lines(unpacked(stream, path.name), 10_000)
    return found


def lines_of(number: int) -> list[bytes]:
    return [line_of(Message(f"k.{n}", b'{"n": 1}'), 64, Privacy()) for n in range(number)]


@pytest.mark.parametrize("name", ["seen.ndjson", "seen.ndjson.gz"])
def test_a_recording_is_only_for_its_owner_and_is_added_to(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    recorded(path, lines_of(2))
    recorded(path, lines_of(3))
    assert [message.routing_key for message in read([path])] == ["k.0", "k.1", "k.0", "k.1", "k.2"]
    assert path.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("name", ["seen.ndjson", "seen.ndjson.gz"])
def test_a_full_file_is_followed_by_a_further_one_and_nothing_is_lost_between(tmp_path: Path, name: str) -> None:
    paths = recorded(tmp_path / name, lines_of(60), rotate_mb=0.0005)
    assert len(paths) > 1
    assert paths[1].name == name.replace("seen", "seen-2")
    assert [message.routing_key for message in read(paths)] == [f"k.{n}" for n in range(60)]


@pytest.mark.parametrize("cut", [1, 8, 12, 30])
def test_a_compressed_recording_that_was_cut_off_gives_what_is_there_and_says_where_it_ends(
    tmp_path: Path, cut: int
) -> None:
    path = tmp_path / "seen.gz"
    recorded(path, lines_of(50))
    path.write_bytes(path.read_bytes()[:-cut])
    *whole, last = read([path])
    assert [message.routing_key for message in whole] == [f"k.{n}" for n in range(len(whole))]
    assert len(whole) > 40
    assert isinstance(last.problem, LineInvalid)


def test_a_compressed_recording_with_another_byte_in_it_is_told(tmp_path: Path) -> None:
    path = tmp_path / "seen.gz"
    recorded(path, lines_of(50))
    body = bytearray(path.read_bytes())
    body[len(body) // 2] ^= 0x55
    path.write_bytes(body)
    assert any(isinstance(message.problem, LineInvalid) for message in read([path]))


def test_what_is_no_compressed_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "seen.gz"
    path.write_bytes(b'{"routing_key": "k", "body": 1}\n')
    (message,) = read([path])
    assert isinstance(message.problem, LineInvalid)
