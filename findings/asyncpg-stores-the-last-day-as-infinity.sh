#!/usr/bin/env bash
# asyncpg: 9999-12-31, the usual "valid until further notice", is stored as `infinity`, and read back as if nothing had
# been.
#
# Version:  asyncpg 0.32.0, psycopg 3.3.9, PostgreSQL 16.2 (in pgserver 0.1.4; Python 3.11)
# Guess:    date(9999, 12, 31) is a date as any other, for PostgreSQL, too, so what asyncpg and psycopg store is equal,
#           and `WHERE valid_to = '9999-12-31'` finds both.
# Seen:     asyncpg writes date.max, datetime.max, date.min and datetime.min as `infinity` and `-infinity`, and makes
#           the same objects of those, so that by itself it sees no difference. The database sees one: the condition
#           finds the row of psycopg alone, a unique key takes the day twice, `valid_to - valid_from` is an error, and
#           psycopg cannot read the row of asyncpg at all (DataError). The day before, and the last moment in another
#           time zone, stay what they are.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    pgserver==0.1.4 "psycopg[binary]==3.3.9" asyncpg==0.32.0
cat >"$place/look.py" <<'PY'
import asyncio
import sys
from datetime import UTC, date, datetime, timedelta, timezone

import asyncpg
import pgserver
import psycopg


def failed(query: str, url: str) -> str:
    with psycopg.connect(url) as connection:
        try:
            return str(connection.execute(query).fetchall())
        except psycopg.Error as error:
            return f"{type(error).__name__}: {str(error).splitlines()[0]}"


async def main(url: str) -> None:
    last = date(9999, 12, 31)
    connection = await asyncpg.connect(url)
    await connection.execute("CREATE TABLE kept (who text, valid_to date UNIQUE)")
    await connection.execute("INSERT INTO kept VALUES ('asyncpg', $1)", last)
    with psycopg.connect(url) as other:
        other.execute("INSERT INTO kept VALUES ('psycopg', %s)", [last])
    stored = await connection.fetch("SELECT who, valid_to::text FROM kept ORDER BY who")
    print("stored:", [tuple(row) for row in stored])
    found = await connection.fetch("SELECT who FROM kept WHERE valid_to = '9999-12-31'")
    print("found by the date's text:", [row["who"] for row in found])
    back = await connection.fetch("SELECT valid_to FROM kept ORDER BY who")
    print("asyncpg reads both alike:", [row["valid_to"] for row in back] == [last, last])
    print("psycopg reads:", failed("SELECT valid_to FROM kept WHERE who = 'asyncpg'", url))
    print("days left:", failed("SELECT valid_to - date '2026-01-01' FROM kept WHERE who = 'asyncpg'", url))

    async def text(kind: str, value: object) -> str:
        return await connection.fetchval(f"SELECT $1::{kind}::text", value)

    print("datetime.max:", await text("timestamptz", datetime.max.replace(tzinfo=UTC)))
    print("date.min:", await text("date", date.min))
    print("the day before:", await text("date", date(9999, 12, 30)))
    there = datetime.max.replace(tzinfo=timezone(timedelta(hours=1)))
    print("datetime.max an hour to the east:", await text("timestamptz", there))
    await connection.close()


server = pgserver.get_server(sys.argv[1])
try:
    server.psql("ALTER SYSTEM SET timezone = 'UTC'; SELECT pg_reload_conf();")
    asyncio.run(main(server.get_uri()))
finally:
    server.cleanup()
PY
mkdir "$place/data"
XDG_RUNTIME_DIR=$place "$place/venv/bin/python" -B "$place/look.py" "$place/data" >"$place/said"
cat "$place/said"
diff "$place/said" - <<'SAID'
stored: [('asyncpg', 'infinity'), ('psycopg', '9999-12-31')]
found by the date's text: ['psycopg']
asyncpg reads both alike: True
psycopg reads: DataError: date too large (after year 10K): 'infinity'
days left: DatetimeFieldOverflow: cannot subtract infinite dates
datetime.max: infinity
date.min: -infinity
the day before: 9999-12-30
datetime.max an hour to the east: 9999-12-31 22:59:59.999999+00
SAID
echo "As told: the last day is stored as infinity."
