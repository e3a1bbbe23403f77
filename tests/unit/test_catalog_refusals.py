"""What the catalog says when it refuses: every envelope is read, the status decides, and no secret is shown."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from service.catalog.refusals import asked_to_wait, read_refusal, refusal
from service.catalog.transport import Raw
from service.errors import (
    CatalogBusy,
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogNotFound,
    CatalogRejected,
    MirrorError,
)
from service.text import documents

SECRET = "hunter2SWORDFISH"


@pytest.mark.parametrize(
    ("body", "code", "message", "trace"),
    [
        ({"trace": "t1", "errors": [{"code": "gone", "message": "It went."}]}, "gone", "It went.", "t1"),
        (
            {"trace": "t1", "status_code": 404, "errors": [{"code": "no", "message": "a"}, {"message": "b"}]},
            "no", "a; b", "t1",
        ),
        (
            {"trace": "t", "errors": [{"code": "c", "message": "m", "target": {"type": "field", "name": "n"}}]},
            "c", "m", "t",
        ),
        ({"code": "429", "error": "Too Many", "reason": "limit", "message": "read 600"}, "429", "read 600", None),
        (
            {"errorCode": "BXNIM1", "errorMessage": "no key", "context": {"requestId": "r1"}},
            "BXNIM1", "no key", "r1",
        ),
        ({"_messageCode_": "401", "message": "User unauthorized"}, "401", "User unauthorized", None),
        ({"errors": []}, None, "", None),
        ({"errors": "none", "trace": None}, None, "", None),
        ([1], None, "[1]", None),
    ],
)  # fmt: skip
def test_every_envelope_is_read(body: Any, code: str | None, message: str, trace: str | None) -> None:
    told = read_refusal(documents.canonical(body))

    assert (told.code, told.message, told.trace) == (code, message, trace)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html><head><title>502 Bad\n Gateway</title></head><body><h1>x</h1></body></html>", "502 Bad Gateway"),
        (b"<p>Sign <b>in</b></p><script>var a = 1 < 2</script>", "Sign in"),
        (b"upstream connect error", "upstream connect error"),
        (b"", ""),
    ],
)
def test_pages_for_people_become_one_line(body: bytes, message: str) -> None:
    assert read_refusal(body).message == message


@pytest.mark.parametrize("body", [b"\xff\xfe\x00", b"[" * 100_000, b"x" * 1_000_000, b"<" * 100_000, b"{" * 10])
def test_what_cannot_be_read_is_shortened_and_never_fails(body: bytes) -> None:
    assert len(read_refusal(body).message) <= 300


@pytest.mark.parametrize(
    "text",
    [
        f"key {SECRET} is unknown",
        f"Bearer {SECRET}",
        f"password={SECRET}x",
        f"https://u:{SECRET}@h/x",
        f"<b>{SECRET}</b>",
    ],
)
@pytest.mark.parametrize(
    "wrap", ['{"message":"%s"}', '{"code":"%s"}', '{"trace":"%s","errors":[{"message":"%s"}]}', "%s"]
)
def test_no_secret_is_shown(text: str, wrap: str) -> None:
    raw = Raw(400, {}, wrap.replace("%s", text).encode(), 0.1)

    error = refusal(raw, "GET /x", [SECRET])

    assert SECRET not in f"{error} {error!r} {error.advice()} {error.details}"


@pytest.mark.parametrize(
    "text",
    [f"Bearer {SECRET}", f"password={SECRET}", f"https://u:{SECRET}@h/x", f"https://h/x?X-Amz-Signature={SECRET}"],
)
def test_what_looks_like_a_secret_is_not_shown_though_nobody_named_it(text: str) -> None:
    assert SECRET not in read_refusal(documents.canonical({"message": f"a {text} b"})).message
    assert SECRET not in read_refusal(f"<p>a {text} b</p>".encode()).message


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (400, CatalogRejected), (409, CatalogRejected), (403, CatalogForbidden), (404, CatalogNotFound),
        (410, CatalogGone), (429, CatalogBusy), (500, CatalogFailed), (503, CatalogFailed), (599, CatalogFailed),
    ],
)  # fmt: skip
def test_the_status_decides_and_not_what_the_body_says_it_is(status: int, kind: type[MirrorError]) -> None:
    body = b'{"trace":"t","status_code":404,"errors":[{"code":"not_found","message":"m"}]}'

    error = refusal(Raw(status, {}, body, 0.1), "GET /x")

    assert type(error) is kind
    assert f"status {status}, not_found: m (trace t)" in str(error)
    assert (error.details["status"], error.details["code"], error.details["trace"]) == (status, "not_found", "t")
    assert error.advice()


NOW = datetime(2026, 5, 10, 15, 0, 0, tzinfo=UTC)


def http(seconds: float) -> str:
    return format_datetime(NOW + timedelta(seconds=seconds), usegmt=True)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"Retry-After": http(9), "Date": http(0)}, 9),
        ({"Retry-After": http(-9), "Date": http(0)}, 0),
        ({"Retry-After": "7", "X-RateLimit-Reset": "99"}, 7),
        ({"Retry-After": "soon", "X-RateLimit-Reset": str(int(NOW.timestamp()) + 11), "Date": http(0)}, 11),
        ({"X-RateLimit-Reset": str((int(NOW.timestamp()) + 11) * 1000), "Date": http(0)}, 11),
        ({"X-RateLimit-Reset": str(int(NOW.timestamp()) - 11), "Date": http(0)}, 0),
        ({"X-RateLimit-Reset": "30"}, 30),
        ({"Retry-After": "-3"}, None),
        ({"Retry-After": "9" * 400}, None),
        ({"X-RateLimit-Reset": "²"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_told_on_the_catalogs_clock(headers: Mapping[str, str], seconds: float | None) -> None:
    assert asked_to_wait(headers) == seconds
