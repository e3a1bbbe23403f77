"""Why a row is as it is: the state that holds, the one that it replaced, and the rule by which it won."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Rank, Version
from service.mirror.rows import moment_of
from service.mirror.tables import VERSIONED
from service.text.principals import HASHED
from service.text.redaction import BLANK

#: Places of a document that are told at most.
MAX_PLACES = 50
#: Who says what a version of this rank says.
SAID_BY = {
    Rank.STUB: "something refers to it, and nothing more",
    Rank.LISTED: "an item of a list or a search page",
    Rank.READ: "a reading by id",
    Rank.EVENT: "an event",
    Rank.DELETED: "a deletion",
}


class Rule(StrEnum):
    """By what of its version a state won, in the order in which versions are compared."""

    FIRST = "first"
    ENDED = "ended"
    TIMED = "timed"
    LATER = "later"
    RANK = "rank"
    DIGEST = "digest"
    WHOLE = "whole"


_WORDS = {
    Rule.FIRST: "It is the first state that was written here.",
    Rule.ENDED: "It says how the thing ended, which no other state overtakes.",
    Rule.TIMED: "It has a moment on the catalog's clock; what it replaced had none.",
    Rule.LATER: "Its moment on the catalog's clock is later.",
    Rule.RANK: "Both are of one moment; {now} counts more than {before}.",
    Rule.DIGEST: "Both are of one moment and told the same way; the larger digest wins, everywhere alike.",
    Rule.WHOLE: "Both say the same but for volatile fields; the larger digest of the whole wins, everywhere alike.",
}


@dataclass(frozen=True, slots=True)
class Held:
    """One version: its moment on the catalog's clock (null: unknown), who says so, and its digest."""

    at: datetime | None
    rank: int
    said_by: str
    digest: str


@dataclass(frozen=True, slots=True)
class State:
    """The row of a thing."""

    kind: str
    id: str
    name: str | None
    container_id: str | None
    #: The version that is the row, and the one that it replaced; earlier ones are not kept.
    now: Held
    replaced: Held | None
    rule: Rule
    because: str
    is_deleted: bool
    #: Only referred to: nothing is known of it but its id.
    is_stub: bool
    mirrored_at: datetime
    #: Places of the document where a secret was blanked, and where a person was hashed.
    blanked: list[str]
    hashed: list[str]


async def states(connection: AsyncConnection, thing_id: str) -> list[State]:
    """Every row that has this id: ids of different kinds may be the same."""
    rows = await connection.execute(sa.union_all(*(_row(kind, table, thing_id) for kind, table in VERSIONED.items())))
    return [_state(row) for row in rows]


def _row(kind: str, table: sa.Table, thing_id: str) -> sa.Select[Any]:
    (key,) = table.primary_key.columns
    return sa.select(
        sa.literal(kind, literal_execute=True).label("kind"), key.label("id"), _column(table, "name", "event_type"),
        _column(table, "container_id"), table.c.version, table.c.replaces, table.c.deleted_at, table.c.mirrored_at,
        table.c.document,
    ).where(key == thing_id)  # fmt: skip


def _column(table: sa.Table, *names: str) -> sa.ColumnElement[Any]:
    """The first of these columns that the table has."""
    found = next((table.c[name] for name in names if name in table.c), sa.cast(sa.null(), sa.Text()))
    return found.label(names[0])


def _state(row: Any) -> State:
    now = Version.from_key(row.version)
    before = Version.from_key(row.replaces) if row.replaces else None
    rule = rule_of(now, before)
    document = json.loads(row.document) if row.document else None
    blanked, hashed = _places(document, BLANK), _places(document, HASHED)
    return State(
        row.kind, row.id, row.name, row.container_id, _held(now), _held(before) if before else None, rule,
        _WORDS[rule].format(now=SAID_BY[now.rank], before=SAID_BY[before.rank] if before else ""),
        row.deleted_at is not None, now.rank is Rank.STUB, row.mirrored_at, blanked, hashed,
    )  # fmt: skip


def _held(version: Version) -> Held:
    return Held(moment_of(version.at_us), int(version.rank), SAID_BY[version.rank], version.digest.hex())


def rule_of(now: Version, before: Version | None) -> Rule:
    """What of the version decided that it replaced the other one (design: the highest wins)."""
    if before is None:
        return Rule.FIRST
    if now.ended != before.ended:
        return Rule.ENDED
    if now.at_us != before.at_us:
        return Rule.TIMED if before.at_us is None else Rule.LATER
    if now.rank != before.rank:
        return Rule.RANK
    return Rule.DIGEST if now.digest != before.digest else Rule.WHOLE


def _places(document: Any, mark: str) -> list[str]:
    return [place for place, _ in zip(_marked(document, mark, ""), range(MAX_PLACES), strict=False)]


def _marked(value: Any, mark: str, place: str) -> Iterator[str]:
    """Where texts hold the mark, as `a.b[2]`."""
    if isinstance(value, str) and mark in value:
        yield place
    elif isinstance(value, dict):
        for name, member in value.items():
            yield from _marked(member, mark, f"{place}.{name}" if place else name)
    elif isinstance(value, list):
        for number, member in enumerate(value):
            yield from _marked(member, mark, f"{place}[{number}]")
