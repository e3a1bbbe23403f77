"""Columns of an asset as its card tells them: two lists by name, what they are and what is known of each.

The form is told in docs/contract.md, "Cards". The card's `dataset` has columns as well; it is not asked, it may lie.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated, Any

import msgspec

from service.changes import AssetColumn
from service.text import lookup
from service.text.documents import fitted


def columns_in(columns: Any, known: dict[str, Any]) -> tuple[AssetColumn, ...]:
    """The columns, in the order of the list.

    Args:
        columns: the list as it was told; what is no column with a name in it is passed over.
        known: by name what is known of a column.
    """
    if not columns:
        return ()
    try:
        return _usual(fitted(columns, list[_Column]), fitted(known, dict[str, _Known]))
    except msgspec.ValidationError:
        return _unusual(columns, known)


_Whole = Annotated[int, msgspec.Meta(ge=-(2**63) + 1, le=2**63 - 1)]
_Small = Annotated[int, msgspec.Meta(gt=-(2**31), lt=2**31)]
_Number = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
_Text = Annotated[str, msgspec.Meta(min_length=1)]


class _Type(msgspec.Struct):
    type: _Text | None = None
    native_type: _Text | None = None
    length: _Whole | None = None
    scale: _Small | None = None
    nullable: bool | None = None


class _Column(msgspec.Struct):
    """A column as most are told: read many times as fast as by looking each member up, with the same outcome."""

    name: str
    position: _Small | None = None
    type: _Type | None = None


class _Class(msgspec.Struct):
    id: _Text | None = None
    name: _Text | None = None


class _Classes(msgspec.Struct):
    selected_data_class: _Class | None = None


class _Quality(msgspec.Struct):
    score: _Number | None = None


class _Known(msgspec.Struct):
    column_description: _Text | None = None
    column_tags: tuple[str, ...] | None = None
    data_class: _Classes | None = None
    quality: _Quality | None = None


_NO_TYPE, _NO_CLASS, _NOTHING = _Type(), _Class(), _Known()


def _usual(columns: Sequence[_Column], known: dict[str, _Known]) -> tuple[AssetColumn, ...]:
    from_0 = any(column.position == 0 for column in columns)
    found = []
    for place, column in enumerate(columns, 1):
        of_type, told = column.type or _NO_TYPE, known.get(column.name, _NOTHING)
        chosen = (told.data_class and told.data_class.selected_data_class) or _NO_CLASS
        found.append(AssetColumn(
            column.name, place if column.position is None else column.position + from_0,
            of_type.type, of_type.native_type, of_type.length, of_type.scale, of_type.nullable,
            told.column_description, told.column_tags or (), chosen.id, chosen.name,
            told.quality.score if told.quality else None,
        ))  # fmt: skip
    return tuple(found)


def _unusual(columns: Any, known: dict[str, Any]) -> tuple[AssetColumn, ...]:
    """Columns that are told in any way."""
    told = [
        (column["name"], column, lookup.small(column.get("position")))
        for column in lookup.objects(columns)
        if isinstance(column.get("name"), str)
    ]
    from_0 = any(position == 0 for _, _, position in told)
    return tuple(
        _column(name, column, place if position is None else position + from_0, lookup.mapping(known.get(name)))
        for place, (name, column, position) in enumerate(told, 1)
    )


def _column(name: str, column: dict[str, Any], position: int, known: dict[str, Any]) -> AssetColumn:
    of_type = lookup.mapping(column.get("type"))
    chosen = lookup.mapping(lookup.mapping(known.get("data_class")).get("selected_data_class"))
    quality = lookup.mapping(known.get("quality"))
    return AssetColumn(
        name,
        position,
        lookup.text(of_type.get("type")),
        lookup.text(of_type.get("native_type")),
        lookup.integer(of_type.get("length")),
        lookup.small(of_type.get("scale")),
        lookup.truth(of_type.get("nullable")),
        lookup.text(known.get("column_description")),
        lookup.texts(known.get("column_tags")),
        lookup.text(chosen.get("id")),
        lookup.text(chosen.get("name")),
        lookup.number(quality.get("score")),
    )
