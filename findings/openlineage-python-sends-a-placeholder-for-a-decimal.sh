#!/usr/bin/env bash
# openlineage-python: a number that is a Decimal, as databases answer sums, goes out as a text that says it could not be
# serialized; one that is NaN makes the whole event no JSON.
#
# Version:  openlineage-python 1.54.0, msgspec 0.23.0 as the receiver (Python 3.11)
# Guess:    the serializer, which knows dates, UUIDs and pandas' int64, writes Decimal("35.50") of a column's `sum` as a
#           number, or raises. For NaN, the mean of no rows, it raises or leaves the value out, as it leaves out null.
# Seen:     `"sum": "<<non-serializable: Decimal>>"`, where the facet's schema has a number, without a warning: a
#           receiver that checks refuses the event, another one stores that text. NaN is sent as `NaN`: strict readers
#           cannot read the event, nor anything else that is in it.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openlineage-python==1.54.0 msgspec==0.23.0
cat >"$place/try.py" <<'PYTHON'
import sys
import warnings
from decimal import Decimal
from pathlib import Path

import msgspec
from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, Run, RunEvent, RunState
from openlineage.client.generated.data_quality_metrics_input_dataset import (
    ColumnMetrics,
    DataQualityMetricsInputDatasetFacet,
)
from openlineage.client.uuid import generate_new_uuid

warnings.simplefilter("error")
FILE = Path(sys.argv[1], "told.ndjson")
client = OpenLineageClient(config={"transport": {"type": "file", "log_file_path": str(FILE), "append": True}})


def told(**metrics):
    facet = DataQualityMetricsInputDatasetFacet(columnMetrics={"amount": ColumnMetrics(**metrics)})
    read = InputDataset("postgres://db:5432", "shop.public.orders", inputFacets={"dataQualityMetrics": facet})
    run, job = Run(runId=str(generate_new_uuid())), Job(namespace="shop", name="report")
    time = "2026-01-01T00:00:00Z"
    client.emit(
        RunEvent(eventType=RunState.COMPLETE, eventTime=time, run=run, job=job, producer="urn:report", inputs=[read])
    )
    line = FILE.read_text().splitlines()[-1]
    try:
        event = msgspec.json.decode(line)
    except msgspec.DecodeError as error:
        print(metrics, "->", error)
        return None
    found = event["inputs"][0]["inputFacets"]["dataQualityMetrics"]["columnMetrics"]["amount"]
    print(metrics, "->", found)
    return found


assert told(sum=35.5, min=None) == {"sum": 35.5, "quantiles": {}}
assert told(sum=Decimal("35.50"), min=3.0) == {"sum": "<<non-serializable: Decimal>>", "min": 3.0, "quantiles": {}}
assert told(sum=float("nan"), min=3.0) is None
PYTHON
"$place/venv/bin/python" "$place/try.py" "$place"
echo "As told: a Decimal becomes a placeholder, and NaN no JSON."
