"""A small catalog in a mirror, all of it findable, and an API on it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

import pytest

from service.changes import (
    AssetColumn,
    AssetSaved,
    Change,
    Classified,
    Container,
    ContainerSaved,
    Copied,
    LineageEdge,
    LineageRecorded,
    Rank,
    TermAssigned,
    ThingSaved,
    Version,
)
from service.kinds import THINGS
from service.mirror import writer
from service.mirror.search import following
from service.text.documents import document
from tests.integration.lineage.conftest import api, served, tokens_file

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

__all__ = ["api", "served", "tokens_file"]

SALES, HR = Container("catalog", "c-sales"), Container("project", "p-hr")
#: 2026-05-10, in microseconds, and a day.
AT_US, DAY_US = 1_778_425_455_000_000, 86_400_000_000

Write = Callable[..., Awaitable[None]]


def version(day: int = 0) -> Version:
    return Version(AT_US + day * DAY_US, Rank.READ)


def asset(asset_id: str, name: str | None, day: int = 0, **more: object) -> AssetSaved:
    told = {"asset_type": "data_asset", "container": SALES, "visibility_mode": 0, **more}
    return AssetSaved(asset_id, version(day), document({"metadata": {"name": name}}), name=name, **told)  # type: ignore[arg-type]


def artifact(artifact_id: str, artifact_type: str, name: str, day: int = 0, **more: object) -> ThingSaved:
    told = {"artifact_type": artifact_type, "name": name, **more}
    row = tuple(told.get(field.name) for field in THINGS["artifact"].fields)
    return ThingSaved("artifact", artifact_id, version(day), document({"metadata": {"name": name}}), row)


CATALOG: tuple[Change, ...] = (
    ContainerSaved(SALES, version(), document({}), name="Sales", description="All that is sold"),
    ContainerSaved(HR, version(), document({}), name="People & Culture"),
    asset(
        "a-orders", "CUSTOMER_ORDERS", owner_id="u-ann", tags=("gold", "pii"), description="Every order since 2001",
        columns=(
            AssetColumn("ORDER_ID", 1, "integer", "BIGINT", nullable=False),
            AssetColumn("CUSTOMER_EMAIL", 2, "string", "VARCHAR", 320, data_class="Email Address"),
        ),
        terms=(TermAssigned("t-customer", "Customer"), TermAssigned("t-mail", "E-Mail", "CUSTOMER_EMAIL", "suggested")),
        classifications=(Classified("k-pi", "Personal Information"),), connection_path="/SALES/CUSTOMER_ORDERS",
    ),
    asset("a-archive", "customerOrdersArchive", 3, owner_id="u-bob",
          copied_from=Copied("clone", "a-orders", SALES)),
    asset("a-invoices", "Rechnungen (Zürich)", 5, container=HR, columns=(AssetColumn("amount", 1, "decimal"),)),
    asset("a-notebook", "How we count customers", asset_type="notebook"),
    asset("a-secret", "CUSTOMER_SALARIES", visibility_mode=8),
    artifact("t-customer", "glossary_term", "Customer", short_description="Somebody who buys"),
    artifact("k-pi", "classification", "Personal Information", 1),
    LineageRecorded("e1", version(), document({"event_details": {"event_id": "e1"}}), "JOB_COMPLETED", (), "airflow",
                    edges=(LineageEdge("a-orders", "uses"), LineageEdge("a-archive", "generates"),
                           LineageEdge("s3://lake/raw/orders.parquet", "uses", name="raw/orders.parquet"),
                           LineageEdge("a-secret", "uses"))),
)  # fmt: skip


@pytest.fixture
def write(mirror: Mirror) -> Write:
    """`write(*changes)` into the mirror, and have search follow."""

    async def into(*changes: Change) -> None:
        async with mirror.store.write() as connection:
            await writer.apply(connection, enumerate(changes))
        while await following.step(mirror.store):
            pass

    return into


@pytest.fixture
async def catalog(write: Write) -> None:
    """A small catalog, findable."""
    await write(*CATALOG)
