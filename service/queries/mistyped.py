"""Words that may have been meant: those that names have and that are spelled much like what was typed."""

from __future__ import annotations

from collections.abc import Sequence
from difflib import SequenceMatcher

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.search.preparing import trigrams
from service.mirror.search.writing import ALIKE_FTS
from service.mirror.tables import search_words

#: Words that may have been meant by one, and how like it they have to be (0 to 1).
MEANT, ALIKE = 3, 0.7
#: Characters of a word that may be mistyped: of shorter ones too many are alike.
_SHORTEST = 4
#: Words that are compared one by one, and which share of parts of three characters they have to share.
_COMPARED, _SHARED = 50, 0.2


async def meant_by(connection: AsyncConnection, words: Sequence[str]) -> tuple[dict[str, list[str]], bool]:
    """Words that names have and that are spelled much like those; and whether such can be looked for."""
    on_postgresql = connection.dialect.name == "postgresql"
    where = await trigrams(connection) if on_postgresql else ""
    if where is None:
        return {}, False
    found: dict[str, list[str]] = {}
    for word in words:
        if len(word) < _SHORTEST:
            continue
        alike = await (_alike_postgresql(connection, where, word) if on_postgresql else _alike_sqlite(connection, word))
        likeness = {one: SequenceMatcher(None, word, one).ratio() for one in alike}
        meant = sorted((one for one in alike if likeness[one] >= ALIKE), key=lambda one: (-likeness[one], one))[:MEANT]
        if meant and word not in meant:
            found[word] = meant
    return found, True


async def _alike_postgresql(connection: AsyncConnection, where: str, word: str) -> list[str]:
    nearly = sa.func.set_config("pg_trgm.similarity_threshold", str(_SHARED), True)  # in this transaction
    await connection.execute(sa.select(nearly))
    known = search_words.c.word
    likeness: sa.ColumnElement[float] = sa.Function("similarity", known, word, packagenames=(where,), type_=sa.Float())
    query = sa.select(known).where(known.op(f"OPERATOR({where}.%)", is_comparison=True)(word))
    return list((await connection.execute(query.order_by(likeness.desc()).limit(_COMPARED))).scalars())


async def _alike_sqlite(connection: AsyncConnection, word: str) -> list[str]:
    parts = {word[start : start + 3] for start in range(len(word) - 2)}
    table = sa.table(ALIKE_FTS, sa.column("word", sa.Text), sa.column(ALIKE_FTS, sa.Text), sa.column("rank", sa.Float))
    told = " OR ".join(f'"{part}"' for part in sorted(parts))
    query = sa.select(table.c.word).where(table.c[ALIKE_FTS].op("MATCH", is_comparison=True)(told))
    return list((await connection.execute(query.order_by(table.c.rank).limit(_COMPARED))).scalars())
