"""What to do about the words with which the database, or TLS before it, refuses us."""

from __future__ import annotations

from collections.abc import Iterator

from service.errors import SettingInvalid
from service.settings import trust

_FTS5 = (
    "Search needs SQLite 3.34 or later with FTS5, which this Python's has not: take another Python, or PostgreSQL "
    "(CATALOG_MIRROR_STORE__URL)."
)
_OURS = "CATALOG_MIRROR_STORE__CERT_FILE and CATALOG_MIRROR_STORE__KEY_FILE"

#: Words that are looked for in this order → what to do.
_REMEDIES = (
    ("no such module: fts5", _FTS5),
    ("no such tokenizer: trigram", _FTS5),
    ("requires a valid client certificate", f"It asks for a certificate of ours: set {_OURS}."),
    (
        '"trust" authentication failed',
        "The name in our certificate is not that of the role (`clientcert=verify-full`): another certificate, another "
        "role in CATALOG_MIRROR_STORE__URL, or a line in the server's pg_ident.conf.",
    ),
    (
        "certificate authentication failed",
        "The name in our certificate is not that of the role: another certificate, another role in "
        "CATALOG_MIRROR_STORE__URL, or a line in the server's pg_ident.conf.",
    ),
)


def told(error: BaseException) -> str:
    """What an error says, with the words of TLS that it came of: the driver itself says only that the link is gone."""
    said = str(error)[:300]
    below = next((str(one) for one in _chain(error) if str(one).startswith("[SSL:")), None)
    return f"{said} ({below[:200]})" if below and below not in said else said


def advice(error: BaseException, where: str, *, shows_certificate: bool) -> str | None:
    """What to do about it; None where the error is of another kind."""
    settings = next((one for one in _chain(error) if isinstance(one, SettingInvalid)), None)
    if settings:
        return settings.advice()
    problem = told(error)
    known = next((remedy for words, remedy in _REMEDIES if words in problem), None) or trust.advice(problem, "STORE")
    if known is None and shows_certificate and any(isinstance(one, ConnectionResetError) for one in _chain(error)):
        return f"Check that {where} is up; where it is, its log says whether it takes our certificate ({_OURS})."
    return known


def _chain(error: BaseException) -> Iterator[BaseException]:
    """The error, and what it came of."""
    one: BaseException | None = error
    while one is not None:
        yield one
        one = one.__cause__ or one.__context__
