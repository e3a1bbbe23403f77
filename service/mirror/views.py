"""The views of kinds that are mirrored by their fields alone: what of a table is shown, and when."""

from __future__ import annotations

from collections.abc import Sequence

from service.kinds import Kind

#: Modes in which not every member of a container may see an asset.
_HIDDEN = "(8, 16)"


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
        shown += f" AND a.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN {_HIDDEN}"
    told = ", ".join(map(_expression, names))
    return f"SELECT {told}\nFROM {kind.table} t{joins}\nWHERE {shown}"


def _columns(kind: Kind) -> list[str]:
    own = [kind.id_name, *(field.name for field in kind.fields)]
    return [*own, "container_kind", "container_id", "changed_at", "mirrored_at", "is_stub", "document"]


def _expression(name: str) -> str:
    return {"changed_at": "t.version_at AS changed_at", "is_stub": "t.document IS NULL AS is_stub"}.get(
        name, f"t.{name}"
    )
