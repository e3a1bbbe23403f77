"""What the catalog says when it does not do as asked, turned into errors of ours.

Three envelopes are documented and more are met (docs/contract.md, "Errors"): a list of errors with a trace, the same
with a `status_code` that is not to be trusted, a flat one whose `code` is a text, those of the sign-in services, and
the pages of proxies. The HTTP status alone decides; the rest is for people.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from service.catalog.answer import date_of, moment_of, read_date
from service.catalog.transport import Raw
from service.errors import (
    CatalogBusy,
    CatalogFailed,
    CatalogForbidden,
    CatalogGone,
    CatalogNotFound,
    CatalogRejected,
    DataError,
    MirrorError,
)
from service.text import documents
from service.text.quoting import quoted

#: Characters of the catalog's own words that go into a message.
SHOWN = 300
#: Bytes of an answer that are searched for these words.
_READ_BYTES = 64 * 1024
_DEPTH = 20
#: Errors of one answer that are told.
_TOLD = 3
#: Smaller values of X-RateLimit-Reset cannot be moments since 1970: they are seconds from now.
_FIRST_MOMENT_S = 1_000_000_000
_TAGS = re.compile(r"<(script|style)\b.*?</\1\s*>|<[^>]{0,1000}>", re.IGNORECASE | re.DOTALL)
_TITLE = re.compile(r"<title[^>]{0,200}>([^<]{1,200})", re.IGNORECASE)

_BY_STATUS: dict[int, type[MirrorError]] = {
    403: CatalogForbidden,
    404: CatalogNotFound,
    407: CatalogFailed,
    408: CatalogFailed,
    410: CatalogGone,
    429: CatalogBusy,
}


@dataclass(frozen=True, slots=True)
class Told:
    """What a refusal says, in the catalog's words: redacted and shortened."""

    code: str | None
    message: str
    trace: str | None


def refusal(raw: Raw, call: str, secrets: Iterable[str] = ()) -> MirrorError:
    """The error for an answer that is no success; `details` hold `status`, `code`, `trace`, `wait_s`, `at_us`."""
    told = read_refusal(raw.body, secrets)
    kind = _BY_STATUS.get(raw.status, CatalogFailed if raw.status >= 500 else CatalogRejected)
    return kind(
        call=call, problem=sentence(raw.status, told), status=raw.status, code=told.code, trace=told.trace,
        wait_s=asked_to_wait(raw.headers), at_us=moment_of(raw.headers, raw.took_s),
    )  # fmt: skip


def sentence(status: int, told: Told) -> str:
    """Status, words and trace in one line."""
    words = ": ".join(part for part in (told.code, told.message) if part and part != str(status))
    return f"status {status}{f', {words}' if words else ''}{f' (trace {told.trace})' if told.trace else ''}"


def read_refusal(body: bytes, secrets: Iterable[str] = ()) -> Told:
    """The words in the body of a refusal, whichever envelope it has."""
    hidden = list(secrets)
    try:
        value = documents.read(body[: _READ_BYTES + 1], _DEPTH) if len(body) <= _READ_BYTES else None
    except DataError:
        value = None
    if isinstance(value, dict):
        code, message, trace = _from_envelope(value)
    else:
        code, message, trace = None, _from_page(body[:_READ_BYTES].decode("utf-8", "replace")), None
    return Told(quoted(code, hidden, 80) or None, quoted(message, hidden, SHOWN), quoted(trace, hidden, 80) or None)


def _from_envelope(value: dict[str, Any]) -> tuple[Any, Any, Any]:
    context = value.get("context")
    trace = value.get("trace") or (context.get("requestId") if isinstance(context, dict) else None)
    errors = [error for error in _list(value.get("errors")) if isinstance(error, dict)][:_TOLD]
    if errors:
        return errors[0].get("code"), "; ".join(str(error.get("message") or "") for error in errors), trace
    code = _first(value, "code", "errorCode", "_messageCode_", "error_code", "error")
    message = _first(value, "message", "reason", "errorMessage", "errorDetails", "error_description", "error")
    return code, message, trace


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _first(value: dict[str, Any], *keys: str) -> Any:
    return next((value[key] for key in keys if isinstance(value.get(key), str | int) and value[key] != ""), None)


def _from_page(text: str) -> str:
    """The title of a page for people, else its text without tags."""
    title = _TITLE.search(text)
    return title[1] if title else _TAGS.sub(" ", text)


def asked_to_wait(headers: Mapping[str, str]) -> float | None:
    """Seconds that an answer asks us to wait: `Retry-After` (seconds or a date), else `X-RateLimit-Reset`.

    Moments are on the catalog's clock, so they are compared with its `Date` where there is one.
    """
    clock = date_of(headers)
    now_s = clock.timestamp() if clock else time.time()
    after = headers.get("Retry-After", "").strip()
    if after.isascii() and after.isdigit() and len(after) < 10:
        return float(after)
    if after and (moment := read_date(after)) is not None:
        return max(0.0, moment.timestamp() - now_s)
    reset = headers.get("X-RateLimit-Reset", "").strip()
    if reset.isascii() and reset.isdigit() and len(reset) < 14:
        seconds = int(reset) / (1000 if len(reset) == 13 else 1)
        return max(0.0, seconds - now_s) if seconds >= _FIRST_MOMENT_S else float(seconds)
    return None
