"""What is never written: secrets are blanked before anything reaches the store, a log, a file or another system.

Two ways lead there. A body that parses is walked, and text under a secret key is blanked; a body that does not parse
is searched for byte patterns. Both are skipped for the many bodies that hold none of the tell-tale words: one pass
over the bytes tells (`may_hold_secrets`).

Which fields carry secrets is told in docs/contract.md, section "Secrets". Settings may add words; they hold for the
whole process (`know`), since redaction runs where no settings are at hand, too: in errors, and in logs of answers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from ahocorasick_rs import BytesAhoCorasick, Implementation

from service.errors import DataError
from service.text import documents, tokens
from service.text.secret_forms import (
    FOREIGN_WORDS,
    FORMS,
    PASS_KEY,
    WHOLE_KEYS,
    normal_word,
    pattern_of,
    spellings,
    written,
)
from service.text.tokens import Tokens

#: What stands where a secret stood.
BLANK = "[redacted]"
_BLANK = BLANK.encode()
QUOTED_BLANK = b'"' + _BLANK + b'"'

#: Tell-tale words in the form of a normalised key: lower case, without `_`, `-`, `.` and spaces.
SECRET_WORDS = (
    "password", "passwd", "passphrase", "pwd", "secret", "token", "apikey", "accesskey", "privatekey", "sessionkey",
    "credential", "authorization", "signedurl", "createobjecturl", "accountkey", *FOREIGN_WORDS,
)  # fmt: skip
#: Those, and words that betray a secret inside a text whatever its key is.
_TELL_TALE = frozenset({
    *(form.encode() for word in SECRET_WORDS for form in written(word)), *(key.encode() for key in WHOLE_KEYS),
    b"wdpaes", b"bearer", b"eyj", b"signature", b"sig=", *(word for form in FORMS for word in form.tell_tales),
})  # fmt: skip

#: Objects whose keys are names that people gave (columns, profiles): a column called `password` is no secret. `fields`
#: and `columnMetrics` are those of OpenLineage's facets `columnLineage` and `dataQualityMetrics`.
MAPS_OF_NAMES = frozenset({
    "column_info", "data_profile", "columns", "fields", "columnMetrics",
})  # fmt: skip
#: Keys whose text, or whose list of texts, says which things are meant, with those that end like the second ones. Two
#: things must not become one because a part of a path looks like an assignment (`token_type=refresh`): only a secret by
#: its form is blanked there.
IDENTITY_KEYS = frozenset({
    "name", "namespace", "id", "guid", "title", "path", "field", "table", "schema", "database", "bucket", "runid",
    "names", "namespaces", "ids", "paths", "fields", "columns", "tags", "uri", "source_asset",
})  # fmt: skip
_IDENTITY_ENDS = ("_id", "_name", "_path", "_key", "_ids", "_names", "_paths", "_keys")

_NORMAL = bytes.maketrans(bytes(range(65, 91)), bytes(range(97, 123)))
_IGNORED = b"_-. "

_WORDS = (
    r"pass[_\-. ]?word|passwd|pass[_\-. ]?phrase|pwd|secret|token|api[_\-. ]?key|access[_\-. ]?key"
    r"|private[_\-. ]?key|session[_\-. ]?key|credential|authorization|signed[_\-. ]?url"
    r"|create[_\-. ]?object[_\-. ]?url|account[_\-. ]?key|mot[_\-. ]?de[_\-. ]?passe|"
    + "|".join(re.escape(form) for word in FOREIGN_WORDS for form in written(word))
)
#: A text inside a text: from \\" to the next quote with as many backslashes.
_ESCAPED_TEXT = r'(?P<escape>\\+)".*?(?:(?<!\\)(?P=escape)"|\Z)'
_VALUE = (
    rf"(?:{_ESCAPED_TEXT}"
    r'|"(?:[^"\\]|\\.)*"?'
    r"|'(?:[^'\\]|\\.)*'?"
    r"|[^\s,;&\"'}\]<>\[{][^\s,;&\"'}\]<>]*)"
)
#: (pattern, replacement) over bytes; each is linear in the length of the text.
_Pattern = tuple[re.Pattern[bytes], bytes]


def _compiled(*patterns: tuple[str, str]) -> list[_Pattern]:
    flags = re.IGNORECASE | re.DOTALL
    return [(re.compile(pattern.encode(), flags), replacement.encode()) for pattern, replacement in patterns]


#: Schemes go before what is assigned: of `Authorization: Bearer …` the second word is the secret.
_SCHEMES = _compiled(
    (r"(\{wdpaes\})[A-Za-z0-9+/=_\-]*", BLANK),
    (r"\b(bearer|basic)(\s{1,8})[A-Za-z0-9._~+/\-]{6,}=*", rf"\1\2{BLANK}"),
    (r"(authorization\\*[\"']?\s{0,16}[:=]\s{0,16}\\*[\"']?)[a-z][\w\-]{0,31}\s{1,8}[^\s\"'\\]+", rf"\1{BLANK}"),
)
_PATTERNS = _compiled(
    # Atomic, and only from the start of a run: tried at every `eyJ` of a long run, it would take quadratic time.
    (r"(?<![A-Za-z0-9_\-])((?>[A-Za-z0-9_\-]*?(?=eyJ)))eyJ[A-Za-z0-9_\-]{8,}+"
     r"\.[A-Za-z0-9_\-]{4,}(?:\.[A-Za-z0-9_\-]*)?", rf"\1{BLANK}"),
    (r"(:(?:\\{0,16}/){2})[^/\s\"'@:<>\\]{0,256}:[^/\s\"'<>\\]{1,512}(@)", rf"\1{BLANK}\2"),
    (r"([?&](?:x-[a-z]{1,16}-(?:signature|credential|security-token)|signature|sig|awsaccesskeyid|googleaccessid)=)"
     r"[^\s\"'&<>\\]+", rf"\1{BLANK}"),
    (r"-----BEGIN[A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----.*?(?:-----END[A-Z0-9 ]{0,32}PRIVATE KEY(?: BLOCK)?-----|$)",
     BLANK),
)  # fmt: skip
#: The table's forms, those that are secrets in names too, and the others.
_IN_NAMES, _IN_TEXTS = (
    [(re.compile(form.pattern.encode(), re.DOTALL), form.replacement.format(blank=BLANK).encode())
     for form in FORMS if form.in_names is in_names]
    for in_names in (True, False)
)  # fmt: skip


class _Known(NamedTuple):
    """What is told by words: by ours, and by those that settings add."""

    #: In the form of a normalised key.
    words: tuple[str, ...]
    tell_tales: BytesAhoCorasick
    #: So many of them are good wherever they stand; those after them stand for beginnings of tokens.
    plain: int
    tokens: Tokens
    assignment: re.Pattern[bytes]
    #: What goes after what is assigned.
    last: list[_Pattern]
    #: Those that know a secret by its form alone.
    forms: list[_Pattern]


def _known_by(more: Sequence[str], forms: Sequence[str]) -> _Known:
    """All that is made of words and forms of tokens, with these among them."""
    plain = _TELL_TALE | {form.encode().translate(_NORMAL) for word in more for form in spellings(word)}
    words = f"(?:{'|'.join((_WORDS, *map(pattern_of, more)))})"
    in_markup = _compiled(
        (rf"(<[\w:.\-\x80-\xff]{{0,64}}{words}[\w.\-\x80-\xff]{{0,64}}(?:\s[^<>]{{0,256}})?>)[^<]+", rf"\1{BLANK}"),
        # A pair in YAML, as data contracts have them: `property: password` and, on the next line, `value: …`.
        (rf"(\bproperty:[ ]{{1,8}}[\"']?[\w.\-]{{0,64}}?{words}[\w.\-]{{0,64}}[\"']?\s{{1,64}}value:[ ]{{1,8}})[^\n]+",
         rf"\1{BLANK}"),
    )  # fmt: skip
    # A parameter of a URL or connection string whose whole name is a secret's: `;password=…`, but no `token_type=`.
    (parameter,) = _compiled((
        rf"((?:^|[?&;])(?:{words}|access[_\-]?token|client[_\-]?secret)=)(?:\{{[^}}]*\}}?|[^\s&;\"'/]+)", rf"\1{BLANK}",
    ))  # fmt: skip
    # The rest of the key may be of any language, as it is or in escapes.
    assignment = rf"{words}(?:[\w.\-\x80-\xff]|\\u[0-9a-f]{{4}}){{0,64}}\\*[\"']?\s{{0,16}}[:=]\s{{0,16}}"
    known = Tokens((*tokens.FORMS, *forms)) if forms else tokens.OURS
    return _Known(
        (*SECRET_WORDS, *map(normal_word, more)),
        # Every body goes through here. Left to itself, the library takes a slower one from a hundred patterns on.
        BytesAhoCorasick(
            [*plain, *(begun.translate(_NORMAL, _IGNORED) for begun in known.beginnings)],
            implementation=Implementation.DFA,
        ),
        len(plain),
        known,
        re.compile(assignment.encode(), re.IGNORECASE),
        [*in_markup, *_PATTERNS, *_IN_NAMES],
        [_SCHEMES[0], parameter, in_markup[1], *_PATTERNS, *_IN_NAMES],
    )


_OURS = _known = _known_by((), ())


def know(words: Sequence[str], forms: Sequence[str] = ()) -> None:
    """From now on these betray secrets, too, in this process; those of an earlier call no longer do.

    Args:
        words: as people write them; see `secret_forms.normal_word`.
        forms: of tokens; see `tokens.form_of`.
    """
    global _known
    _known = _known_by(words, forms) if words or forms else _OURS
    _is_known_as_secret.cache_clear()


_ASSIGNED = re.compile(_VALUE.encode(), re.DOTALL)
_GROUP_TOKEN = re.compile(rf'{_ESCAPED_TEXT}|"(?:[^"\\]|\\.)*"?|[\[\]{{}}]'.encode(), re.DOTALL)
_USERINFO = re.compile(rb":(?:\\{0,16}/){2}[^/\s\"'@:<>\\]{0,256}:[^/\s\"'<>\\]{1,512}@")
_ESCAPED_ASCII = re.compile(rb"\\u00([2-7][0-9a-fA-F])")


#: Addresses that are looked at one by one before the whole body is searched.
_QUICK_LOOKS = 8


def may_hold_secrets(body: bytes) -> bool:
    """Whether a body is worth a closer look: one pass over the bytes, no parsing.

    An escape such as `\\u0070` could hide a word, so every body with a two-digit escape gets the closer look.
    """
    if b"\\" in body and b"\\u00" in body:
        return True
    normal = body.translate(_NORMAL, _IGNORED)
    matches = _known.tell_tales.find_matches_as_indexes(normal, overlapping=True)
    if matches and _is_told(matches, body, len(body) - len(normal)):
        return True
    return b"@" in body and _may_hold_userinfo(body)


def _is_told(matches: Sequence[tuple[int, int, int]], body: bytes, ignored: int) -> bool:
    """Whether one of these tell-tales is good: a word, or the beginning of a token that goes on like one.

    `pat` begins a token, and is in every `path`; `SG.` seems to be in every `is_governed`. As it is written it stands
    no further right than so many characters were ignored.
    """
    if min(matches)[0] < _known.plain:
        return True
    first = {number: start for number, start, _ in reversed(matches)}
    last = {number: end + ignored for number, _, end in matches}
    known = _known.tokens
    begins = any(
        body.find(known.beginnings[number - _known.plain], start, last[number]) >= 0 for number, start in first.items()
    )
    return begins and (b"\\" in body or known.are_in(body))  # an escape could stand within a token


def _may_hold_userinfo(body: bytes) -> bool:
    """Whether a URL names a user; most bodies have an `@` in an e-mail address only, which is quick to see."""
    at, looks = body.find(b"@"), 0
    while at >= 0 and looks < _QUICK_LOOKS:
        if b"/" in body[body.rfind(b'"', 0, at) + 1 : at]:
            return _USERINFO.search(body) is not None
        at, looks = body.find(b"@", at + 1), looks + 1
    return at >= 0 and _USERINFO.search(body) is not None


def is_secret_key(key: str) -> bool:
    """Whether text under this key is a secret; `token_type=refresh` is a partition, not the name of one."""
    return _is_secret_key(key) if len(key) > _KEY_KEPT else _is_known_as_secret(key)


def _is_secret_key(key: str) -> bool:
    if "=" in key:
        return False
    normal = key.lower().translate(_KEY_IGNORED)
    return normal in WHOLE_KEYS or any(word in normal for word in _known.words)


#: Bodies have the same few keys again and again: of those that are not longer, so many are remembered.
_KEY_KEPT, _KEYS_KEPT = 64, 4096
_is_known_as_secret = lru_cache(_KEYS_KEPT)(_is_secret_key)
_KEY_IGNORED = {ord(char): None for char in "_-. "}


def redact(value: Any) -> tuple[Any, bool]:
    """A copy of a parsed body with its secrets blanked, and whether there were any.

    Text and numbers anywhere below a secret key are blanked; truth values and null stay, they tell nothing.
    """
    walk = _Walk(_TEXT_LEVELS)
    return walk.visit(value), walk.blanked


#: So deep is JSON inside of texts walked, in levels of texts and of nesting in each; what lies deeper is searched.
_TEXT_LEVELS, _TEXT_DEPTH = 3, 32


class _Walk:
    def __init__(self, text_levels: int) -> None:
        self.blanked = False
        self._text_levels = text_levels

    def visit(self, value: Any, *, secret: bool = False, names: bool = False, identity: bool = False) -> Any:
        if isinstance(value, str):
            return self._text(value, secret=secret, identity=identity)
        if isinstance(value, dict):
            return self._object(value, secret=secret, names=names)
        if isinstance(value, list):
            return [self.visit(item, secret=secret, identity=identity) for item in value]
        if secret and value is not None and not isinstance(value, bool):
            self.blanked = True
            return BLANK
        return value

    def _text(self, text: str, *, secret: bool = False, identity: bool = False) -> str:
        if secret and text:
            clean = BLANK
        elif identity:
            clean = redact_identity(text)
        else:
            clean = self._searched(text)
        self.blanked = self.blanked or clean != text
        return clean

    def _searched(self, text: str) -> str:
        """A text that is JSON is walked like a body; any other is searched."""
        if self._text_levels and text.lstrip()[:1] in ("{", "["):
            raw = text.encode("utf-8", "surrogatepass")
            if not may_hold_secrets(raw):
                return text
            try:
                value = documents.read(raw, _TEXT_DEPTH)
            except DataError:
                return redact_text(text)
            inner = _Walk(self._text_levels - 1)
            clean = inner.visit(value)
            return documents.canonical(clean).decode() if inner.blanked else text
        return redact_text(text)

    def _object(self, members: dict[str, Any], *, secret: bool, names: bool) -> dict[str, Any]:
        named_secret = _names_a_secret(members)
        copy: dict[str, Any] = {}
        for key, value in members.items():
            is_name = names and isinstance(value, dict | list)
            below = secret or (not is_name and is_secret_key(key)) or (named_secret and key.lower() in _VALUE_KEYS)
            below = below or (isinstance(value, str) and PASS_KEY.search(key) is not None)
            clean_key = key if key.isidentifier() else self._key(key, members, copy)
            copy[clean_key] = self.visit(value, secret=below, names=key in MAPS_OF_NAMES, identity=_is_identity(key))
        return copy

    def _key(self, key: str, members: dict[str, Any], copy: dict[str, Any]) -> str:
        """A key may hold a secret too, such as the URL in a map of URLs; two that become alike stay two."""
        once = clean = self._text(key, identity=_IN_PROSE.search(key) is None)
        number = 1
        while clean != key and (clean in copy or clean in members):
            number += 1
            clean = f"{once} ({number})"
        return clean


#: What no name of a thing has: where it is in a key, the key is searched like any text.
_IN_PROSE = re.compile(r"[\s\"'<>{]")

_NAME_KEYS = frozenset({"name", "key", "property", "attribute_name", "property_name"})
_VALUE_KEYS = frozenset({"value", "values", "attribute_value", "default_value"})


def _names_a_secret(members: dict[str, Any]) -> bool:
    """Whether this is a pair such as `{"name": "password", "value": …}`."""
    names = (value for key, value in members.items() if isinstance(value, str) and key.lower() in _NAME_KEYS)
    return any(is_secret_key(name) for name in names)


def redact_text(text: str) -> str:
    """Blank what looks like a secret inside a text: tokens, signed URLs, passwords in URLs and connection strings."""
    raw = text.encode("utf-8", "surrogatepass")
    if not may_hold_secrets(raw):
        return text
    clean = _substitute(raw)
    return text if clean == raw else clean.decode("utf-8", "surrogatepass")


def redact_identity(text: str) -> str:
    """Blank what is a secret by its form in a name, id or path: a password in a URL, a signature, a token.

    What stands behind a word and `=` or `:` stays, as do words behind `basic` or `bearer`: it tells two things apart.
    A parameter of a URL or connection string goes if its whole name is that of a secret.
    """
    raw = text.encode("utf-8", "surrogatepass")
    if not may_hold_secrets(raw):
        return text
    raw = _known.tokens.blanked(raw, _BLANK)
    for pattern, replacement in _known.forms:
        raw = pattern.sub(replacement, raw)
    return raw.decode("utf-8", "surrogatepass")


def _is_identity(key: str) -> bool:
    normal = key.lower()
    return normal in IDENTITY_KEYS or normal.endswith(_IDENTITY_ENDS)


def redact_bytes(body: bytes) -> tuple[bytes, bool]:
    """Blank secrets in bytes that are no JSON, by pattern, and say whether there were any.

    A body in UTF-16 hides its words between zero bytes, and escapes such as `\\u0070` hide letters; where the plain
    form holds a secret, the plain form is what is kept.
    """
    clean = _substitute(body)
    plain = _ESCAPED_ASCII.sub(lambda match: bytes([int(match[1], 16)]), body.replace(b"\x00", b""))
    if plain != body:
        clean_plain = _substitute(plain)
        if clean_plain != plain:
            return clean_plain, True
    return clean, clean != body


def _substitute(body: bytes) -> bytes:
    for pattern, replacement in _SCHEMES:
        body = pattern.sub(replacement, body)
    for pattern, replacement in _IN_TEXTS:
        body = pattern.sub(replacement, body)
    body = _without_assigned(body)
    for pattern, replacement in _known.last:
        body = pattern.sub(replacement, body)
    return _known.tokens.blanked(body, _BLANK)


def _without_assigned(body: bytes) -> bytes:
    """Blank what stands after a tell-tale word with `:` or `=`: a word, a quoted text, a whole object or list."""
    parts: list[bytes] = []
    done = 0
    while match := _known.assignment.search(body, done):
        start = match.end()
        if body[start : start + 1] in (b"{", b"["):
            end = end_of_group(body, start)
        else:
            value = _ASSIGNED.match(body, start)
            end = value.end() if value else start
        parts += (body[done:start], QUOTED_BLANK) if end > start else (body[done:start],)
        done = end
    return b"".join((*parts, body[done:])) if parts else body


def end_of_group(body: bytes, start: int) -> int:
    """Where the object or list that begins at `start` ends; the end of the body if it is cut off."""
    depth = 0
    for token in _GROUP_TOKEN.finditer(body, start):
        depth += {b"{": 1, b"[": 1, b"}": -1, b"]": -1}.get(token[0], 0)
        if depth == 0:
            return token.end()
    return len(body)
