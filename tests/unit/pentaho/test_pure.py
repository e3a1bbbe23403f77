"""Files of links, and how wishes become jobs: properties that hold for any input."""

from __future__ import annotations

import json
import string
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sandbox.pentaho import bodies
from service.targets.pentaho import answers, link_files, planning
from service.targets.pentaho.answers import Meaning
from service.targets.pentaho.data_sources import HIDDEN, scrubbed
from service.targets.pentaho.ledger import State
from service.targets.pentaho.link_files import LinksInvalid
from service.targets.pentaho.links import KINDS, Link
from service.targets.pentaho.operations import OPERATIONS, DataSourceBody, IngestBody, RequestInvalid
from service.targets.pentaho.options import Options
from service.targets.pentaho.rules import Wish
from service.targets.pentaho.runner import Runner
from service.targets.posting import Reply

shown = st.characters(exclude_categories=["C", "Z"])
ids = st.text(shown | st.just(" "), min_size=1, max_size=12).map(lambda text: f"i{text}d").filter(str.isprintable)
words = st.text(string.ascii_letters + string.digits + "-_", min_size=1, max_size=12)


@st.composite
def link(draw: st.DrawFn) -> Link:
    kind = draw(st.sampled_from(KINDS))
    fqdn_id = draw(ids) if kind == "connection" else None
    scope = tuple(sorted(draw(st.sets(words, max_size=3)))) if kind == "rule" else ()
    return Link(kind, draw(ids), draw(ids), fqdn_id, scope)


@given(st.lists(link(), max_size=8, unique_by=lambda one: one.key), st.sampled_from(["csv", "yaml"]))
def test_what_is_exported_is_what_was_imported(links: list[Link], form: Any) -> None:
    assert link_files.read(link_files.write(links, form), form) == links


@given(st.text(max_size=200), st.sampled_from(["csv", "yaml"]))
def test_any_text_is_links_or_a_told_error(text: str, form: Any) -> None:
    with suppress(LinksInvalid):
        assert all(one.catalog_id and one.pentaho_id for one in link_files.read(text, form))


def test_ids_stay_the_text_that_they_are() -> None:
    text = "- {kind: connection, catalog_id: 0123, pentaho_id: 1e5, fqdn_id: 449575925421853542}"
    assert link_files.read(text, "yaml") == [Link("connection", "0123", "1e5", "449575925421853542")]


def test_a_spreadsheet_with_semicolons_and_a_mark_is_read() -> None:
    assert link_files.read("kind;catalog_id;pentaho_id\r\nasset;a;b\r\n", "csv") == [Link("asset", "a", "b")]


@pytest.mark.parametrize(
    ("text", "form", "says"),
    [
        ("kind,catalog_id,pentaho_id\nasset,a\n", "csv", "line 2: pentaho_id is missing"),
        ("kind,catalog_id,pentaho_id\nasset,a,b\n\nasset,a,b\n", "csv", "line 4: it says the same as line 2"),
        ("kind,catalog_id,pentaho_id\nconnection,a,b\n", "csv", "line 2: a connection"),
        ("kind,catalog_id,pentaho_id,scope\nasset,a,b,c\n", "csv", "line 2: a rule"),
        ("kind,catalog_id,name\nasset,a,b\n", "csv", "line 1: there is no column 'pentaho_id'"),
        ("", "csv", "line 1: there is no column 'kind'"),
        ("- kind: asset\n  catalog_id: a\n  pentaho_id: b\n  more: c\n", "yaml", "line 1: there is no column 'more'"),
        ("- kind: [asset]\n", "yaml", "line 1: kind is not one text"),
        ("- asset\n", "yaml", "line 1: there is no column"),
        ("kind: asset\n", "yaml", "line 1: the file is a list"),
        ("- kind: 'asset\n", "yaml", "line 2"),
    ],
)
def test_a_fault_is_told_with_its_line(text: str, form: Any, says: str) -> None:
    with pytest.raises(LinksInvalid, match=says):
        link_files.read(text, form)


def _wish(operation: str, pentaho_id: str) -> Wish:
    return Wish(operation, (), "test", "{}", (pentaho_id,))


wishes = st.dictionaries(
    words,
    st.lists(st.builds(_wish, st.sampled_from(["data_profiling", "business_rule", "collection_profiling"]), words)),
    max_size=30,
)


@given(wishes, st.integers(1, 7))
def test_jobs_are_the_fewest_and_name_what_was_wished_for_once(told: dict[str, list[Wish]], scope_max: int) -> None:
    jobs = planning.jobs(told, scope_max)

    for name in {wish.operation for some in told.values() for wish in some}:
        wanted = {wish.ids[0] for some in told.values() for wish in some if wish.operation == name}
        mine = [job for job in jobs if job.operation == name]
        parts = [sorted({what for _, what in job.parts}) for job in mine]
        assert sorted(one for some in parts for one in some) == sorted(wanted)
        size = 1 if name == "collection_profiling" else scope_max
        assert len(mine) == -(-len(wanted) // size)
    shares = {(who, job.operation, what) for job in jobs for who, what in job.parts}
    assert shares == {(who, wish.operation, wish.ids[0]) for who, some in told.items() for wish in some}


@given(st.lists(words, min_size=2, max_size=20, unique=True))
def test_halves_are_the_whole(some: list[str]) -> None:
    found = planning.halves("data_profiling", {"scope": sorted(some), "configs": {"x": 1}})
    assert found is not None
    assert [one for half in found for one in half["scope"]] == sorted(some)
    assert all(half["scope"] and half["configs"] == {"x": 1} for half in found)


def _reply(status: int, body: Any) -> Reply:
    return Reply(status, body if isinstance(body, bytes) else json.dumps(body).encode(), {})


@pytest.mark.parametrize(
    ("status", "body", "meaning", "says"),
    [
        (200, {"status": "OK", "data": {"_id": "65f0"}}, Meaning.TAKEN, "HTTP 200"),
        (201, {"id": 12}, Meaning.TAKEN, "HTTP 201"),
        (200, b"", Meaning.TAKEN_WITHOUT_ID, "HTTP 200"),
        (200, {"data": None}, Meaning.TAKEN_WITHOUT_ID, "HTTP 200"),
        (200, b"<html>Sign in</html>", Meaning.LATER, "a page answers"),
        (200, {"status": 400, "message": "no scope"}, Meaning.REFUSED, "no scope"),
        (302, b"", Meaning.LATER, "not where it takes jobs"),
        (400, {"status": 400, "message": ["a", {"b": ["c"]}]}, Meaning.REFUSED, "HTTP 400 a; b: c"),
        (401, {"status": 401, "message": "Unauthorized"}, Meaning.LATER, "does not accept our token"),
        (403, b"no", Meaning.LATER, "does not accept our token"),
        (404, {"status": 404, "message": {"error": "no such entity"}}, Meaning.REFUSED, "error: no such entity"),
        (404, {"statusCode": 404, "message": "Cannot POST /x"}, Meaning.LATER, "not where it takes jobs"),
        (404, b"not found", Meaning.LATER, "not where it takes jobs"),
        (413, b"too large", Meaning.REFUSED, "too large"),
        (429, {"message": "slowly"}, Meaning.LATER, "slowly"),
        (500, b"[" * 100_000, Meaning.FAILED, "HTTP 500"),
        (503, {"status": 503, "message": {"password": "open-sesame"}}, Meaning.FAILED, "redacted"),
    ],
)
def test_answers_are_understood_in_whatever_form(status: int, body: Any, meaning: Meaning, says: str) -> None:
    reply = _reply(status, body)
    answer = answers.read(reply, 0, reply)
    assert answer.meaning is meaning
    assert says in answer.told
    assert "open-sesame" not in answer.told


@given(st.binary(max_size=60), st.integers(200, 599))
def test_any_answer_means_something(body: bytes, status: int) -> None:
    assert answers.read(_reply(status, body), 0, _reply(status, body)).meaning in Meaning


@given(st.text(min_size=1, max_size=20), st.text(max_size=20), st.booleans())
def test_no_secret_stands_in_what_is_told(secret: str, around: str, as_json: bool) -> None:
    told = around + secret + around
    body = json.dumps({"message": told}).encode() if as_json else told.encode("utf-8", "surrogatepass")
    clean = scrubbed(_reply(400, body), [secret]).body
    assert secret.encode("utf-8", "surrogatepass") not in clean.replace(HIDDEN.encode(), b"")


FREE_TEXT = {
    State.SUCCEEDED: ["Completed", "SUCCESS", "done", "COMPLETED_WITH_WARNINGS", "finished (3 of 3)"],
    State.FAILED: [
        "FAILED", "TIMED_OUT", "timeout", "KILLED", "COMPLETED_WITH_ERRORS", "JOB_FAILED", "Error: no such table",
        "cancelled by admin", "success, 3 errors",
    ],
    None: ["RUNNING", "QUEUED", "RETRYING_AFTER_ERROR", "in progress", "", "42", "waiting for failed parents"],
}  # fmt: skip


@pytest.mark.parametrize(("state", "word"), [(state, word) for state, words in FREE_TEXT.items() for word in words])
def test_words_for_how_a_job_stands_are_understood_in_any_company(state: State | None, word: str) -> None:
    runner = Runner.__new__(Runner)
    runner._options = Options()

    assert runner._state(word) is state


ENTITY = "00000000-0000-4000-8000-000000000001"


@pytest.mark.parametrize(
    ("operation", "request_", "says"),
    [
        ("data_profiling", {"scope": ["e1"]}, "scope"),
        ("business_rule_with_row_counter", {"ruleId": ["r"], "scope": ["e1"]}, "scope"),
        ("collection_profiling", {"collectionId": "orders"}, "collectionId"),
        ("metadata_re_ingest", {"scope": [ENTITY], "configs": {}}, "configs"),
        ("data_identification", {"scope": [ENTITY], "configs": {}}, "configs"),
        ("usage_statistics", {"scope": [ENTITY], "configs": {"startDate": "yesterday"}}, "startDate"),
        ("usage_statistics", {"scope": [ENTITY], "configs": {"endDate": "2026-02-30"}}, "endDate"),
        ("test_connection", {"resourceId": "x", "hots": "db"}, "host"),
        ("test_connection", {"resourceId": "x", "port": 5432}, "port"),
        ("metadata_ingest", {"resourceId": "x", "schemaName": ["s"]}, "schemaNames"),
        ("metadata_ingest", {"resourceId": "x", "availableForWriting": "yes"}, "availableForWriting"),
        ("metadata_ingest", {"resourceId": "x", "users": "me"}, "users"),
    ],
)
def test_what_pentaho_would_refuse_is_told_before_it_is_sent(
    operation: str, request_: dict[str, Any], says: str
) -> None:
    with pytest.raises(RequestInvalid, match=says) as caught:
        OPERATIONS[operation].check_by_hand(request_)
    assert not any(value in str(caught.value) for value in ("yesterday", "orders"))


def test_fields_of_a_newer_pentaho_are_sent_as_they_are() -> None:
    OPERATIONS["test_connection"].check({"resourceId": "x", "kerberosRealm": "EXAMPLE", "host": None})


def test_the_fields_of_a_connection_are_those_that_the_pocket_pentaho_takes() -> None:
    """Both were read off the documents; whoever changes one looks at the other."""
    for path, body in (("test-connection", DataSourceBody), ("metadata/ingest", IngestBody)):
        assert set(body.model_fields) == set(bodies.BODIES[path])
