"""Figures of profiles that their documents tell are shown as those that are kept beside.

Changes a view alone, in an instant whatever the number of rows, so that older code goes on running beside it.

Revision ID: 0116
"""

import re
from collections.abc import Callable, Iterable

from alembic import op

revision = "0116"
down_revision = "0115"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Figures of profiles that their documents tell."""
    dialect = op.get_bind().dialect.name
    if dialect == "sqlite":
        op.execute("DROP VIEW v1_profile_columns")
        op.execute(f"CREATE VIEW v1_profile_columns AS {_view(dialect)}")
    else:
        op.execute(f"CREATE OR REPLACE VIEW v1_profile_columns AS {_view(dialect)}")


#: The figures of a column, with their types in PostgreSQL, and where a document tells each: `c` is the column, `v` its
#: analysis, `i` the type in that, `k` the column's classification.
_FIGURES = {
    "column_name": ("text", "c.name"), "position": ("integer", "c.position"),
    "inferred_type": ("text", "i.type"), "length": ("bigint", "i.length"), "precision": ("integer", "i.precision"),
    "scale": ("integer", "i.scale"), "row_count": ("bigint", "coalesce(v.total_count, v.row_count)"),
    "distinct_count": ("bigint", "v.distinct_count"), "null_count": ("bigint", "v.null_count"),
    "empty_count": ("bigint", "v.empty_count"), "unique_count": ("bigint", "v.unique_count"),
    "min_number": ("double precision", "coalesce(v.min_number, v.min_value)"),
    "max_number": ("double precision", "coalesce(v.max_number, v.max_value)"),
    "min_text": ("text", "v.min_string"), "max_text": ("text", "v.max_string"), "mean": ("double precision", "v.mean"),
    "stddev": ("double precision", "v.stddev"), "max_frequency": ("bigint", "v.max_value_frequency"),
    "data_class_code": ("text", "k.class_code"), "data_class": ("text", "k.class_name"),
    "confidence": ("double precision", "k.confidence"), "quality_score": ("double precision", "NULL"),
    "values_hidden": ("boolean", "'[redacted]' IN (coalesce(v.min_string, ''), coalesce(v.max_string, ''))"),
    "unread": ("text", "NULL"),
}  # fmt: skip
#: In the order of the view.
_SHOWN = (
    "column_name", "position", "inferred_type", "length", "precision", "scale", "row_count", "distinct_count",
    "null_count", "empty_count", "unique_count", "null_ratio", "distinct_ratio", "min_number", "max_number", "min_text",
    "max_text", "mean", "stddev", "max_frequency", "data_class_code", "data_class", "confidence", "quality_score",
    "values_hidden", "unread",
)  # fmt: skip
_KEPT = "coalesce(d.figures, p.figures)"
_ANALYSIS = {
    "total_count": "bigint", "row_count": "bigint", "distinct_count": "bigint", "null_count": "bigint",
    "empty_count": "bigint", "unique_count": "bigint", "max_value_frequency": "bigint",
    "min_number": "double precision", "max_number": "double precision", "min_value": "double precision",
    "max_value": "double precision", "min_string": "text", "max_string": "text", "mean": "double precision",
    "stddev": "double precision",
}  # fmt: skip
#: By the letter of `_FIGURES`, where in a column SQLite finds it.
_PLACES = {
    "c": "$", "v": "$.value_analysis", "i": "$.value_analysis.inferred_type", "k": "$.column_classification",
}  # fmt: skip


def _view(dialect: str) -> str:
    """As 0110 made it, but that `[]` stands for what the document tells."""
    if dialect == "postgresql":
        return _query(
            [_shown(name, 't."{}"'.format, "CAST({} AS double precision)") for name in _SHOWN], _IN_POSTGRESQL
        )
    kept = [_shown(name, "json_extract(e.value, '$.{}')".format) for name in _SHOWN]
    told = [_shown(name, _place_in_sqlite) for name in _SHOWN]
    in_document = "JOIN json_each(p.document, '$.entity.data_profile.columns') e"
    return f"""
        {_query(kept, f"JOIN json_each({_KEPT}) e")}
        UNION ALL
        {_query(told, in_document)} AND {_KEPT} = '[]'
    """


def _query(shown: Iterable[str], told: str) -> str:
    return f"""
        SELECT p.profile_id, p.asset_id, {", ".join(shown)},
               a.name AS asset_name, p.container_kind, p.container_id, p.version_at AS changed_at, p.mirrored_at
          FROM data_profiles p
          LEFT JOIN profile_documents d ON d.profile_id = p.profile_id AND d.attachment_id = p.attachment_id
          {told}
          LEFT JOIN assets a ON a.asset_id = p.asset_id
          LEFT JOIN containers c ON c.container_id = p.container_id
         WHERE a.deleted_at IS NULL AND c.deleted_at IS NULL AND coalesce(a.visibility_mode, 0) NOT IN (8, 16)
           AND p.deleted_at IS NULL
           AND NOT EXISTS (
               SELECT 1 FROM data_profiles n
                WHERE n.asset_id = p.asset_id AND n.profile_id <> p.profile_id AND n.deleted_at IS NULL
                  AND (n.column_count > 0 OR EXISTS (
                      SELECT 1 FROM profile_documents m
                       WHERE m.profile_id = n.profile_id AND m.attachment_id = n.attachment_id))
                  AND (coalesce(n.created_at, n.version_at, '1970-01-01'), n.profile_id)
                    > (coalesce(p.created_at, p.version_at, '1970-01-01'), p.profile_id))
    """


def _shown(name: str, told: Callable[[str], str], cast: str = "{}") -> str:
    if name == "values_hidden":
        return f'coalesce({told(name)}, false) AS "{name}"'
    if not name.endswith("_ratio"):
        return f'{told(name)} AS "{name}"'
    part, rows = told(f"{name.removesuffix('_ratio')}_count"), told("row_count")
    ratio = f"CASE WHEN {rows} > 0 AND {part} <= {rows} THEN {part} * 1.0 / {rows} END"
    return f'{cast.format(ratio)} AS "{name}"'


def _place_in_sqlite(name: str) -> str:
    def path(found: re.Match[str]) -> str:
        return f"json_extract(e.value, '{_PLACES[found[1]]}.{found[2]}')"

    return "e.key + 1" if name == "position" else re.sub(r"([civk])[.](\w+)", path, _FIGURES[name][1])


_IN_POSTGRESQL = f"""
    CROSS JOIN LATERAL (
        SELECT * FROM json_to_recordset({_KEPT}::json)
                   AS f({", ".join(f'"{name}" {type_}' for name, (type_, _) in _FIGURES.items())})
        UNION ALL
        SELECT {", ".join(f"CAST({place} AS {type_})" for type_, place in _FIGURES.values())}
          FROM ROWS FROM (
                   json_to_recordset(
                       CASE WHEN {_KEPT} = '[]' THEN p.document::json #> '{{entity,data_profile,columns}}' END
                   ) AS (name text, value_analysis json, column_classification json)
               ) WITH ORDINALITY AS c(name, value_analysis, column_classification, position)
         CROSS JOIN json_to_record(c.value_analysis)
                 AS v(inferred_type json, {", ".join(f"{name} {type_}" for name, type_ in _ANALYSIS.items())})
         CROSS JOIN json_to_record(v.inferred_type) AS i(type text, length bigint, "precision" integer, scale integer)
         CROSS JOIN json_to_record(c.column_classification)
                 AS k(class_code text, class_name text, confidence double precision)
    ) t
"""
