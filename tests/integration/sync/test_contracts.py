"""Data contracts and their test runs, in the forms that IBM's own client knows (docs/contract.md, "Calls")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.forms import Forms
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from service.changes import RefreshAsked
from service.mirror import refreshes
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

READ = only("data_contract", "data_contract_test")
COMPARED = {"contracts", "contract_tests"}


def pocket(**forms: bool) -> PocketCatalog:
    return PocketCatalog(seed=6, assets=20, clock=SteppingClock(), knobs=Knobs(forms=Forms(**forms)))


async def left(reader: Reader) -> dict[str, Any]:
    return {kind: told for kind, told in (await differences(reader.mirror, reader.catalog)).items() if kind in COMPARED}


async def reconciled(reader: Reader) -> None:
    reader.catalog.clock.advance(60)  # type: ignore[attr-defined]
    await reader.reconcile(accept_deletions=True)


async def problems(reader: Reader) -> list[Any]:
    told = await reader.mirror.all("SELECT problem FROM v1_freshness WHERE problem IS NOT NULL AND kind <> 'container'")
    return [problem for (problem,) in told]


@pytest.mark.parametrize("flat", [False, True])
async def test_contracts_and_their_runs_are_mirrored_nested_and_flat(reading: Reading, flat: bool) -> None:
    """One that was never tested answers that its runs are not there: that is no problem."""
    catalog = pocket(flat_contracts=flat)
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        assert await left(reader) == {}
        assert await problems(reader) == []
        tested = "SELECT count(DISTINCT data_contract_id) FROM v1_data_contract_tests"
        assert 0 < await reader.mirror.one(tested) < await reader.mirror.one("SELECT count(*) FROM v1_data_contracts")
        totals = "SELECT DISTINCT result, total_checks, passed_checks, failed_checks, unexpected_columns"
        rows = await reader.mirror.all(f"{totals} FROM v1_data_contract_tests WHERE failed_checks > 0")
        assert [tuple(row) for row in rows] == [("failed", 8, 6, 2, 1)]
        documents = await reader.mirror.all("SELECT document FROM v1_data_contracts")
        assert not [text for (text,) in documents if "s3cret" in text]


@on_one_store
async def test_new_versions_runs_that_were_deleted_and_contracts_that_are_gone(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        where = reader.container("project").id
        tested, untested = (one.id for one in catalog.contracts.of(where))
        catalog.contracts.replace(untested, "active")
        catalog.contracts.test(untested, 5, 1)
        catalog.contracts.forget_runs(tested)
        elsewhere = catalog.contracts.of(reader.container("catalog").id)[0].id
        catalog.contracts.delete(elsewhere)
        await reconciled(reader)
        assert await left(reader) == {}
        assert await problems(reader) == []


@on_one_store
async def test_runs_are_not_gone_where_the_service_is_not_there(reading: Reading) -> None:
    """Only a contract that is there itself may say that it has no runs."""
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        catalog.knobs.spoil = lambda path, query, body: (
            web.Response(status=404, text="{}") if "/data_contracts/" in path else body
        )
        await reconciled(reader)
        gone = "SELECT count(*) FROM data_contract_tests WHERE deleted_at IS NOT NULL"
        assert await reader.mirror.one(gone) == 0
        assert await problems(reader)


@on_one_store
async def test_a_catalog_that_lists_the_runs_of_a_contract_is_read_so(reading: Reading) -> None:
    catalog = pocket()
    catalog.knobs.spoil = lambda path, query, body: (
        {"test_results": [body], "total_count": 1}
        if "/catalogs/" in path and path.endswith("/test_results") and "summary" in body
        else body
    )
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        assert await left(reader) == {}


@on_one_store
async def test_one_contract_is_read_again(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        where = reader.container("project")
        first, second = (one.id for one in catalog.contracts.of(where.id))
        catalog.contracts.replace(first, "active")
        catalog.contracts.delete(second)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        async with reader.mirror.store.write() as connection:
            await refreshes.ask(connection, [RefreshAsked("data_contract", one) for one in (first, second)])
        await reader.refresh()
        assert "contracts" not in await left(reader)
