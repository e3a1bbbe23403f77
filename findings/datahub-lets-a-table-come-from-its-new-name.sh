#!/usr/bin/env bash
# acryl-datahub: of a rename in a log of queries it makes lineage from the new name to the old one; and an INSERT fills
# the columns that its SELECT names, also where the schema is known and has no such columns.
#
# Version:  acryl-datahub 1.7.0.17, sqlglot 30.12.0 (Python 3.11)
# Guess:    the aggregator that makes lineage of observed queries tells of `ALTER TABLE orders RENAME TO orders_old`
#           nothing, or that orders_old comes from orders, as it tells where a connector hands it a TableRename. Of
#           `INSERT INTO target (given, family) SELECT first, last …` it tells given <- first and family <- last, at
#           least where it has the schemas of both tables.
# Seen:     as a query the rename makes `orders` come from `orders_old`, as a TableRename it is the other way round. The
#           columns are first <- first and last <- last, of a table that has neither; with crossed names, `(a, b) SELECT
#           b, a`, they are a <- a and b <- b. No query is counted as failed, only the rename's columns are.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    "acryl-datahub[sql-parser]==1.7.0.17" sqlglot==30.12.0 sqlparse==0.6.1
cat >"$place/try.py" <<'PYTHON'
import logging
from datetime import UTC, datetime

from datahub.metadata.schema_classes import UpstreamLineageClass
from datahub.metadata.urns import DatasetUrn, SchemaFieldUrn
from datahub.sql_parsing.sql_parsing_aggregator import ObservedQuery, SqlParsingAggregator, TableRename

logging.disable(logging.CRITICAL)
SCHEMAS = {"people": ["first", "last"], "target": ["given", "family"], "here": ["a", "b"], "there": ["a", "b"]}


def urn(name):
    return DatasetUrn("postgres", f"shop.public.{name}").urn()


def name(dataset):
    return DatasetUrn.from_string(dataset).name.rpartition(".")[2]


def column(field):
    return SchemaFieldUrn.from_string(field).field_path


def told(seen):
    """Tables and columns, each with what it comes from; queries that failed, and those whose columns did."""
    aggregator = SqlParsingAggregator(platform="postgres", generate_operations=False)
    for table, columns in SCHEMAS.items():
        aggregator._schema_resolver.add_raw_schema_info(urn(table), dict.fromkeys(columns, "text"))
    if isinstance(seen, str):
        time = datetime(2026, 1, 1, tzinfo=UTC)
        aggregator.add(ObservedQuery(query=seen, default_db="shop", default_schema="public", timestamp=time))
    else:
        aggregator.add(seen)
    tables, columns = {}, {}
    for made in aggregator.gen_metadata():
        if isinstance(made.aspect, UpstreamLineageClass):
            tables[name(made.entityUrn)] = [name(upstream.dataset) for upstream in made.aspect.upstreams]
            for fine in made.aspect.fineGrainedLineages or []:
                columns[column(fine.downstreams[0])] = [column(field) for field in fine.upstreams]
    report = aggregator.report
    failed = report.num_observed_queries_failed, report.num_observed_queries_column_failed
    print(seen if isinstance(seen, str) else "a TableRename", "->", tables, columns, "failed:", failed)
    return tables, columns, failed


renamed = "ALTER TABLE orders RENAME TO orders_old"
assert told(renamed) == ({"orders": ["orders_old"]}, {}, (0, 1))
assert told(TableRename(urn("orders"), urn("orders_old"), query=renamed)) == ({"orders_old": ["orders"]}, {}, (0, 0))
people = "INSERT INTO target (given, family) SELECT first, last FROM people"
assert told(people) == ({"target": ["people"]}, {"first": ["first"], "last": ["last"]}, (0, 0))
crossed = "INSERT INTO here (a, b) SELECT b, a FROM there"
assert told(crossed) == ({"here": ["there"]}, {"a": ["a"], "b": ["b"]}, (0, 0))
PYTHON
HOME="$place" DATAHUB_TELEMETRY_ENABLED=false "$place/venv/bin/python" "$place/try.py"
echo "As told: an old name comes from the new one, and columns have the names of the query."
