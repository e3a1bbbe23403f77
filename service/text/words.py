"""The words of a text, as search compares them: without case and accents, names taken apart as people read them."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from hashlib import blake2b

#: Characters of a word that count, and words of a text.
MAX_CHARACTERS, MAX_WORDS = 64, 1000
#: Texts whose words are remembered.
_REMEMBERED = 20_000
#: Where a name in camel case goes on with the next word.
_JOINT = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")
#: Begins every mark; hexadecimal digits follow.
_MARK = "zz"


@lru_cache(_REMEMBERED)  # names of columns, tags and terms are the same in many assets
def words_of(text: str) -> tuple[str, ...]:
    """Its words in their order, each once: `CUSTOMER_emailAddress` has customer, email, address and emailaddress."""
    plain = text[: MAX_CHARACTERS * MAX_WORDS]
    parted = _JOINT.sub(" ", plain)
    found = _words(parted) if parted == plain else [*_words(parted), *_words(plain)]
    return tuple(dict.fromkeys(found))[:MAX_WORDS]


def name_of(text: str) -> str:
    """Its words in their order, one space between them: what names are sorted by, and their beginnings compared."""
    return " ".join(_words(_JOINT.sub(" ", text[: MAX_CHARACTERS * MAX_WORDS])))


def _words(text: str) -> list[str]:
    if text.isascii():
        bare = text.lower()
    else:
        decomposed = unicodedata.normalize("NFKD", text).casefold()
        bare = "".join(one for one in decomposed if not unicodedata.combining(one))
    return [word[:MAX_CHARACTERS] for word in _WORD.findall(bare)]


@lru_cache(_REMEMBERED)
def mark_of(kind: str, value: str) -> str:
    """A word that stands for a property, such as having the owner U1; no text has it by chance."""
    return _MARK + blake2b(f"{kind}\0{value}".encode("utf-8", "surrogatepass"), digest_size=10).hexdigest()
