"""The views described, as Markdown for people and as sources for dbt; made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from service.mirror.described import VIEWS, View


def markdown() -> str:
    """Every view with its columns."""
    lines: list[str] = []
    for view in VIEWS.values():
        lines += ["", f"### {view.name}", "", f"{view.comment}. A row is named by {_key(view)}.", ""]
        lines += ["| column | meaning |", "| --- | --- |"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in view.columns.items()]
    return "\n".join(lines[1:]) + "\n"


def _key(view: View) -> str:
    return ", ".join(f"`{name}`" for name in view.key)


def dbt_sources() -> str:
    """The views as a dbt source, with tests: keys are there and unique, freshness is looked at."""
    source: dict[str, Any] = {
        "name": "catalog_mirror",
        "description": "The live copy of the data catalog that Catalog Mirror keeps.",
        "schema": "{{ var('catalog_mirror_schema', target.schema) }}",
        "tables": list(_tables()),
    }
    head = "# Made by `catalog-mirror docs dbt`; do not edit.\n"
    return head + yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=110, allow_unicode=True)


def _tables() -> Iterator[dict[str, Any]]:
    for view in VIEWS.values():
        columns = []
        for name, meaning in view.columns.items():
            column: dict[str, Any] = {"name": name, "description": meaning}
            if name in view.key:
                column["data_tests"] = ["not_null", *(["unique"] if len(view.key) == 1 else [])]
            columns.append(column)
        yield {"name": view.name, "description": view.comment, "columns": columns}
