"""How fast, and in how much memory, the document of a profile is read: 50 MB over TLS, by a process of its own."""

from __future__ import annotations

import asyncio
import json
import random
import ssl
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from aiohttp import web

from benchmarks.errors import BenchFailed
from sandbox.parts.tls import make_certificates
from service.catalog.attachments import Documents
from service.events.profile_documents import findings_of
from service.settings.model import CatalogSettings, SyncSettings
from service.text.profile_values import ProfileValues

NAME = "profile_document"
#: Columns of the document, and values in the table of frequencies of each.
COLUMNS, VALUES = 500, 2000
ROUNDS = 3
_SEED = 7


async def measure() -> dict[str, float]:
    """MB per second, from the call to the figures, and MiB above what the process has before the first one.

    Raises:
        BenchFailed: a figure is missing.
    """
    with tempfile.TemporaryDirectory() as place:
        certificates = make_certificates(Path(place))
        body = _document()
        runner = web.AppRunner(_app(body), access_log=None)
        await runner.setup()
        try:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(certificates.certificate, certificates.key)
            await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
            url = f"https://localhost:{runner.addresses[0][1]}"
            told = [await _read_elsewhere(url, certificates.ca) for _ in range(ROUNDS)]
        finally:
            await runner.cleanup()
    if any(one["columns"] != COLUMNS for one in told):
        raise BenchFailed("Not every column of the document was read.")
    size = len(body) / 1e6
    return {
        "mb": size,
        "mb_per_s": size / median(one["seconds"] for one in told),
        "mib_above_idle": max(one["mib"] for one in told),
    }


def _app(body: bytes) -> web.Application:
    async def small(_: web.Request) -> web.Response:
        return web.json_response({"columns": []})

    async def large(_: web.Request) -> web.Response:
        return web.Response(body=body)

    app = web.Application()
    app.router.add_get("/small", small)
    app.router.add_get("/large", large)
    return app


def _document() -> bytes:
    chance = random.Random(_SEED)
    columns = [
        {
            "name": f"COLUMN_{number}",
            "value_analysis": {
                "distinct_count": VALUES, "null_count": number, "min_string": "a", "max_string": "z",
                "inferred_type": {"type": {"type": "STRING", "length": 24, "precision": 0, "scale": 0}},
                "value_distribution": {
                    "values": [{"value": f"{chance.random():.18f}", "count": n} for n in range(VALUES)]
                },
            },
        }
        for number in range(COLUMNS)
    ]  # fmt: skip
    return json.dumps({"summary": {"row_count": 10_000}, "columns": columns}).encode()


async def _read_elsewhere(url: str, ca_file: Path) -> dict[str, float]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.documents", url, str(ca_file), stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise BenchFailed(f"Reading the document ended with {process.returncode}.")
    told: dict[str, float] = json.loads(out)
    return told


async def _read(url: str, ca_file: Path) -> dict[str, Any]:
    """In a process that does nothing else: its peak is that of the document."""
    sync = SyncSettings.model_validate({"profile_document_hosts": ["localhost", "127.0.0.0/8"]})
    documents = Documents(CatalogSettings(ca_file=ca_file), sync)
    findings_of(await documents.fetch(f"{url}/small"), ProfileValues.NUMBERS)
    before = _peak_kib()
    started = time.perf_counter()
    found = findings_of(await documents.fetch(f"{url}/large"), ProfileValues.NUMBERS)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, "mib": (_peak_kib() - before) / 1024, "columns": len(found.figures)}


def _peak_kib() -> int:
    """Most memory that this process had; what `getrusage` tells may be that of the process which started it."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))


def line(found: dict[str, float]) -> str:
    """For people."""
    return (
        f"A document of {found['mb']:.0f} MB: {found['mb_per_s']:.0f} MB/s, "
        f"{found['mib_above_idle']:.0f} MiB above what the process had before"
    )


def summary(found: dict[str, float]) -> dict[str, float]:
    """For the last line."""
    return {"document_mb_per_s": round(found["mb_per_s"], 1), "document_mib": round(found["mib_above_idle"], 1)}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_read(sys.argv[1], Path(sys.argv[2])))))
