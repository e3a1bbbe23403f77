"""What a change did to the row of its thing: what the mirror held before, and what it holds now.

Only the transaction that writes a row knows what it replaces, so it is looked at there, for kinds that somebody
watches. A row that another transaction wrote between the look and the write has all of it done again (`Overtaken`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from sqlalchemy.ext.asyncio import AsyncConnection

from service.changes import RANK_AT, Rank, Version
from service.mirror.bulk import BulkInsert, rows_by_key
from service.mirror.lineage.events import PRIVATE_MODES
from service.mirror.planning import StateRow
from service.mirror.rows import moment_of
from service.mirror.store import Overtaken

#: Columns at the end of every state's insert: version, version_at, deleted_at, document.
_TAIL = 4
#: The rank in the version of what is only referred to.
_STUB = Rank.STUB.byte[0]
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
#: Rows of one part that are told at most, on either side.
MAX_ROWS = 200


class Watched(NamedTuple):
    """Whose effects are wanted: kinds of things, and whether what belongs to assets (columns, terms, …) counts, too."""

    kinds: frozenset[str] = frozenset()
    parts: bool = False


#: Nobody wants to know of any.
NOBODY = Watched()


class Difference(NamedTuple):
    """The fields that differ: what they said before, and what they say now.

    `before` is None where there was nothing to be seen, `after` where there is nothing. Of a part (`columns`, `terms`,
    …) it is the rows that are no longer so, and those that are new; `left_out` says of how many more nothing is told.
    """

    before: dict[str, Any] | None
    after: dict[str, Any] | None
    left_out: dict[str, int] | None = None


class PartRows(NamedTuple):
    """Rows of one part of an asset, by the names of their columns."""

    names: tuple[str, ...]
    before: Sequence[tuple[Any, ...]]
    after: Sequence[tuple[Any, ...]]


class Shape:
    """The columns of a kind's states that are told: all that are their own, but their key."""

    def __init__(self, insert: BulkInsert) -> None:
        self.table = insert.table.name
        own = insert.columns[1:-_TAIL]
        self.names = tuple(name for name in own if name not in _OURS)
        self._places = {name: place for place, name in enumerate(self.names)}
        #: The values of a row that is written.
        self.of_row: Callable[[tuple[Any, ...]], tuple[Any, ...]] = itemgetter(
            *(place for place, name in enumerate(insert.columns) if name in self._places)
        )
        self.visibility = self._places.get("visibility_mode")

    def picking(self, *names: str) -> Callable[[Sequence[Any]], tuple[Any, ...]]:
        """What gives the values of some columns, None for what such states do not have."""
        pick = itemgetter(*(self._places.get(name, len(self.names)) for name in names))
        return lambda values: pick((*values, None))


@dataclass(slots=True)
class Effect:
    """What one change did to its row: values as `shape` names them, None where nothing was, or is, to be seen."""

    shape: Shape
    before: Sequence[Any] | None
    after: Sequence[Any] | None
    #: The version that is the row now, by its key, and its moment.
    version: bytes
    at: datetime | None
    #: By what they are called.
    parts: Mapping[str, PartRows] | None = None

    @property
    def last(self) -> Sequence[Any] | None:
        """What the thing says now, or said last."""
        return self.before if self.after is None else self.after

    def difference(self) -> Difference:
        """The fields that differ."""
        names, before, after = self.shape.names, self.before, self.after
        if before is not None and after is not None:
            pairs = [
                (name, was, now)
                for name, was, now in zip(names, before, after, strict=True)
                if was != now and _plain(was) != _plain(now)
            ]
            found = Difference({name: old for name, old, _ in pairs}, {name: new for name, _, new in pairs})
        else:
            found = Difference(_known(names, before), _known(names, after))
        return _with_parts(found, self.parts) if self.parts else found


def _known(names: tuple[str, ...], values: Sequence[Any] | None) -> dict[str, Any] | None:
    if values is None:
        return None
    return {name: value for name, value in zip(names, values, strict=True) if value is not None}


_shapes: dict[str, Shape] = {}


def shape_of(insert: BulkInsert) -> Shape:
    """What is told of the states that this writes."""
    shape = _shapes.get(insert.table.name)
    if shape is None:
        shape = _shapes[insert.table.name] = Shape(insert)
    return shape


async def before(connection: AsyncConnection, insert: BulkInsert, rows: Mapping[str, StateRow]) -> dict[str, Any]:
    """What the mirror holds of these things before they are written, by their ids."""
    ids = [row_id for row_id, row in rows.items() if row.change is not None]
    return await read(connection, insert, ids)


async def read(connection: AsyncConnection, insert: BulkInsert, ids: Sequence[str]) -> dict[str, Any]:
    """The rows of things, by their ids."""
    names = shape_of(insert).names
    return await rows_by_key(connection, insert.table, insert.key[0], ids, *names, "version", "deleted_at")


def effect_of(shape: Shape, there: Any, row: StateRow, replaced: bytes | None) -> Effect:
    """What writing a row did to it; `there` is what was read before, `replaced` the version that it then replaced.

    Raises:
        Overtaken: another transaction wrote the row in between.
    """
    if replaced != (there.version if there is not None else None):
        raise Overtaken(shape.table)
    was = _seen(there) if there is not None else None
    version, at, deleted_at, _ = row.values[-_TAIL:]
    now = shape.of_row(row.values) if deleted_at is None else None
    return _as_shown(Effect(shape, was, now, version, at))


def state_of(insert: BulkInsert, there: Any) -> Effect:
    """A thing as it is: a row as it is `read`."""
    at = moment_of(Version.from_key(there.version).at_us)
    return _as_shown(Effect(shape_of(insert), None, _seen(there), there.version, at))


def _seen(there: Any) -> Sequence[Any] | None:
    """The values of a row as it is `read`; None: it is deleted, or only referred to."""
    if there.deleted_at is not None or there.version[RANK_AT] == _STUB:
        return None
    values: Sequence[Any] = there[1:-2]
    return values


def _as_shown(effect: Effect) -> Effect:
    """An asset that not every member of its container may see counts as not there, as it does in the views."""
    if (place := effect.shape.visibility) is not None:
        if effect.before is not None and effect.before[place] in PRIVATE_MODES:
            effect.before = None
        if effect.after is not None and effect.after[place] in PRIVATE_MODES:
            effect.after = None
    return effect


def _plain(value: Any) -> Any:
    """A number as it compares with others: that of a row is a double, that of a change may be exact."""
    return float(value) if type(value) is Decimal else value


def _with_parts(found: Difference, parts: Mapping[str, PartRows]) -> Difference:
    """The same with the rows of parts that differ."""
    left_out: dict[str, int] = {}
    for name, rows in parts.items():
        gone, new = _rows_that_differ(rows)
        if not (gone or new):
            continue
        for side, differing in ((found.before, gone), (found.after, new)):
            if side is not None:
                side[name] = _named(rows.names, differing)
        if more := max(0, len(gone) - MAX_ROWS) + max(0, len(new) - MAX_ROWS):
            left_out[name] = more
    return found._replace(left_out=left_out or None)


def _rows_that_differ(rows: PartRows) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
    """Those that are no longer so, and those that are new."""
    if set(rows.before) == set(rows.after):
        return [], []
    was, now = _plain_rows(rows.before), _plain_rows(rows.after)
    return [row for row in was if row not in now], [row for row in now if row not in was]


def _plain_rows(rows: Iterable[tuple[Any, ...]]) -> dict[tuple[Any, ...], None]:
    """Each row once, in their order."""
    return dict.fromkeys(tuple(map(_plain, row)) for row in rows)


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
