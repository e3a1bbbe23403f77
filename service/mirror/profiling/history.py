"""What finished runs found, kept for a while: a set, so that late and repeated events change nothing of it.

A run that is told several times is as its newest state tells it; its moment is the earliest at which it was told to be
finished, so that a change of the profile afterwards does not make an old run the newest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from operator import itemgetter
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import ColumnFigures, Container, Findings, ProfileDocumentRead, ProfileSaved
from service.mirror.bulk import insert_into, key_in, rows_by_key
from service.mirror.rows import figures_text, place_of
from service.mirror.tables import data_profiles, profile_runs
from service.text.documents import digest_of, key_text
from service.text.times import to_datetime

#: Words of the catalog for a run that is over and went well; `finished` is documented.
FINISHED = frozenset({"finished", "completed", "succeeded"})
#: Bytes of a run's id in its key.
_RUN_BYTES = 512
#: Runs that one statement names.
_KEYS_PER_STATEMENT = 500
#: Before the version of what a profile says, and of what its document says, which wins.
_OF_STATE, _OF_DOCUMENT = b"\x00", b"\x01"
_decoder = msgspec.json.Decoder(tuple[ColumnFigures, ...])


@dataclass(frozen=True, slots=True)
class Run:
    """One finished run of a profile of a data asset."""

    profile_id: str
    run_id: str
    asset_id: str
    container: Container | None
    finished_at: datetime
    figures: tuple[ColumnFigures, ...]


async def keep(connection: AsyncConnection, changes: Iterable[Any], since: datetime) -> list[str]:
    """Add what these changes tell of runs finished since then; answers the ids of the assets whose runs changed."""
    told = list(changes)
    rows = [row for change in told if isinstance(change, ProfileSaved) and (row := _row_of_state(change)) is not None]
    read = [change for change in told if isinstance(change, ProfileDocumentRead) and change.findings.figures]
    rows += await _rows_of_documents(connection, read)
    newest: dict[tuple[str, str], dict[str, Any]] = {}
    for row in rows:
        if row["finished_at"] < since:  # it was removed long ago, and would be new again
            continue
        key = (row["profile_id"], row["run_id"])
        there = newest.get(key, row)
        winner = max(there, row, key=itemgetter("version"))
        newest[key] = {**winner, "finished_at": min(there["finished_at"], row["finished_at"])}
    known = await _known(connection, sorted(newest))
    differing = [row for key, row in sorted(newest.items()) if _is_newer(row, known.get(key))]
    if differing:
        await connection.execute(_upsert(connection.dialect.name), differing)
    changed = (row for row in differing if _says_more(row, known.get((row["profile_id"], row["run_id"]))))
    return sorted({row["asset_id"] for row in changed})


async def _known(connection: AsyncConnection, keys: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Any]:
    """What is kept of these runs."""
    run, found = profile_runs.c, dict[tuple[str, str], Any]()
    query = sa.select(run.profile_id, run.run_id, run.version, run.finished_at, run.figures)
    for start in range(0, len(keys), _KEYS_PER_STATEMENT):
        named = sa.tuple_(run.profile_id, run.run_id).in_(keys[start : start + _KEYS_PER_STATEMENT])
        found |= {(row.profile_id, row.run_id): row for row in await connection.execute(query.where(named))}
    return found


def _is_newer(row: dict[str, Any], there: Any) -> bool:
    return there is None or row["version"] > there.version or row["finished_at"] < there.finished_at


def _says_more(row: dict[str, Any], there: Any) -> bool:
    """Whether it differs in more than its version."""
    return there is None or row["figures"] != there.figures or row["finished_at"] < there.finished_at


def _row_of_state(change: ProfileSaved) -> dict[str, Any] | None:
    if not change.findings.figures or change.asset_id is None or change.version.at_us is None:
        return None
    if change.status is not None and change.status.casefold() not in FINISHED:
        return None
    run_id = change.run_id or change.attachment_id
    return _row(
        change.profile_id, run_id, change.asset_id, change.container, to_datetime(change.version.at_us),
        change.findings, _OF_STATE + change.version.key,
    )  # fmt: skip


async def _rows_of_documents(connection: AsyncConnection, read: Sequence[ProfileDocumentRead]) -> list[dict[str, Any]]:
    """What documents say of the runs that their profiles name now."""
    if not read:
        return []
    names = ("asset_id", "run_id", "attachment_id", "version", "version_at", "deleted_at")
    ids = sorted({change.profile_id for change in read})
    profiles = await rows_by_key(connection, data_profiles, "profile_id", ids, *names)
    return [
        _row(
            change.profile_id, row.run_id or row.attachment_id, row.asset_id, change.container, at,
            change.findings, _OF_DOCUMENT + row.version,
        )
        for change in read
        if (row := profiles.get(change.profile_id)) is not None
        and row.attachment_id == change.attachment_id and row.asset_id and row.deleted_at is None
        and (at := row.version_at if change.at_us is None else to_datetime(change.at_us)) is not None
    ]  # fmt: skip


def _row(
    profile_id: str, run_id: str | None, asset_id: str, container: Container | None, at: datetime, found: Findings,
    version: bytes,
) -> dict[str, Any]:  # fmt: skip
    figures = figures_text(found.figures) or "[]"
    kind, container_id = place_of(container)
    # A profile that names no run: other figures are another one.
    named = run_id or f"figures:{digest_of(figures.encode()).hex()}"
    return {
        "profile_id": profile_id, "run_id": key_text(named, _RUN_BYTES), "asset_id": asset_id,
        "container_kind": kind, "container_id": container_id,
        "finished_at": at, "figures": figures, "version": version,
    }  # fmt: skip


def _upsert(dialect: str) -> Any:
    """The newer figures, the earlier moment, whoever else writes the same run meanwhile."""
    insert = insert_into(dialect, profile_runs)
    new, there = insert.excluded, profile_runs.c
    names = ("asset_id", "container_kind", "container_id", "figures", "version")
    values: dict[str, Any] = {
        name: sa.case((new.version > there.version, new[name]), else_=there[name]) for name in names
    }
    values["finished_at"] = sa.case((new.finished_at < there.finished_at, new.finished_at), else_=there.finished_at)
    return insert.on_conflict_do_update(index_elements=["profile_id", "run_id"], set_=values)


async def newest_two(connection: AsyncConnection, asset_ids: Sequence[str]) -> dict[str, list[Run]]:
    """The newest run of each asset, and the one before it, newest first."""
    run = profile_runs.c
    order = (run.finished_at.desc(), run.profile_id.desc(), run.run_id.desc())
    place = sa.func.row_number().over(partition_by=run.asset_id, order_by=order).label("place")
    ranked = sa.select(profile_runs, place).where(key_in(connection, run.asset_id, asset_ids)).subquery()
    query = sa.select(ranked).where(ranked.c.place <= 2).order_by(ranked.c.asset_id, ranked.c.place)
    found: dict[str, list[Run]] = {}
    for row in await connection.execute(query):
        where = Container(row.container_kind, row.container_id) if row.container_id else None
        figures = _decoder.decode(row.figures)
        run_of = Run(row.profile_id, row.run_id, row.asset_id, where, row.finished_at, figures)
        found.setdefault(row.asset_id, []).append(run_of)
    return found
