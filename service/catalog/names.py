"""How the query parameters of the catalog's API are called.

The vendor's reference describes most of its parameters without naming them (docs/contract.md, "Query parameters"), so
every name is kept here, under a name of ours, and can be changed by a setting.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from service.changes import Container
from service.errors import SettingInvalid

SETTING = "CATALOG_MIRROR_CATALOG__PARAMETERS"

#: Our name → the catalog's.
DEFAULTS: Mapping[str, str] = MappingProxyType({
    # Where things live.
    "catalog_id": "catalog_id",
    "project_id": "project_id",
    "space_id": "space_id",
    "bss_account_id": "bss_account_id",
    # Pages.
    "limit": "limit",
    "bookmark": "bookmark",
    "skip": "skip",
    "start": "start",
    "offset": "offset",
    "next": "next",
    # What is asked for.
    "allow_metadata_on_dpr_deny": "allow_metadata_on_dpr_deny",
    "asset_id": "asset_id",
    "asset_ids": "asset_ids",
    "artifact_type": "artifact_type",
    "dataset_id": "dataset_id",
    "direction": "sort_direction",
    "include": "include",
    "include_children": "include_children",
    "include_entity": "include_entity",
    "include_inherited": "include_inherited",
    "include_relationship": "include_relationship",
    "include_source_columns": "include_source_columns",
    "include_target_columns": "include_target_columns",
    "latest_only": "latest_only",
    "member_type": "member_type",
    "modified_after": "modified_after",
    "modified_before": "modified_before",
    "newer_than": "newer_than",
    "older_than": "older_than",
    "request_type": "request_type",
    "since": "since",
    "sort": "sort_by",
    "states": "states",
    "status": "status",
    "subtype": "subtype",
    "workflow_status": "workflow_status",
})  # fmt: skip


class Names:
    """The names in use: the defaults with the overrides of the settings."""

    def __init__(self, overrides: Mapping[str, str] | None = None) -> None:
        """Raises `SettingInvalid` for a name of ours that there is not, or an empty name of theirs."""
        for ours, theirs in (overrides or {}).items():
            if ours not in DEFAULTS:
                raise SettingInvalid(setting=SETTING, problem=f"{ours!r} is none of {', '.join(sorted(DEFAULTS))}")
            if not theirs:
                raise SettingInvalid(setting=SETTING, problem=f"the name for {ours!r} is empty")
        self._names = {**DEFAULTS, **(overrides or {})}

    def of(self, ours: str) -> str:
        """The catalog's name for a parameter of ours."""
        return self._names[ours]

    def container(self, container: Container) -> tuple[str, str]:
        """Name and value of the parameter that tells where an asset lives."""
        return self.of(f"{container.kind}_id"), container.id

    def query(self, values: Mapping[str, str | int | bool | None]) -> dict[str, str]:
        """Parameters in the catalog's names; what is None is left out."""
        return {self.of(ours): _text(value) for ours, value in values.items() if value is not None}


def _text(value: str | int | bool) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)
