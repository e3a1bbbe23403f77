"""Words as search compares them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from service.text.words import mark_of, name_of, words_of


def test_names_are_taken_apart_as_people_read_them() -> None:
    assert words_of("CUSTOMER_emailAddress") == ("customer", "email", "address", "emailaddress")
    assert words_of("HTTPServer2") == ("http", "server2", "httpserver2")
    assert name_of("Zürich – Ventes/2024") == "zurich ventes 2024"
    assert name_of("***") == ""


def test_marks_of_different_properties_differ() -> None:
    assert mark_of("tag", "gold") != mark_of("owner", "gold")
    assert mark_of("tag", "gold").isalnum()


@given(st.text(max_size=200))
def test_words_have_letters_and_digits_alone(text: str) -> None:
    for word in words_of(text):
        assert word.isalnum() or all(one.isalnum() or one.isnumeric() for one in word)
        assert word == word.casefold()
    assert name_of(name_of(text)) == name_of(text)
