"""The fewest calls in which a catalog can be read, endpoint by endpoint (docs/benchmarks.md tells the formula).

How many things there are is taken from the mirror after the pass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import asyncpg

Pages = Callable[[int], int]


def _short(size: int) -> Pages:
    """A page that is not full is the last: after a full one, one more is asked for."""
    return lambda things: things // size + 1


def _empty(size: int) -> Pages:
    """Only an empty page is the last: after the last thing, one more is asked for."""
    return lambda things: -(-things // size) + 1


def _told(size: int) -> Pages:
    """The last page tells that it is."""
    return lambda things: max(1, -(-things // size))


def _once(things: int) -> int:
    """One call, however much there is."""
    return 1


def _each(things: int) -> int:
    """One call for each."""
    return things


_LISTED = "SELECT coalesce(things, 0) FROM sync_states WHERE kind = '{}'"
_IN = _LISTED + " AND container_kind IN ('catalog', 'project')"
_ASSETS = "SELECT count(*) FROM v1_assets WHERE container_kind = 'project' AND asset_type = '{}'"
#: By endpoint: how many things there are in each listing, a row for each, and how they come in pages.
_LEAST: Mapping[str, tuple[str, Pages]] = {
    "sign_in": ("SELECT 1", _once),
    "catalogs": ("SELECT count(*) FROM containers WHERE kind = 'catalog' AND document IS NOT NULL", _empty(25)),
    "projects": ("SELECT count(*) FROM containers WHERE kind = 'project' AND document IS NOT NULL", _empty(100)),
    "spaces": ("SELECT count(*) FROM containers WHERE kind = 'space' AND document IS NOT NULL", _told(200)),
    "assets": (_LISTED.format("asset"), _short(200)),
    "catalog_members": (
        "SELECT count(m.member_id) FROM (SELECT container_id, t FROM containers, unnest(ARRAY['user', 'group']) AS t"
        " WHERE kind = 'catalog' AND document IS NOT NULL) c LEFT JOIN members m"
        " ON m.container_id = c.container_id AND m.principal_type = t GROUP BY c.container_id, t",
        _empty(25),
    ),
    "project_members": (_LISTED.format("member") + " AND container_kind = 'project'", _once),
    "space_members": (_LISTED.format("member") + " AND container_kind = 'space'", _told(200)),
    "asset_types": (_LISTED.format("asset_type"), _once),
    "relationship_types": (_LISTED.format("relationship_type"), _empty(25)),
    "relationships": (_LISTED.format("relationship"), _empty(25)),
    "artifacts": (_LISTED.format("artifact"), _short(200)),
    "versions": (
        "SELECT count(*) FROM artifacts WHERE deleted_at IS NULL AND artifact_type IN"
        " ('glossary_term', 'classification', 'data_class', 'policy', 'rule')",
        _each,
    ),
    "artifact_relationships": (_LISTED.format("artifact_relationship"), _short(200)),
    "asset_lists": (_LISTED.format("asset_list"), _told(200)),
    "list_items": (
        "SELECT count(i.item_id) FROM asset_lists LEFT JOIN asset_list_items i USING (asset_list_id)"
        " GROUP BY asset_list_id",
        _told(200),
    ),
    "quality_assets": (_IN.format("quality_asset"), _told(200)),
    "quality_checks": (_IN.format("quality_check"), _told(200)),
    "quality_issues": (_IN.format("quality_issue"), _told(200)),
    "scores": ("SELECT coalesce(sum(things), 0)::int FROM sync_states WHERE kind = 'quality_asset'", _each),
    "quality_rules": (_LISTED.format("quality_rule") + " AND container_kind = 'project'", _told(200)),
    "quality_definitions": (_LISTED.format("quality_definition") + " AND container_kind = 'project'", _told(200)),
    "quality_executions": (
        "SELECT count(e.execution_id) FROM quality_rules r LEFT JOIN quality_executions e USING (rule_id)"
        " GROUP BY r.rule_id",
        _told(200),
    ),
    "protection_rules": (_LISTED.format("protection_rule"), _short(50)),
    "reference_values": (
        "SELECT count(v.reference_value_id) FROM artifacts a LEFT JOIN reference_values v"
        " ON v.reference_set_id = a.artifact_id WHERE a.artifact_type = 'reference_data' GROUP BY a.artifact_id",
        _short(200),
    ),
    "uncategorized": ("SELECT 1", _once),
    "searched": (_LISTED.format("category"), _told(200)),
    "categories": (_LISTED.format("category"), _told(100)),
    "category_members": ("SELECT count(*) FROM categories WHERE deleted_at IS NULL", _each),
    "datasource_types": (_LISTED.format("datasource_type"), _told(100)),
    "data_contracts": (_IN.format("data_contract"), _told(200)),
    "data_contract": (
        "SELECT count(*) FROM data_contracts d WHERE NOT EXISTS (SELECT 1 FROM data_contract_tests t"
        " WHERE t.data_contract_id = d.data_contract_id)",
        _each,
    ),
    "data_contract_tests": ("SELECT count(*) FROM data_contracts", _each),
    "jobs": (_LISTED.format("job"), _told(100)),
    "runs": ("SELECT count(r.run_id) FROM jobs j LEFT JOIN job_runs r USING (job_id) GROUP BY j.job_id", _told(100)),
    "metadata_import": (_ASSETS.format("metadata_import"), _each),
    "enrichment_area": (_ASSETS.format("metadata_enrichment_area"), _each),
}


async def least(database: str, made: Mapping[str, int]) -> dict[str, int]:
    """The fewest calls to each of the endpoints that were called; none to one that need not be."""
    connection = await asyncpg.connect(database)
    try:
        found: dict[str, int] = {}
        for endpoint in made:
            query, pages = _LEAST.get(endpoint, ("SELECT 0", _each))
            found[endpoint] = sum(pages(row[0]) for row in await connection.fetch(query))
        return found
    finally:
        await connection.close()
