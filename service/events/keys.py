"""Routing keys and the patterns of topic exchanges.

The meaning is the broker's own (AMQP 0-9-1, section 3.1.3.3, and RabbitMQ's topic trie): words are separated by dots,
`*` is exactly one word, `#` is any number of words, also none. An empty key has no words; a word may be empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, takewhile


def words_of(key: str) -> tuple[str, ...]:
    """The words of a routing key or pattern."""
    return tuple(key.split(".")) if key else ()


@dataclass(frozen=True)
class Pattern:
    """A binding pattern such as `v2.data_profiles.*.POST`."""

    text: str

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The pattern's own words."""
        return words_of(self.text)

    def matches(self, words: tuple[str, ...]) -> bool:
        """Whether a key with these words is bound by this pattern."""
        if self._literals is None:
            return words[: len(self._prefix)] == self._prefix and self._matches_with_hash(words)
        return len(words) == len(self.words) and all(words[index] == word for index, word in self._literals)

    @cached_property
    def _literals(self) -> tuple[tuple[int, str], ...] | None:
        """Where which word must stand; None for a pattern with `#`, whose words have no fixed place."""
        if "#" in self.words:
            return None
        return tuple((index, word) for index, word in enumerate(self.words) if word != "*")

    @cached_property
    def _prefix(self) -> tuple[str, ...]:
        """The literal words that every key of this pattern starts with."""
        return tuple(takewhile(_is_literal, self.words))

    def _matches_with_hash(self, words: tuple[str, ...]) -> bool:
        # reached[i]: the pattern's words so far can stand for exactly the first i words of the key.
        reached = [True] + [False] * len(words)
        for ours in self.words:
            if ours == "#":
                first = reached.index(True) if True in reached else len(reached)
                reached = [index >= first for index in range(len(reached))]
            else:
                steps = (was and ours in ("*", word) for was, word in zip(reached, words, strict=False))
                reached = [False, *steps]
        return reached[-1]

    @property
    def specificity(self) -> tuple[int, ...]:
        """Sorts the most specific pattern first: more literal words, then longer keys, then fewer `#`; then leftmost.

        A pattern that matches less than another one always has a smaller value than that one.
        """
        literal = sum(map(_is_literal, self.words))
        least = len(self.words) - self.words.count("#")
        gaps = sum("#" in run for is_literal, run in groupby(self.words, _is_literal) if not is_literal)
        return (-literal, -least, gaps, *({"#": 2, "*": 1}.get(word, 0) for word in self.words))


def _is_literal(word: str) -> bool:
    return word not in ("*", "#")
