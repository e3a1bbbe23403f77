"""What differs between two throwaway mirrors that took the same messages: rows of views, deliveries, dead letters."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from service.mirror.described import VIEWS

#: Differing rows of one relation that are read from each side at most, examples told, and characters of a value.
MOST, EXAMPLES, VALUE = 5000, 3, 120
#: Relations with their keys: every view, what would go out, and what could not be used.
RELATIONS: dict[str, tuple[str, ...]] = {
    **{view.name: view.key for view in VIEWS.values()},
    "deliveries": ("delivery_id",),
    "dead_letters": ("dead_letter_id",),
}
#: Columns that say when and how often a side did something, not what.
_INCIDENTAL = frozenset({
    "mirrored_at", "seq", "created_at", "due_at", "attempts", "first_at", "last_at", "lease_token", "lease_until",
    "trace",
})  # fmt: skip
#: Of views these are the catalog's own.
_TOLD = frozenset({"created_at"})


@dataclass(frozen=True, slots=True)
class Example:
    """One row that differs: its key, and of each column that differs the values of both sides, cut short."""

    key: dict[str, Any]
    present: dict[str, Any]
    other: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Differing:
    """What differs in one relation: rows that one side alone has, rows that both have otherwise, and columns.

    `is_cut`: there are more than were read.
    """

    relation: str
    only_present: int
    only_other: int
    changed: int
    lost_columns: list[str]
    new_columns: list[str]
    examples: list[Example] = field(default_factory=list)
    is_cut: bool = False


def compared(present: Path, other: Path) -> list[Differing]:
    """The relations in which two SQLite stores differ."""
    with closing(sqlite3.connect(f"{present.as_uri()}?mode=ro", uri=True)) as connection:
        connection.execute("ATTACH ? AS other", (f"{other.as_uri()}?mode=ro",))
        found = (_compared(connection, name, key) for name, key in RELATIONS.items())
        return [one for one in found if one is not None]


def _compared(connection: sqlite3.Connection, name: str, key: Sequence[str]) -> Differing | None:
    mine, theirs = ([row[1] for row in connection.execute(f"PRAGMA {side}.table_info({name})")] for side in _SIDES)
    lost, new = [column for column in mine if column not in theirs], [column for column in theirs if column not in mine]
    shared = [column for column in mine if column in theirs and not _is_incidental(name, column)]
    if not shared or not set(key) <= set(shared):
        return Differing(name, 0, 0, 0, lost, new) if lost or new else None
    sides = [_rows(connection, name, shared, *order) for order in (_SIDES, _SIDES[::-1])]
    ours, others = ({tuple(row[column] for column in key): row for row in rows} for rows in sides)
    both = [one for one in ours if one in others]
    examples = [*_changed(key, ours, others, both), *_alone(key, ours, others), *_alone(key, others, ours, swap=True)]
    if not (ours or others or lost or new):
        return None
    return Differing(
        name, len(ours) - len(both), len(others) - len(both), len(both), lost, new, examples[:EXAMPLES],
        any(len(rows) > MOST for rows in sides),
    )  # fmt: skip


_SIDES = ("main", "other")


def _is_incidental(relation: str, column: str) -> bool:
    return column in _INCIDENTAL and not (relation.startswith("v1_") and column in _TOLD)


def _rows(
    connection: sqlite3.Connection, name: str, columns: Sequence[str], has: str, has_not: str
) -> list[dict[str, Any]]:
    told = ", ".join(f'"{column}"' for column in columns)
    query = f"SELECT {told} FROM {has}.{name} EXCEPT SELECT {told} FROM {has_not}.{name} LIMIT {MOST + 1}"  # noqa: S608
    return [dict(zip(columns, row, strict=True)) for row in connection.execute(query)]


_Rows = Mapping[tuple[Any, ...], Mapping[str, Any]]


def _changed(key: Sequence[str], ours: _Rows, others: _Rows, both: Sequence[tuple[Any, ...]]) -> Iterator[Example]:
    for one in both:
        mine, theirs = ours[one], others[one]
        differing = [column for column in mine if mine[column] != theirs[column]]
        yield Example(dict(zip(key, one, strict=True)), _short(mine, differing), _short(theirs, differing))


def _alone(key: Sequence[str], has: _Rows, has_not: _Rows, *, swap: bool = False) -> Iterator[Example]:
    for one, row in has.items():
        if one not in has_not:
            told = _short(row, [column for column in row if column not in key and row[column] is not None])
            yield Example(dict(zip(key, one, strict=True)), *(({}, told) if swap else (told, {})))


def _short(row: Mapping[str, Any], columns: Sequence[str]) -> dict[str, Any]:
    return {name: value[:VALUE] if isinstance(value := row[name], str | bytes) else value for name in columns}
