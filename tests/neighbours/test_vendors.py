"""Vendors' own clients ask the pocket systems: what is there is answered, and what is not there is named."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from sandbox.catalog import access
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.server import serve
from sandbox.collibra import backend
from tests.neighbours.environments import Environment

PROJECT = Path(__file__).parent / "projects" / "vendors"


@pytest.mark.neighbour(
    "ibm-aigov-facts-client", "sign-in and assets of the pocket catalog; governance of models is not there"
)
async def test_ibms_client_for_facts(
    tmp_path: Path,
    pocket: PocketCatalog,
    installed: Callable[[str], Environment],
    tried: Callable[[str], None],
) -> None:
    vendors = installed("vendors")
    tried(vendors.version("ibm-aigov-facts-client"))
    asset = next(pocket.assets.all())
    place = pocket.assets.container_of(asset)
    async with serve(pocket) as url:
        words = (url, access.USERNAME, access.API_KEY, place.kind, place.id, asset.asset_id)
        said = await vendors.run("python", PROJECT / "facts.py", *words, cwd=tmp_path)
    told = json.loads(said)
    assert told.pop("model") == "answered"
    assert all("404" in words for words in told.values()), told
    known = {call: number for call, number in pocket.calls.items() if "unknown" not in call}
    assert known == {"POST /icp4d-api/v1/authorize": 1, "GET /v2/assets/{asset_id}": 1}


@pytest.mark.neighbour("collibra-core-200", "not there: the pocket Collibra plays data usage alone")
async def test_collibras_client(
    tmp_path: Path, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    vendors = installed("vendors")
    tried(vendors.version("collibra-core-200"))
    async with backend.serve(backend.PocketCollibra()) as url:
        words = (url, backend.USERNAME, backend.PASSWORD)
        said = await vendors.run("python", PROJECT / "collibra.py", *words, cwd=tmp_path)
    assert json.loads(said) == {"assets": 404, "jobs": 404}
