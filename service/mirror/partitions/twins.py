"""The twin of a table: the same columns, indexes, settings and rights, in parts by hash, or whole again.

A trigger carries every write over, in the transaction that does it: so to any snapshot the twin holds what was written
since it was made, and what was copied. What is in the way is told before anything is made; whatever else hangs on a
table has the last step fail as a whole, as the table is dropped there without `CASCADE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql
from sqlalchemy.ext.asyncio import AsyncConnection

#: Bytes of a name; PostgreSQL cuts what is longer.
_NAME_BYTES = 63

_quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]

_PARTS = """
    SELECT CASE WHEN c.relkind = 'p' THEN (SELECT count(*) FROM pg_inherits WHERE inhparent = c.oid) ELSE 1 END
      FROM pg_class c WHERE c.oid = to_regclass(:table)
"""
#: What cannot come along. `_RETURN` is the rule that a view is.
_OBSTACLES = """
    SELECT 'it has row-level security'
      FROM pg_class WHERE oid = to_regclass(:table) AND relrowsecurity
    UNION ALL SELECT 'the trigger ' || tgname || ' hangs on it'
      FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND NOT tgisinternal AND tgname <> :ours
    UNION ALL SELECT 'the publication ' || pubname || ' names it'
      FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = to_regclass(:table)
    UNION ALL SELECT 'the unique index ' || i.indexrelid::regclass || ' leaves out the column that parts are made by'
      FROM pg_index i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attname = :column
     WHERE i.indrelid = to_regclass(:table) AND i.indisunique AND NOT a.attnum = ANY(i.indkey::int2[])
    UNION ALL SELECT DISTINCT 'the rule ' || r.rulename || ' of ' || v.oid::regclass || ' refers to it'
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND d.refobjid = to_regclass(:table) AND v.relkind <> 'v'
    UNION ALL SELECT DISTINCT 'the view ' || v.oid::regclass || ' of ' || pg_get_userbyid(v.relowner) || ' refers to it'
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND d.refobjid = to_regclass(:table) AND v.relkind = 'v' AND NOT pg_has_role(v.relowner, 'USAGE')
    UNION ALL SELECT 'the foreign key ' || conname || ' of ' || conrelid::regclass || ' refers to it'
      FROM pg_constraint WHERE contype = 'f' AND confrelid = to_regclass(:table)
    UNION ALL SELECT :left || ' is still there, which an earlier move kept: drop it first'
      FROM pg_class WHERE oid = to_regclass(:left)
"""
_OWNER = "SELECT quote_ident(pg_get_userbyid(relowner)) FROM pg_class WHERE oid = to_regclass(:table)"
_NAMES = """
    SELECT quote_ident(attname) FROM pg_attribute
     WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
_COLUMNS = """
    SELECT array_agg(format('%I %s%s', attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN '!' END)
                     ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped
"""
#: What an index is behind its name and table.
_INDEXES = """
    SELECT c.relname AS name, i.indisprimary AS is_key, i.indisunique AS is_unique,
           substring(pg_get_indexdef(i.indexrelid) FROM ' USING .*$') AS told
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
     WHERE i.indrelid = to_regclass(:table) AND i.indisvalid ORDER BY c.relname
"""
#: Of a table in parts, those of its first part: it has none itself.
_OPTIONS = """
    SELECT coalesce(c.reloptions, '{}') || coalesce((SELECT array_agg('toast.' || o) FROM unnest(t.reloptions) o), '{}')
      FROM pg_class c LEFT JOIN pg_class t ON t.oid = c.reltoastrelid
     WHERE c.oid = coalesce((SELECT min(inhrelid::int8)::oid FROM pg_inherits WHERE inhparent = to_regclass(:table)),
                            to_regclass(:table))
"""
_MORE = """
    SELECT format('ALTER TABLE %s ALTER COLUMN %I SET STATISTICS %s', CAST(:twin AS text), attname, attstattarget)
      FROM pg_attribute
     WHERE attrelid = to_regclass(:table) AND attnum > 0 AND NOT attisdropped AND attstattarget > 0
    UNION ALL SELECT format('COMMENT ON TABLE %s IS %L', CAST(:twin AS text), obj_description(to_regclass(:table)))
     WHERE obj_description(to_regclass(:table)) IS NOT NULL
    UNION ALL SELECT format(
               'GRANT %s%s ON %s TO %s%s', a.privilege_type, g.columns, CAST(:twin AS text),
               CASE WHEN a.grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(a.grantee)) END,
               CASE WHEN a.is_grantable THEN ' WITH GRANT OPTION' END)
      FROM (SELECT relacl AS acl, '' AS columns FROM pg_class WHERE oid = to_regclass(:table)
            UNION ALL SELECT attacl, format(' (%I)', attname) FROM pg_attribute
             WHERE attrelid = to_regclass(:table) AND NOT attisdropped) g, aclexplode(g.acl) a
"""
#: Views that name the table, as what they are, with their options: made again over it they keep rights and comments.
_VIEWS = """
    SELECT DISTINCT format('CREATE OR REPLACE VIEW %s%s AS %s', v.oid::regclass,
                           ' WITH (' || array_to_string(v.reloptions, ', ') || ')', pg_get_viewdef(v.oid))
      FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid JOIN pg_class v ON v.oid = r.ev_class
     WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
       AND d.refobjid = to_regclass(:table)
"""
_CARRIES = "SELECT count(*) FROM pg_trigger WHERE tgrelid = to_regclass(:table) AND tgname = :ours AND tgenabled <> 'D'"


@dataclass(frozen=True, slots=True)
class Twin:
    """A table of ours, and what is made beside it, in the schema (quoted) that both are in."""

    table: sa.Table
    schema: str

    @property
    def original(self) -> str:
        """The table, as SQL names it."""
        return f"{self.schema}.{self.table.name}"

    @property
    def trigger(self) -> str:
        """What carries writes over is called like the twin is in its schema."""
        return f"{self.table.name}_parted"

    @property
    def name(self) -> str:
        """The twin, as SQL names it; the function of the trigger is called the same."""
        return f"{self.schema}.{self.trigger}"

    @property
    def left(self) -> str:
        """What was the table before, in its schema."""
        return f"{self.table.name}_whole"

    @property
    def keys(self) -> str:
        """The columns of the primary key; by the first of them parts are made."""
        return ", ".join(_quote(column.name) for column in self.table.primary_key)

    @property
    def column(self) -> str:
        """The one that parts are made by."""
        return str(next(iter(self.table.primary_key)).name)


async def parts_of(connection: AsyncConnection, table: str) -> int | None:
    """How many parts a table has, 1 where it is whole; None where it is not there."""
    return (await connection.execute(sa.text(_PARTS), {"table": table})).scalar()


async def obstacles(connection: AsyncConnection, twin: Twin) -> list[str]:
    """What is in the way of giving the table another form, in words."""
    told = {"table": twin.original, "ours": twin.trigger, "column": twin.column, "left": f"{twin.schema}.{twin.left}"}
    return list((await connection.execute(sa.text(_OBSTACLES), told)).scalars())


async def become_owner(connection: AsyncConnection, twin: Twin) -> None:
    """Whatever is made in this transaction belongs to whom the table belongs to, whoever makes it."""
    owner = (await connection.execute(sa.text(_OWNER), {"table": twin.original})).scalar_one()
    await connection.exec_driver_sql(f"SET LOCAL ROLE {owner}")


async def fits(connection: AsyncConnection, twin: Twin, parts: int) -> bool:
    """Whether a twin of so many parts is there, with the columns and indexes of the table, and has its writes."""
    carries = await connection.scalar(sa.text(_CARRIES), {"table": twin.original, "ours": twin.trigger})
    if not carries or await parts_of(connection, twin.name) != parts:
        return False
    return await _form(connection, twin.original) == await _form(connection, twin.name)


async def make(connection: AsyncConnection, twin: Twin, parts: int) -> None:
    """Make the twin, empty, and have every write to the table done to it, too."""
    indexes = await _indexes(connection, twin.original)
    (key,) = (_quote(_other(index.name, "parted")) for index in indexes if index.is_key)
    options = await connection.scalar(sa.text(_OPTIONS), {"table": twin.original})
    with_options = f" WITH ({', '.join(map(_option, options))})" if options else ""
    form = f" PARTITION BY HASH ({_quote(twin.column)})" if parts > 1 else with_options
    statements = [
        f"CREATE TABLE {twin.name} (LIKE {twin.original} INCLUDING ALL EXCLUDING INDEXES, "
        f"CONSTRAINT {key} PRIMARY KEY ({twin.keys})){form}"
    ]
    statements += (
        f"CREATE TABLE {twin.schema}.{twin.table.name}_{parts}_{part} PARTITION OF {twin.name} "
        f"FOR VALUES WITH (MODULUS {parts}, REMAINDER {part}){with_options}"
        for part in range(parts if parts > 1 else 0)
    )
    statements += (
        f"CREATE {'UNIQUE ' * index.is_unique}INDEX {_quote(_other(index.name, 'parted'))} ON {twin.name}{index.told}"
        for index in indexes
        if not index.is_key
    )
    told = {"table": twin.original, "twin": twin.name}
    statements += (await connection.execute(sa.text(_MORE), told)).scalars()
    for statement in statements:
        await connection.exec_driver_sql(statement)
    for statement in await _carrying(connection, twin):
        await connection.exec_driver_sql(statement)


async def _carrying(connection: AsyncConnection, twin: Twin) -> tuple[str, ...]:
    """A row that is written anew is taken out first; whoever copies rows locks them, so none is copied meanwhile."""
    names = await columns(connection, twin)
    old = ", ".join(f"OLD.{_quote(column.name)}" for column in twin.table.primary_key)
    new = ", ".join(f"NEW.{name}" for name in names)
    body = (
        f"BEGIN IF TG_OP <> 'INSERT' THEN DELETE FROM {twin.name} WHERE ({twin.keys}) = ({old}); END IF; "  # noqa: S608
        f"IF TG_OP <> 'DELETE' THEN INSERT INTO {twin.name} ({', '.join(names)}) VALUES ({new}); END IF; "
        "RETURN NULL; END"
    )
    return (
        f"CREATE FUNCTION {twin.name}() RETURNS trigger LANGUAGE plpgsql AS $carry${body}$carry$",
        f"CREATE TRIGGER {twin.trigger} AFTER INSERT OR UPDATE OR DELETE ON {twin.original} "
        f"FOR EACH ROW EXECUTE FUNCTION {twin.name}()",
    )


async def columns(connection: AsyncConnection, twin: Twin) -> list[str]:
    """The columns that the table had when the twin was made, quoted."""
    return list((await connection.execute(sa.text(_NAMES), {"table": twin.name})).scalars())


async def drop(connection: AsyncConnection, twin: Twin) -> None:
    """Take away what an interrupted move left."""
    await connection.exec_driver_sql(f"DROP TRIGGER IF EXISTS {twin.trigger} ON {twin.original}")
    await connection.exec_driver_sql(f"DROP FUNCTION IF EXISTS {twin.name}()")
    await connection.exec_driver_sql(f"DROP TABLE IF EXISTS {twin.name}")


async def swap(connection: AsyncConnection, twin: Twin, *, keep: bool) -> None:
    """Have the twin be the table, with what hung on that: views are the same ones as before, over it."""
    views = list((await connection.execute(sa.text(_VIEWS), {"table": twin.original})).scalars())
    names = [index.name for index in await _indexes(connection, twin.original)]
    statements = [
        f"DROP TRIGGER {twin.trigger} ON {twin.original}",
        f"DROP FUNCTION {twin.name}()",
        f"ALTER TABLE {twin.original} RENAME TO {twin.left}",
        f"ALTER TABLE {twin.name} RENAME TO {twin.table.name}",
        *(_renamed(twin, name, _other(name, "whole")) for name in names),
        *(_renamed(twin, _other(name, "parted"), name) for name in names),
        *views,
    ]
    if not keep:
        statements.append(f"DROP TABLE {twin.schema}.{twin.left}")
    for statement in statements:
        await connection.exec_driver_sql(statement)


def _renamed(twin: Twin, name: str, to: str) -> str:
    return f"ALTER INDEX {twin.schema}.{_quote(name)} RENAME TO {_quote(to)}"


async def _indexes(connection: AsyncConnection, table: str) -> list[Any]:
    return list(await connection.execute(sa.text(_INDEXES), {"table": table}))


async def _form(connection: AsyncConnection, table: str) -> tuple[Any, ...]:
    told = await connection.scalar(sa.text(_COLUMNS), {"table": table})
    return told, sorted((index.is_unique, index.told) for index in await _indexes(connection, table))


def _other(name: str, word: str) -> str:
    """The name of an index beside the one that has its name."""
    return f"{name.encode()[: _NAME_BYTES - len(word) - 1].decode(errors='ignore')}_{word}"


def _option(told: str) -> str:
    name, _, value = told.partition("=")
    return f"{name} = '{value}'"
