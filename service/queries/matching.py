"""What matches a question, in each store's own search of texts, and in which order.

A statement reads a bounded number of things by each of two ways: by the beginning of names, in their order, and by
words. What both find is ranked.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import TSQUERY
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.search.writing import WORDS_FTS
from service.mirror.tables import UtcTime, search_things
from service.queries.asked import Asked, Filters

#: Things that each way finds at most.
CANDIDATES = 1000
#: Characters from which on a word counts as the beginning of others, too.
BEGINNING = 2

_thing = search_things.c


async def ranked_things(
    connection: AsyncConnection, asked: Asked, place: Sequence[Any] | None, limit: int
) -> Sequence[Any]:
    """Rows of what matches behind a place (rank, sort_name, seq), in that order; `found` is how many there are."""
    on_postgresql = connection.dialect.name == "postgresql"
    matching = (_PostgreSQL if on_postgresql else _SQLite)(asked)
    parts = [_bounded(matching.named())] if asked.typed or not asked.marks else []
    if asked.words or asked.marks:
        worded = matching.worded()
        for named in parts:  # names that begin so come first: where they are enough, nothing else is read
            worded = worded.where(sa.select(sa.func.count()).select_from(named).scalar_subquery() <= CANDIDATES)
        parts.append(_bounded(worded))
    ways = [sa.select(part.c.seq) for part in parts]
    either = sa.union(*ways).subquery() if len(ways) > 1 else ways[0].subquery()
    begins = _begins(asked.typed)
    rank = sa.case((begins, 0), (matching.in_name(), 1), else_=2) if asked.words else sa.literal(0)
    ranked = (
        sa.select(
            search_things.c.seq, _thing.kind, _thing.thing_id, _thing.sort_name, _thing.thing_type,
            _thing.container_id, _thing.owner_id, _thing.labels, rank.label("rank"),
            sa.func.count().over().label("found"),
        )
        .join_from(either, search_things, _thing.seq == either.c.seq)
        .subquery()
    )  # fmt: skip
    order = (ranked.c.rank, ranked.c.sort_name, ranked.c.seq)
    query = sa.select(ranked).order_by(*order).limit(limit)
    if place is not None:
        at = (sa.literal(place[0], sa.Integer), sa.literal(place[1], sa.Text), sa.literal(place[2], sa.BigInteger))
        query = query.where(sa.tuple_(*order) > sa.tuple_(*at))
    return (await connection.execute(query)).all()


def _bounded(query: sa.Select[Any]) -> sa.CTE:
    """The numbers of at most so many things; read before anything is joined."""
    return query.limit(CANDIDATES + 1).cte().prefix_with("MATERIALIZED", dialect="postgresql")


def _begins(typed: str) -> sa.ColumnElement[bool]:
    return sa.and_(_thing.sort_name >= typed, _thing.sort_name < typed + "\U0010ffff")


def _recent(query: sa.Select[Any], filters: Filters) -> sa.Select[Any]:
    since = filters.changed_since
    return query if since is None else query.where(_thing.changed_at >= sa.literal(since, UtcTime))


class _PostgreSQL:
    """What matches, in PostgreSQL's search of texts: words of a name have the weight A, of the rest B, marks none."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def named(self) -> sa.Select[Any]:
        """Things whose names begin so, in the order of names."""
        query = sa.select(_thing.seq).where(_begins(self._asked.typed)).order_by(_thing.sort_name, _thing.seq)
        marks = self._marks()
        return _recent(query.where(_has(" & ".join(marks))) if marks else query, self._asked.filters)

    def worded(self) -> sa.Select[Any]:
        """Things that have all words anywhere, and all marks."""
        told = [*self._words("AB"), *self._marks()]
        return _recent(sa.select(_thing.seq).where(_has(" & ".join(told))), self._asked.filters)

    def in_name(self) -> sa.ColumnElement[bool]:
        """All words are in the name."""
        return _has(" & ".join(self._words("A")))

    def _words(self, weights: str) -> list[str]:
        return [
            "(" + " | ".join(f"'{one}':{'*' if len(one) >= BEGINNING else ''}{weights}" for one in meant) + ")"
            for meant in self._asked.words.values()
        ]

    def _marks(self) -> list[str]:
        return ["(" + " | ".join(f"'{mark}'" for mark in marks) + ")" for marks in self._asked.marks]


def _has(query: str) -> sa.ColumnElement[bool]:
    """Words have letters and digits alone, so that nothing in them is read as an operator."""
    return _thing.words.op("@@", is_comparison=True)(sa.cast(sa.literal(query, sa.Text), TSQUERY))


class _SQLite:
    """What matches, in FTS5."""

    def __init__(self, asked: Asked) -> None:
        self._asked = asked

    def named(self) -> sa.Select[Any]:
        """Things whose names begin so, in the order of names."""
        query = sa.select(_thing.seq).where(_begins(self._asked.typed)).order_by(_thing.sort_name, _thing.seq)
        marks = self._marks()
        return _recent(query.where(_thing.seq.in_(_matching(marks))) if marks else query, self._asked.filters)

    def worded(self) -> sa.Select[Any]:
        """Things that have all words anywhere, and all marks."""
        told = " AND ".join(part for part in (self._words("name_words other_words"), self._marks()) if part)
        query = sa.select(_thing.seq).where(_thing.seq.in_(_matching(told)))
        return _recent(query.order_by(_thing.seq), self._asked.filters)

    def in_name(self) -> sa.ColumnElement[bool]:
        """All words are in the name."""
        return _thing.seq.in_(_matching(self._words("name_words")))

    def _words(self, columns: str) -> str:
        told = (
            "(" + " OR ".join(f'"{one}"{" *" if len(one) >= BEGINNING else ""}' for one in meant) + ")"
            for meant in self._asked.words.values()
        )
        found = " AND ".join(told)
        return f"{{{columns}}} : ({found})" if found else ""

    def _marks(self) -> str:
        told = ("(" + " OR ".join(f'"{mark}"' for mark in marks) + ")" for marks in self._asked.marks)
        found = " AND ".join(told)
        return f"marks : ({found})" if found else ""


_text = sa.table(WORDS_FTS, sa.column("rowid", sa.Integer), sa.column(WORDS_FTS, sa.Text))


def _matching(query: str) -> sa.Select[Any]:
    return sa.select(_text.c.rowid).where(_text.c[WORDS_FTS].op("MATCH", is_comparison=True)(query))
