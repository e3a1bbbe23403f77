"""Reads OpenLineage events (a line each) as DataHub and Marquez's client do; prints what they understood, as JSON."""

import json
import sys
from pathlib import Path

from datahub.ingestion.source.matillion_dpc.matillion_lineage import OpenLineageParser
from marquez_client.models import DatasetId, JobId
from marquez_client.utils import Utils


def by_datahub(parser: OpenLineageParser, event: dict) -> list[dict]:
    """The aspect `upstreamLineage` of each data set that the event tells the origin of."""
    inputs, outputs, columns = parser.parse_lineage_event(event)
    told = []
    for output in outputs if inputs else ():
        aspect = parser.create_upstream_lineage(inputs, output, columns)
        assert aspect.validate(), aspect
        told.append({"of": f"{output.platform}:{output.name}", **aspect.to_obj()})
    return told


def by_marquez(event: dict) -> list[tuple[str, str]]:
    """Job and data sets, by the ids that its client takes and the rules that it has for their names."""
    ids = [JobId(event["job"]["namespace"], event["job"]["name"])]
    ids += [DatasetId(one["namespace"], one["name"]) for side in ("inputs", "outputs") for one in event.get(side, [])]
    for one in ids:
        Utils.check_name_length(one.namespace, "namespace_name")
        Utils.check_name_length(one.name, "dataset_name")
    Utils.is_valid_uuid(event["run"]["runId"], "run_id")
    return [(one.namespace, one.name) for one in ids]


parser = OpenLineageParser()
events = [json.loads(line) for line in Path(sys.argv[1]).read_text(encoding="utf-8").splitlines()]
datahub = [aspect for event in events for aspect in by_datahub(parser, event)]
marquez = sorted({pair for event in events for pair in by_marquez(event)})
print(json.dumps({"datahub": datahub, "marquez": marquez}))
