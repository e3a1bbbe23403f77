#!/usr/bin/env bash
# openlineage-dbt: of one build its two ways tell two graphs. At the end it leaves out what a model reads of a seed; while
# the build runs it tells, for each test, a table that dbt never made.
#
# Version:  openlineage-dbt 1.54.0, dbt-core 1.11.16, dbt-duckdb 1.10.1 (Python 3.11)
# Guess:    `dbt-ol build` and `dbt-ol build --consume-structured-logs` differ in when they tell, not in what: the same
#           inputs and outputs of every model, and none of a test, as tests store nothing unless `store_failures` says so.
# Seen:     without the option the model's events have no input, although it reads a seed (`parse_execution` looks at
#           parents that are models or sources alone); with it they name the seed. With the option the test's events name
#           an output `main_dbt_test__audit.not_null_orders_id`, which is not in the database; without it they name none.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    openlineage-dbt==1.54.0 openlineage-python==1.54.0 dbt-core==1.11.16 dbt-duckdb==1.10.1
export PATH="$place/venv/bin:$PATH"
cd "$place"
mkdir models seeds
printf 'id,amount\n1,5\n' >seeds/raw.csv
printf "select id, amount from {{ ref('raw') }}\n" >models/orders.sql
printf 'models: [{name: orders, columns: [{name: id, data_tests: [not_null]}]}]\n' >models/schema.yml
printf 'name: shop\nprofile: shop\nflags: {send_anonymous_usage_stats: false}\n' >dbt_project.yml
printf 'shop: {target: dev, outputs: {dev: {type: duckdb, path: shop.duckdb}}}\n' >profiles.yml

build() { # the file of events, and options
    OPENLINEAGE__TRANSPORT="{\"type\": \"file\", \"log_file_path\": \"$1\", \"append\": true}" \
        dbt-ol build --profiles-dir . "${@:2}" >"$1.log" 2>&1 || { cat "$1.log"; exit 1; }
}
build end.ndjson
build running.ndjson --consume-structured-logs

cat >look.py <<'PYTHON'
import json
import duckdb


def graph(name):
    made = set()
    for line in open(name):
        event = json.loads(line)
        for output in event["outputs"]:
            inputs = [one["name"].removeprefix("shop.") for one in event["inputs"]]
            made.add((tuple(sorted(inputs)), output["name"].removeprefix("shop.")))
    return made


end, running = graph("end.ndjson"), graph("running.ndjson")
print("at the end:      ", sorted(end))
print("while it runs:   ", sorted(running))
found = duckdb.connect("shop.duckdb").sql("select table_schema || '.' || table_name from information_schema.tables")
tables = sorted(name for (name,) in found.fetchall())
print("in the database: ", tables)
assert ((), "main.orders") in end and not any(inputs for inputs, output in end if output == "main.orders")
assert (("main.raw",), "main.orders") in running
assert (("main.orders",), "main_dbt_test__audit.not_null_orders_id") in running
assert tables == ["main.orders", "main.raw"]
PYTHON
python look.py
echo "As told: the two ways tell two graphs."
