"""Who may do what in PostgreSQL: the rights of the role that runs, and who keeps our tables from being changed."""

from __future__ import annotations

import sqlalchemy as sa

from service.mirror.described import VIEWS
from service.mirror.store import Store
from service.mirror.tables import metadata

#: What the running service may do with each table; what is not named here, with all of them.
_ALL = "SELECT, INSERT, UPDATE, DELETE"
_LESS = {"audit_log": "SELECT, INSERT"}

_HOLDERS = sa.text("""
    SELECT DISTINCT a.pid, a.usename, a.application_name, a.state, date_trunc('second', now() - a.xact_start) AS since
    FROM pg_locks l
    JOIN pg_class c ON c.oid = l.relation
    JOIN pg_stat_activity a ON a.pid = l.pid
    WHERE l.granted AND c.relname = ANY(:tables) AND a.pid <> pg_backend_pid() AND a.datname = current_database()
    ORDER BY since DESC NULLS LAST LIMIT 5
""")


def grant(connection: sa.Connection, role: str, schema: str | None) -> None:
    """Give the role that runs what it needs of everything that is there: rows, never the schema."""
    quote = connection.dialect.identifier_preparer.quote
    who, where = quote(role), quote(schema or _schema_of(connection))
    connection.execute(sa.text(f"GRANT USAGE ON SCHEMA {where} TO {who}"))
    for table in metadata.tables.values():
        connection.execute(sa.text(f"GRANT {_LESS.get(table.name, _ALL)} ON {where}.{quote(table.name)} TO {who}"))
        for sequence in (f"{table.name}_{column.name}_seq" for column in table.columns if column.autoincrement is True):
            connection.execute(sa.text(f"GRANT USAGE ON SEQUENCE {where}.{quote(sequence)} TO {who}"))
    for name in (*VIEWS, "alembic_version"):
        connection.execute(sa.text(f"GRANT SELECT ON {where}.{quote(name)} TO {who}"))


def _schema_of(connection: sa.Connection) -> str:
    return str(connection.execute(sa.text("SELECT current_schema()")).scalar_one())


async def holders(store: Store) -> str:
    """Who holds locks on our tables: process, role, program, and since when, as far as this role may see it."""
    async with store.reading() as connection:
        rows = (await connection.execute(_HOLDERS, {"tables": list(metadata.tables)})).all()
    named = [f"session {row.pid} of {row.usename} ({row.application_name or '?'}, since {row.since})" for row in rows]
    return ", ".join(named) or "somebody"
