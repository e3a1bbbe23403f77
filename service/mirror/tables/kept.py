"""Every state that was the row, and those that came too late to be it: kept where RETENTION__HISTORY says so."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Table

from service.mirror.tables.columns import key_of, metadata
from service.mirror.tables.mirrored import assets, containers, data_profiles, lineage_events, things

#: Whatever has versions, by kind.
VERSIONED: dict[str, Table] = {
    "container": containers, "asset": assets, "data_profile": data_profiles, "lineage_event": lineage_events, **things
}  # fmt: skip
#: The tables of states by kind; lineage events are no states.
STATES: dict[str, Table] = {kind: table for kind, table in VERSIONED.items() if table is not lineage_events}


def _history_of(table: Table) -> Table:
    """A row per state with a moment: the columns of the table itself, named by its key and the version."""
    key = key_of(table).name
    kept = (
        Column(told.name, told.type, primary_key=told.name in (key, "version"), nullable=told.nullable,
               comment=told.comment)
        for told in table.c if told.name != "replaces"
    )  # fmt: skip
    return Table(
        f"{table.name}_history", metadata, *kept,
        Column("is_exact", Boolean, nullable=False, comment="An event tells the moment; else a reading found it so"),
        Index(f"{table.name}_history_at", "version_at"),
    )  # fmt: skip


#: Their histories by kind.
HISTORIES: dict[str, Table] = {kind: _history_of(table) for kind, table in STATES.items()}
