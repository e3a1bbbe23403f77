"""The views of kinds that are mirrored by their fields alone, and those of histories: what is shown, and when."""

from __future__ import annotations

from collections.abc import Sequence

from service.kinds import THINGS, Kind
from service.mirror.tables import HISTORIES, STATES, key_of

#: Modes in which not every member of a container may see an asset.
HIDDEN = "(8, 16)"


def view_of(kind: Kind, columns: Sequence[str] = ()) -> str:
    """The query of a kind's view: shown while it is there, and its container and the asset it belongs to are.

    Args:
        columns: those that the view has already, which keep their places; what is new follows.
    """
    new = [name for name in _columns(kind) if name not in kind.lacks and name not in columns]
    names = [*columns, *new]
    joins = "\nLEFT JOIN containers c ON c.container_id = t.container_id"
    shown = "t.deleted_at IS NULL AND c.deleted_at IS NULL"
    if kind.asset:
        joins += f"\nLEFT JOIN assets a ON a.asset_id = t.{kind.asset}"
        shown += f" AND a.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN {HIDDEN}"
    told = ", ".join(map(_expression, names))
    return f"SELECT {told}\nFROM {kind.table} t{joins}\nWHERE {shown}"


def _columns(kind: Kind) -> list[str]:
    own = [kind.id_name, *(field.name for field in kind.fields)]
    return [*own, "container_kind", "container_id", "changed_at", "mirrored_at", "is_stub", "document"]


def _expression(name: str) -> str:
    return {"changed_at": "t.version_at AS changed_at", "is_stub": "t.document IS NULL AS is_stub"}.get(
        name, f"t.{name}"
    )


def history_of(kind: str, columns: Sequence[str]) -> str:
    """The query of a history's view, with these columns: a row per state that was the row at any moment.

    What is of an asset that not every member may see now is left out, as are states in which that was so.
    """
    table, key = HISTORIES[kind].name, key_of(STATES[kind]).name
    ends = f"lead(version_at) OVER (PARTITION BY {key} ORDER BY version)"
    shown = "t.deleted_at IS NULL AND (t.valid_to IS NULL OR t.version_at < t.valid_to)"
    if kind == "asset":
        shown += f" AND coalesce(t.visibility_mode, 0) NOT IN {HIDDEN}"
    if asset := asset_column(kind):
        hidden = f"a.asset_id = t.{asset} AND a.visibility_mode IN {HIDDEN}"
        shown += f"\nAND NOT EXISTS (SELECT 1 FROM assets a WHERE {hidden})"  # noqa: S608 (names of ours)
    told = ", ".join({"valid_from": "t.version_at AS valid_from"}.get(name, f"t.{name}") for name in columns)
    return f"SELECT {told}\nFROM (SELECT h.*, {ends} AS valid_to FROM {table} h) t\nWHERE {shown}"  # noqa: S608


def asset_column(kind: str) -> str | None:
    """The column with the asset that a state is of, or belongs to."""
    return THINGS[kind].asset if kind in THINGS else {"asset": "asset_id", "data_profile": "asset_id"}.get(kind)
