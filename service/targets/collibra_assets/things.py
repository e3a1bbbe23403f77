"""What things look like now, as the views show them: what is deleted or hidden is not there."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from service.mirror.bulk import key_in, rows_by_key
from service.mirror.tables import UtcTime
from service.targets.collibra_assets.commands import Draft, draft
from service.targets.collibra_assets.mapping import VIEWS, AssetMapping, Kind, fields_of

#: Kind and id of what a delivery is about: columns go with their asset.
Entity = tuple[str, str]
#: Assigned terms by the asset and the column; of the asset itself: "".
_Terms = dict[tuple[str, str], list[str]]
_KEYS: dict[Kind, str] = {"asset": "asset_id", "column": "asset_id", "artifact": "artifact_id"}
#: Rows that one statement names at most.
_CHUNK = 20_000
_MOMENTS = ("_at", "effective_from", "effective_to")
_FLAGS = ("nullable",)


async def drafts_of(
    connection: AsyncConnection, mapping: AssetMapping, entities: Iterable[Entity]
) -> dict[Entity, list[Draft] | None]:
    """Of each thing what Collibra is to have: nothing where it is not mapped; None where it is not there any more."""
    wanted = sorted(set(entities))
    terms = await _terms(connection, [id_ for kind, id_ in wanted if kind == "asset"] if mapping.tells_terms else [])
    found: dict[Entity, list[Draft] | None] = dict.fromkeys(wanted)
    for kind in ("asset", "artifact"):
        ids = [entity_id for of, entity_id in wanted if of == kind]
        for id_, row in (await rows_by_key(connection, _view(kind), _KEYS[kind], ids, *_others(kind))).items():
            found[kind, id_] = _mapped(mapping, kind, row._mapping, terms.get((id_, ""), ()))
    assets = [id_ for (kind, id_), drafts in found.items() if kind == "asset" and drafts]
    for id_, rows in (await _columns(connection, assets if mapping.columns else [])).items():
        found["asset", id_] = [*(found["asset", id_] or []), *_columns_of(mapping, rows, terms)]
    return found


def _mapped(mapping: AssetMapping, kind: Kind, row: Any, terms: Sequence[str]) -> list[Draft]:
    rule = mapping.rule_of(kind, row[f"{kind}_type"])
    made = draft(mapping, kind, row, rule, mapping.domain_of(rule, row["container_id"]) if rule else None, terms)
    return [made] if made else []


def _columns_of(mapping: AssetMapping, rows: Sequence[Any], terms: _Terms) -> list[Draft]:
    if (rule := mapping.columns) is None:
        return []
    made = (
        draft(mapping, "column", row, rule, mapping.domain_of(rule, row["container_id"]),
              terms.get((row["asset_id"], row["name"]), ()))
        for row in rows
    )  # fmt: skip
    return [one for one in made if one]


async def _columns(connection: AsyncConnection, asset_ids: Sequence[str]) -> dict[str, list[Any]]:
    view = _view("column")
    found: dict[str, list[Any]] = defaultdict(list)
    for start in range(0, len(asset_ids), _CHUNK):
        chunk = list(asset_ids[start : start + _CHUNK])
        query = sa.select(view).where(key_in(connection, view.c.asset_id, chunk))
        for row in await connection.execute(query.order_by(view.c.asset_id, view.c.position)):
            found[row.asset_id].append(row._mapping)
    return found


async def _terms(connection: AsyncConnection, asset_ids: Sequence[str]) -> _Terms:
    view: Any = sa.table(
        "v1_asset_terms", *(sa.column(name, sa.Text) for name in ("asset_id", "column_name", "term_id", "standing"))
    )
    found: _Terms = defaultdict(list)
    for start in range(0, len(asset_ids), _CHUNK):
        mine = key_in(connection, view.c.asset_id, list(asset_ids[start : start + _CHUNK]))
        query = sa.select(view.c.asset_id, view.c.column_name, view.c.term_id)
        for row in await connection.execute(query.where(mine, view.c.standing == "assigned")):
            found[row.asset_id, row.column_name].append(row.term_id)
    return found


def _view(kind: Kind) -> Any:
    return sa.table(VIEWS[kind], *(sa.column(name, _type(name)) for name in sorted(fields_of(kind))))


def _others(kind: Kind) -> list[str]:
    return sorted(fields_of(kind) - {_KEYS[kind]})


def _type(name: str) -> Any:
    if name in _KEYS.values():
        return sa.Text
    if name.endswith(_MOMENTS):
        return UtcTime
    return sa.Boolean if name in _FLAGS else sa.types.NullType
