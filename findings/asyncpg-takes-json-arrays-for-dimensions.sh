#!/usr/bin/env bash
# asyncpg: JSON values of a `jsonb[]` parameter that are arrays themselves are taken apart, although a codec says how to
# write them.
#
# Version:  asyncpg 0.32.0, PostgreSQL 16.2 (in pgserver 0.1.4; Python 3.11)
# Guess:    with `set_type_codec("jsonb", encoder=json.dumps, …)`, a list for `jsonb[]` is a list of JSON values, and
#           `unnest($1::jsonb[])`, the usual way to insert many rows at once, makes a row of each, whatever it holds.
# Seen:     two documents that are arrays of two become four rows: lists and tuples inside the list are dimensions of
#           the PostgreSQL array, and `unnest` goes through all of them. Reading the array gives back what was given, so
#           nobody sees it there. Where the arrays differ in length, or an object stands beside one, it is a DataError
#           ("non-homogeneous array"); empty ones are told as malformed. Texts that were made by json.dumps, passed as
#           `text[]` and cast in the query, come through.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile pgserver==0.1.4 asyncpg==0.32.0
cat >"$place/look.py" <<'PY'
import asyncio
import json
import sys

import asyncpg
import pgserver

MANY = "SELECT unnest($1::jsonb[]) AS document"


async def main(url: str) -> None:
    connection = await asyncpg.connect(url)
    await connection.set_type_codec("jsonb", schema="pg_catalog", encoder=json.dumps, decoder=json.loads)

    async def rows(query: str, given: list) -> str:
        try:
            return str([row["document"] for row in await connection.fetch(query, given)])
        except (asyncpg.DataError, asyncpg.PostgresError) as error:
            return type(error).__name__

    print("objects:", await rows(MANY, [{"id": 1}, {"id": 2}]))
    tags = [["a", "b"], ["c", "d"]]
    print("two arrays:", await rows(MANY, tags))
    print("read as they are:", await connection.fetchval("SELECT $1::jsonb[]", tags))
    print("of two lengths:", await rows(MANY, [["a"], ["b", "c"]]))
    print("an object and an array:", await rows(MANY, [{"id": 1}, ["a"]]))
    print("empty ones:", await rows(MANY, [[], []]))
    cast = "SELECT unnest($1::text[])::jsonb AS document"
    print("as texts:", await rows(cast, [json.dumps(one) for one in tags]))
    await connection.close()


server = pgserver.get_server(sys.argv[1])
try:
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PY
mkdir "$place/data"
XDG_RUNTIME_DIR=$place "$place/venv/bin/python" -B "$place/look.py" "$place/data" >"$place/said"
cat "$place/said"
diff "$place/said" - <<'SAID'
objects: [{'id': 1}, {'id': 2}]
two arrays: ['a', 'b', 'c', 'd']
read as they are: [['a', 'b'], ['c', 'd']]
of two lengths: DataError
an object and an array: DataError
empty ones: InvalidTextRepresentationError
as texts: [['a', 'b'], ['c', 'd']]
SAID
echo "As told: arrays become dimensions."
