"""Pages of the views: rows that meet conditions, columns that are chosen, in the order of what names a row.

What not every member of a container may see stays unseen, as the views have it. Names of columns are looked up, values
are bound: nothing that comes from outside becomes SQL.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import QueryInvalid
from service.mirror.described import VIEWS
from service.mirror.tables import UtcTime
from service.queries.cursors import cursor_of, place_of, refused
from service.queries.relations import RELATIONS

#: Rows of a page at most, and of one that has whole documents, which may be megabytes each.
MAX_ROWS, MAX_DOCUMENTS = 1000, 10
#: Conditions of one query at most, and characters of a value.
MAX_CONDITIONS, MAX_VALUE = 10, 1000
#: The column that is left out unless it is asked for.
DOCUMENT = "document"
#: Columns of keys that may be without a value, which counts as the empty text in their order.
_MAYBE = {"v1_column_edges": ("to_column", "transformation")}


class Operator(StrEnum):
    """How a column is compared with a value."""

    EQUAL = "eq"
    PREFIX = "prefix"
    LESS = "lt"
    AT_LEAST = "gte"
    NULL = "null"


@dataclass(frozen=True, slots=True)
class Condition:
    """What has to hold of a column; of `null` the value says whether it holds nothing."""

    column: str
    operator: Operator
    value: str | int | float | bool | datetime


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a view, each with a value per column, and the cursor of the next page, if there is one."""

    columns: list[str]
    rows: list[Sequence[Any]]
    next: str | None


@dataclass(frozen=True, slots=True)
class ColumnDescribed:
    """A column of a view: its type (text, integer, number, truth or time), and what it means."""

    name: str
    type: str
    meaning: str


@dataclass(frozen=True, slots=True)
class ViewDescribed:
    """A view: what its rows are, which columns name a row, and all columns."""

    name: str
    meaning: str
    key: list[str]
    columns: list[ColumnDescribed]


@dataclass(frozen=True, slots=True)
class ViewsDescribed:
    """Every view."""

    views: list[ViewDescribed]


#: A moment as conditions have it, of a year that calendars have.
_MOMENT = (
    r"[12]\d{3}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12]\d|3[01])|(?:0[469]|11)-(?:0[1-9]|[12]\d|30)"
    r"|02-(?:0[1-9]|1\d|2[0-8]))T(?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d{1,6})?Z"
)
#: By the type of a column, how its values are written, as a regular expression.
_WRITTEN: dict[type, str] = {
    sa.Text: rf"[^\u0000]{{0,{MAX_VALUE}}}",
    sa.BigInteger: r"-?\d{1,18}",
    sa.Integer: r"-?\d{1,9}",
    sa.SmallInteger: r"-?\d{1,4}",
    sa.Float: r"-?\d{1,15}(?:\.\d{1,15})?",
    sa.Boolean: r"true|false",
    UtcTime: _MOMENT,
}
#: What texts can be asked beside; truth values are never less than others.
_OPERATORS: dict[type, tuple[Operator, ...]] = {
    sa.Text: (Operator.EQUAL, Operator.PREFIX, Operator.LESS, Operator.AT_LEAST),
    sa.Boolean: (Operator.EQUAL,),
}
_ORDERED = (Operator.EQUAL, Operator.LESS, Operator.AT_LEAST)


#: What a type is called.
_CALLED: dict[type, str] = {
    sa.Text: "text", sa.BigInteger: "integer", sa.Integer: "integer", sa.SmallInteger: "integer", sa.Float: "number",
    sa.Boolean: "truth", UtcTime: "time",
}  # fmt: skip


def described() -> ViewsDescribed:
    """Every view with its columns."""
    told = [
        ViewDescribed(
            view.name, view.comment, list(view.key),
            [ColumnDescribed(name, type_of(view.name, name), meaning) for name, meaning in view.columns.items()],
        )
        for view in VIEWS.values()
    ]  # fmt: skip
    return ViewsDescribed(told)


def type_of(view: str, column: str) -> str:
    """text, integer, number, truth or time."""
    return _CALLED[_kind_of(RELATIONS[view].c[column])]


def condition_pattern(view: str) -> str:
    """What a condition on a view looks like, `column:operator:value`, as a regular expression.

    `condition_of` reads by it, and the description of the API tells it.
    """
    by_type: dict[type, list[str]] = {}
    for column in RELATIONS[view].c:
        by_type.setdefault(_kind_of(column), []).append(column.name)
    told = [
        f"(?:{'|'.join(names)}):(?:{'|'.join(_OPERATORS.get(kind, _ORDERED))}):(?:{_WRITTEN[kind]})"
        for kind, names in by_type.items()
    ]
    every = "|".join(column.name for column in RELATIONS[view].c)
    return f"^(?:{'|'.join(told)}|(?:{every}):null:(?:true|false))$"


def condition_of(view: str, text: str) -> Condition:
    """A condition as it is written: `name:prefix:CUST`, `row_count:gte:1000`, `owner_id:null:true`.

    Raises:
        QueryInvalid: with what there is instead.
    """
    name, _, rest = text.partition(":")
    word, _, value = rest.partition(":")
    column = RELATIONS[view].c.get(name)
    if column is None:
        raise QueryInvalid(f"{view} has no column {name!r}", f"There are {', '.join(VIEWS[view].columns)}.")
    kind = _kind_of(column)
    known = (*_OPERATORS.get(kind, _ORDERED), Operator.NULL)
    if word not in known:
        raise QueryInvalid(
            f"{name} cannot be asked by {word!r}", f"Write {name}:OPERATOR:VALUE with {', '.join(known)}."
        )
    if word == Operator.NULL:
        kind = sa.Boolean
    if not re.fullmatch(_WRITTEN[kind], value):
        raise QueryInvalid(f"{value[:100]!r} is no value for {name}", _EXAMPLES[kind])
    return Condition(name, Operator(word), _READ[kind](value))


def _kind_of(column: sa.Column[Any]) -> type:
    return next(kind for kind in _WRITTEN if type(column.type) is kind)


_READ: dict[type, Any] = {
    sa.Text: str, sa.BigInteger: int, sa.Integer: int, sa.SmallInteger: int, sa.Float: float,
    sa.Boolean: lambda text: text == "true", UtcTime: datetime.fromisoformat,
}  # fmt: skip
_EXAMPLES: dict[type, str] = {
    sa.Text: f"A text of at most {MAX_VALUE} characters is wanted.",
    **dict.fromkeys((sa.BigInteger, sa.Integer, sa.SmallInteger), "A whole number is wanted, such as 100."),
    sa.Float: "A number is wanted, such as 0.5.",
    sa.Boolean: "Write true or false.",
    UtcTime: "A moment is wanted, such as 2026-05-10T15:04:15Z.",
}


def columns_of(view: str, chosen: Sequence[str] | None = None) -> list[str]:
    """The columns that are shown: those that are chosen, in their order; else all but whole documents.

    Raises:
        QueryInvalid: one of them is not there.
    """
    there = VIEWS[view].columns
    if chosen is None:
        return [name for name in there if name != DOCUMENT]
    wrong = next((name for name in chosen if name not in there), None)
    if wrong is not None:
        raise QueryInvalid(f"{view} has no column {wrong[:100]!r}", f"There are {', '.join(there)}.")
    return list(dict.fromkeys(chosen))


async def page(
    connection: AsyncConnection,
    view: str,
    *,
    columns: Sequence[str] | None = None,
    conditions: Sequence[Condition] = (),
    limit: int = 100,
    cursor: str | None = None,
) -> Page:
    """One page of a view, in the order of what names a row.

    Args:
        view: one of `service.mirror.described.VIEWS`.
        columns: which are shown, all but documents where none are named.
        limit: rows at most; fewer where documents are among the columns (`MAX_DOCUMENTS`).

    Raises:
        QueryInvalid: a column is not there, or the cursor is of another query.
    """
    shown = columns_of(view, columns)
    if DOCUMENT in shown:
        limit = min(limit, MAX_DOCUMENTS)
    relation = RELATIONS[view]
    order = [_ordered(view, relation.c[name]) for name in VIEWS[view].key]
    told = [view, shown, [[one.column, one.operator, str(one.value)] for one in conditions]]
    query = sa.select(*(relation.c[name] for name in shown), *(part.label(f"key_{n}") for n, part in enumerate(order)))
    for condition in conditions:
        query = query.where(_holds(connection, relation, condition))
    if cursor is not None:
        place = place_of(cursor, told, [str] * len(order))
        query = query.where(_behind(order, [_read(part, value) for part, value in zip(order, place, strict=True)]))
    rows = (await connection.execute(query.order_by(*order).limit(limit + 1))).all()
    following = None
    if len(rows) > limit:
        following = cursor_of(told, [_written(value) for value in rows[limit - 1][len(shown) :]])
    return Page(shown, [[_plain(value) for value in row[: len(shown)]] for row in rows[:limit]], following)


def _ordered(view: str, column: sa.Column[Any]) -> sa.ColumnElement[Any]:
    return sa.func.coalesce(column, "") if column.name in _MAYBE.get(view, ()) else column


def _behind(order: Sequence[sa.ColumnElement[Any]], place: Sequence[Any]) -> sa.ColumnElement[bool]:
    if len(order) == 1:
        return sa.and_(order[0] > place[0])
    return sa.tuple_(*order) > sa.tuple_(*(sa.literal(v, part.type) for part, v in zip(order, place, strict=True)))


def _written(value: Any) -> Any:
    """A part of a key as a cursor has it."""
    return value.isoformat() if isinstance(value, datetime) else value


def _read(part: sa.ColumnElement[Any], value: Any) -> Any:
    """The same the other way round.

    Raises:
        QueryInvalid: somebody made the cursor up.
    """
    if not isinstance(part.type, UtcTime):
        return value
    try:
        return datetime.fromisoformat(value)
    except (ValueError, TypeError):
        raise refused("The cursor is none") from None


def _holds(connection: AsyncConnection, relation: sa.Table, condition: Condition) -> sa.ColumnElement[bool]:
    column, value = relation.c[condition.column], condition.value
    match condition.operator:
        case Operator.NULL:
            return column.is_(None) if value else column.is_not(None)
        case Operator.PREFIX:
            return _begins(connection, column, str(value))
        case Operator.LESS:
            return column < value
        case Operator.AT_LEAST:
            return column >= value
        case Operator.EQUAL:
            return column == value


def _begins(connection: AsyncConnection, column: sa.Column[Any], text: str) -> sa.ColumnElement[bool]:
    """To SQLite's LIKE upper and lower case are one."""
    if connection.dialect.name == "postgresql":
        return column.startswith(text, autoescape=True)
    return sa.func.substr(column, 1, len(text)) == text


def _plain(value: Any) -> Any:
    """What JSON can say: what is no number is null."""
    return None if isinstance(value, float) and not math.isfinite(value) else value
