#!/usr/bin/env bash
# openlineage-sql: a table that a common table expression of the same name reads is no input, and the alias of T-SQL's
# UPDATE is an output.
#
# Version:  openlineage-sql 1.54.0 (Python 3.11)
# Guess:    in `WITH orders AS (SELECT * FROM raw.orders) …`, as many dbt models begin, raw.orders is the input, as the
#           name of the expression has no schema and is not known within itself; and `UPDATE t … FROM accounts t`
#           changes accounts.
# Seen:     there is no input at all, with and without a schema before the table's name, and no error; one letter more
#           in the expression's name, and the input is there. The UPDATE has the output `t`, and accounts is an input; a
#           DELETE of the same form is read right.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openlineage-sql==1.54.0
cat >"$place/try.py" <<'PYTHON'
from openlineage_sql import parse


def tables(sql, dialect="postgres"):
    read = parse([sql], dialect=dialect)
    assert not read.errors, read.errors
    ins, outs = (sorted(table.qualified_name for table in side) for side in (read.in_tables, read.out_tables))
    print(f"{sql}\n    {ins} -> {outs}")
    return ins, outs


made = "CREATE TABLE shop.report AS WITH {name} AS (SELECT * FROM {table}) SELECT count(*) AS n FROM {name}"
assert tables(made.format(name="orders", table="raw.orders")) == ([], ["shop.report"])
assert tables(made.format(name="orders", table="orders")) == ([], ["shop.report"])
assert tables(made.format(name="orders_", table="raw.orders")) == (["raw.orders"], ["shop.report"])

joined = "FROM accounts t JOIN moved m ON t.id = m.id"
assert tables(f"UPDATE t SET place = m.place {joined}", "mssql") == (["accounts", "moved"], ["t"])
assert tables(f"DELETE t {joined}", "mssql") == (["moved"], ["accounts"])
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: names hide tables."
