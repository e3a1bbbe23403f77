"""Secrets that are known by what stands around them: a table, with where each is told; and words that betray one.

What is assigned to a tell-tale word (`password = …`) is found by `service.text.redaction` itself; tokens that are known
by how they begin are in `service.text.tokens`.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

#: Words that betray a secret, beside the English ones: a key that has one, and what is assigned to one.
FOREIGN_WORDS = ("passwort", "kennwort", "motdepasse", "パスワード", "暗証番号", "秘密鍵")
#: Keys that are a secret's name as a whole, normalised; inside of others they are everyday words.
WHOLE_KEYS = frozenset({"cookie", "cookies", "setcookie"})
#: A key called `pass`, or ending in it as a word. Numbers below it are counts: so many that pass.
PASS_KEY = re.compile(r"(?:^|[_\-. ])pass$|[a-z0-9]Pass$|^(?:Pass|PASS)$")

#: A slash, as JSON may escape it.
_SLASH = r"\\{0,16}/"
#: What a word that is no password looks like has no digit and no sign in it.
_TELLING = r"(?=[^\s\"'<>,;]{0,64}?[0-9!@#$%&*?+])"


class SecretForm(NamedTuple):
    """One form.

    Args:
        pattern: over bytes, linear in their length.
        replacement: with `{blank}` where the secret stood.
        tell_tales: texts of which each body with the form has one, lower case, without `_`, `-`, `.` and spaces.
        source: who tells of the form.
        in_names: the form is a secret in a name, id or path, too.
    """

    name: str
    pattern: str
    replacement: str
    source: str
    tell_tales: tuple[bytes, ...] = ()
    in_names: bool = False


#: Where a word begins; in JSON that does not parse the end of a line may stand before it, in its escape.
_BEGIN = r"(?:(?<![A-Za-z0-9_\-])|(?<=\\[nrt]))"

FORMS: tuple[SecretForm, ...] = (
    SecretForm(
        "Oracle's JDBC", rf"(?i:(jdbc:oracle:[a-z0-9]{{1,16}}:[^\s\"'@/\\]{{1,128}}{_SLASH})[^\s\"'@]{{1,256}}(@))",
        r"\1{blank}\2", "Oracle Database JDBC Developer's Guide, Database URLs", (b"jdbc:oracle:",), in_names=True,
    ),
    SecretForm(
        "Azure", r"(?i:((?:account|sharedaccess)key\s{0,16}=\s{0,16})[^\s;\"'<>]+)", r"\1{blank}",
        "https://learn.microsoft.com/azure/storage, Connection strings", (b"accountkey", b"sharedaccesskey"),
        in_names=True,
    ),
    SecretForm(
        "webhook",
        rf"(?i:(hooks\.slack\.com{_SLASH}[a-z]{{1,32}}{_SLASH}|discord(?:app)?\.com{_SLASH}api{_SLASH}webhooks{_SLASH}"
        rf"|webhook\.office\.com{_SLASH}webhookb2{_SLASH}|outlook\.office\.com{_SLASH}webhook{_SLASH}"
        rf"|hooks\.zapier\.com{_SLASH}hooks{_SLASH})[^\s\"'<>]+)", r"\1{blank}",
        "The vendors' pages on incoming webhooks: who knows the address may post",
        (b"hooksslackcom", b"discordcom", b"discordappcom", b"officecom", b"hookszapiercom"), in_names=True,
    ),
    SecretForm(
        ".pgpass", r"((?:^|[\s\"']|\\n)[A-Za-z0-9_.\-*]{1,255}:(?:5432|5433|6432|\*):[^\s:\"'\\]{1,128}"
        r":[^\s:\"'\\]{1,128}:)[^\s\"'\\]+", r"\1{blank}", "PostgreSQL documentation, The Password File",
        (b":5432:", b":5433:", b":6432:", b":*:"),
    ),
    SecretForm(
        "cookie", rf"(?i:({_BEGIN}(?:set-)?cookies?\\{{0,16}}[\"']?\s{{0,16}}:\s{{0,16}}\\{{0,16}}[\"']?)"
        r"[^\s\"'\\:][^\r\n\"'\\]*)", r"\1{blank}", "RFC 6265", (b"cookie",),
    ),
    SecretForm(
        "pass", r"(?:((?:[\"'_\-. ](?i:pass)|[a-z0-9]Pass)\\{0,16}[\"']\s{0,16}:\s{0,16})"
        r"(?:\\{1,16}\"[^\"\\]*|\"(?:[^\"\\]|\\.)*\"?|'[^']*'?)|((?:^|[?&;\s])(?i:pass)=)[^\s&;\"'\\]+)",
        r'\1\2"{blank}"', "Settings of many tools", (b'pass"', b"pass'", b"pass=", b'pass\\"'),
    ),
    SecretForm(
        "curl", rf"(?i:({_BEGIN}curl\b[^\r\n]{{0,512}}?\s(?:-u|--user|--proxy-user)[\s=]{{1,8}}\\{{0,16}}[\"']?"
        r"[^\s:\"']{1,128}:)[^\s\"'\\]+)", r"\1{blank}", "curl(1), --user", (b"curl",),
    ),
    SecretForm(
        "SQL", r"(?i:(\bidentified\s{1,16}(?:with\s{1,16}\S{1,64}\s{1,16})?(?:by|as)\s{1,16}"
        r"(?:values\s{1,16}|password\s{1,16})?|\bpassword\s{1,16})"
        r"(?:'(?:[^'\\]|\\.|'')*'?|\\{1,16}\"[^\"\\]*|\"[^\"]*\"?))", r"\1{blank}",
        "CREATE USER of Oracle, MySQL, PostgreSQL and Snowflake", (b"identified", b"password"),
    ),
    SecretForm(
        "SQL, without quotes", rf"(?i:({_BEGIN}(?:create|alter)\s{{1,16}}(?:user|role)\s{{1,16}}\S{{1,128}}"
        r"\s{1,16}identified\s{1,16}by\s{1,16})[^\s\"'\\;,]+)", r"\1{blank}",
        "CREATE USER of Oracle and Db2", (b"identified",),
    ),
    SecretForm(
        "prose", r"(?i:(\b(?:password|passwort|kennwort|passphrase|mot de passe|secret|token)\s{1,4}"
        rf"(?:is|was|lautet|ist|war|est)\s{{0,4}}:?\s{{1,4}}){_TELLING}[^\s\"'<>,;\\]{{4,64}})", r"\1{blank}",
        "What people write into descriptions", (b"password", b"passwort", b"kennwort", b"passphrase", b"motdepasse",
                                                b"secret", b"token"),
    ),
)  # fmt: skip


def written(word: str) -> tuple[str, ...]:
    """A word as it stands in JSON: as it is, or in escapes (in lower case)."""
    if word.isascii():
        return (word,)
    return word, "".join(f"\\u{ord(char):04x}" for char in word)


#: Bounds of a word that settings add, as `normal_word` has it, in characters; and of how many there may be.
WORD_MIN, WORD_MAX, WORDS_MAX = 2, 64, 100
_JOINTS = str.maketrans("", "", "_-. ")


def normal_word(word: str) -> str:
    """A word in the form of a normalised key: lower case, without `_`, `-`, `.` and spaces.

    Raises:
        ValueError: it is shorter or longer than may be, or not of letters and digits.
    """
    normal = word.translate(_JOINTS).lower()
    if not (WORD_MIN <= len(normal) <= WORD_MAX and all(map(_is_letter, normal))):
        raise ValueError(
            f"one is no word of a secret: give {WORD_MIN} to {WORD_MAX} letters and digits; `_`, `-`, `.` and spaces "
            "between them do not count"
        )
    return normal


def spellings(word: str) -> set[str]:
    """How a word that settings add may stand in a body: as it was given, in lower and upper case, and capitalised."""
    normal = normal_word(word)
    cases = word.translate(_JOINTS), normal, normal.upper(), normal.capitalize()
    return {form for cased in cases for form in written(cased)}


def pattern_of(word: str) -> str:
    """A pattern for all spellings of a word that settings add, ASCII in any case; linear: a letter has one reading."""
    return r"[_\-. ]?".join(map(_pattern_of_letter, normal_word(word)))


def _is_letter(char: str) -> bool:
    """Letters, their marks and digits, where JSON's escape of one is one (RFC 8259, 7)."""
    return unicodedata.category(char)[0] in "LMN" and char <= "\uffff"


def _pattern_of_letter(letter: str) -> str:
    if letter.isascii():
        return letter
    return f"(?:{'|'.join(re.escape(form) for cased in (letter, letter.upper()) for form in written(cased))})"
