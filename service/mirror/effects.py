"""What a change did to the row of its thing: what the mirror held before, and what it holds now.

Only the transaction that writes a row knows what it replaces, so it is looked at there, for kinds that somebody
watches. A row that another transaction wrote between the look and the write has all of it done again (`Overtaken`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, NamedTuple

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import Rank
from service.mirror.bulk import BulkInsert, rows_by_key
from service.mirror.lineage.events import PRIVATE_MODES
from service.mirror.rows import StateRow
from service.mirror.store import Overtaken

#: Columns at the end of every state's insert: version, version_at, deleted_at, document.
_TAIL = 4
#: The byte of a version's key that is its rank, for what is only referred to.
_RANK, _STUB = 8, Rank.STUB + 1
#: Columns that are for ourselves: how figures are kept says nothing of them.
_OURS = frozenset({"figures"})
#: How what belongs to an asset is called, by its table; and by how many columns its rows are found, not told.
PARTS = {
    "asset_columns": ("columns", 1),
    "asset_terms": ("terms", 1),
    "asset_classifications": ("classifications", 1),
    "column_classifications": ("column_classifications", 1),
    "connections": ("connection", 1),
    "asset_attributes": ("attributes", 2),  # the number is its place among all leaves
    "asset_attachments": ("attachments", 1),
}
#: Rows of one part that are told at most, on either side; and characters of a text.
MAX_ROWS, MAX_TEXT = 200, 8192


class Watched(NamedTuple):
    """Whose effects are wanted: kinds of things, and whether what belongs to assets (columns, terms, …) counts, too."""

    kinds: frozenset[str] = frozenset()
    parts: bool = False


#: Nobody wants to know of any.
NOBODY = Watched()


class Changed(msgspec.Struct, omit_defaults=True):
    """A field that differs.

    Of a part (`columns`, `terms`, …) `before` are its rows that are no longer so, `after` those that are new, and
    `left_out` says of how many more nothing is told.
    """

    before: Any
    after: Any
    left_out: int = 0


class PartRows(NamedTuple):
    """Rows of one part of an asset, by the names of their columns."""

    names: tuple[str, ...]
    before: Sequence[tuple[Any, ...]]
    after: Sequence[tuple[Any, ...]]


@dataclass(slots=True)
class Effect:
    """What one change did to its row: values by `names`, None where nothing was, or is, to be seen."""

    names: tuple[str, ...]
    before: Sequence[Any] | None
    after: Sequence[Any] | None
    #: By what they are called.
    parts: dict[str, PartRows] = field(default_factory=dict)

    def value(self, name: str) -> Any:
        """What a column says now, or said last."""
        values = self.after if self.after is not None else self.before
        return values[self.names.index(name)] if values is not None and name in self.names else None

    def changed(self) -> dict[str, Changed]:
        """The fields that differ, with values as JSON has them."""
        nothing = (None,) * len(self.names)
        pairs = zip(self.names, self.before or nothing, self.after or nothing, strict=True)
        found = {
            name: Changed(old, new)
            for name, was, now in pairs
            if was != now and (old := told(was)) != (new := told(now))
        }
        for name, rows in self.parts.items():
            if difference := _rows_that_differ(rows):
                found[name] = difference
        return found


def names_of(insert: BulkInsert) -> tuple[str, ...]:
    """The columns of a state that are told: all that are its own, but its key."""
    return tuple(name for name in insert.columns[1:-_TAIL] if name not in _OURS)


async def before(connection: AsyncConnection, insert: BulkInsert, rows: Mapping[str, StateRow]) -> dict[str, Any]:
    """What the mirror holds of these things before they are written, by their ids."""
    ids = [row_id for row_id, row in rows.items() if row.change is not None]
    names = names_of(insert)
    return await rows_by_key(connection, insert.table, insert.key[0], ids, *names, "version", "deleted_at")


def effect_of(insert: BulkInsert, there: Any, row: StateRow, replaced: bytes | None) -> Effect:
    """What writing a row did to it; `there` is what was read before, `replaced` the version that it then replaced.

    Raises:
        Overtaken: another transaction wrote the row in between.
    """
    if replaced != (there.version if there is not None else None):
        raise Overtaken(insert.table.name)
    names = names_of(insert)
    was = _seen(there) if there is not None else None
    now = None
    if row.values[-2] is None:
        told_now = dict(zip(insert.columns, row.values, strict=True))
        now = [told_now[name] for name in names]
    return _as_shown(Effect(names, was, now))


def state_of(names: tuple[str, ...], there: Any) -> Effect:
    """A thing as it is: a row as `before` reads it."""
    return _as_shown(Effect(names, None, _seen(there)))


def _seen(there: Any) -> Sequence[Any] | None:
    """The values of a row as `before` reads it; None: it is deleted, or only referred to."""
    if there.deleted_at is not None or there.version[_RANK] == _STUB:
        return None
    values: Sequence[Any] = there[1:-2]
    return values


def _as_shown(effect: Effect) -> Effect:
    """An asset that not every member of its container may see counts as not there, as it does in the views."""
    if "visibility_mode" in effect.names:
        place = effect.names.index("visibility_mode")
        if effect.before is not None and effect.before[place] in PRIVATE_MODES:
            effect.before = None
        if effect.after is not None and effect.after[place] in PRIVATE_MODES:
            effect.after = None
    return effect


def told(value: Any) -> Any:
    """A value of a column as JSON has it."""
    if isinstance(value, str):
        return value if len(value) <= MAX_TEXT else value[:MAX_TEXT] + "…"
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat() + "Z"  # every moment of a row is in UTC
    return float(value) if isinstance(value, Decimal) else value


def _rows_that_differ(rows: PartRows) -> Changed | None:
    if set(rows.before) == set(rows.after):
        return None
    was, now = _told_rows(rows.before), _told_rows(rows.after)
    gone, new = [row for row in was if row not in now], [row for row in now if row not in was]
    if not (gone or new):
        return None
    left_out = max(0, len(gone) - MAX_ROWS) + max(0, len(new) - MAX_ROWS)
    return Changed(_named(rows.names, gone), _named(rows.names, new), left_out)


def _told_rows(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], None]:
    """Rows as they are told, each once and in their order."""
    return dict.fromkeys(tuple(told(value) for value in row) for row in rows)


def _named(names: tuple[str, ...], rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any]]:
    return [
        {name: value for name, value in zip(names, row, strict=True) if value is not None} for row in rows[:MAX_ROWS]
    ]


@dataclass(slots=True)
class Parts:
    """The rows of what belongs to assets, as it was replaced: collected table by table."""

    #: By the name of the part, then by asset.
    before: dict[str, dict[str, list[tuple[Any, ...]]]] = field(default_factory=dict)
    after: dict[str, dict[str, list[tuple[Any, ...]]]] = field(default_factory=dict)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def replaced(self, insert: BulkInsert, gone: Iterable[Any], new: Iterable[tuple[Any, ...]]) -> None:
        """These rows of one table went, and these came."""
        name, skip = PARTS[insert.table.name]
        self.names[name] = insert.columns[skip:]
        for kept, rows in ((self.before, gone), (self.after, new)):
            by_asset = kept.setdefault(name, {})
            for row in rows:
                by_asset.setdefault(row[0], []).append(tuple(row[skip:]))

    def of(self, asset_id: str, effect: Effect) -> dict[str, PartRows]:
        """What belongs to one asset, where it has any or had; nothing of what is not to be seen."""
        return {
            name: PartRows(
                names,
                self.before[name].get(asset_id, ()) if effect.before is not None else (),
                self.after[name].get(asset_id, ()) if effect.after is not None else (),
            )
            for name, names in self.names.items()
            if asset_id in self.before[name] or asset_id in self.after[name]
        }
