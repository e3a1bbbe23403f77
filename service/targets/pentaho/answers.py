"""What Pentaho's answers say, in whatever form: the id of a job, how it stands, and why something was refused.

Documented are 200 with `data._id` for what starts a job, a bare object with `status` for how it stands, and
`{status, message}` with a text, a list or an object for errors; everything else is understood as far as it goes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from service.targets.posting import SUPPORT_HEADERS, Reply
from service.text import documents
from service.text.quoting import without
from service.text.redaction import redact

#: Where the id of a job may stand, the documented place first.
_ID_NAMES = ("_id", "id", "jobId", "job_id")
#: Characters of a message that are told.
_SHOWN = 300
#: Internal errors in a row after which they count as the request's fault.
MAX_INTERNAL_ERRORS = 8
#: Statuses that say "not now".
_LATER = frozenset({407, 408, 425, 429})


class Meaning(Enum):
    """What an answer to a request for a job means."""

    TAKEN = auto()
    #: Taken as far as it says, but under which id nobody knows.
    TAKEN_WITHOUT_ID = auto()
    #: This request will never be taken.
    REFUSED = auto()
    #: It was not taken now; another time it may be.
    LATER = auto()
    #: It failed inside; whether it was taken nobody knows.
    FAILED = auto()


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer to a request for a job."""

    meaning: Meaning
    job_id: str | None
    #: Pentaho's word for how the job stands, where it says one.
    status: str | None
    #: What it says, for people.
    told: str
    #: It is an internal error.
    is_internal: bool = False


def read(reply: Reply, failures: int, shown: Reply) -> Answer:
    """What an answer means after so many internal errors in a row; `shown` is it without our secrets."""
    data = reply.data()
    status = _status_of(reply, data)
    told = told_of(shown)
    if status < 300:
        return _read_success(reply, data, told)
    if status == 500 and failures + 1 >= MAX_INTERNAL_ERRORS:
        return Answer(Meaning.REFUSED, None, None, f"{told} ({failures + 1} times)")
    if status >= 500:
        return Answer(Meaning.FAILED, None, None, told, is_internal=status == 500)
    if status in (401, 403):
        return Answer(Meaning.LATER, None, None, f"it does not accept our token: {told}")
    if status in _LATER:
        return Answer(Meaning.LATER, None, None, told)
    if status < 400 or (status in (404, 405) and not _is_pentahos(data)):
        return Answer(Meaning.LATER, None, None, f"that is not where it takes jobs: {told}")
    return Answer(Meaning.REFUSED, None, None, told)


def _read_success(reply: Reply, data: Any, told: str) -> Answer:
    if reply.is_page:
        return Answer(Meaning.LATER, None, None, f"a page answers: {told}")
    job_id, word = _job_id(data), status_word(data)
    return Answer(Meaning.TAKEN if job_id else Meaning.TAKEN_WITHOUT_ID, job_id, word, told)


def _status_of(reply: Reply, data: Any) -> int:
    """The status of HTTP, unless a body that says an error came with 200."""
    inner = data.get("status") if isinstance(data, dict) else None
    if reply.is_success and isinstance(inner, int) and not isinstance(inner, bool) and 400 <= inner < 600:
        return inner
    return reply.status


def _is_pentahos(data: Any) -> bool:
    """An error in Pentaho's own form: the thing was not found, not the address."""
    return isinstance(data, dict) and isinstance(data.get("status"), int) and "message" in data


def _job_id(data: Any) -> str | None:
    """Ids are text; a number in that place is told as it stands."""
    inner = data.get("data") if isinstance(data, dict) else None
    for holder in (inner[0] if isinstance(inner, list) and inner else inner, data):
        if not isinstance(holder, dict):
            continue
        for name in _ID_NAMES:
            value = holder.get(name)
            if isinstance(value, str | int) and not isinstance(value, bool) and str(value).strip():
                return str(value).strip()
    return None


def status_word(data: Any) -> str | None:
    """How a job stands, bare or below `data`, as Pentaho words it."""
    inner = data.get("data") if isinstance(data, dict) else None
    for holder in (data, inner):
        word = holder.get("status") if isinstance(holder, dict) else None
        if isinstance(word, str) and word.strip():
            return documents.column_text(word.strip()[:_SHOWN])
    return None


def told_of(reply: Reply) -> str:
    """Status and message, whatever form the message has; without secrets that can be told by their names."""
    data = reply.data()
    message = data.get("message") if isinstance(data, dict) else None
    if message in (None, "", [], {}):
        return reply.told()
    clean, _ = redact({"message": message})
    text = documents.column_text(without("; ".join(_texts(clean["message"])), reply.secrets)[:_SHOWN])
    ids = [f"{name}: {reply.headers[name][:120]}" for name in SUPPORT_HEADERS if name in reply.headers]
    return f"HTTP {reply.status} {text}{' [' + ', '.join(ids) + ']' if ids else ''}"


def _texts(message: Any) -> Iterator[str]:
    """A message as texts: a list has several, an object names them."""
    if isinstance(message, list):
        for member in message:
            yield from _texts(member)
    elif isinstance(message, dict):
        for name, member in message.items():
            yield f"{name}: {', '.join(_texts(member))}"
    else:
        yield str(message)
