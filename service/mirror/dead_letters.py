"""Dead letters: what cannot succeed as it is, kept with its reason until a person replays or discards it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Container, Origin, RefreshAsked
from service.errors import DataError
from service.events.found import Found
from service.events.message import Message
from service.events.recording import plain
from service.kinds import KINDS
from service.mirror.bulk import insert_into
from service.mirror.clock import store_now
from service.mirror.tables import dead_letters
from service.text import documents
from service.text.documents import canonical, column_text
from service.text.privacy import Privacy, clean_body
from service.text.redaction import redact

OPEN, REPLAYED, SUPERSEDED, DISCARDED = "open", "replayed", "superseded", "discarded"
#: What a letter is of: a message, a thing that was read of the catalog, a delivery to a target.
EVENT, READING, DELIVERY = "event", "reading", "delivery"
#: Columns that may be megabytes.
LARGE = ("headers", "body", "original_body")
#: How far a cut body is cut back at most to find a boundary.
_CUT_BACK_BYTES = 1024
#: The routing key by which older versions kept what they could not read.
_FALSE_KEY = re.compile(r"catalog\.([a-z_]+)\.(.*)\.GET")
_VARIABLE_PARTS = re.compile(r"'[^']*'|\"[^\"]*\"|\d+")


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message, or a thing that was read, that became a dead letter, ready to be stored: nothing secret is in it."""

    dead_letter_id: str
    kind: str
    #: Of a message.
    routing_key: str | None
    #: Of a thing that was read.
    entity_kind: str | None
    entity_id: str | None
    error: DataError
    headers: str | None
    body: bytes
    body_size: int
    body_sha256: str
    blanked: bool
    truncated: bool


def dead_letter_of(
    source: Message | Found, error: DataError, max_bytes: int, privacy: Privacy, clean: Any = None
) -> DeadLetter:
    """The dead letter of a message, or of a thing that was read.

    Args:
        max_bytes: at most so much of the body is kept.
        clean: the redacted body where it could be parsed; its canonical text is kept if anything was blanked.
    """
    if isinstance(source, Found):
        source, clean = _without_people(source, privacy)
    if clean is None:
        body, blanked = clean_body(_cut(source.body, max_bytes), documents.ANSWER_DEPTH, privacy)
    else:
        body, blanked = canonical(privacy.hidden(clean, everywhere=True)), True
    read = source if isinstance(source, Found) else None
    headers = _place(source) if isinstance(source, Found) else redact(plain(dict(source.headers)))[0]
    headers = privacy.hidden(headers)
    return DeadLetter(
        dead_letter_id=source.key,
        kind=EVENT if read is None else READING,
        routing_key=column_text(source.routing_key) if isinstance(source, Message) else None,
        entity_kind=read.kind if read else None,
        entity_id=column_text(read.thing_id) if read else None,
        error=error,
        headers=column_text(canonical(headers).decode()) if headers else None,
        body=body[:max_bytes],
        body_size=len(source.body),
        body_sha256=hashlib.sha256(source.body).hexdigest(),
        blanked=blanked,
        truncated=max(len(source.body), len(body)) > max_bytes,
    )


def _without_people(read: Found, privacy: Privacy) -> tuple[Found, Any]:
    """What was read, and its item without secrets and people; without where nobody can look for people in it."""
    try:
        item = documents.read(read.body, documents.ANSWER_DEPTH) if read.body else None
        return read, item and redact(item)[0]
    except (DataError, RecursionError):
        return (replace(read, body=b"") if privacy.hides_people else read), None


def _place(read: Found) -> dict[str, str]:
    """Where a thing lives, as the headers of its letter tell it."""
    return {"container_kind": read.where.kind, "container_id": read.where.id} if read.where else {}


def _cut(body: bytes, limit: int) -> bytes:
    """At most `limit` bytes; a cut body ends at a boundary, since half a secret would not be recognised as one."""
    if len(body) <= limit:
        return body
    tail = max(body.rfind(mark, limit - _CUT_BACK_BYTES, limit) for mark in (b'"', b" ", b",", b"\n"))
    return body[: tail if tail > 0 else limit - _CUT_BACK_BYTES]


def was_read(letter: Any) -> bool:
    """Whether a letter (a row) is of a thing that was read; older versions kept a false message of it."""
    return letter.kind == READING or _FALSE_KEY.fullmatch(letter.routing_key or "") is not None


def reading_of(letter: Any, origin: Origin) -> RefreshAsked | None:
    """What reads the thing of a letter again; None where nobody knows which one it is."""
    kind, thing_id, where = letter.entity_kind, letter.entity_id, None
    if told := _FALSE_KEY.fullmatch(letter.routing_key or ""):
        kind, thing_id = told.groups()
    elif letter.headers:
        place = json.loads(letter.headers)
        where = Container(place["container_kind"], place["container_id"])
    declared = KINDS.get(kind)
    if declared is not None and not declared.is_read_alone and declared.alone is None:
        thing_id = thing_id or (where.id if where else "all")  # its listing is read
        if where is None and declared.within:
            return None
    return RefreshAsked(kind, thing_id, where, "replayed", origin=origin) if kind and thing_id else None


def fingerprint_of(error_class: str, reason: str) -> str:
    """The same for letters with the same cause: the reason without what differs from event to event."""
    shape = _VARIABLE_PARTS.sub("…", reason)
    return hashlib.sha256(f"{error_class}\n{shape}".encode("utf-8", "replace")).hexdigest()[:12]


async def store_events(connection: AsyncConnection, letters: Sequence[DeadLetter]) -> None:
    """Store dead letters of events and readings; one that is there already is counted and opened again."""
    now = store_now(connection.dialect.name)
    for letter in sorted(letters, key=lambda letter: letter.dead_letter_id):
        reason = column_text(str(letter.error))
        values = {
            "dead_letter_id": letter.dead_letter_id,
            "kind": letter.kind,
            "state": OPEN,
            "routing_key": letter.routing_key,
            "entity_kind": letter.entity_kind,
            "entity_id": letter.entity_id,
            "error_class": letter.error.error_class,
            "reason": reason,
            "remedy": column_text(letter.error.advice()),
            "fingerprint": fingerprint_of(letter.error.error_class, reason),
            "headers": letter.headers,
            "body": letter.body,
            "body_size": letter.body_size,
            "body_sha256": letter.body_sha256,
            "blanked": letter.blanked,
            "truncated": letter.truncated,
            "first_at": now,
            "last_at": now,
        }
        await connection.execute(_upsert(connection, values))


async def store_delivery(
    connection: AsyncConnection, delivery: Any, error: DataError, document: str | None = None
) -> None:
    """Store a delivery (a row of the outbox) that its target refuses for good, with what was kept with it."""
    now = store_now(connection.dialect.name)
    body = document.encode() if document is not None else None
    values = {
        "dead_letter_id": delivery.delivery_id,
        "kind": DELIVERY,
        "state": OPEN,
        "target": delivery.target,
        "entity_kind": delivery.entity_kind,
        "entity_id": delivery.entity_id,
        "error_class": error.error_class,
        "reason": column_text(str(error)),
        "remedy": column_text(error.advice()),
        "fingerprint": fingerprint_of(error.error_class, str(error)),
        "headers": canonical({"change": delivery.change}).decode(),
        "body": body,
        "body_size": len(body or b""),
        "body_sha256": hashlib.sha256(body).hexdigest() if body else "",
        "blanked": False,
        "truncated": False,
        "first_at": now,
        "last_at": now,
    }
    await connection.execute(_upsert(connection, values))


def _upsert(connection: AsyncConnection, values: dict[str, Any]) -> Any:
    insert: Any = insert_into(connection.dialect.name, dead_letters).values(values)
    again = {name: insert.excluded[name] for name in ("error_class", "reason", "remedy", "fingerprint", "last_at")}
    return insert.on_conflict_do_update(
        index_elements=["dead_letter_id"],
        set_=again | {"times": dead_letters.c.times + 1, "state": OPEN, "closed_at": None},
    )


@dataclass(frozen=True, slots=True)
class Filter:
    """Which dead letters a command is about; None means any."""

    ids: tuple[str, ...] = ()
    error_class: str | None = None
    topic: str | None = None
    fingerprint: str | None = None
    state: str | None = OPEN
    #: A thing that the letter is about: a delivery's entity, or a word of an event's routing key.
    entity: str | None = None
    #: Last met within these moments.
    since: datetime | None = None
    until: datetime | None = None
    #: Ids are whole: one may begin as another does.
    exact: bool = False

    def where(self) -> sa.ColumnElement[bool]:
        """The filter in SQL; ids may be given by their first characters, topics with `*`."""
        column = dead_letters.c
        parts: list[sa.ColumnElement[bool]] = []
        if self.ids and self.exact:
            parts.append(column.dead_letter_id.in_(self.ids))
        elif self.ids:
            parts.append(sa.or_(*(column.dead_letter_id.startswith(some, autoescape=True) for some in self.ids)))
        for name in ("error_class", "fingerprint", "state"):
            if value := getattr(self, name):
                parts.append(column[name] == value)
        if self.topic:
            pattern = _like(self.topic).replace("*", "%").replace("#", "%")
            parts.append(column.routing_key.like(pattern, escape="\\"))
        if self.entity:
            word = _like(self.entity)
            parts.append(sa.or_(column.entity_id == self.entity, column.routing_key.like(f"%.{word}.%", escape="\\")))
        if self.since:
            parts.append(column.last_at >= self.since)
        if self.until:
            parts.append(column.last_at < self.until)
        return sa.and_(sa.true(), *parts)


def _like(text: str) -> str:
    """The text as a LIKE pattern that matches only itself."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


async def edit(connection: AsyncConnection, letter: Any, body: bytes, *, blanked: bool) -> None:
    """Give a letter another body; what it had at first is kept beside it.

    Args:
        body: with secrets blanked; `blanked` says whether any were.
    """
    values = {
        "body": body,
        "original_body": letter.body if letter.original_body is None else letter.original_body,
        "blanked": letter.blanked or blanked,
        "truncated": False,
        "edited_at": store_now(connection.dialect.name),
    }
    same = dead_letters.c.dead_letter_id == letter.dead_letter_id
    await connection.execute(sa.update(dead_letters).where(same).values(values))


async def find(connection: AsyncConnection, which: Filter, limit: int | None = None) -> list[Any]:
    """Matching dead letters whole, the newest first."""
    return list(await connection.execute(_newest_first(sa.select(dead_letters), which).limit(limit)))


async def briefly(connection: AsyncConnection, which: Filter, limit: int, after: str | None = None) -> list[Any]:
    """Matching dead letters without headers and bodies, the newest first; `after`: those that follow on this one."""
    query = _newest_first(sa.select(*(column for column in dead_letters.c if column.name not in LARGE)), which)
    if after is not None:
        column = dead_letters.c
        met = sa.select(column.last_at).where(column.dead_letter_id == after).scalar_subquery()
        same = sa.and_(column.last_at == met, column.dead_letter_id > after)
        query = query.where(sa.or_(column.last_at < met, same))
    return list(await connection.execute(query.limit(limit)))


async def ids(connection: AsyncConnection, which: Filter, limit: int | None = None) -> list[str]:
    """Ids of matching dead letters, the newest first."""
    query = _newest_first(sa.select(dead_letters.c.dead_letter_id), which).limit(limit)
    return list((await connection.execute(query)).scalars())


def _newest_first(query: sa.Select[Any], which: Filter) -> sa.Select[Any]:
    return query.where(which.where()).order_by(dead_letters.c.last_at.desc(), dead_letters.c.dead_letter_id)


async def read(connection: AsyncConnection, dead_letter_id: str, *, hold: bool = False) -> Any:
    """One letter whole, None where it is gone; `hold`: nobody else changes it until this transaction ends."""
    query = sa.select(dead_letters).where(dead_letters.c.dead_letter_id == dead_letter_id)
    return (await connection.execute(query.with_for_update() if hold else query)).first()


async def count(connection: AsyncConnection, which: Filter) -> int:
    """How many match."""
    return int((await connection.execute(sa.select(sa.func.count()).where(which.where()))).scalar_one())


async def close(connection: AsyncConnection, ids: Sequence[str], state: str) -> int:
    """Mark open dead letters as replayed, superseded or discarded; answers how many were open."""
    closed = {"state": state, "closed_at": store_now(connection.dialect.name)}
    these = (dead_letters.c.dead_letter_id.in_(ids), dead_letters.c.state == OPEN)
    return int((await connection.execute(sa.update(dead_letters).where(*these).values(closed))).rowcount)


async def count_by_fingerprint(
    connection: AsyncConnection, newest: int | None = None, limit: int | None = None
) -> list[Any]:
    """Open dead letters grouped by cause, those of most letters first: fingerprint, class, number, newest, one reason
    with its remedy, one id.

    Args:
        newest: only the newest so many letters are looked at.
        limit: causes at most.
    """
    column = dead_letters.c
    told = (column.dead_letter_id, column.fingerprint, column.error_class, column.last_at, column.reason, column.remedy)
    letter = sa.select(*told).where(column.state == OPEN).order_by(column.last_at.desc()).limit(newest).subquery().c
    query = (
        sa.select(
            letter.fingerprint,
            letter.error_class,
            sa.func.count().label("letters"),
            sa.func.max(letter.last_at).label("last_at"),
            sa.func.min(letter.reason).label("reason"),
            sa.func.min(letter.remedy).label("remedy"),
            sa.func.min(letter.dead_letter_id).label("dead_letter_id"),
        )
        .group_by(letter.fingerprint, letter.error_class)
        .order_by(sa.desc("letters"), letter.fingerprint)
        .limit(limit)
    )
    return list(await connection.execute(query))
