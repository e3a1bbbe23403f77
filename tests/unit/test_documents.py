"""JSON in and out loses nothing, has one text per value, and ends in a value or a data error whatever the bytes."""

import json
from contextlib import suppress
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.errors import DataError, NestingTooDeep, NotJson, NotUtf8
from service.text.documents import (
    canonical,
    column_text,
    digest_of,
    document,
    documents_of,
    is_clean,
    number,
    read,
    without,
)

DEPTH = 64
any_text = st.text(st.characters(codec=None))
# Larger doubles are not what their shortest text says: 4.210869103148126e16 is written exactly, and read as an integer.
numbers = st.one_of(st.integers(-(2**200), 2**200), st.floats(-(2.0**53), 2.0**53), st.booleans(), st.none())
values = st.recursive(
    st.one_of(numbers, any_text),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(any_text, inner, max_size=4)),
    max_leaves=20,
)
spellings = st.from_regex(r"-?(0|[1-9][0-9]{0,25})(\.[0-9]{1,25})?([eE][+\-]?[0-9]{1,3})?", fullmatch=True)


def through(text: str | bytes) -> bytes:
    return canonical(read(text.encode() if isinstance(text, str) else text, DEPTH))


@given(values)
@example({"\ud800": "\x00", "b": "\udfff\ud800", "a": 1e-7})
def test_what_python_writes_is_read_back_without_loss(value: Any) -> None:
    assert read(json.dumps(value).encode(), DEPTH) == value


@given(values)
@example(["\ud800", 1e-7, 0.1])
def test_canonical_text_is_a_fixpoint(value: Any) -> None:
    text = through(canonical(value))

    assert through(text) == text
    assert read(text, DEPTH) == read(json.dumps(value).encode(), DEPTH)


@given(spellings, st.booleans())
def test_every_number_keeps_its_exact_value(spelling: str, beside_half_a_pair: bool) -> None:
    body = f'[{spelling},"\\ud800"]' if beside_half_a_pair else f"[{spelling}]"
    text = canonical(read(body.encode(), DEPTH)).decode()

    assert Decimal(text.strip("[]").split(",")[0]) == Decimal(spelling)
    assert through(text) == text.encode()


@given(spellings, st.integers(0, 3))
def test_equal_numbers_have_equal_text(spelling: str, zeros: int) -> None:
    value = Decimal(spelling)
    sign, digits, exponent = value.as_tuple()
    assert isinstance(exponent, int)
    whole = "".join(map(str, digits)).lstrip("0")
    other = f"{'-' * sign}{whole}{'0' * zeros}E{exponent - zeros}" if whole else "0E7"

    # Integers of more digits than any catalog counts to are told by their spelling.
    assert through(other) == through(spelling) or abs(value.adjusted()) >= 40


@pytest.mark.parametrize("same", [["100", "100.0", "1E2", "1.00e+2", "1000E-1"], ["0", "-0", "0.0", "0E5", "-0.0"]])
def test_whole_numbers_are_one_text_however_they_are_written(same: list[str]) -> None:
    assert len({through(text) for text in same}) == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("18446744073709551616", b"18446744073709551616"),
        ("-9223372036854775809", b"-9223372036854775809"),
        ("1E400", b"1E+400"),
        ("1.50E400", b"1.5E+400"),
        ("1E-400", b"1E-400"),
        ("4.99999999999999999999", b"4.99999999999999999999"),
        ('"\\u0000"', b'"\\u0000"'),
        ('"\\ud800"', b'"\\ud800"'),
        ('["\\ud800",1E400]', b'["\\ud800",1E+400]'),
        ('"\\ud83d\\ude00"', '"\U0001f600"'.encode()),
    ],
)
def test_what_other_readers_lose_is_kept(text: str, expected: bytes) -> None:
    assert through(text) == expected


@given(st.binary())
@example(b"\xef\xbb\xbf{}")
@example(b"NaN")
@example(b"[Infinity]")
@example(b"1" * 5000)
@example(b"1E99999999999999999999999")
@example(b'{"a":1E-99999999999999999999999}')
@example(b"[" * 100_000)
@example(b'{"a":' * 100_000)
@example(b"[" * 100_000 + b"]" * 100_000)
@example(b'"\xed\xa0\x80"')
def test_any_bytes_are_a_value_or_a_data_error(body: bytes) -> None:
    with suppress(DataError):
        assert canonical(read(body, DEPTH))


@given(st.from_regex(rb'[\[\]{}":,0-9.eE+\-\\u tfn]{0,40}', fullmatch=True))
def test_what_looks_like_json_is_a_value_or_a_data_error(body: bytes) -> None:
    try:
        value = read(body, DEPTH)
    except DataError:
        return
    assert canonical(read(canonical(value), DEPTH)) == canonical(value)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("levels", [DEPTH, DEPTH + 1])
def test_nesting_is_allowed_up_to_the_limit(opening: bytes, levels: int) -> None:
    body = opening * levels + b"1" + (b"]" if opening == b"[" else b"}") * levels
    if levels <= DEPTH:
        assert read(body, DEPTH)
    else:
        with pytest.raises(NestingTooDeep):
            read(body, DEPTH)


def test_a_small_body_stays_small() -> None:
    body = b"[" + b"1E399," * 1000 + b"1]"

    assert len(through(body)) < 10 * len(body)


@pytest.mark.parametrize("body", [b"nul", b'{"a":}', b"{'a':1}", b"{} {}", b"", b'{"a":1,}', b"// c\n{}", b'"\x01"'])
def test_what_is_no_json_says_so(body: bytes) -> None:
    with pytest.raises(NotJson):
        read(body, DEPTH)


def test_what_is_no_text_says_where() -> None:
    with pytest.raises(NotUtf8, match="byte 2"):
        read(b'{"\xff":1}', DEPTH)


@given(any_text)
def test_a_column_text_fits_every_store(text: str) -> None:
    clean = column_text(text)

    assert "\x00" not in clean
    assert clean.encode() is not None
    assert is_clean(clean)
    assert is_clean(text) == (clean == text)


def test_a_number_beyond_every_range_is_refused() -> None:
    with pytest.raises(ValueError, match="beyond every range"):
        number("1E99999999999999999999999")


def test_paths_are_left_out_of_a_copy() -> None:
    state = {"a": {"b": 1, "c": 2}, "d": {"b": 3}, "e": [1]}

    assert without(state, (("a", "b"), ("d", "b", "x"), ("e", "y"), ("z",))) == {"a": {"c": 2}, "d": {"b": 3}, "e": [1]}
    assert state["a"] == {"b": 1, "c": 2}


def test_equal_states_have_equal_digests() -> None:
    assert document(read(b'{"b":1.0,"a":2}', DEPTH)) == document(read(b'{ "a" : 2e0, "b" : 1 }', DEPTH))


KEYS = ["a", "b", "é", "\U0001f600", "\uffee", "", "\ud800"]
PATHS = (("a",), ("b", "a"), ("b", "é", "b"), ("é", ""), ("\uffee",), ("\uffee", "a"))
objects = st.recursive(
    st.one_of(numbers, st.sampled_from(KEYS)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(KEYS), inner, max_size=5)),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(KEYS), objects))
def test_a_document_and_its_steady_digest_are_the_same_made_together_or_apart(value: dict[str, Any]) -> None:
    assert documents_of(value, PATHS) == (document(value), digest_of(canonical(without(value, PATHS))))
