"""`python -m service.mirror.migrations NAME` writes the next migration: what the tables and kinds have and the last one
has not. Read it before you commit it: a change that is no addition breaks the version that runs beside it.
"""

from __future__ import annotations

import re
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import sqlalchemy as sa
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.migration import MigrationContext

from service.kinds import THINGS
from service.mirror import schema
from service.mirror.described import HISTORY_VIEWS
from service.mirror.tables import UtcTime, metadata
from service.mirror.views import history_of, view_of

_FILE = '''"""{title}.

Only adds, so that older code goes on running beside it.

Revision ID: {revision}
"""

import sqlalchemy as sa
from alembic import op

from service.mirror.tables import UtcTime

revision = "{revision}"
down_revision = "{before}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """{title}."""
    {tables}
{views}'''


def write(name: str, versions: Path) -> Path | None:
    """Write the next migration into the folder; None where there is nothing to add.

    Raises:
        ValueError: the name is no name of a file.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ValueError(f"{name!r} is no name: letters, digits and underscores, as in `what_jobs_cost`")
    with TemporaryDirectory() as directory:
        engine = sa.create_engine(f"sqlite:///{directory}/empty.db")
        with engine.begin() as connection:
            before = schema.upgrade_plainly(connection)
            tables, views = _tables(connection), list(_views(connection))
        engine.dispose()
    if tables is None and not views:
        return None
    revision = f"{int(before) + 1:04d}"
    path = versions / f"{revision}_{name}.py"
    title = name.replace("_", " ").capitalize()
    path.write_text(
        _FILE.format(
            title=title, revision=revision, before=before, tables=tables or "", views="".join(map(_statements, views))
        ),
        encoding="utf-8",
    )
    return path


def _tables(connection: sa.Connection) -> str | None:
    context = MigrationContext.configure(connection, opts={"compare_type": True, "compare_server_default": True})
    script = produce_migrations(context, metadata)
    assert script.upgrade_ops is not None
    if script.upgrade_ops.is_empty():
        return None
    lines = str(render_python_code(script.upgrade_ops, render_item=_rendered)).splitlines()
    return "\n".join(line for line in lines if not line.lstrip().startswith("# ###")).strip()


def _rendered(what: str, item: Any, context: Any) -> str | Literal[False]:
    """Moments by our own type; comments are written by `described`, not by migrations."""
    if what == "type" and isinstance(item, UtcTime):
        return "UtcTime()"
    if what == "column":
        item.comment = None
    return False


def _views(connection: sa.Connection) -> Iterator[tuple[str, str, bool]]:
    """Views that lack something, with their query, and whether they are there."""
    inspector = sa.inspect(connection)
    there = set(inspector.get_view_names())
    for kind in THINGS.values():
        view = f"v1_{kind.table}"
        has = [column["name"] for column in inspector.get_columns(view)] if view in there else []
        if not {kind.id_name, *(field.name for field in kind.fields)} <= set(has):
            yield view, view_of(kind, has), bool(has)
    for name, told in HISTORY_VIEWS.items():
        has = [column["name"] for column in inspector.get_columns(told.name)] if told.name in there else []
        if new := [column for column in told.columns if column not in has]:
            yield told.name, history_of(name, [*has, *new]), bool(has)


def _statements(view: tuple[str, str, bool]) -> str:
    name, query, is_there = view
    if not is_there:
        return _execute("CREATE", name, query, "    ")
    drop = f'        op.execute("DROP VIEW {name}")\n'
    on_sqlite = drop + _execute("CREATE", name, query, " " * 8)
    return f'    if op.get_bind().dialect.name == "sqlite":\n{on_sqlite}    else:\n' + _execute(
        "CREATE OR REPLACE", name, query, " " * 8
    )


def _execute(verb: str, name: str, query: str, margin: str) -> str:
    inner = margin + "    "
    parts = (
        textwrap.fill(part, 120, initial_indent=inner, subsequent_indent=inner + "  ", break_long_words=False)
        for part in query.splitlines()
    )
    lines = "\n".join(parts)
    return f'{margin}op.execute("""\n{inner}{verb} VIEW {name} AS\n{lines}\n{margin}""")\n'


def main() -> int:
    """Write it, and say where, or that there is nothing to write."""
    name = sys.argv[1] if len(sys.argv) == 2 else ""
    try:
        path = write(name, Path(__file__).parent / "versions")
    except ValueError as error:
        print(f"{error}", file=sys.stderr)
        return 2
    if path is None:
        print("The tables are those of the last migration: nothing to write.")
        return 0
    print(f"Wrote {path}. If the code cannot do without it, name it as schema.OLDEST.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
