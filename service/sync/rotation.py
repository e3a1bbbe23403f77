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
from service.kinds import KINDS, Kind
from service.mirror import progress
from service.mirror.store import Store
from service.settings.model import SyncSettings
from service.sync.obstacles import ABSENT, BROKEN
from service.sync.sweep import Options, Result, Sweeper

log = structlog.get_logger(__name__)

#: Pages of one piece before others have their turn.
_PAGES = 200


#: A kind in one container, or one that lives in none.
Piece = tuple[Kind, Container | None]


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
        kind, where = min(due, key=lambda piece: _read_at(states, piece))
        known = states.get(_key((kind, where)))
        async with self._store.translated():
            await self._read(kind, where, known)
        return True

    def _pieces(self, containers: list[Container]) -> list[Piece]:
        rotating = [kind for kind in KINDS.values() if not kind.is_followed and kind.name not in self._settings.skip]
        nowhere: list[Piece] = [(kind, None) for kind in rotating if not kind.within]
        return nowhere + [(kind, where) for where in containers for kind in rotating if where.kind in kind.within]

    def _is_due(self, states: dict[Any, Any], piece: Piece, now: datetime) -> bool:
        known = states.get(_key(piece))
        if known is not None and piece[0].only_rotates and known.watermark:
            return True  # it was left half-way
        return now - _read_at(states, piece) > timedelta(seconds=self._settings.rotation_s)

    async def _read(self, kind: Kind, where: Container | None, known: Any) -> None:
        """One piece; one that is read parent by parent, and that a run reads otherwise, stops after its share.

        What its first reading finds was there before anybody followed it: that is no change for targets.
        """
        pages = 0
        cursor = known.watermark if known and kind.only_rotates else None
        origin = Origin.LIVE if known and known.polled_at else Origin.SYNC
        place = where.id if where else ""
        container_kind = where.kind if where else None

        async def checkpoint(result: Result) -> None:
            nonlocal pages
            pages += 1
            if kind.only_rotates and pages >= _PAGES and result.cursor:
                await self._note(place, container_kind, kind, watermark=result.cursor)
                raise _Enough

        options = Options(repair=True, deletions=not kind.only_rotates, origin=origin)
        try:
            result = await self._sweeper.sweep(kind, where, options, checkpoint, cursor)
        except _Enough:
            return
        except (*ABSENT, *BROKEN, CursorInvalid) as error:  # the others have their turn; this one comes round again
            log.info("not_rotated", kind=kind.name, container=place, problem=str(error))
            await self._note(place, container_kind, kind, polled_at="now", problem=str(error)[:500], watermark=None)
            return
        if result.of(kind.name).braked:
            log.error("rotation_braked", kind=kind.name, container=place, number=result.of(kind.name).orphaned,
                      remedy="Run `catalog-mirror reconcile` and look at its report.")  # fmt: skip
        orphaned = result.of(kind.name).orphaned if result.of(kind.name).braked else 0
        told = {"orphaned": orphaned, "unreadable": result.of(kind.name).unreadable, "problem": result.problem}
        await self._note(place, container_kind, kind, polled_at="now", watermark=None, **told)

    async def _note(self, place: str, container_kind: str | None, kind: Kind, **values: Any) -> None:
        async with self._store.writing() as connection:
            await progress.note_state(connection, place, container_kind, kind.name, **values)


def _key(piece: Piece) -> tuple[str, str]:
    return (piece[1].id if piece[1] else "", piece[0].name)


def _read_at(states: dict[Any, Any], piece: Piece) -> datetime:
    """When a piece was last read, by the rotation or by a run."""
    known = states.get(_key(piece))
    moments = [moment for moment in (known.polled_at, known.complete_as_of) if moment] if known else []
    return max(moments, default=datetime.min.replace(tzinfo=UTC))
