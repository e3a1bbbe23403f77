"""The listings that kinds declare, by name, as tests of the catalog's client call them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from service.catalog import listings
from service.catalog.client import CatalogClient
from service.catalog.listings import Parent
from service.catalog.paging import Pages
from service.changes import Container
from service.kinds import CONTAINERS, KINDS
from service.kinds.assets import TRASH
from service.kinds.glossary import CHANGED_DATA_CLASSES


def _of(name: str, client: CatalogClient, where: Container | None = None, **given: Any) -> Pages:
    return listings.pages(client, KINDS[name], where, **given)


def _below(
    name: str, client: CatalogClient, where: Container | None, parent: str, type_: str | None = None, **given: Any
) -> Pages:
    return listings.pages(client, KINDS[name], where, parent=Parent(parent, type_), **given)


def containers(kind: Any, client: CatalogClient, **given: Any) -> Pages:
    """Catalogs, projects or spaces."""
    return listings.pages(client, CONTAINERS[kind], **given)


catalogs, projects, spaces = (partial(containers, kind) for kind in ("catalog", "project", "space"))
members, assets, asset_types, relationship_types = (
    partial(_of, name) for name in ("member", "asset", "asset_type", "relationship_type")
)
relationships, artifacts, artifact_relationships, asset_lists = (
    partial(_of, name) for name in ("relationship", "artifact", "artifact_relationship", "asset_list")
)
quality_assets, quality_checks, quality_issues, jobs = (
    partial(_of, name) for name in ("quality_asset", "quality_check", "quality_issue", "job")
)
profiles, asset_lineage, runs, statistics, scores = (
    partial(_below, name) for name in ("data_profile", "lineage_event", "job_run", "asset_statistic", "quality_score")
)
versions, list_items, metadata_import, enrichment_area = (
    partial(_below, name) for name in ("artifact_version", "asset_list_item", "metadata_import", "enrichment_area")
)
category_members, data_contract_tests = (partial(_below, name) for name in ("category_member", "data_contract_test"))
data_contracts, datasource_types = (partial(_of, name) for name in ("data_contract", "datasource_type"))


def categories(client: CatalogClient, ids: Sequence[str]) -> Pages:
    """Categories, of which there is no list, by their ids."""
    return listings.together(client, KINDS["category"], ids)


def trash(
    client: CatalogClient, where: Container, *, newer_than: str | None = None, cursor: str | None = None
) -> Pages:
    """Deleted assets."""
    return listings.changed(client, TRASH, newer_than, where, cursor=cursor)


def data_classes(client: CatalogClient, *, since: str, status: str | None = None) -> Pages:
    """Data classes that changed, or are no more."""
    return listings.changed(client, CHANGED_DATA_CLASSES, since, status=status)
