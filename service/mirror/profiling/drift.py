"""What changed from one run of profiling to the next: columns that came, went or are of another type or class, and how
much emptier or fuller they are.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import ColumnFigures, DriftFound, Rank, Version
from service.events.figures import NO_CLASS
from service.mirror.bulk import insert_into, key_in
from service.mirror.profiling import history
from service.mirror.profiling.history import Run
from service.mirror.rows import text_of
from service.mirror.tables import profile_drift
from service.settings.model import ProfilesSettings
from service.text.documents import canonical, digest_of, key_text
from service.text.times import from_datetime

#: Bytes of a column's name in a key, as beside an asset's id.
_NAME_BYTES = 1024


class Drift(NamedTuple):
    """One difference; numbers are ratios, or rows where the column's name is empty."""

    column: str
    change: str
    before_text: str | None = None
    after_text: str | None = None
    before_number: float | None = None
    after_number: float | None = None
    crossed: bool = True


def between(
    before: Sequence[ColumnFigures], after: Sequence[ColumnFigures], limits: ProfilesSettings
) -> Iterator[Drift]:
    """What differs between two runs, column by column."""
    then, now = ({one.column_name: one for one in figures} for figures in (before, after))
    for name, new in now.items():
        if name not in then:
            yield Drift(name, "added", after_text=new.inferred_type)
            continue
        yield from _of_column(name, then[name], new, limits)
    for name, old in then.items():
        if name not in now:
            yield Drift(name, "gone", before_text=old.inferred_type)
    rows = _rows(before), _rows(after)
    if None not in rows and rows[0] != rows[1]:
        yield Drift(
            "", "rows", None, None, *rows, crossed=abs(rows[1] - rows[0]) >= limits.drift_rows * max(rows[0], 1)
        )


def _of_column(name: str, old: ColumnFigures, new: ColumnFigures, limits: ProfilesSettings) -> Iterator[Drift]:
    if old.inferred_type and new.inferred_type and old.inferred_type != new.inferred_type:
        yield Drift(name, "retyped", old.inferred_type, new.inferred_type)
    if (was := _class(old)) != (is_ := _class(new)):
        yield Drift(name, "reclassified", was, is_)
    for change, limit, counted in (
        ("nulls", limits.drift_nulls, "null_count"),
        ("distinct", limits.drift_distinct, "distinct_count"),
    ):
        ratios = _ratio(old, counted), _ratio(new, counted)
        if ratios[0] is not None and ratios[1] is not None and ratios[0] != ratios[1]:
            yield Drift(name, change, None, None, *ratios, crossed=abs(ratios[1] - ratios[0]) >= limit)


def _class(figures: ColumnFigures) -> str | None:
    return None if figures.data_class_code == NO_CLASS else figures.data_class_code


def _ratio(figures: ColumnFigures, counted: str) -> float | None:
    part, rows = getattr(figures, counted), figures.row_count
    return part / rows if part is not None and rows and part <= rows else None


def _rows(figures: Sequence[ColumnFigures]) -> Any:
    return max((one.row_count for one in figures if one.row_count is not None), default=None)


async def update(connection: AsyncConnection, asset_ids: Sequence[str], limits: ProfilesSettings) -> list[DriftFound]:
    """Compare the newest run of these assets with the one before; answers what crossed a limit and was not known."""
    runs = await history.newest_two(connection, asset_ids)
    mine = key_in(connection, profile_drift.c.asset_id, asset_ids)
    known = {tuple(row) for row in await connection.execute(sa.select(profile_drift).where(mine))}
    found: list[DriftFound] = []
    rows: list[tuple[Any, ...]] = []
    for asset_id, (after, *rest) in sorted(runs.items()):
        for drift in between(rest[0].figures, after.figures, limits) if rest else ():
            row = _row(asset_id, rest[0], after, drift)
            rows.append(row)
            if drift.crossed and row not in known:
                found.append(_change(after, rest[0], drift))
    if {*rows} != known:
        await connection.execute(sa.delete(profile_drift).where(mine))
        if rows:
            values = [dict(zip(_NAMES, row, strict=True)) for row in sorted(rows, key=lambda row: row[:3])]
            await connection.execute(_upsert(connection.dialect.name), values)
    return found


_NAMES = tuple(column.name for column in profile_drift.c)


def _upsert(dialect: str) -> Any:
    """Another replica may have compared the same asset just now: both saw what the other has not committed yet."""
    insert = insert_into(dialect, profile_drift)
    return insert.on_conflict_do_update(
        index_elements=_NAMES[:3], set_={name: insert.excluded[name] for name in _NAMES[3:]}
    )


def _row(asset_id: str, before: Run, after: Run, drift: Drift) -> tuple[Any, ...]:
    texts = (text_of(drift.before_text), text_of(drift.after_text))
    return (
        asset_id, key_text(drift.column, _NAME_BYTES), drift.change, after.profile_id, after.run_id,
        before.finished_at, after.finished_at, *texts, drift.before_number, drift.after_number, drift.crossed,
    )  # fmt: skip


def _change(after: Run, before: Run, drift: Drift) -> DriftFound:
    told = canonical([after.profile_id, after.run_id, before.run_id, *drift])
    at_us = from_datetime(after.finished_at)
    return DriftFound(
        after.asset_id, drift.column, drift.change, Version(at_us, Rank.EVENT, digest_of(told)), after.container,
        after.profile_id, after.run_id, from_datetime(before.finished_at), at_us, drift.before_text, drift.after_text,
        drift.before_number, drift.after_number,
    )  # fmt: skip
