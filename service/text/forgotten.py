"""People who were forgotten: taking them out of what is there, and knowing them again in what comes.

What is there is searched for a person's names in clear, inside of texts, too. For what comes nobody keeps the names: a
mirror keeps salted hashes (`Forgotten`), by which a text that is a name or an address, or an address inside of a text,
is known again; a name in the middle of a sentence is not.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Callable, Iterable
from typing import Any

from service.errors import DataError, UsageError
from service.text import documents
from service.text.principals import EMAIL, Principals, principal

#: What stands where a person stood.
MARK = "[forgotten]"
#: A shorter name would take too much with it; a longer text is nobody's name.
SHORTEST, LONGEST = 3, 320
#: Names of one person at most.
MAX_NAMES = 20
#: What may not stand beside a name: `ann` is not part of `banner`, nor of `ann@example.org`.
_BEFORE, _AFTER = r"(?<![\w@.+\-])", r"(?![\w@+\-]|\.\w)"


def folded(name: str) -> str:
    """A name as it is compared: case and composition of characters do not count."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def hash_of(name: str, salt: bytes) -> str:
    """A name as it is kept: 32 hexadecimal digits."""
    return hashlib.blake2b(folded(name).encode("utf-8", "surrogatepass"), key=salt, digest_size=16).hexdigest()


class Forgotten:
    """Who was forgotten in a mirror, as hashes with its salt; every part of a process holds the same one."""

    def __init__(self) -> None:
        self._salt = b""
        self._hashes: frozenset[str] = frozenset()
        #: How many times the list had changed when it was read.
        self.generation = 0

    def __bool__(self) -> bool:
        return bool(self._hashes)

    def learn(self, salt: bytes, hashes: Iterable[str], generation: int) -> None:
        """Know these from now on."""
        self._salt, self._hashes, self.generation = salt, frozenset(hashes), generation

    def holds(self, text: str) -> bool:
        """Whether a text is the name or address of somebody who was forgotten."""
        return SHORTEST <= len(text) <= LONGEST and hash_of(text, self._salt) in self._hashes

    def hidden(self, value: Any) -> Any:
        """A copy without them; the same object where nobody is in it, or nobody was forgotten."""
        return _walked(value, self._text) if self._hashes else value

    def _text(self, text: str) -> str:
        if self.holds(text):
            return MARK
        if "@" not in text:
            return text
        return EMAIL.sub(lambda found: MARK if self.holds(found[0]) else found[0], text)

    def hidden_in_bytes(self, body: bytes) -> bytes:
        """The same for bytes that do not parse: addresses are all that can be told there."""
        return _in_bytes(body, self._text) if self._hashes else body


NOBODY = Forgotten()


class Person:
    """Somebody to be forgotten, by all names, ids and addresses; and as `PIPELINE__PRINCIPALS=hash` writes them.

    Raises:
        UsageError: there are too many of these, or one is too short or too long.
    """

    def __init__(self, names: Iterable[str]) -> None:
        told = sorted({name.strip() for name in names})
        if not told or len(told) > MAX_NAMES:
            raise UsageError(problem=f"name a person by 1 to {MAX_NAMES} names, ids or addresses")
        if odd := [name for name in told if not SHORTEST <= len(name) <= LONGEST]:
            raise UsageError(problem=f"{len(odd)} of the names are not of {SHORTEST} to {LONGEST} characters")
        #: All forms in which they are looked for.
        spelt = {unicodedata.normalize(form, name) for name in told for form in ("NFC", "NFD")}
        self.forms = sorted({*told, *spelt, *(principal(name, Principals.HASH) for name in told)})
        pattern = "|".join(re.escape(form) for form in sorted(self.forms, key=len, reverse=True))
        self._pattern = re.compile(f"{_BEFORE}(?:{pattern}){_AFTER}", re.IGNORECASE)

    def hashes(self, salt: bytes) -> list[str]:
        """All forms as they are kept."""
        return sorted({hash_of(form, salt) for form in self.forms})

    def hidden(self, value: Any) -> Any:
        """A parsed value without them; the same object where they are not in it."""
        return _walked(value, self.hidden_text)

    def hidden_text(self, text: str) -> str:
        """A text without them."""
        return self._pattern.sub(MARK, text)

    def hidden_column(self, text: str) -> str:
        """A column's text without them: one that is JSON stays JSON."""
        if text[:1] not in ("{", "["):
            return self.hidden_text(text)
        try:
            value = documents.parsed_text(text)
        except DataError:
            return self.hidden_text(text)
        hidden = self.hidden(value)
        return text if hidden is value else documents.canonical(hidden).decode("utf-8", "surrogatepass")

    def hidden_body(self, body: bytes) -> bytes:
        """A dead letter's body without them."""
        try:
            value = documents.parsed(body)
        except DataError:
            return _in_bytes(body, self.hidden_text)
        hidden = self.hidden(value)
        return body if hidden is value else documents.canonical(hidden)


def _in_bytes(body: bytes, change: Callable[[str], str]) -> bytes:
    return change(body.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")


def _walked(value: Any, change: Callable[[str], str]) -> Any:
    """A copy with every text and key changed; the same object where none was."""
    if isinstance(value, str):
        told = change(value)
        return value if told == value else told
    if isinstance(value, list):
        items = [_walked(item, change) for item in value]
        return value if all(new is old for new, old in zip(items, value, strict=True)) else items
    if isinstance(value, dict):
        return _walked_object(value, change)
    return value


def _walked_object(value: dict[str, Any], change: Callable[[str], str]) -> dict[str, Any]:
    """Members whose keys become alike stay apart, by a number."""
    members: dict[str, Any] = {}
    same = True
    for key, member in value.items():
        told, new = change(key), _walked(member, change)
        number, once = 1, told
        while told != key and (told in members or told in value):
            number += 1
            told = f"{once} ({number})"
        same = same and told == key and new is member
        members[told] = new
    return value if same else members
