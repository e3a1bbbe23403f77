"""Made-up tables for generated data assets: columns, and what people and profiling say about them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

from sandbox.catalog.ids import Ids, Kind

#: Different tables; generated assets share their columns, so a card costs little.
TABLE_COUNT = 48
COLUMN_COUNT = 8

_SUBJECTS = ("CUSTOMER", "ORDER", "INVOICE", "PAYMENT", "PRODUCT", "SUPPLIER", "SHIPMENT", "EMPLOYEE")
_ROLES = ("HEAD", "LINE", "HISTORY", "STAGING", "SNAPSHOT", "MASTER")
#: Name, type, length, data class.
_COLUMNS = (
    ("ID", "bigint", 19, "Identifier"),
    ("FULL_NAME", "varchar", 80, "Person Name"),
    ("EMAIL", "varchar", 120, "Email Address"),
    ("PHONE", "varchar", 24, "Phone Number"),
    ("CITY", "varchar", 60, "City"),
    ("COUNTRY_CODE", "char", 2, "Country Code"),
    ("AMOUNT", "decimal", 18, "Quantity"),
    ("CURRENCY", "char", 3, "Currency"),
    ("CREATED_ON", "date", 10, "Date"),
    ("UPDATED_AT", "timestamp", 26, "Date"),
    ("IS_ACTIVE", "boolean", 1, "Boolean"),
    ("NOTES", "varchar", 4000, "Text"),
    ("DISCOUNT", "decimal", 5, "Quantity"),
    ("IBAN", "varchar", 34, "International Bank Account Number"),
    ("BIRTHDAY", "date", 10, "Date of Birth"),
    ("PAYLOAD", "sqlxml", 2000, "Text"),
)
#: A column whose name must be escaped in a pointer, and does not end a routing key or a path well.
AWKWARD_COLUMN = "a/b~c"


@dataclass(frozen=True, slots=True)
class Table:
    """One made-up table."""

    schema: str
    name: str
    columns: list[dict[str, Any]]
    column_info: dict[str, dict[str, Any]]


def make_tables(seed: int, ids: Ids, terms: int) -> list[Table]:
    """The tables of a catalog; their columns refer to its first `terms` glossary terms."""
    rng = random.Random(seed)
    return [_table(rng, number, ids, terms) for number in range(TABLE_COUNT)]


def _table(rng: random.Random, number: int, ids: Ids, terms: int) -> Table:
    chosen = [_COLUMNS[0], *rng.sample(_COLUMNS[1:], COLUMN_COUNT - 1)]
    return Table(
        schema=f"RETAIL{number % 7}",
        name=f"{_SUBJECTS[number % len(_SUBJECTS)]}_{_ROLES[number // len(_SUBJECTS)]}",
        columns=[column(name, kind, length) for name, kind, length, _ in chosen],
        column_info={
            name: _told(rng, name, kind, length, data_class, ids, terms) for name, kind, length, data_class in chosen
        },
    )


def column(name: str, kind: str = "varchar", length: int = 80) -> dict[str, Any]:
    """A column as a card holds it."""
    numeric = kind in ("bigint", "decimal")
    return {
        "name": name,
        "type": {
            "type": kind,
            "length": length,
            "scale": 2 if kind == "decimal" else 0,
            "nullable": name != "ID",
            "signed": numeric,
        },
    }


def _told(
    rng: random.Random, name: str, kind: str, length: int, data_class: str, ids: Ids, terms: int
) -> dict[str, Any]:
    term = rng.randrange(terms)
    told: dict[str, Any] = {
        "name": name,
        "column_description": f"The {name.lower().replace('_', ' ')} as it is kept in the source.",
        "data_class": {
            "selected_data_class": {"id": f"dc-{data_class}", "name": data_class, "setByUser": rng.random() < 0.2}
        },
        "inferred_type": {
            "type": "STRING",
            "length": length,
            "precision": 0,
            "scale": 0,
            "display_name": f"{kind}({length})",
        },
        "quality": {"score": rng.choice((100, 98, 97.5, 80))},
    }
    if rng.random() < 0.4:
        told["column_terms"] = [
            {"term_id": ids.of(Kind.ARTIFACT, term), "term_display_name": f"Term {term}", "confidence": 0.98}
        ]
    if rng.random() < 0.2:
        told["column_tags"] = ["reviewed"]
    return told
