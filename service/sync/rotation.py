"""Rotation: what the catalog cannot tell changes of (members, types, profiles, …) is read again, piece by piece.

The piece that was read longest ago comes next; all of them come round once in `SYNC__ROTATION`, as far as the budget of
calls allows. `v1_freshness` shows when each was read last.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from service.changes import Container, Origin
from service.errors import CursorInvalid
from service.mirror import progress
from service.mirror.store import Store
from service.settings.model import SyncSettings
from service.sync.obstacles import ABSENT, BROKEN
from service.sync.readings import READINGS, Reading
from service.sync.sweep import Options, Result, Sweeper

log = structlog.get_logger(__name__)

#: Kinds that polling follows; they do not rotate.
FOLLOWED = frozenset({"asset", "relationship", "quality_issue", "job", "job_run", "artifact_relationship"})
#: Pages of one piece before others have their turn.
_PAGES = 200


class _Enough(Exception):
    """The piece has had its share for now."""


class Rotation:
    """Reads pieces in turn."""

    def __init__(self, store: Store, sweeper: Sweeper, settings: SyncSettings) -> None:
        self._store = store
        self._sweeper = sweeper
        self._settings = settings

    async def once(self, containers: list[Container]) -> bool:
        """Read the piece that is due, if one is; answers whether one was.

        Raises:
            TransientError: the catalog or the store does not do its part.
        """
        async with self._store.reading() as connection:
            states = await progress.states(connection)
            now = await progress.store_time(connection)
        due = [piece for piece in self._pieces(containers) if self._is_due(states, piece, now)]
        if not due:
            return False
        reading, where = min(due, key=lambda piece: _read_at(states, piece))
        known = states.get(_key((reading, where)))
        async with self._store.translated():
            await self._read(reading, where, known)
        return True

    def _pieces(self, containers: list[Container]) -> list[tuple[Reading, Container | None]]:
        rotating = [r for r in READINGS if r.kind not in FOLLOWED and r.kind not in self._settings.skip]
        nowhere: list[tuple[Reading, Container | None]] = [(r, None) for r in rotating if not r.within]
        return nowhere + [(r, where) for where in containers for r in rotating if where.kind in r.within]

    def _is_due(self, states: dict[Any, Any], piece: tuple[Reading, Container | None], now: datetime) -> bool:
        known = states.get(_key(piece))
        if known is not None and piece[0].rotates and known.watermark:
            return True  # it was left half-way
        return now - _read_at(states, piece) > timedelta(seconds=self._settings.rotation_s)

    async def _read(self, reading: Reading, where: Container | None, known: Any) -> None:
        """One piece; one that is read parent by parent, and that a run reads otherwise, stops after its share.

        What its first reading finds was there before anybody followed it: that is no change for targets.
        """
        pages = 0
        cursor = known.watermark if known and reading.rotates else None
        origin = Origin.LIVE if known and known.polled_at else Origin.SYNC
        place = where.id if where else ""
        kind = where.kind if where else None

        async def checkpoint(result: Result) -> None:
            nonlocal pages
            pages += 1
            if reading.rotates and pages >= _PAGES and result.cursor:
                await self._note(place, kind, reading, watermark=result.cursor)
                raise _Enough

        options = Options(repair=True, deletions=not reading.rotates, origin=origin)
        try:
            result = await self._sweeper.sweep(reading, where, options, checkpoint, cursor)
        except _Enough:
            return
        except (*ABSENT, *BROKEN, CursorInvalid) as error:  # the others have their turn; this one comes round again
            log.info("not_rotated", kind=reading.kind, container=place, problem=str(error))
            await self._note(place, kind, reading, polled_at="now", problem=str(error)[:500], watermark=None)
            return
        if result.of(reading.kind).braked:
            log.error("rotation_braked", kind=reading.kind, container=place, number=result.of(reading.kind).orphaned,
                      remedy="Run `catalog-mirror reconcile` and look at its report.")  # fmt: skip
        orphaned = result.of(reading.kind).orphaned if result.of(reading.kind).braked else 0
        told = {"orphaned": orphaned, "unreadable": result.of(reading.kind).unreadable, "problem": result.problem}
        await self._note(place, kind, reading, polled_at="now", watermark=None, **told)

    async def _note(self, place: str, container_kind: str | None, reading: Reading, **values: Any) -> None:
        async with self._store.writing() as connection:
            await progress.note_state(connection, place, container_kind, reading.kind, **values)


def _key(piece: tuple[Reading, Container | None]) -> tuple[str, str]:
    return (piece[1].id if piece[1] else "", piece[0].kind)


def _read_at(states: dict[Any, Any], piece: tuple[Reading, Container | None]) -> datetime:
    """When a piece was last read, by the rotation or by a run."""
    known = states.get(_key(piece))
    moments = [moment for moment in (known.polled_at, known.complete_as_of) if moment] if known else []
    return max(moments, default=datetime.min.replace(tzinfo=UTC))
