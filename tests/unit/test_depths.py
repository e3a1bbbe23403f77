"""Whatever is searched for secrets, or walked a call per level, nests no deeper than the interpreter can follow."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

import service
from service.errors import BodyTooLarge, NestingTooDeep, NotAnObject
from service.events.message import Message
from service.events.recording import line_of
from service.mirror.dead_letters import dead_letter_of
from service.pipeline.decoding import Decoder
from service.sync import cleaning
from service.targets.collibra import jobs
from service.targets.pentaho import answers
from service.targets.posting import Reply
from service.text import documents
from service.text.principals import Principals
from service.text.privacy import Privacy, clean_body

DEEP = 100_000


def nested(depth: int = DEEP) -> bytes:
    """A secret under very many objects and lists."""
    return b'{"a":[' * (depth // 2) + b'{"password":"hunter2"}' + b"]}" * (depth // 2)


def value(depth: int) -> Any:
    found: Any = {"password": "hunter2"}
    for _ in range(depth):
        found = [found]
    return found


def _reply(**members: bytes) -> Reply:
    body = b",".join(f'"{name}":'.encode() + told for name, told in members.items())
    return Reply(200, b"{" + body + b"}", {})


def _report() -> None:
    job_id = str(uuid4())
    for report in (nested(500), nested(), b'"' + b"x" * 1_300_000 + b'"'):
        reply = _reply(report=report, id=f'"{job_id}"'.encode(), status=b'"Completed"')
        job = jobs._job(reply.data())
        assert job is not None
        assert (job.job_id, job.status) == (job_id, "Completed")
        assert job.report
        assert "hunter2" not in job.report
        assert len(job.report) < 70_000
        json.loads(job.report)


def _message() -> None:
    reply = _reply(message=nested(), status=b"400")
    assert answers.read(reply, 0, reply).meaning is answers.Meaning.REFUSED
    assert "hunter2" not in answers.told_of(reply)


def _letter() -> None:
    message = Message("v2.data_profiles.p.POST", nested(), headers={"x": value(5000), "y": {"z": value(5000)}})
    letter = dead_letter_of(message, NotAnObject(found="a list"), 10_000, Privacy(Principals.HASH))
    assert b"hunter2" not in letter.body


def _line() -> None:
    message = Message("k", nested(), headers={"x": value(5000)})
    assert b"hunter2" not in line_of(message, 64, Privacy())


def _envelope() -> None:
    body = b'{"event":"x","details":' + nested(600) + b',"state":"' + b"x" * 4096 + b'"}'
    decoder = Decoder.__new__(Decoder)
    decoder._verifies_hints = True
    decoder._settings = type("S", (), {"max_depth": 64})()
    with pytest.raises(NestingTooDeep):
        decoder._envelope(Message("k", body), BodyTooLarge(size=1, limit=1))


def _card() -> None:
    with pytest.raises(NestingTooDeep):
        cleaning.clean({"metadata": {}, "entity": value(900)}, Privacy())


def _body() -> None:
    assert b"hunter2" not in clean_body(nested(), 64, Privacy())[0]


#: Every module that walks a value for secrets, and what is done to it.
CALLERS: dict[str, Callable[[], None]] = {
    "pipeline/decoding.py": _envelope,
    "events/recording.py": _line,
    "mirror/dead_letters.py": _letter,
    "text/privacy.py": _body,
    "sync/cleaning.py": _card,
    "targets/collibra/jobs.py": _report,
    "targets/pentaho/answers.py": _message,
}


@pytest.mark.parametrize("caller", CALLERS)
def test_nothing_that_comes_in_is_too_deep_or_too_large_for_whoever_searches_it(caller: str) -> None:
    CALLERS[caller]()


def test_every_caller_is_in_the_table() -> None:
    root = Path(service.__file__).parent
    calling = {
        str(path.relative_to(root))
        for path in root.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "redact"
    }
    assert calling == CALLERS.keys()


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=20,
)


def depth_of(found: Any) -> int:
    members = found.values() if isinstance(found, dict) else found if isinstance(found, list) else None
    return 0 if members is None else 1 + max(map(depth_of, members), default=0)


def cut(found: Any, depth: int) -> Any:
    """The same by another way: null for what nests deeper."""
    if isinstance(found, dict | list) and depth == 0:
        return None
    if isinstance(found, dict):
        return {name: cut(member, depth - 1) for name, member in found.items()}
    return [cut(member, depth - 1) for member in found] if isinstance(found, list) else found


@given(json_values, st.integers(1, 6), st.sampled_from([None, 1]))
def test_null_stands_for_what_nests_too_deep_and_all_else_stays(found: Any, depth: int, indent: int | None) -> None:
    read = documents.shallow(json.dumps(found, indent=indent).encode(), depth)

    # Few brackets may be left as they are: what counts is that no more levels are left than are asked for.
    assert depth_of(read) <= depth
    assert read in (found, cut(found, depth))


@given(st.binary(max_size=60), st.integers(0, 3))
def test_bytes_that_are_no_json_are_a_value_error(raw: bytes, depth: int) -> None:
    try:
        documents.shallow(raw, depth)
    except ValueError:
        return


@pytest.mark.parametrize("body", [nested(), b"[" * DEEP, b"{" * DEEP, b'{"a":' * DEEP, b"]" * DEEP])
def test_deep_bytes_end(body: bytes) -> None:
    try:
        assert depth_of(documents.shallow(body, 64)) <= 64
    except ValueError:
        assert body != nested()


def test_what_stands_beside_the_depths_stays() -> None:
    assert documents.shallow(b'{"a":{"b":{"c":1}},"d":2}', 2) == {"a": {"b": None}, "d": 2}


async def test_a_listing_that_is_longer_than_is_read_is_asked_for_in_smaller_pages() -> None:
    told = [{"id": str(uuid4()), "status": "Completed", "report": "x" * 1000} for _ in range(700)]

    class Listing:
        """Answers of at most 100,000 bytes are read."""

        async def get(self, path: str, query: dict[str, str]) -> Reply:
            start, limit = int(query["offset"]), int(query["limit"])
            body = json.dumps({"results": told[start : start + limit]}).encode()
            return Reply(200, body[:100_000], {}, is_cut=len(body) >= 100_000)

    listed = [one.job.job_id async for one in jobs.Jobs("collibra", Listing(), "/x").all()]  # type: ignore[arg-type]

    assert listed == [one["id"] for one in told]
