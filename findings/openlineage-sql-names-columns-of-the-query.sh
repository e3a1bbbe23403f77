#!/usr/bin/env bash
# openlineage-sql: the columns of an INSERT, or of a view with a list of names, are named as its SELECT names them, so
# the lineage of a copy with new names is that of columns which the table does not have, or of the wrong ones.
#
# Version:  openlineage-sql 1.54.0 (Python 3.11)
# Guess:    of `INSERT INTO target (given, family) SELECT first, last FROM source` column lineage says given <- first
#           and family <- last, by position, as SQL has it.
# Seen:     first <- first and last <- last. With the two names crossed, `(a, b) SELECT b, a`, it says a <- a and b <-
#           b, which looks right and is wrong. `CREATE VIEW target (a, b) AS SELECT b, a`, `WITH c (a, b) AS (SELECT b,
#           a …)` and `(SELECT b, a …) AS c (a, b)` are read in the same way. An alias in the SELECT is what counts:
#           `SELECT b AS a, a AS b`. No error is told of any of them.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openlineage-sql==1.54.0
cat >"$place/try.py" <<'PYTHON'
from openlineage_sql import parse


def columns(sql):
    read = parse([sql], dialect="postgres")
    assert not read.errors, read.errors
    found = {one.descendant.name: sorted(origin.name for origin in one.lineage) for one in read.column_lineage}
    print(f"{sql}\n   ", ", ".join(f"{name} <- {' + '.join(origins)}" for name, origins in sorted(found.items())))
    return found


renamed = columns("INSERT INTO target (given, family) SELECT first, last FROM source")
assert renamed == {"first": ["first"], "last": ["last"]}
for crossed in (
    "INSERT INTO target (a, b) SELECT b, a FROM source",
    "CREATE VIEW target (a, b) AS SELECT b, a FROM source",
    "WITH c (a, b) AS (SELECT b, a FROM source) SELECT a, b FROM c",
    "SELECT a, b FROM (SELECT b, a FROM source) AS c (a, b)",
):
    assert columns(crossed) == {"a": ["a"], "b": ["b"]}
assert columns("INSERT INTO target (a, b) SELECT b AS a, a AS b FROM source") == {"a": ["b"], "b": ["a"]}
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: columns have the names of the query."
