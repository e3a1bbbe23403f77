#!/usr/bin/env bash
# PostgreSQL: a READ COMMITTED transaction that is idle after a query with a parameter still has that query's snapshot,
# and CREATE INDEX CONCURRENTLY on a table that it never touched waits for it. After one without a parameter it has none.
#
# Versions: PostgreSQL 16.2 (in pgserver 0.1.4), psycopg 3.3.9, asyncpg 0.32.0 (Python 3.11); also PostgreSQL 15
# Guess:    "each SELECT sees the state as of the moment it began" (Transaction Isolation, Read Committed), so between
#           two statements there is no snapshot, whatever the statement before was.
# Seen:     pg_stat_activity.backend_xmin of the idle session is null after a query without parameters in psycopg, which
#           goes by the simple protocol. After one with a parameter, and after every `fetch` of asyncpg, which go by the
#           extended protocol, it is set: the portal, and the snapshot with it, stays until another statement takes its
#           name or the transaction ends. The build of an index then runs into its timeout.
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

import asyncpg
import pgserver
import psycopg


async def build(looking: psycopg.AsyncConnection) -> str:
    try:
        await looking.execute("CREATE INDEX CONCURRENTLY i ON t (a)")
    except psycopg.errors.QueryCanceled:
        return "in vain"
    finally:
        await looking.execute("DROP INDEX IF EXISTS i")
    return "built"


async def main(url: str) -> None:
    looking = await psycopg.AsyncConnection.connect(url, autocommit=True)
    await looking.execute("CREATE TABLE t (a int)")
    await looking.execute("SET statement_timeout = '3s'")

    async def told(pid: int) -> str:
        asked = await looking.execute("SELECT backend_xmin IS NOT NULL FROM pg_stat_activity WHERE pid = %s", [pid])
        [snapshot] = await asked.fetchone()
        return f"snapshot {'kept' if snapshot else 'gone'}, index {await build(looking)}"

    idle = await psycopg.AsyncConnection.connect(url)
    await idle.execute("SELECT 1")
    print("psycopg, no parameter:", await told(idle.info.backend_pid))
    await idle.execute("SELECT %s::int", [1])
    print("psycopg, a parameter:", await told(idle.info.backend_pid))
    await idle.close()

    other = await asyncpg.connect(url)
    async with other.transaction():
        await other.fetch("SELECT 1")
        print("asyncpg, fetch:", await told(other.get_server_pid()))
    await other.close()
    await looking.close()


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
psycopg, no parameter: snapshot gone, index built
psycopg, a parameter: snapshot kept, index in vain
asyncpg, fetch: snapshot kept, index in vain
SAID
echo "As told: a query by the extended protocol leaves its snapshot behind."
