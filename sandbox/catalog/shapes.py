"""What generated assets look like: a hundred of them in a row have these shapes, and then it starts again."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.catalog import cards
from sandbox.catalog.cards import Card
from sandbox.catalog.containers import CALLER, ContainerKind
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.tables import AWKWARD_COLUMN, Table, column

#: A password that generated connections carry in clear; it must not be found anywhere outside the catalog.
CLEAR_SECRET = "pocket-clear-password-7319"
#: The id of the connection type that generated connections are of.
DATASOURCE_TYPE = "8c1a4480-1c29-4b33-9086-9cb799d7b157"


@dataclass(frozen=True, slots=True)
class Seedling:
    """What a shape knows of the asset that it makes."""

    asset_id: str
    bits: int
    kind: ContainerKind
    container_id: str
    created_ms: int
    by: str
    table: Table
    index: int
    #: The connection that its data lie behind; it need not exist.
    connection_id: str
    ids: Ids
    terms: int


#: Puts attributes and attachments on a card that has its metadata.
Furnish = Callable[[Card, Seedling], None]


def _table(card: Card, seed: Seedling) -> None:
    table = seed.table
    properties = [{"name": "schema_name", "value": table.schema}, {"name": "table_name", "value": table.name}]
    mime = "application/x-ibm-rel-table"
    card["entity"]["data_asset"] = {
        "mime_type": mime,
        "dataset": True,
        "properties": properties,
        "columns": table.columns,
    }
    card["entity"]["column_info"] = table.column_info
    card["metadata"]["resource_key"] = f"db.example.com|50001|RETAIL:/{table.schema}/{table.name}_{seed.index}"
    card["attachments"] = [
        cards.remote_attachment(
            seed.ids.of(Kind.ATTACHMENT, 2 * seed.index),
            "data_asset",
            "remote",
            connection_id=seed.connection_id,
            path=f"/{table.schema}/{table.name}_{seed.index}",
            by=seed.by,
            created_ms=seed.created_ms,
        )
    ]


def _with_terms(card: Card, seed: Seedling) -> None:
    _table(card, seed)
    numbers = {seed.bits % seed.terms, seed.bits // 64 % seed.terms}
    card["entity"]["asset_terms"] = {
        "list": [
            {"term_id": seed.ids.of(Kind.ARTIFACT, number), "term_display_name": f"Term {number}"}
            for number in sorted(numbers)
        ]
    }


def _profiled(card: Card, seed: Seedling) -> None:
    _table(card, seed)
    profile_id, attachment_id = seed.ids.of(Kind.PROFILE, seed.index), seed.ids.of(Kind.ATTACHMENT, 2 * seed.index + 1)
    made = cards.profile(
        profile_id, seed.asset_id, seed.kind, seed.container_id, created_s=seed.created_ms / 1000, by=seed.by
    )
    inner = made["entity"]["data_profile"]
    inner["execution"] = {"status": "finished", "is_supported": True, "dataflow_id": f"flow-{seed.index}"}
    inner["attachment_id"] = attachment_id
    card["entity"]["data_profile"] = {profile_id: made, "attribute_classes": ["NoClassDetected", "Organization Name"]}
    size = 9000 + seed.bits % 999
    card["metadata"]["size"] = size
    card["attachments"].append(
        cards.referenced_attachment(
            attachment_id,
            "data_profile",
            f"data_profile_{profile_id}",
            key=f"data_profile_{profile_id}",
            by=seed.by,
            created_ms=seed.created_ms,
            size=size,
        )
    )


def _file(card: Card, seed: Seedling) -> None:
    _flat_file(card, seed)
    card["entity"]["data_asset"] |= {"dataset": True, "columns": seed.table.columns[:5]}


def _flat_file(card: Card, seed: Seedling) -> None:
    name = f"{seed.table.name.lower()}_{seed.index}.csv"
    card["entity"]["data_asset"] = {
        "mime_type": "text/csv",
        "dataset": False,
        "properties": [{"name": "file_name", "value": name}, {"name": "first_line_header", "value": "false"}],
    }
    card["metadata"] |= {"resource_key": name, "origin_country": "united states"}
    card["attachments"] = [
        cards.referenced_attachment(
            seed.ids.of(Kind.ATTACHMENT, 2 * seed.index),
            "data_asset",
            name,
            key=name,
            by=seed.by,
            created_ms=seed.created_ms,
            size=0,
        )
    ]


def _odd(card: Card, seed: Seedling) -> None:
    """`dataset: false` with columns, and a column whose name is awkward."""
    _table(card, seed)
    data_asset = card["entity"]["data_asset"]
    data_asset |= {"dataset": False, "columns": [*data_asset["columns"], column(AWKWARD_COLUMN)]}
    card["entity"]["column_info"] = {
        **seed.table.column_info,
        AWKWARD_COLUMN: {"column_description": "Its name must be escaped.", "column_tags": ["odd"]},
    }


def _odd_list(card: Card, seed: Seedling) -> None:
    """Column-level attributes as a list."""
    _odd(card, seed)
    named = seed.table.columns[1]["name"]
    listed = [{"name": named, "OtherColumnProperty": "v"}, {"name": AWKWARD_COLUMN, "OtherColumnProperty": 1}]
    card["entity"]["column_level_custom_attribute"] = {"columns": listed}


def _odd_map(card: Card, seed: Seedling) -> None:
    """Column-level attributes as a map."""
    _odd(card, seed)
    named = seed.table.columns[1]["name"]
    mapped = {named: {"host": "h", "field1": "v"}, AWKWARD_COLUMN: {"host": "h"}}
    card["entity"]["column_attribute"] = {"columns": mapped}


def _classified(card: Card, seed: Seedling) -> None:
    """Classified by hand before anything was profiled: the attribute holds no profile at all."""
    _table(card, seed)
    manual = [{"id": "cl-1", "name": "Confidential", "global_id": "repository_cl-1"}]
    card["entity"]["data_profile"] = {"data_classification_manual": manual}
    info = {seed.table.columns[0]["name"]: {"column_classifications": manual}}
    card["entity"]["column_info"] = {**seed.table.column_info, **info}


def _discovered(card: Card, seed: Seedling) -> None:
    _table(card, seed)
    card["entity"]["discovered_asset"] = {"connection_id": card["attachments"][0]["connection_id"]}
    card["metadata"] |= {"tags": ["discovered", seed.table.schema], "created": 0, "owner": "dana@example.com"}


def _connection(card: Card, seed: Seedling) -> None:
    card["entity"]["connection"] = {
        "datasource_type": DATASOURCE_TYPE,
        "context": "source,target",
        "properties": {
            "bucket": "pocket",
            "url": "https://storage.example.com",
            "access_key": f"AKPOCKET{seed.bits % 10**8:08d}",
            "secret_key": "{wdpaes}c2VjcmV0LW9mLXRoZS1wb2NrZXQ=",
            "api_key": "{wdpaes}YXBpLWtleS1vZi10aGUtcG9ja2V0",
            "resource_instance_id": f"instance-{seed.index}",
        },
        "flags": [],
    }


def _clear_connection(card: Card, seed: Seedling) -> None:
    card["entity"]["connection"] = {
        "datasource_type": DATASOURCE_TYPE,
        "context": "source",
        "properties": {
            "host": "db.example.com",
            "port": "50001",
            "database": "RETAIL",
            "username": "reader",
            "password": CLEAR_SECRET,
        },
        "flags": ["personal_credentials"] if seed.bits & 1 else [],
    }


def _book(card: Card, seed: Seedling) -> None:
    author = {"first_name": "Anna", "last_name": f"Writer {seed.index}"}
    card["entity"]["book"] = {"author": author, "price": 12.5, "pages": seed.bits % 900}


def _folder(card: Card, seed: Seedling) -> None:
    card["entity"]["folder_asset"] = {"connection_id": seed.connection_id, "connection_path": f"/landing/{seed.index}"}


def _restricted(card: Card, seed: Seedling) -> None:
    """Mode 8: who is no member of the asset sees its metadata only; the mirror's user is a member of half of them."""
    _table(card, seed)
    roles = {seed.by: {"user_iam_id": seed.by, "roles": ["OWNER"]}}
    if seed.bits & 1:
        roles[CALLER] = {"user_iam_id": CALLER, "roles": ["VIEWER"]}
    card["metadata"]["rov"] = {"mode": 8, "collaborator_ids": {}, "member_roles": roles}


#: Shape, asset type, how many of a hundred, maker.
_SHARES: tuple[tuple[str, str, int, Furnish], ...] = (
    ("table", "data_asset", 50, _table),
    ("with_terms", "data_asset", 10, _with_terms),
    ("profiled", "data_asset", 12, _profiled),
    ("file", "data_asset", 8, _file),
    ("flat_file", "data_asset", 3, _flat_file),
    ("odd_list", "data_asset", 2, _odd_list),
    ("odd_map", "data_asset", 1, _odd_map),
    ("classified", "data_asset", 2, _classified),
    ("discovered", "data_asset", 2, _discovered),
    ("connection", "connection", 4, _connection),
    ("clear_connection", "connection", 2, _clear_connection),
    ("book", "book", 2, _book),
    ("folder", "folder_asset", 1, _folder),
    ("restricted", "data_asset", 1, _restricted),
)  # fmt: skip
#: Shapes without a trap, for tests that are about something else.
PLAIN_SHAPES = frozenset({"table", "with_terms", "profiled", "file"})
CYCLE_LENGTH = 100


@dataclass(frozen=True, slots=True)
class Shape:
    """How one of the hundred is made."""

    name: str
    asset_type: str
    furnish: Furnish


#: Where the first connection of a cycle stands.
CONNECTION_OFFSET = [name for name, _, _, _ in _SHARES].index("connection")


def make_cycle(odd: bool) -> list[Shape]:
    """The hundred shapes; the first ones are one of each, so that a small catalog has something of everything."""
    kept = [share for share in _SHARES if odd or share[0] in PLAIN_SHAPES]
    first = [Shape(name, asset_type, furnish) for name, asset_type, _, furnish in kept]
    rest = [shape for shape, (_, _, count, _) in zip(first, kept, strict=True) for _ in range(count - 1)]
    random.Random(CYCLE_LENGTH).shuffle(rest)
    missing = CYCLE_LENGTH - len(first) - len(rest)
    return [*first, *rest, *first[:1] * missing]


def collaborator_forms(by: str, bits: int) -> Any:
    """`collaborator_ids` in one of the forms that the catalog has had over the years."""
    entry = {"user_iam_id": by}
    forms: tuple[Any, ...] = ({}, [], [{by: entry}], {by: entry})
    return forms[bits % len(forms)]
