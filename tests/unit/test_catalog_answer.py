"""Answers: numbers without loss, shapes checked, and the moment that they are from."""

from decimal import Decimal

import pytest

from service.catalog.answer import Answer, moment_of
from service.errors import CatalogAnswerInvalid

#: 10 May 2026, 15:00:00 UTC.
AT_US = 1_778_425_200_000_000
DATE = "Sun, 10 May 2026 15:00:00 GMT"


def answer(body: bytes) -> Answer:
    return Answer(200, body, None, "GET /v2/things")


@pytest.mark.parametrize(
    ("date", "took_s", "at_us"),
    [
        (DATE, 0.0, AT_US),
        (DATE, 0.01, AT_US - 1_000_000),
        (DATE, 2.0, AT_US - 2_000_000),
        (DATE, 2.5, AT_US - 3_000_000),
        ("Sun, 10 May 2026 15:00:00 -0000", 0.0, AT_US),
        ("Sun, 10 May 2026 17:00:00 +0200", 0.0, AT_US),
        ("yesterday", 0.0, None),
        ("", 0.0, None),
        ("Sun, 99 May 2026 15:00:00 GMT", 0.0, None),
        ("Sun, 10 May 99999 15:00:00 GMT", 0.0, None),
    ],
)
def test_an_answer_is_from_when_it_was_asked_for_on_the_catalogs_clock(
    date: str, took_s: float, at_us: int | None
) -> None:
    assert moment_of({"Date": date}, took_s) == at_us


def test_an_answer_without_a_date_has_no_moment() -> None:
    assert moment_of({}, 1.0) is None


def test_numbers_keep_every_digit() -> None:
    body = b'{"i":123456789012345678901234567890,"d":0.1000000000000000055511151231257827,"f":1.52968210955E12}'

    value = answer(body).object()

    assert value["i"] == 123456789012345678901234567890
    assert value["d"] == Decimal("0.1000000000000000055511151231257827")
    assert value["f"] == 1529682109550


def test_no_body_is_no_value() -> None:
    assert answer(b"").value is None


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        (b"<html>Sign in</html>", "HTML"),
        (b"{", "not JSON"),
        (b"\xff", "UTF-8"),
        (b"[" * 20_000 + b"]" * 20_000, "deeper"),
        (b"[" * 100_000, ""),
    ],
)
def test_what_is_no_json_is_an_error_that_names_the_call(body: bytes, problem: str) -> None:
    with pytest.raises(CatalogAnswerInvalid, match="GET /v2/things") as caught:
        _ = answer(body).value

    assert problem in str(caught.value)


@pytest.mark.parametrize("body", [b"[]", b"null", b"", b'"x"', b"3"])
def test_an_object_is_asked_for(body: bytes) -> None:
    with pytest.raises(CatalogAnswerInvalid, match="where an object was expected"):
        answer(body).object()


@pytest.mark.parametrize("body", [b"{}", b'{"items":null}', b'{"items":{}}', b'{"items":[1]}', b'{"other":[]}'])
def test_a_missing_list_does_not_pass_for_an_empty_one(body: bytes) -> None:
    with pytest.raises(CatalogAnswerInvalid, match="'items'"):
        answer(body).objects("items")


def test_the_body_is_not_in_the_repr() -> None:
    assert "hunter2" not in repr(answer(b'{"url":"hunter2"}'))
