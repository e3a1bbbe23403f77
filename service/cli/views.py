"""The views described, as Markdown for people and as sources for dbt; made from the code."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from service.mirror.described import HISTORY_VIEWS, READ_AS, VIEWS, View
from service.settings.model import SyncSettings

#: Hours after which dbt warns, and fails, about a view: two rotations (SYNC__ROTATION), and a reconcile that did not
#: come (SYNC__RECONCILE). Variables of the project change them.
_WARN_AFTER_H, _ERROR_AFTER_H = 12, 26


#: Histories are described once for all, and are no sources of dbt until somebody keeps them.
_NOW_KNOWN = [view for view in VIEWS.values() if view not in HISTORY_VIEWS.values()]


def markdown() -> str:
    """Every view with its columns."""
    lines: list[str] = []
    for view in _NOW_KNOWN:
        lines += ["", f"### {view.name}", "", f"{view.comment}. A row is named by {_key(view)}.", ""]
        lines += ["| column | meaning |", "| --- | --- |"]
        lines += [f"| `{name}` | {meaning} |" for name, meaning in view.columns.items()]
    return "\n".join(lines[1:]) + "\n"


def _key(view: View) -> str:
    return ", ".join(f"`{name}`" for name in view.key)


def dbt_sources() -> str:
    """The views as a dbt source, with tests (keys are there and unique) and with what makes them stale."""
    source: dict[str, Any] = {
        "name": "catalog_mirror",
        "description": "The live copy of the data catalog that Catalog Mirror keeps.",
        "schema": "{{ var('catalog_mirror_schema', target.schema) }}",
        "tables": list(_tables()),
    }
    head = "# Made by `catalog-mirror docs dbt`; do not edit.\n"
    return head + yaml.safe_dump({"version": 2, "sources": [source]}, sort_keys=False, width=110, allow_unicode=True)


def _tables() -> Iterator[dict[str, Any]]:
    for view in _NOW_KNOWN:
        columns = []
        for name, meaning in view.columns.items():
            column: dict[str, Any] = {"name": name, "description": meaning}
            if name in view.key:
                column["data_tests"] = ["not_null", *(["unique"] if len(view.key) == 1 else [])]
            columns.append(column)
        told = _freshness(view)
        yield {"name": view.name, "description": view.comment, **({"config": told} if told else {}), "columns": columns}


def _freshness(view: View) -> dict[str, Any] | None:
    """When a view counts as stale: the container that was looked at longest ago decides.

    Rows say nothing about that: what does not change is not written. What is not read unless settings ask for it, and
    what events alone tell, is never stale.
    """
    kind = READ_AS.get(view.name)
    if kind is None or kind in SyncSettings().skip:
        return None
    return {
        "loaded_at_query": (
            "select min(greatest(complete_as_of, reconciled_at, polled_at))"  # noqa: S608 (a name of ours)
            f" from {{{{ this.schema }}}}.v1_freshness where kind = '{kind}'"
        ),
        "freshness": {
            "warn_after": _after("warn", _WARN_AFTER_H),
            "error_after": _after("error", _ERROR_AFTER_H),
        },
    }


def _after(what: str, hours: int) -> dict[str, Any]:
    return {"count": f"{{{{ var('catalog_mirror_{what}_after_hours', {hours}) | as_number }}}}", "period": "hour"}
