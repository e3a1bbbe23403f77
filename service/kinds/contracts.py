"""Data contracts of the Open Data Contract Standard, and the runs that test whether data keeps them.

IBM's reference has none of it; places are those of its own client (data-intelligence-sdk 2.3.0). A contract arrives as
asset with `metadata` and `entity`, although the client describes it flat: both are read.
"""

from __future__ import annotations

from typing import Any

from service.kinds import common
from service.kinds.model import CATALOG, PARENT, PROJECT, Kind, Listing, integer, text, time
from service.text import lookup

_WITHIN = (CATALOG, PROJECT)
_CONTRACTS = "/data_quality/v4/{container}s/{container_id}/data_contracts"
_TESTS = _CONTRACTS + "/{parent}/test_results"


def _contract(item: dict[str, Any]) -> dict[str, Any]:
    """What is told of a contract, wherever it stands, and the contract itself."""
    entity = lookup.mapping(item.get("entity"))
    told = lookup.mapping(entity.get("ibm_data_contract")) or entity or item
    return {"@told": told, "@contract": lookup.mapping(told.get("contract_json"))}


DATA_CONTRACT = Kind(
    "data_contract", "data_contracts", "data_contract_id",
    "Data contracts: what those who offer data promise (Open Data Contract Standard)",
    (
        common.name("metadata.name|name"), common.description("metadata.description|@told.description"),
        text("contract_type", "@told.type", "contract, contract_template"),
        text("data_product_id", "@told.data_product_id", "The data product that it is for"),
        text("contract_id", "@contract.id", "The id in the contract itself"),
        text("contract_version", "@contract.version", "Of the contract, as its authors count"),
        text("contract_status", "@contract.status", "As its authors word it: draft, active, deprecated"),
        text("standard_version", "@contract.apiVersion", "Of the standard that it follows"),
        text("domain", "@contract.domain", "Business domain"),
        text("data_product", "@contract.dataProduct", "Name of the data product"),
        common.created("metadata.created_at|metadata.create_time|created_at"),
        common.updated("metadata.usage.last_updated_at|metadata.last_updated_at|updated_at"),
    ),
    ids="metadata.asset_id|id|metadata.id", derived=_contract, asset="data_contract_id", within=_WITHIN,
    listed=(Listing("data_contracts", _CONTRACTS, "data_contracts", "link", 200, "total_count"),),
    alone=Listing("data_contract", _CONTRACTS + "/{parent}", None),
)  # fmt: skip

_SCHEMA, _QUALITY = "summary.schema_validation", "summary.data_quality"
DATA_CONTRACT_TEST = Kind(
    "data_contract_test", "data_contract_tests", "test_id", "Runs that tested whether data keeps a data contract",
    (
        text("data_contract_id", PARENT, "The data contract"),
        text("status", "status", "Of the run, as the catalog words it"),
        time("started_at", "start", "When it began"),
        time("ended_at", "end", "When it ended"),
        text("job_id", "job.id", "The job that tested"),
        text("job_run_id", "job.run.id", "Its run"),
        text("job_run_state", "job.run.state", "As the catalog words it"),
        text("result", "summary.status", "Of schema and data quality together, as the catalog words it"),
        text("schema_result", f"{_SCHEMA}.status", "Whether assets and columns are as the contract says"),
        integer("total_assets", f"{_SCHEMA}.total_assets", "Assets that the contract speaks of"),
        integer("passed_assets", f"{_SCHEMA}.passed_assets", "Assets that are as it says"),
        integer("failed_assets", f"{_SCHEMA}.failed_assets", "Assets that are not"),
        integer("missing_assets", f"{_SCHEMA}.missing_assets_count", "Assets that are not there"),
        integer("total_columns", f"{_SCHEMA}.total_columns", "Columns that the contract speaks of"),
        integer("passed_columns", f"{_SCHEMA}.passed_columns", "Columns that are as it says"),
        integer("failed_columns", f"{_SCHEMA}.failed_columns", "Columns that are not"),
        integer("missing_columns", f"{_SCHEMA}.missing_columns_count", "Columns that are not there"),
        integer("mismatched_columns", f"{_SCHEMA}.type_mismatch_count", "Columns of another type"),
        integer("unexpected_columns", f"{_SCHEMA}.unexpected_columns_count", "Columns that it does not speak of"),
        text("quality_result", f"{_QUALITY}.status", "Whether the data is as good as the contract says"),
        integer("total_checks", f"{_QUALITY}.total_checks", "Checks that the contract asks for"),
        integer("passed_checks", f"{_QUALITY}.passed_checks", "Checks that the data passed"),
        integer("failed_checks", f"{_QUALITY}.failed_checks", "Checks that it did not"),
        integer("error_checks", f"{_QUALITY}.error_checks", "Checks that could not be made"),
    ),
    ids="id", asset="data_contract_id", parent="data_contract", indexed=("data_contract_id",), within=_WITHIN,
    # Of a contract that was never tested they are not there; of a catalog's contract the last run is all there is.
    is_absent_when_empty=True,
    listed=(
        Listing("data_contract_tests", _TESTS, "test_results", "link", total="total_count", within=(PROJECT,)),
        Listing("data_contract_tests", _TESTS, None, within=(CATALOG,), or_items="test_results",
                name="data_contract_tests of a catalog"),
    ),
)  # fmt: skip
