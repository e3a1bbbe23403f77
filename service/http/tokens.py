"""Named tokens from a file: who may do what.

The file is YAML; a token stands in it as it is, or as its SHA-256 so that the file holds no secret:

    airflow:
      token: kJ8…
      scopes: [ingest]
    dashboard:
      sha256: 9f86d0…
      scopes: [read]
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import yaml

from service.changes import CATALOG


class TokenRefused(Exception):
    """A token that is not good, and why; never with the token."""


#: Characters of the shortest token that is taken.
MIN_LENGTH = 16
_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_SHA256 = re.compile(r"[0-9a-f]{64}")


class Scope(StrEnum):
    """What a caller may do."""

    READ = "read"
    INGEST = "ingest"
    OPERATE = "operate"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and what they may do."""

    name: str
    scopes: frozenset[Scope]


@dataclass(frozen=True, slots=True)
class NamedToken:
    """One entry of the file; only the hash of its token is held."""

    caller: Caller
    sha256: bytes


class TokenFileInvalid(ValueError):
    """The token file cannot be used; the message names the entry, never a token."""


def read_tokens(text: str) -> list[NamedToken]:
    """The tokens of a file.

    Raises:
        TokenFileInvalid: it is no such file.
    """
    try:
        content = yaml.safe_load(text)
    except yaml.YAMLError:
        raise TokenFileInvalid("it is no YAML") from None
    if not isinstance(content, dict) or not content:
        raise TokenFileInvalid("it must hold names of tokens, each with `token` (or `sha256`) and `scopes`")
    return [_named(str(name), entry) for name, entry in content.items()]


def find(tokens: Iterable[NamedToken], presented: str) -> Caller | None:
    """Whose token this is; every entry is compared, in constant time."""
    digest = hashlib.sha256(presented.encode("utf-8", "surrogatepass")).digest()
    found: Caller | None = None
    for token in tokens:
        if hmac.compare_digest(token.sha256, digest):
            found = token.caller
    return found


def _named(name: str, entry: Any) -> NamedToken:
    if not _NAME.fullmatch(name) or name == CATALOG:
        raise TokenFileInvalid(f"a name may have letters, digits, `_` and `-`, 64 at most; {CATALOG!r} is taken")
    if not isinstance(entry, dict) or set(entry) not in ({"token", "scopes"}, {"sha256", "scopes"}):
        raise TokenFileInvalid(f"{name} must have `scopes`, and either `token` or `sha256`")
    return NamedToken(Caller(name, scopes_of(entry["scopes"], name)), _digest(name, entry))


def scopes_of(value: Any, where: str) -> frozenset[Scope]:
    """The scopes that a list names."""
    known = {scope.value for scope in Scope}
    if not isinstance(value, list) or not value or not {str(scope) for scope in value} <= known:
        raise TokenFileInvalid(f"{where}: scopes must be a list of {', '.join(sorted(known))}")
    return frozenset(Scope(scope) for scope in value)


def _digest(name: str, entry: dict[str, Any]) -> bytes:
    if "sha256" in entry:
        text = str(entry["sha256"]).lower()
        if not _SHA256.fullmatch(text):
            raise TokenFileInvalid(f"{name}: sha256 must be 64 hexadecimal digits")
        return bytes.fromhex(text)
    token = entry["token"]
    if not isinstance(token, str) or len(token) < MIN_LENGTH:
        raise TokenFileInvalid(f"{name}: its token must be a text of at least {MIN_LENGTH} characters")
    return hashlib.sha256(token.encode()).digest()
