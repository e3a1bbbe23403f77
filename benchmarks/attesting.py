"""What a certificate of a million assets costs: `python -m benchmarks.attesting`, on a private PostgreSQL.

The certificate is made by the command in a process of its own, whose memory is told; then the store is checked
against it, and it is held against those of two other mirrors: one is equal, in one an asset is otherwise. It prints one
JSON line; shares are of the rows of both mirrors, and count lines of files of things as rows.
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
#: Another version of one asset, with another digest.
_CHANGE = """
    UPDATE assets SET version = substring(version FROM 1 FOR 9) || decode(md5('otherwise') || md5('w'), 'hex')
     WHERE asset_id = md5('1')
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
    if done.returncode > ("--check" in words):  # a check that finds a difference ends with 1
        raise BenchFailed(done.stderr[-1000:])
    return time.perf_counter() - started, done.stdout


async def change(url: str) -> None:
    """One asset is otherwise."""
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(_CHANGE)
    finally:
        await connection.close()


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
        url, key = server.create_database("attested"), Path(held) / "key.pem"
        asyncio.run(fill(url, assets))
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", str(key)], check=True)

        def made(name: str, *, with_things: bool = True) -> tuple[list[str], float]:
            """Where a certificate and its things are, and how long they took."""
            path, things = str(Path(held) / name), str(Path(held) / f"{name}.things")
            beside = ["--things", things] if with_things else []
            took_s, _ = run(url, CONTAINER, "--key", str(key), "--to", path, *beside)
            return [path, things], took_s

        _, made_s = made("alone", with_things=False)
        rss_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        (one, its_things), things_s = made("one")
        store_s, said = run(url, "--check", one, "--json")
        equal, _ = made("equal")
        asyncio.run(change(url))
        otherwise, _ = made("otherwise")
        told: dict[str, Any] = {
            "assets": assets, "load": round(os.getloadavg()[0], 2), "made_s": round(made_s, 1),
            "made_with_things_s": round(things_s, 1), "rss_mib": round(rss_mib), "check_store_s": round(store_s, 1),
            "check_store_rows": json.loads(said)["rows_read"],
        }  # fmt: skip
        for name, (other, other_things) in (("equal", equal), ("one_differs", otherwise)):
            words = ("--check", one, "--things", its_things, "--against", other, "--against-things", other_things)
            took_s, said = run(url, *words, "--json")
            found = json.loads(said)
            read = found["rows_read"] + found["lines_read"]
            told[name] = {
                "s": round(took_s, 2), "digests": found["steps"], "rows": found["rows_read"],
                "lines": found["lines_read"], "share": read / (2 * assets),
                "named": [thing["id"] for thing in found["things"]],
            }  # fmt: skip
        return told


def main() -> None:
    """Measure, and print one JSON line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n\n")[0])
    parser.add_argument("--assets", type=int, default=ASSETS)
    print(json.dumps(measure(parser.parse_args().assets)))


if __name__ == "__main__":
    main()
