"""AMQP's meaning of `*` and `#`, against the plainest reading of it."""

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.events.keys import Pattern, words_of

words = st.lists(st.sampled_from(["a", "b", "", "*", "#"]), max_size=6)
keys = st.lists(st.sampled_from(["a", "b", ""]), max_size=6)


def matches(pattern: list[str], key: list[str]) -> bool:
    """By trying everything that `#` can stand for."""
    if not pattern:
        return not key
    head, rest = pattern[0], pattern[1:]
    if head == "#":
        return any(matches(rest, key[taken:]) for taken in range(len(key) + 1))
    return bool(key) and head in ("*", key[0]) and matches(rest, key[1:])


@given(words, keys)
def test_a_pattern_matches_what_trying_everything_matches(pattern: list[str], key: list[str]) -> None:
    text, words = ".".join(pattern), words_of(".".join(key))

    assert Pattern(text).matches(words) == matches(list(words_of(text)), list(words))


@pytest.mark.parametrize(
    ("pattern", "key", "expected"),
    [
        ("#", "", True),
        ("", "", True),
        ("*", "", False),
        ("a.#", "a", True),
        ("*", ".", False),
        ("*.*", ".", True),
        ("#.a", "a", True),
        ("v2.data_profiles.*.POST", "v2.data_profiles.x.y.POST", False),
        ("v2.data_profiles.*.POST", "v2.data_profiles..POST", True),
        ("v3.gss.cams.#.action", "v3.gss.cams.action", True),
        ("v3.gss.cams.#.action", "v3.gss.cams.a.b.action", True),
        ("*.POST", "**.POST", True),
        ("a*", "ab", False),
    ],
)
def test_words_are_whole_and_a_hash_may_be_nothing(pattern: str, key: str, expected: bool) -> None:
    assert Pattern(pattern).matches(words_of(key)) is expected


def test_a_hostile_pattern_takes_no_exponential_time() -> None:
    assert not Pattern(".".join(["#", "a"] * 60)).matches(("a",) * 200 + ("b",))


KEYS = [key for size in range(6) for key in product(["a", "b"], repeat=size)]


@given(words, words)
def test_a_pattern_that_matches_less_is_more_specific(one: list[str], other: list[str]) -> None:
    first, second = Pattern(".".join(one)), Pattern(".".join(other))
    taken = [{key for key in KEYS if pattern.matches(key)} for pattern in (first, second)]
    if "" in one + other or not taken[0] or not taken[0] < taken[1]:
        return
    # Longer keys than those tried may say otherwise, so a pattern with `#` may also be no subset at all.
    if "#" in first.words and "#" not in second.words:
        return

    assert first.specificity < second.specificity


@pytest.mark.parametrize(
    "ordered",
    [
        ["v3.gss.cams.#.action", "v3.gss.cams.#"],
        ["a", "a.#", "#"],
        ["a.b.*", "a.*.*", "a.#"],
        ["#.a", "#.a.#"],
        ["a.*.b", "a.#.b"],
    ],
)
def test_the_most_specific_pattern_sorts_first(ordered: list[str]) -> None:
    patterns = [Pattern(text) for text in ordered[::-1]]

    assert [p.text for p in sorted(patterns, key=lambda pattern: pattern.specificity)] == ordered
