"""Compares a mirror with the pocket catalog's own state, not through our client: what `v1_` views say, row by row."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from sandbox.catalog.cards import profiles_in
from sandbox.catalog.model import PocketCatalog

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

#: Fields of a card that are no news, and addresses.
VOLATILE = {"version", "size", "rating", "total_ratings"}
SECRET_TYPES = {"connection"}


async def differences(mirror: Mirror, catalog: PocketCatalog) -> dict[str, Any]:
    """By kind of thing, what only one of the two has; empty where they are equal."""
    expected, found = expected_rows(catalog), await mirrored_rows(mirror)
    told: dict[str, Any] = {}
    for kind, rows in expected.items():
        missing = {key: row for key, row in rows.items() if found[kind].get(key) != row}
        extra = {key: row for key, row in found[kind].items() if key not in rows}
        if missing or extra:
            told[kind] = {
                "expected": dict(list(missing.items())[:3]),
                "found": {key: found[kind].get(key) for key in list(missing)[:3]},
                "extra": dict(list(extra.items())[:3]),
                "number": (len(missing), len(extra)),
            }
    return told


def expected_rows(catalog: PocketCatalog) -> dict[str, dict[Any, Any]]:
    """What the views have to say."""
    rows: dict[str, dict[Any, Any]] = {
        "containers": {one.id: (one.kind, one.name) for one in catalog.true_containers(as_seen=True)}
    }
    readable = {one.id for one in catalog.true_containers() if one.readable}
    assets: dict[str, Any] = {}
    columns: dict[Any, Any] = {}
    terms: set[Any] = set()
    profiles: dict[str, Any] = {}
    for kind, container_id, card in catalog.true_assets(as_seen=True):
        metadata, entity = card["metadata"], card.get("entity", {})
        if metadata["rov"]["mode"] in (8, 16) or container_id not in readable:
            continue
        asset_id = metadata["asset_id"]
        state = None if metadata["asset_type"] in SECRET_TYPES else _steady(card)
        assets[asset_id] = (kind, container_id, metadata["name"], metadata["asset_type"], state)
        for column in entity.get("data_asset", {}).get("columns", []):
            info = entity.get("column_info", {}).get(column["name"], {})
            described = info.get("column_description") or None
            columns[asset_id, column["name"]] = (column.get("type", {}).get("type"), described)
        terms |= {(asset_id, "", term["term_id"]) for term in entity.get("asset_terms", {}).get("list", [])}
        for profile in profiles_in(card):
            inside = profile["entity"]["data_profile"]
            profiles[profile["metadata"]["guid"]] = (asset_id, inside["execution"]["status"])
    rows |= {"assets": assets, "columns": columns, "terms": dict.fromkeys(terms), "profiles": profiles}
    rows["findings"], rows["classes"] = _findings(catalog, assets)
    rows["members"] = {
        (container, member.principal): (member.kind, member.role)
        for _, container, member in catalog.true_members()
        if container in readable
    }
    rows["artifacts"] = {
        one.id: (
            *(one.type, one.latest["metadata"]["name"], one.latest["metadata"]["version_id"], one.category_id),
            *(",".join(one.latest["metadata"][who]) or None for who in ("steward_ids", "steward_group_ids")),
        )
        for one in catalog.true_artifacts()
    }
    categories = catalog.glossary.categories.all()
    rows["categories"] = {one.id: (one.name, one.parent, ",".join(one.stewards) or None) for one in categories}
    rows["category_members"] = {
        role.id: (one.id, role.principal, role.user_type, role.role)
        for one in categories
        for role in one.roles.values()
    }
    rows["versions"] = {
        version["metadata"]["version_id"]: version["metadata"]["name"]
        for one in catalog.true_artifacts()
        if one.type != "reference_data"  # those are elsewhere, and not mirrored
        for version in one.versions
    }
    rows["relationships"] = dict.fromkeys(_edges(catalog, readable, assets))
    rows["lists"] = {one["id"]: (one["name"], one["state"]) for one in catalog.lists.all()}
    rows["items"] = {
        item["id"]: (one["id"], item["asset"]["id"])
        for one in catalog.lists.all()
        for item in catalog.lists.items(one["id"])
    }
    jobs = [job for container in readable for job in catalog.jobs.of(container)]
    rows["jobs"] = {job.id: job.name for job in jobs}
    rows["runs"] = {run.id: (job.id, run.state) for job in jobs for run in job.runs.values()}
    projects = [one.id for one in catalog.true_containers() if one.readable and one.kind == "project"]
    rules = [rule for project in projects for rule in catalog.rules.of(project)]
    rows["rules"] = {rule.id: (rule.name, rule.asset_id, rule.column, rule.definition.id) for rule in rules}
    rows["definitions"] = {rule.definition.id: rule.definition.name for rule in rules}
    rows["executions"] = {
        one.id: (rule.id, one.tested, one.failing, one.tested - one.failing)
        for rule in rules
        for one in rule.executions
    }
    rows["protection"] = {
        one["metadata"]["guid"]: (one["entity"]["name"], one["entity"]["state"]) for one in catalog.rules.protecting()
    }
    rows["values"] = {
        value["artifact_id"]: (one.id, value["code"], value["value"])
        for one in catalog.true_artifacts()
        if one.type == "reference_data"
        for value in catalog.glossary.values(one.id)
    }
    rows["datasource_types"] = {
        one["metadata"]["asset_id"]: (one["entity"]["name"], one["entity"]["label"])
        for one in catalog.datasource_types.all()
    }
    contracted = [one for one in catalog.true_containers() if one.readable and one.kind != "space"]
    contracts = [(one.kind, contract) for one in contracted for contract in catalog.contracts.of(one.id)]
    rows["contracts"] = {
        one.id: (one.name, "contract", one.product_id, one.version, one.status) for _, one in contracts
    }
    rows["contract_tests"] = {
        run.id: (one.id, "Completed", 7, run.checks - run.failed, run.failed)
        for kind, one in contracts
        for run in (one.runs[-1:] if kind == "catalog" else one.runs)
    }
    quality = [one.id for one in catalog.true_containers() if one.readable and one.kind != "space"]
    rows["quality_assets"] = {
        one.id: one.name for container in quality for one in catalog.quality.assets(container, children=True)
    }
    rows["issues"] = {
        issue.id: (issue.ignored, issue.occurrences)
        for container in catalog.true_containers()
        if container.readable and container.kind != "space"
        for issue in catalog.quality.issues(container.id)
    }
    return rows


def _edges(catalog: PocketCatalog, readable: set[str], shown: dict[str, Any]) -> Iterable[tuple[Any, ...]]:
    for edge in catalog.true_relationships():
        ends = (edge.source, edge.target)
        if all(not end.is_asset or end.id in shown for end in ends):
            yield (edge.name, edge.source.id, edge.source.column, edge.target.id, edge.target.column)


def _findings(catalog: PocketCatalog, shown: dict[str, Any]) -> tuple[dict[Any, Any], dict[Any, Any]]:
    """What the current profile of each asset that is shown found: the one made last that has figures."""
    current: dict[str, Any] = {}
    for _, _, profile in catalog.true_profiles():
        asset_id, columns = profile["metadata"]["dataset_id"], profile["entity"]["data_profile"]["columns"]
        made = (profile["metadata"]["created_at"], profile["metadata"]["guid"])
        if asset_id in shown and columns and (asset_id not in current or made > current[asset_id][0]):
            current[asset_id] = (made, columns)
    figures: dict[Any, Any] = {}
    classes: dict[Any, Any] = {}
    for (_, profile_id), columns in current.values():
        for column in columns:
            code = column["column_classification"]["class_code"]
            figures[profile_id, column["name"]] = (column["value_analysis"]["null_count"], code)
            if code != "NoClassDetected":
                classes[profile_id, column["name"], code] = None
    return figures, classes


def _steady(card: dict[str, Any]) -> Any:
    """The card without what is no news; numbers by value."""
    metadata = {name: value for name, value in card["metadata"].items() if name not in VOLATILE}
    usage = metadata.get("usage", {})
    metadata["usage"] = {name: value for name, value in usage.items() if "access" not in name}
    entity = dict(card.get("entity", {}))
    if isinstance(entity.get("data_profile"), dict):
        entity.pop("data_profile")
    return json.loads(json.dumps([metadata, entity]), parse_float=float, parse_int=float)


async def mirrored_rows(mirror: Mirror) -> dict[str, dict[Any, Any]]:
    """What the views say."""

    async def rows(query: str, width: int = 1) -> dict[Any, Any]:
        found: dict[Any, Any] = {}
        for row in await mirror.all(query):
            rest = row[width:]
            found[row[:width] if width > 1 else row[0]] = rest if len(rest) > 1 else (rest[0] if rest else None)
        return found

    assets = await rows(
        "SELECT asset_id, container_kind, container_id, name, asset_type, document FROM v1_assets WHERE NOT is_stub"
    )
    return {
        "containers": await rows("SELECT container_id, kind, name FROM v1_containers WHERE NOT is_stub"),
        "assets": {
            key: (*row[:4], None if row[3] in SECRET_TYPES else _steady(json.loads(row[4])))
            for key, row in assets.items()
        },
        "columns": await rows("SELECT asset_id, name, data_type, description FROM v1_asset_columns", 2),
        "terms": await rows(
            "SELECT asset_id, column_name, term_id FROM v1_asset_terms"
            " WHERE column_name = '' AND standing = 'assigned'",
            3,
        ),
        "findings": await rows(
            "SELECT profile_id, column_name, null_count, data_class_code FROM v1_profile_columns", 2
        ),
        "classes": await rows("SELECT profile_id, column_name, class_code FROM v1_profile_classes", 3),
        "profiles": await rows("SELECT profile_id, asset_id, status FROM v1_data_profiles WHERE NOT is_stub"),
        "members": await rows("SELECT container_id, principal_id, principal_type, role FROM v1_members", 2),
        "artifacts": await rows(
            "SELECT artifact_id, artifact_type, name, version_id, parent_category_id, steward_ids, steward_group_ids"
            " FROM v1_artifacts"
        ),
        "versions": await rows("SELECT version_id, name FROM v1_artifact_versions"),
        "relationships": await rows(
            "SELECT relationship_name, source_id, source_column, target_id, target_column FROM v1_relationships", 5
        ),
        "lists": await rows("SELECT asset_list_id, name, state FROM v1_asset_lists"),
        "items": await rows("SELECT item_id, asset_list_id, asset_id FROM v1_asset_list_items"),
        "jobs": await rows("SELECT job_id, name FROM v1_jobs"),
        "runs": await rows("SELECT run_id, job_id, state FROM v1_job_runs"),
        "quality_assets": await rows("SELECT quality_asset_id, name FROM v1_quality_assets"),
        "issues": await rows("SELECT issue_id, is_ignored, occurrences FROM v1_quality_issues"),
        "rules": await rows("SELECT rule_id, name, asset_id, column_name, definition_id FROM v1_quality_rules"),
        "definitions": await rows("SELECT definition_id, name FROM v1_quality_definitions"),
        "executions": await rows(
            "SELECT execution_id, rule_id, tested_records, failing_records, passing_records FROM v1_quality_executions"
        ),
        "protection": await rows("SELECT protection_rule_id, name, state FROM v1_protection_rules"),
        "categories": await rows("SELECT category_id, name, parent_category_id, steward_ids FROM v1_categories"),
        "category_members": await rows(
            "SELECT category_member_id, category_id, principal_id, principal_type, role FROM v1_category_members"
        ),
        "datasource_types": await rows("SELECT datasource_type_id, name, label FROM v1_datasource_types"),
        "contracts": await rows(
            "SELECT data_contract_id, name, contract_type, data_product_id, contract_version, contract_status"
            " FROM v1_data_contracts"
        ),
        "contract_tests": await rows(
            "SELECT test_id, data_contract_id, job_run_state, passed_columns, passed_checks, failed_checks"
            " FROM v1_data_contract_tests"
        ),
        "values": await rows("SELECT reference_value_id, reference_set_id, code, value FROM v1_reference_values"),
    }
