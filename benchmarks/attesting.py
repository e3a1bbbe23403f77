"""What a certificate of a million assets costs: `python -m benchmarks.attesting`, on a private PostgreSQL.

The certificate is made by the command in a process of its own, whose memory is told; then the store is checked
against it, and it is held against another one of an equal mirror, for which no row is read. It prints one JSON line.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import asyncpg

from benchmarks.errors import BenchFailed
from benchmarks.inprocess import migrate
from sandbox.parts.postgres import PrivatePostgres

ASSETS = 1_000_000
CONTAINER = "c1"
#: A version is 8 bytes of time, 1 of rank, 16 of digest and 16 of all; a document of a kilobyte is what an asset has.
_FILL = """
    INSERT INTO assets (asset_id, version, version_at, mirrored_at, mapping, document, container_kind, container_id,
                        name, asset_type)
    SELECT md5(n::text), decode(lpad(to_hex(n), 16, '0'), 'hex') || '\\x03'::bytea || decode(md5('d' || n), 'hex')
                         || decode(md5('w' || n), 'hex'),
           now(), now(), 3, repeat(md5(n::text), 32), 'catalog', $1, 'asset ' || n, 'data_asset'
      FROM generate_series(1, $2::int) n
"""
_CONTAINER = """
    INSERT INTO containers (container_id, kind, version, version_at, mirrored_at, mapping, document)
    VALUES ($1, 'catalog', decode(repeat('03', 41), 'hex'), now(), now(), 3, '{}')
"""


def run(url: str, *words: str) -> tuple[float, str]:
    """Seconds that a command took, and what it said."""
    environment = {**os.environ, "CATALOG_MIRROR_STORE__URL": url}
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "service", "attest", *words],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise BenchFailed(done.stderr[-1000:])
    return time.perf_counter() - started, done.stdout


async def fill(url: str, assets: int) -> None:
    """A mirror of so many assets in one container."""
    await migrate(url)
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_CONTAINER, CONTAINER)
        await connection.execute(_FILL, CONTAINER, assets)
        await connection.execute("VACUUM ANALYZE assets")
    finally:
        await connection.close()


def measure(assets: int) -> dict[str, Any]:
    """All of it."""
    with PrivatePostgres() as server, TemporaryDirectory() as held:
        url, folder = server.create_database("attested"), Path(held)
        asyncio.run(fill(url, assets))
        key, one, two = folder / "key.pem", folder / "one.json", folder / "two.json"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)
        made_s, _ = run(url, CONTAINER, "--key", str(key), "--to", str(one))
        rss_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        again_s, _ = run(url, CONTAINER, "--key", str(key), "--to", str(two))
        store_s, said = run(url, "--check", str(one), "--json")
        pair_s, compared = run(url, "--check", str(one), "--against", str(two), "--json")
        return {
            "assets": assets, "load": round(os.getloadavg()[0], 2), "made_s": round(made_s, 1),
            "made_again_s": round(again_s, 1), "rss_mib": round(rss_mib), "check_store_s": round(store_s, 1),
            "check_store_rows": json.loads(said)["rows_read"], "check_pair_s": round(pair_s, 2),
            "check_pair_rows": json.loads(compared)["rows_read"], "check_pair_digests": json.loads(compared)["steps"],
        }  # fmt: skip


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--assets", type=int, default=ASSETS)
    print(json.dumps(measure(parser.parse_args().assets)))


if __name__ == "__main__":
    main()
