#!/usr/bin/env bash
# dlt-openlineage: tables of two DuckDB files have one and the same name, unless the destinations are named apart.
#
# Version:  dlt-openlineage 0.1.1, dlt 1.31.0 with duckdb (Python 3.11)
# Guess:    the namespace says where the data lies, as the specification's rules for names have it, so a table `orders`
#           that one pipeline loads into shop.duckdb and another into crm.duckdb are two data sets.
# Seen:     both are `dlt.destinations.duckdb://duckdb` + `raw.orders`: the class of the destination and its name, which
#           is that of the class where nobody gives another. With `destination_name="crm"` the second one is
#           `dlt.destinations.duckdb://crm` + `raw.orders`.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check "dlt[duckdb]==1.31.0" dlt-openlineage==0.1.1
cat >"$place/try.py" <<'PYTHON'
import sys

import dlt
from dlt_openlineage.datasets import load_info_to_output_datasets

PLACE = sys.argv[1]


def loaded(number, file, **named):
    destination = dlt.destinations.duckdb(f"{PLACE}/{file}.duckdb", **named)
    pipeline = dlt.pipeline(f"p{number}", destination=destination, dataset_name="raw", pipelines_dir=f"{PLACE}/dlt")
    info = pipeline.run([{"id": 1}], table_name="orders")
    (found,) = load_info_to_output_datasets(info, "dlt", pipeline=pipeline)
    print(f"{file}.duckdb {named}: {found.namespace} + {found.name}")
    return found.namespace, found.name


shop, crm = loaded(1, "shop"), loaded(2, "crm")
assert shop == crm == ("dlt.destinations.duckdb://duckdb", "raw.orders")
assert loaded(3, "crm", destination_name="crm") == ("dlt.destinations.duckdb://crm", "raw.orders")
PYTHON
RUNTIME__DLTHUB_TELEMETRY=false HOME="$place" "$place/venv/bin/python" "$place/try.py" "$place"
echo "As told: two files, one name; a name of the destination tells them apart."
