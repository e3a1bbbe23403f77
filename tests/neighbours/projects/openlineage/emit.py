"""A program that tells its lineage, and has nothing of ours but what its configuration names."""

from datetime import UTC, datetime

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import InputDataset, Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.uuid import generate_new_uuid

client = OpenLineageClient()
run, job = Run(str(generate_new_uuid())), Job("shop", "totals")
inputs, outputs = [InputDataset("postgres://db:5432", "shop.public.orders")], []
for state in (RunState.START, RunState.COMPLETE):
    if state is RunState.COMPLETE:
        outputs = [OutputDataset("postgres://db:5432", "shop.public.totals")]
    told = datetime.now(UTC).isoformat()
    client.emit(RunEvent(eventTime=told, eventType=state, run=run, job=job, inputs=inputs, outputs=outputs))
client.close(timeout=30)
