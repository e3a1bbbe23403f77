"""What a new catalog has beside generated assets: members, imports, areas, relationships, jobs and the like.

Of each there are some, however many assets there are.
"""

from __future__ import annotations

import random

from sandbox.catalog.asset_lists import AssetLists
from sandbox.catalog.assets import Assets, Record
from sandbox.catalog.containers import Container, Containers
from sandbox.catalog.contracts import DataContracts
from sandbox.catalog.enrichment import Enrichment
from sandbox.catalog.glossary import Glossary
from sandbox.catalog.jobs import Jobs
from sandbox.catalog.quality import DIMENSIONS, Quality
from sandbox.catalog.relationships import COLUMN_NAMES, End, Relationships
from sandbox.catalog.rules import Rules

#: Relationships at most, and how many assets there are for each.
_RELATIONSHIPS, _ASSETS_EACH = 300, 3
_USERS = ("IBMid-270000ANNA", "IBMid-270000DANA", "IBMid-270000OTTO", "IBMid-270000EVA")
_GROUPS = ("AccessGroupId-stewards", "AccessGroupId-analysts")
#: Generated assets of each container that the quality service knows.
_QUALITY_ASSETS = 3


def furnish(
    rng: random.Random,
    *,
    containers: Containers,
    assets: Assets,
    relationships: Relationships,
    enrichment: Enrichment,
    glossary: Glossary,
    quality: Quality,
    lists: AssetLists,
    jobs: Jobs,
    rules: Rules,
    contracts: DataContracts,
) -> None:
    """Put in what every catalog has."""
    for container in list(containers):
        _add_members(containers, container)
        known = _first_assets(assets, container)
        if container.kind != "space":
            _add_quality(quality, container, known)
        if container.kind == "project":
            _add_areas(enrichment, jobs, container, known)
            _add_rules(rules, container, known)
        if known and container.kind != "space":
            _add_contracts(contracts, container)
        if known and container.kind == "catalog":
            list_id = lists.create(f"Order of {container.name}")
            for record in known:
                lists.add_item(list_id, record.asset_id, record.card["metadata"]["asset_type"], container)
    _relate(rng, assets, relationships, glossary)
    for name in ("Mask salaries", "Deny what is secret"):
        rules.protect(name)


def _add_members(containers: Containers, container: Container) -> None:
    for user, role in zip(_USERS, ("admin", "editor", "viewer", "viewer"), strict=True):
        containers.add_member(container.id, user, role)
    for group in _GROUPS:
        containers.add_member(container.id, group, "viewer", group=True)


def _first_assets(assets: Assets, container: Container) -> list[Record]:
    plot = assets.generator.plot_in(container.id)
    numbers = range(plot.start, min(plot.end, plot.start + _QUALITY_ASSETS)) if plot else range(0)
    return [assets.live(assets.generator.asset_id(number)) for number in numbers]


def _add_quality(quality: Quality, container: Container, known: list[Record]) -> None:
    checks = [quality.add_check(container.id, f"Check of {name.lower()}", name) for name in DIMENSIONS]
    for number, record in enumerate(known):
        columns = [one["name"] for one in record.card["entity"].get("data_asset", {}).get("columns", [])[:2]]
        asset_id = quality.add_asset(container.id, record.asset_id, record.card["metadata"]["name"], columns)
        quality.report(checks[number % len(checks)], asset_id, 10 * number + 1, 1000)


def _add_areas(enrichment: Enrichment, jobs: Jobs, project: Container, known: list[Record]) -> None:
    import_id = enrichment.create_import(project.id, "Import of the shop")
    area_id = enrichment.create_area(project.id, "Enrichment of the shop", [record.asset_id for record in known])
    enrichment.create_area(project.id, "Enrichment without a scope")
    for asset_id, asset_type in ((import_id, "metadata_import"), (area_id, "metadata_enrichment_area")):
        job_id = jobs.create(project.id, f"{asset_type}_job", asset_id, asset_type)
        jobs.set_state(job_id, jobs.run(job_id), "Completed")


def _add_rules(rules: Rules, project: Container, known: list[Record]) -> None:
    for number, record in enumerate(known):
        rule_id = rules.add(project.id, f"Rule {number} is met", record.asset_id, "ID")
        rules.execute(rule_id, 1000, number)


def _add_contracts(contracts: DataContracts, container: Container) -> None:
    for name in ("tested", "untested"):
        contract_id = contracts.create(container.id, f"{container.name} {name}", "product-1")
        if name == "tested":
            contracts.test(contract_id, 8, 0)
            contracts.test(contract_id, 8, 2)


def _relate(rng: random.Random, assets: Assets, relationships: Relationships, glossary: Glossary) -> None:
    artifacts = glossary.published()
    for _ in range(min(_RELATIONSHIPS, assets.generator.count // _ASSETS_EACH)):
        source, target = assets.draw(rng), assets.draw(rng)
        if source is None or target is None:
            return
        name = rng.choice([*COLUMN_NAMES, "has_part"])
        target_end = End(target.asset_id)
        if name == "implements":
            chosen = rng.choice(artifacts)
            target_end = End(chosen.latest["metadata"]["global_id"], artifact_type=chosen.type)
        columns = source.card["entity"].get("data_asset", {}).get("columns", [])
        column = rng.choice(columns)["name"] if columns and name in COLUMN_NAMES and rng.random() < 0.3 else None
        relationships.set(End(source.asset_id, column), name, target_end)
