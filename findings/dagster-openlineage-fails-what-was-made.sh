#!/usr/bin/env bash
# dagster-openlineage: an asset that was made is told as failed, if another one of its run fails.
#
# Version:  dagster-openlineage 0.2.1, dagster 1.13.29, openlineage-python 1.54.0 (Python 3.11)
# Guess:    of a run in which `orders` is made and `shares` raises, OpenLineage hears COMPLETE of orders and FAIL of shares.
# Seen:     orders is told COMPLETE, and then FAIL ("asset planned for run, run failed before materialization"), by the
#           storage wrapper in the process that started the run: it saw what was planned and not what was made, as each step
#           runs in a process of its own (the executor that Dagster takes by itself). Both events have the same run id, and
#           so have those of shares: all assets of a run share one, under job names of their own.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    dagster==1.13.29 dagster-openlineage==0.2.1 openlineage-python==1.54.0
cd "$place"
mkdir home
cat >shop.py <<'PYTHON'
from dagster import Definitions, asset


@asset
def orders():
    return [25]


@asset(deps=[orders])
def shares():
    raise ZeroDivisionError


defs = Definitions(assets=[orders, shares])
PYTHON
cat >home/dagster.yaml <<YAML
event_log_storage:
  module: dagster_openlineage
  class: OpenLineageEventLogStorage
  config:
    namespace: shop
    wrapped:
      module: dagster._core.storage.event_log
      class: SqliteEventLogStorage
      config: {base_dir: "$place/events"}
telemetry: {enabled: false}
YAML
printf 'transport: {type: file, log_file_path: "%s/told.ndjson", append: true}\n' "$place" >openlineage.yml
DAGSTER_HOME="$place/home" OPENLINEAGE_CONFIG="$place/openlineage.yml" \
    venv/bin/dagster asset materialize -f shop.py --select '*' >said.log 2>&1 || true
cat >look.py <<'PYTHON'
import json
from datetime import datetime

told = [json.loads(line) for line in open("told.ndjson")]
told.sort(key=lambda event: datetime.fromisoformat(event["eventTime"]))
for event in told:
    print(event["job"]["name"], event["eventType"], event["run"]["facets"].get("errorMessage", {}).get("message", ""))
assert [one["eventType"] for one in told if one["job"]["name"] == "orders"] == ["START", "COMPLETE", "FAIL"]
assert len({one["run"]["runId"] for one in told}) == 1
PYTHON
venv/bin/python look.py || { tail -20 said.log; exit 1; }
echo "As told: what was made is told as failed."
