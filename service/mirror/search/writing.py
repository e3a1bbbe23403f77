"""Writes what can be found: one row per thing with its words, by each store's own search of texts.

PostgreSQL has the words in the row (`tsvector`); SQLite in a table of FTS5, whose rows have the numbers of ours.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import among, insert_into
from service.mirror.search.documents import Document, Words
from service.mirror.tables import search_things, search_words
from service.text.documents import column_text

#: The tables of FTS5: the words of things, and the words that there are, by their parts of three characters.
WORDS_FTS, ALIKE_FTS = "search_text", "search_alike"
#: Lengths of words that are kept for mistyped ones to be compared with.
_SHORTEST, _LONGEST = 4, 30

_words = sa.table(WORDS_FTS, *map(sa.column, ("rowid", "name_words", "other_words", "marks")))
_alike = sa.table(ALIKE_FTS, sa.column("word"))
_forget_words = sa.delete(_words).where(_words.c.rowid == sa.bindparam("seq"))
_thing = search_things.c
_VALUES = ("sort_name", "thing_type", "container_id", "owner_id", "labels", "changed_at", "source_at")


async def write(
    connection: AsyncConnection, kinds: Sequence[str], ids: Collection[str], documents: Sequence[Document]
) -> None:
    """Write the documents of these things; those of `ids` that have none are found no more."""
    there = [one.thing_id for one in documents]
    await _remove(connection, kinds, set(ids), {(one.kind, one.thing_id) for one in documents})
    if not documents:
        return
    ordered = [one.words() for one in sorted(documents, key=lambda one: (one.kind, one.thing_id))]
    await connection.execute(_upsert(connection), [_row(connection, one) for one in ordered])
    if connection.dialect.name == "sqlite":
        await _write_text(connection, kinds, there, ordered)
    await _note_words(connection, ordered)


def _row(connection: AsyncConnection, words: Words) -> dict[str, Any]:
    one = words.document
    return {
        "kind": one.kind,
        "thing_id": one.thing_id,
        "sort_name": one.sort_name,
        "thing_type": one.thing_type,
        "container_id": one.container_id,
        "owner_id": one.owner_id,
        "labels": column_text(json.dumps(one.counted, ensure_ascii=False)),
        "changed_at": one.changed_at,
        "source_at": one.source_at,
        "words": _vector(words) if connection.dialect.name == "postgresql" else None,
    }


def _vector(one: Words) -> str:
    """Its words as PostgreSQL writes a `tsvector`: they have letters and digits alone."""
    told = [(one.name, "1A"), (one.others, "2B"), (one.marks, "3")]
    return " ".join(f"'{word}':{place}" for words, place in told for word in words)


def _upsert(connection: AsyncConnection) -> Any:
    insert = insert_into(connection.dialect.name, search_things)
    new = {name: insert.excluded[name] for name in (*_VALUES, "words")}
    return insert.on_conflict_do_update(index_elements=["kind", "thing_id"], set_=new)


async def _remove(
    connection: AsyncConnection, kinds: Sequence[str], ids: set[str], stays: set[tuple[str, str]]
) -> None:
    """Those that are found no more, or by another kind now."""
    query = sa.select(_thing.seq, _thing.kind, _thing.thing_id).where(
        _thing.kind.in_(kinds), among(connection, _thing.thing_id, ids)
    )
    gone = [row.seq for row in await connection.execute(query) if (row.kind, row.thing_id) not in stays]
    await forget(connection, gone)


async def forget(connection: AsyncConnection, seqs: Sequence[int]) -> None:
    """Remove what has these numbers."""
    if not seqs:
        return
    if connection.dialect.name == "sqlite":
        await connection.execute(_forget_words, [{"seq": one} for one in seqs])
    await connection.execute(sa.delete(search_things).where(_thing.seq.in_(list(seqs))))


async def forget_words(connection: AsyncConnection, words: Sequence[str]) -> None:
    """Keep these words no longer for mistyped ones to be compared with."""
    if connection.dialect.name == "sqlite":
        await connection.execute(sa.delete(_alike).where(_alike.c.word.in_(words)))
    await connection.execute(sa.delete(search_words).where(search_words.c.word.in_(words)))


async def _write_text(
    connection: AsyncConnection, kinds: Sequence[str], ids: Collection[str], written: Sequence[Words]
) -> None:
    query = sa.select(_thing.seq, _thing.kind, _thing.thing_id).where(
        _thing.kind.in_(kinds), among(connection, _thing.thing_id, ids)
    )
    numbers = {(row.kind, row.thing_id): row.seq for row in await connection.execute(query)}
    rows = [
        {
            "rowid": numbers[one.document.kind, one.document.thing_id],
            "name_words": " ".join(one.name),
            "other_words": " ".join(one.others),
            "marks": " ".join(one.marks),
        }
        for one in written
    ]
    await connection.execute(_forget_words, [{"seq": row["rowid"]} for row in rows])
    await connection.execute(sa.insert(_words), rows)


async def _note_words(connection: AsyncConnection, written: Iterable[Words]) -> None:
    """Keep the words of names: what people mistype."""
    words = sorted({word for one in written for word in _named(one)})
    if not words:
        return
    on_postgresql = connection.dialect.name == "postgresql"
    insert = insert_into(connection.dialect.name, search_words)
    known = sa.select(search_words.c.word).where(among(connection, search_words.c.word, words))
    there = set((await connection.execute(known)).scalars())
    new = [{"word": word} for word in words if word not in there]
    if not new:
        return
    await connection.execute(insert.on_conflict_do_nothing(index_elements=["word"]), new)
    if not on_postgresql:
        await connection.execute(sa.insert(_alike), new)


def _named(one: Words) -> Iterable[str]:
    words = (*one.name, *one.others)
    return (word for word in words if _SHORTEST <= len(word) <= _LONGEST and not any(map(str.isdigit, word)))
