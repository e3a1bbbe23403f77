"""Data profiles. A card carries its own; this listing of one data set is for what cards do not tell."""

from __future__ import annotations

from service.kinds.model import CATALOG, PROJECT, Kind, Listing

DATA_PROFILE = Kind(
    "data_profile", "data_profiles", "profile_id", "What profiling found out about data assets",
    parent="asset", parent_type="data_asset", within=(CATALOG, PROJECT), only_rotates=True, is_read_alone=True,
    listed=(
        Listing("profiles", "/v2/data_profiles", query={"dataset_id": "{parent}", "include_entity": True}),
    ),
)  # fmt: skip
