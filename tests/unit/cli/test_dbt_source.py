"""The dbt source: which of its views can be stale."""

from __future__ import annotations

from typing import Any

import yaml

from service.cli.views import dbt_sources
from service.kinds import THINGS
from service.settings.model import SyncSettings


def tables() -> dict[str, dict[str, Any]]:
    [source] = yaml.safe_load(dbt_sources())["sources"]
    return {table["name"]: table for table in source["tables"]}


def test_every_view_of_what_is_read_can_be_stale_and_no_other() -> None:
    judged = {name for name, table in tables().items() if "config" in table}
    assert {f"v1_{kind.table}" for name, kind in THINGS.items() if name not in SyncSettings().skip} <= judged
    assert {"v1_assets", "v1_asset_columns", "v1_data_profiles", "v1_category_paths"} <= judged
    assert not {"v1_lineage_events", "v1_usage", "v1_quality_assertions", "v1_asset_statistics"} & judged


def test_a_view_is_as_fresh_as_the_reading_of_its_kind() -> None:
    told = tables()["v1_asset_columns"]["config"]
    assert told["loaded_at_query"].endswith("where kind = 'asset'")
    assert told["freshness"]["error_after"]["period"] == "hour"
