"""The mirror ends equal in every form that the documents leave open, or says what it could not read; it loses nothing.

Which forms are open is told in docs/contract.md, "Open forms"; `sandbox.catalog.forms` answers in each of them.
"""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.forms import Forms
from sandbox.catalog.history import History
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from service.errors import TransientError
from tests.integration.sync.kinds import on_one_store
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

#: Kinds of things by what the comparison calls them, with those that a container's listing of them needs.
KINDS = {
    "containers": {"container"},
    "assets": {"asset"},
    "columns": {"asset"},
    "terms": {"asset"},
    "profiles": {"asset", "data_profile"},
    "members": {"member"},
    "artifacts": {"artifact"},
    "versions": {"artifact", "artifact_version"},
    "relationships": {"relationship", "asset", "artifact"},
    "lists": {"asset_list"},
    "items": {"asset_list", "asset_list_item"},
    "jobs": {"job"},
    "runs": {"job", "job_run"},
    "quality_assets": {"quality_asset"},
    "issues": {"quality_issue"},
    "rules": {"quality_rule"},
    "definitions": {"quality_definition"},
    "executions": {"quality_rule", "quality_execution"},
    "protection": {"protection_rule"},
    "values": {"artifact", "reference_value"},
    "datasource_types": {"datasource_type"},
    "contracts": {"data_contract"},
    "contract_tests": {"data_contract", "data_contract_test"},
    "categories": {"category"},
    "category_members": {"category", "category_member"},
}
STEPS = 240


async def unread(reader: Reader) -> set[str]:
    """Kinds of which the mirror says that they could not be read, or not whole."""
    query = "SELECT DISTINCT kind FROM sync_states WHERE problem IS NOT NULL OR unreadable > 0"
    told = {kind for (kind,) in await reader.mirror.all(query)}
    # What lives in a container that cannot be read: one that was deleted, and answers 410, is told to be archived.
    closed = "SELECT count(*) FROM v1_containers WHERE state <> 'active'"
    everything = await reader.mirror.one(closed) or told & {"catalog", "project", "space"}
    return told | (set().union(*KINDS.values()) if everything else set())


async def wrongly_gone(reader: Reader, catalog: PocketCatalog) -> list[str]:
    """Things that the mirror holds for deleted and the catalog has, and shows."""
    alive = {card["metadata"]["asset_id"] for _, _, card in catalog.true_assets(as_seen=True)}
    alive |= {one.id for one in catalog.true_artifacts()} | {one.id for one in catalog.true_containers()}
    gone: set[str] = set()
    for table, key in (("assets", "asset_id"), ("artifacts", "artifact_id"), ("containers", "container_id")):
        rows = await reader.mirror.all(f"SELECT {key} FROM {table} WHERE deleted_at IS NOT NULL")
        gone |= {found for (found,) in rows}
    return sorted(gone & alive)


async def persistent(run: Callable[[], Awaitable[Any]]) -> None:
    """A run as the process does it: what is out of order has it taken up again, until it goes on without that."""
    for _ in range(200):
        try:
            await run()
        except TransientError:
            continue
        return
    raise AssertionError("the run does not end")


async def walk(reading: Reading, forms: Forms, seed: int, steps: int = STEPS) -> None:
    """A life of the catalog, read before, during (without a right that comes back later) and after."""
    catalog = PocketCatalog(seed=seed, assets=40, clock=SteppingClock(), knobs=Knobs(forms=forms))
    async with reading(catalog) as reader:
        await persistent(reader.snapshot)
        history = History(catalog, seed=seed)
        dice = random.Random(seed)
        for _ in range(3):
            lost = dice.choice([one.id for one in catalog.true_containers()])
            for _ in range(steps // 3):
                history.step()
            catalog.clock.advance(60)  # type: ignore[attr-defined]
            catalog.catch_up()
            catalog.set_caller_role(lost, None)
            await reader.poll()
            await reader.refresh()
            catalog.set_caller_role(lost, "viewer")
        catalog.clock.advance(3600)  # type: ignore[attr-defined]
        await persistent(partial(reader.reconcile, accept_deletions=True))
        left = await differences(reader.mirror, catalog)
        told = await unread(reader)
        silent = {kind: left[kind] for kind in left if not KINDS[kind] & told}
        assert not silent, (str(forms), told, silent)
        assert await wrongly_gone(reader, catalog) == []


@on_one_store
@pytest.mark.parametrize("forms", [*Forms.each()], ids=str)
async def test_each_open_form_alone(reading: Reading, forms: Forms) -> None:
    await walk(reading, forms, seed=5)


@pytest.mark.parametrize("seed", range(3))
async def test_mixtures_of_the_open_forms(reading: Reading, seed: int) -> None:
    await walk(reading, Forms.mixture(seed), seed)


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", range(3, 103))
async def test_a_hundred_mixtures_of_the_open_forms(reading: Reading, seed: int) -> None:
    await walk(reading, Forms.mixture(seed), seed, steps=1500)
