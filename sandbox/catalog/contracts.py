"""Data contracts per catalog or project, and the runs that test them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from sandbox.catalog.clock import Clock, iso_millis
from sandbox.catalog.ids import Ids, Kind
from sandbox.catalog.problems import not_found


@dataclass(slots=True)
class ContractRun:
    """One run: of so many checks so many failed."""

    id: str
    started_s: float
    checks: int
    failed: int


@dataclass(slots=True)
class DataContract:
    """A contract, in some version."""

    id: str
    container_id: str
    name: str
    created_s: float
    updated_s: float
    number: int = 1
    status: str = "draft"
    product_id: str | None = None
    runs: list[ContractRun] = field(default_factory=list)

    @property
    def version(self) -> str:
        """As its authors count."""
        return f"{self.number}.0.0"


class DataContracts:
    """All contracts; nothing on the broker tells of them."""

    def __init__(self, ids: Ids, clock: Clock) -> None:
        self._ids, self._clock = ids, clock
        self._contracts: dict[str, DataContract] = {}

    def of(self, container_id: str) -> list[DataContract]:
        """Contracts of a container."""
        return [one for one in self._contracts.values() if one.container_id == container_id]

    def get(self, contract_id: str, container_id: str) -> DataContract:
        """A contract; raises Problem 404."""
        found = self._contracts.get(contract_id)
        if found is None or found.container_id != container_id:
            raise not_found("data contract", contract_id)
        return found

    def create(self, container_id: str, name: str, product_id: str | None = None) -> str:
        """Make a contract; answers its id."""
        now = self._clock.now()
        made = DataContract(self._ids.new(Kind.CONTRACT), container_id, name, now, now, product_id=product_id)
        self._contracts[made.id] = made
        return made.id

    def replace(self, contract_id: str, status: str) -> None:
        """Put the next version in its place."""
        found = self._contracts[contract_id]
        found.number, found.status, found.updated_s = found.number + 1, status, self._clock.now()

    def test(self, contract_id: str, checks: int, failed: int) -> None:
        """Test it."""
        run = ContractRun(self._ids.new(Kind.CONTRACT), self._clock.now(), checks, failed)
        self._contracts[contract_id].runs.append(run)

    def forget_runs(self, contract_id: str) -> None:
        """Delete all runs of a contract."""
        self._contracts[contract_id].runs.clear()

    def delete(self, contract_id: str) -> None:
        """Delete a contract with its runs."""
        del self._contracts[contract_id]


def contract_document(one: DataContract, *, flat: bool) -> dict[str, Any]:
    """A contract as it arrives, or flat, as it is described."""
    contract = {
        "apiVersion": "v3.1.0", "kind": "DataContract", "id": f"contract-{one.name}", "name": one.name,
        "version": one.version, "status": one.status, "domain": "sales", "dataProduct": "orders",
        # Whoever reads it must not learn how to get at the data.
        "servers": [{"server": "db", "type": "db2", "customProperties": [{"property": "password", "value": "s3cret"}]}],
        "team": [{"username": "jane@example.com", "role": "owner"}],
    }  # fmt: skip
    told: dict[str, Any] = {
        "type": "contract",
        "data_product_id": one.product_id,
        "contract_json": contract,
        "server_mappings": [],
    }
    if flat:
        return {"id": one.id, "name": one.name, **told}
    metadata = {
        "asset_id": one.id, "name": one.name, "asset_type": "ibm_data_contract",
        "created_at": iso_millis(one.created_s), "usage": {"last_updated_at": iso_millis(one.updated_s)},
    }  # fmt: skip
    return {"metadata": metadata, "entity": {"ibm_data_contract": told}, "href": f"/v2/assets/{one.id}"}


def run_document(one: ContractRun) -> dict[str, Any]:
    """A test run as it is told."""
    result = "failed" if one.failed else "passed"
    schema = {
        "status": "passed", "total_assets": 1, "passed_assets": 1, "failed_assets": 0, "missing_assets_count": 0,
        "total_columns": 7, "passed_columns": 7, "failed_columns": 0, "missing_columns_count": 0,
        "type_mismatch_count": 0, "unexpected_columns_count": 1,
    }  # fmt: skip
    quality = {
        "status": result, "total_checks": one.checks, "passed_checks": one.checks - one.failed,
        "failed_checks": one.failed, "error_checks": 0,
    }  # fmt: skip
    return {
        "id": one.id, "status": "finished", "start": iso_millis(one.started_s), "end": iso_millis(one.started_s + 30),
        "job": {"id": f"job-{one.id}", "run": {"id": f"run-{one.id}", "state": "Completed"}},
        "summary": {"status": result, "schema_validation": schema, "data_quality": quality},
        "data_assets": [{"id": "a", "name": "ORDERS", "columns": []}], "server_mappings": [],
    }  # fmt: skip
