"""One asset, and one artifact, with all around it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.changes import ThingSaved
from service.kinds import THINGS
from service.mirror.tables import usage_facts
from service.queries import assets, rows
from service.queries.artifacts import artifact
from service.queries.assets import whole
from service.text.documents import document
from tests.integration.queries.conftest import HR, SALES, version

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.queries.conftest import Write

pytestmark = pytest.mark.usefixtures("catalog")


async def asset_of(mirror: Mirror, asset_id: str) -> assets.Whole:
    async with mirror.store.read() as connection:
        found = await whole(connection, asset_id)
    assert found is not None
    return found


def thing(kind: str, thing_id: str, container: Any = SALES, **values: Any) -> ThingSaved:
    row = tuple(values.get(field.name) for field in THINGS[kind].fields)
    return ThingSaved(kind, thing_id, version(1), document({}), row, container)


async def test_an_asset_is_told_with_its_columns_terms_and_classifications(mirror: Mirror) -> None:
    found = await asset_of(mirror, "a-orders")

    assert (found.asset["name"], found.container_name) == ("CUSTOMER_ORDERS", "Sales")
    assert [row["name"] for row in found.columns.rows] == ["ORDER_ID", "CUSTOMER_EMAIL"]
    assert found.columns.filter == ["asset_id:eq:a-orders"]
    assert {(row["column_name"], row["term"]) for row in found.terms.rows} == {
        ("", "Customer"), ("CUSTOMER_EMAIL", "E-Mail"),
    }  # fmt: skip
    assert [row["classification"] for row in found.classifications.rows] == ["Personal Information"]
    assert [row["asset_id"] for row in found.copies.rows] == ["a-archive"]
    assert (await asset_of(mirror, "a-archive")).asset["source_asset_id"] == "a-orders"
    assert not any(part.more for part in (found.columns, found.terms, found.copies))


async def test_lineage_is_told_one_step_both_ways_without_what_not_everybody_may_see(mirror: Mirror) -> None:
    orders, archive = await asset_of(mirror, "a-orders"), await asset_of(mirror, "a-archive")

    assert [(one.asset_id, one.events) for one in orders.downstream.assets] == [("a-archive", 1)]
    assert orders.upstream.assets == []
    assert [(one.asset_id, one.name) for one in archive.upstream.assets] == [
        ("a-orders", "CUSTOMER_ORDERS"), ("s3://lake/raw/orders.parquet", "raw/orders.parquet"),
    ]  # fmt: skip
    assert archive.upstream.found == 2
    assert [one.event_type for one in archive.events.events] == ["JOB_COMPLETED"]
    lake = await asset_of(mirror, "s3://lake/raw/orders.parquet")
    assert [one.asset_id for one in lake.downstream.assets] == ["a-archive"]


async def test_quality_is_told_by_what_the_checks_know_the_asset_as(mirror: Mirror, write: Write) -> None:
    await write(
        thing("quality_asset", "q1", native_id="c-sales/a-orders"),
        thing("quality_asset", "q2", native_id="c-sales/a-orders/CUSTOMER_EMAIL"),
        thing("quality_asset", "q3", native_id="c-sales/a-archive"),
        thing("quality_score", "q1", score=0.9),
        thing("quality_score", "q3", score=0.1),
        thing("quality_issue", "i1", quality_asset_id="q2", check_name="is an address", occurrences=3),
        thing("quality_rule", "r1", HR, asset_id="a-orders", name="ids are unique"),
    )

    quality = (await asset_of(mirror, "a-orders")).quality

    assert [row["score"] for row in quality.scores.rows] == [0.9]
    assert [(row["check_name"], row["occurrences"]) for row in quality.issues.rows] == [("is an address", 3)]
    assert [row["name"] for row in quality.rules.rows] == ["ids are unique"]


async def test_usage_counts_uses_and_how_counters_grew(mirror: Mirror) -> None:
    now = datetime.now(UTC)
    facts = [
        ("f1", "h1", 2, None, now), ("f2", "h1", 1, None, now), ("f3", "h2", 1, None, now - timedelta(days=40)),
        ("f4", None, 100, "views", now - timedelta(days=40)), ("f5", None, 107, "views", now - timedelta(days=1)),
    ]  # fmt: skip
    async with mirror.store.write() as connection:
        for fact_id, user, number, counter, at in facts:
            await connection.execute(
                sa.insert(usage_facts).values(
                    fact_id=fact_id, asset_id="a-orders", user_hash=user, number=number, counter=counter,
                    occurred_at=at, source="lineage", version=b"\0", mirrored_at=now,
                )
            )  # fmt: skip

    usage = (await asset_of(mirror, "a-orders")).usage

    assert (usage.uses, usage.users) == (10, 1)
    assert usage.last_at == now


async def test_a_list_that_is_cut_says_so(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "MAX_COLUMNS", 1)
    monkeypatch.setattr("service.queries.neighbours.MAX_NEIGHBOURS", 1)

    columns = (await asset_of(mirror, "a-orders")).columns
    upstream = (await asset_of(mirror, "a-archive")).upstream

    assert (len(columns.rows), columns.more) == (1, True)
    assert (len(upstream.assets), upstream.found, upstream.more) == (1, 2, True)
    assert rows.SHOWN == 100


async def test_what_is_not_there_or_not_for_everybody_is_not_told(mirror: Mirror) -> None:
    async with mirror.store.read() as connection:
        for asset_id in ("a-secret", "nothing"):
            assert await whole(connection, asset_id) is None


async def test_an_artifact_is_told_with_where_it_is_used(mirror: Mirror, write: Write) -> None:
    await write(
        thing("category", "g-top", name="Business"),
        thing("category", "g-sub", name="Clients", parent_category_id="g-top"),
        thing("artifact", "t-customer", name="Customer", artifact_type="glossary_term", parent_category_id="g-sub"),
        thing("artifact_relationship", "x1", relationship_type="synonym", source_id="t-customer", target_id="t-client"),
    )
    async with mirror.store.read() as connection:
        term = await artifact(connection, "t-customer")
        kind = await artifact(connection, "k-pi")
        assert await artifact(connection, "none") is None

    assert term is not None
    assert kind is not None
    assert term.artifact["name"] == "Customer"
    assert term.category_path == "Business >> Clients"
    assert [(row["asset_id"], row["asset_name"]) for row in term.terms.rows] == [("a-orders", "CUSTOMER_ORDERS")]
    assert [row["target_id"] for row in term.relationships_from.rows] == ["t-client"]
    assert [row["asset_id"] for row in kind.classifications.rows] == ["a-orders"]
