"""A reader of PostgreSQL who sees the rows of some containers alone, through views of their own.

Each `v1_…` view has one of the same name in a schema of the reader's: the same columns, and the rows of the chosen
containers. `CREATE POLICY` would not do: policies bind whoever reads a table, and our views read with the rights of
their owner; readers would need rights on the tables themselves, with all that is in them. A view with
`security_barrier` shows nothing of what it leaves out to functions that a reader brings, either (PostgreSQL's manual,
"Rules and Privileges"). What not every member may see is left out by the `v1_…` views themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from sqlalchemy.dialects import postgresql

from service.mirror.described import VIEWS
from service.mirror.tables import metadata

#: Containers of one reader at most.
MAX_CONTAINERS = 1000

_quote = postgresql.dialect().identifier_preparer.quote  # type: ignore[no-untyped-call]
#: An asset, or a profile, that the reader sees.
_SEEN = (
    "(EXISTS (SELECT FROM {mine}.v1_assets s WHERE s.asset_id = {id}) "
    "OR EXISTS (SELECT FROM {mine}.v1_data_profiles p WHERE p.profile_id = {id}))"
)
#: What decides where the container of the row alone does not; `here:column` and `seen:column` are written out.
_RULES = {
    # Lineage refers to profiles as if they were assets, of which nobody knows where they live.
    "v1_assets": (
        "{here:v.container_id} AND (v.container_id IS NOT NULL "
        "OR NOT EXISTS (SELECT FROM {all}.data_profiles d WHERE d.profile_id = v.asset_id))"
    ),
    # By what all of its edges name: its document tells of each.
    "v1_lineage_events": (
        "EXISTS (SELECT FROM {all}.lineage_edges e WHERE e.event_id = v.event_id) "
        "AND NOT EXISTS (SELECT FROM {all}.lineage_edges e WHERE e.event_id = v.event_id AND NOT {seen:e.asset_id})"
    ),
    "v1_lineage_edges": "{seen:v.asset_id} AND coalesce({here:v.container_id}, true)",
    "v1_column_edges": "{seen:v.from_asset_id} AND {seen:v.to_asset_id}",
    "v1_dataset_names": "{seen:v.asset_id} AND {seen:v.identity_id}",
    "v1_dataset_links": "{seen:v.asset_id} AND {seen:v.other_id}",
    "v1_relationships": "{here:v.source_container_id} AND {here:v.target_container_id}",
    "v1_runs": "EXISTS (SELECT FROM {mine}.v1_lineage_events l WHERE l.event_id = v.run_id)",
    # Its figures are of all of its runs.
    "v1_run_jobs": (
        "NOT EXISTS (SELECT FROM {all}.run_facts f WHERE f.fact = 'job' AND f.job_namespace = v.job_namespace "
        "AND f.job_name = v.job_name "
        "AND NOT EXISTS (SELECT FROM {mine}.v1_lineage_events l WHERE l.event_id = f.event_id))"
    ),
    "v1_category_paths": "EXISTS (SELECT FROM {mine}.v1_categories g WHERE g.category_id = v.category_id)",
    "v1_category_ancestors": "EXISTS (SELECT FROM {mine}.v1_categories g WHERE g.category_id = v.category_id)",
    "v1_category_artifacts": (
        "EXISTS (SELECT FROM {mine}.v1_categories g WHERE g.category_id = v.category_id) "
        "AND EXISTS (SELECT FROM {mine}.v1_artifacts x WHERE x.artifact_id = v.artifact_id)"
    ),
    # Of what lives in none its container is empty, not null.
    "v1_freshness": "{here:nullif(v.container_id, '')}",
}
#: Those that others ask, in this order.
_FIRST = ("v1_assets", "v1_data_profiles", "v1_categories", "v1_artifacts", "v1_lineage_events")


@dataclass(frozen=True, slots=True)
class Reader:
    """Who reads what.

    Args:
        role: of PostgreSQL; it is there already.
        containers: ids of those whose rows are shown.
        nowhere: also what lives in no container, or nobody knows in which: the glossary, data sets of lineage.
        schema: where the mirror is.
    """

    role: str
    containers: tuple[str, ...]
    nowhere: bool
    schema: str

    @property
    def own_schema(self) -> str:
        """Where the reader's views are."""
        return f"mirror_for_{self.role}"

    def statements(self) -> Iterator[str]:
        """What makes the views, and sees that nothing else of the mirror is open to the reader; in one transaction."""
        mine, role = _quote(self.own_schema), _quote(self.role)
        yield f"CREATE SCHEMA IF NOT EXISTS {mine}"
        yield from self._dropped()
        for name in self._ordered():
            columns = ", ".join(f"v.{_quote(column)}" for column in VIEWS[name].columns)
            yield (
                f"CREATE VIEW {mine}.{name} WITH (security_barrier = true) AS\n"
                f"SELECT {columns}\nFROM {_quote(self.schema)}.{name} v\nWHERE {self._condition(name)}"
            )
        yield f"GRANT USAGE ON SCHEMA {mine} TO {role}"
        yield f"GRANT SELECT ON ALL TABLES IN SCHEMA {mine} TO {role}"
        yield self._check()

    def dropped(self) -> Iterator[str]:
        """What takes the reader's views away again."""
        mine, role = _quote(self.own_schema), _quote(self.role)
        yield from self._dropped()
        yield f"REVOKE USAGE ON SCHEMA {mine} FROM {role}"
        yield f"DROP SCHEMA {mine}"

    def _dropped(self) -> Iterator[str]:
        for name in reversed(self._ordered()):
            yield f"DROP VIEW IF EXISTS {_quote(self.own_schema)}.{name}"

    def _ordered(self) -> Sequence[str]:
        last = ("v1_runs", "v1_run_jobs")
        return [*_FIRST, *(name for name in VIEWS if name not in (*_FIRST, *last)), *last]

    def _condition(self, name: str) -> str:
        rule = _RULES.get(name.removesuffix("_history"), "{here:v.container_id}")  # a state is seen where it was
        return rule.format(
            here=_Written(self._here), seen=_Written(self._seen), mine=_quote(self.own_schema), all=_quote(self.schema)
        )

    def _here(self, column: str) -> str:
        listed = ", ".join(map(_literal, self.containers))
        among = f"{column} = ANY (ARRAY[{listed}]::text[])"
        return f"({among} OR {column} IS NULL)" if self.nowhere else among

    def _seen(self, column: str) -> str:
        return _SEEN.format(id=column, mine=_quote(self.own_schema))

    def _check(self) -> str:
        """Refuses a role that reads the mirror itself: as its owner, by a group, or because everybody may."""
        names = ", ".join(_literal(name) for name in sorted({*metadata.tables, *VIEWS}))
        role, schema = _literal(self.role), _literal(self.schema)
        body = (
            "DECLARE what text; BEGIN\n"
            f"FOREACH what IN ARRAY ARRAY[{names}] LOOP\n"
            f"IF has_any_column_privilege({role}, format('%I.%I', {schema}, what), 'SELECT') THEN\n"
            f"RAISE EXCEPTION '% may read %.% itself, so nothing would be kept from it', {role}, {schema}, what "
            "USING ERRCODE = 'insufficient_privilege';\n"
            "END IF; END LOOP; END"
        )
        return f"DO {_literal(body)}"


class _Written:
    """A condition of a column, which the format of a rule names behind a colon."""

    def __init__(self, write: Callable[[str], str]) -> None:
        self._write = write

    def __format__(self, column: str) -> str:
        return self._write(column)


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
