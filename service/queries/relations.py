"""The views as tables that queries select from, with the type that each column has on both stores."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.types import TypeEngine

from service.mirror.described import VIEWS, View
from service.mirror.tables import UtcTime, metadata

#: Columns that the views make: those of no table, by name.
_MADE: dict[str, type[TypeEngine[Any]]] = {
    **dict.fromkeys(
        (
            "changed_at", "started_at", "ended_at", "last_event_at", "nominal_start", "nominal_end", "last_started_at",
            "last_ended_at", "last_completed_at", "last_failed_at", "valid_from", "valid_to",
        ),
        UtcTime,
    ),
    **dict.fromkeys(("is_stub", "is_own", "is_chosen", "is_crossed", "values_hidden"), sa.Boolean),
    **dict.fromkeys(
        (
            "precision", "row_count", "distinct_count", "null_count", "empty_count", "unique_count", "max_frequency",
            "runs", "completed", "failed", "aborted", "running", "lost", "depth", "uses", "open_gaps",
        ),
        sa.BigInteger,
    ),
    **dict.fromkeys(
        (
            "null_ratio", "distinct_ratio", "min_number", "max_number", "mean", "stddev", "difference", "duration_s",
            "last_duration_s",
        ),
        sa.Float,
    ),
}  # fmt: skip

_views = sa.MetaData()


def _type_of(view: View, name: str) -> TypeEngine[Any]:
    """Of the table that the view is named after; else as the views make it; else as any table has it; else text."""
    own = metadata.tables.get(view.name.removeprefix("v1_"))
    if own is not None and name in own.c:
        return own.c[name].type
    if name in _MADE:
        return _MADE[name]()
    found = (table.c[name].type for table in metadata.sorted_tables if name in table.c)
    return next(found, sa.Text())


#: Every view by its name.
RELATIONS: dict[str, sa.Table] = {
    view.name: sa.Table(view.name, _views, *(sa.Column(name, _type_of(view, name)) for name in view.columns))
    for view in VIEWS.values()
}
