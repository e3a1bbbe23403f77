"""Names that producers spell differently meet where they mean the same data, and only there."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mirror.lineage.datasets import Located
from service.openlineage import reading
from service.openlineage.naming import Naming, paths_of
from service.openlineage.spelling import DatasetName, meant, meant_id, spellings
from service.openlineage.words import asset_id_of

#: Spellings of one data set each, as producers have been seen to write them.
SAME = [
    [
        ("postgres://db.example.com:5432", "shop.public.orders"),
        ("postgresql://DB.Example.com:5432", "shop.public.orders"),
        ("POSTGRES://db.example.com", "shop.public.orders"),
        ("postgres://db.example.com", '"shop"."public"."orders"'),
    ],
    [("s3://lake", "orders/2026"), ("s3a://lake", "orders/2026"), ("s3n://lake", "orders/2026")],
    [("mssql://h:1433", "d.s.t"), ("sqlserver://H", "d.s.t")],
    [("kafka://b1:9092", "orders"), ("kafka://b2:9092,b1:9092", "orders"), ("kafka://B1,b2", "orders")],
    [
        ("snowflake://xy12345.us-west-1.aws", "SHOP.PUBLIC.ORDERS"),
        ("snowflake://XY12345", "shop.public.orders"),
        ("snowflake://xy12345.us-west-1", '"SHOP".public."ORDERS"'),
        ("snowflake://xy12345.us-west-1.aws.snowflakecomputing.com", "Shop.Public.Orders"),
    ],
    [
        ("snowflake://acme-sales_eu", "SHOP.PUBLIC.ORDERS"),
        ("snowflake://ACME-sales-eu.snowflakecomputing.com", "shop.public.orders"),
        ("snowflake://acme-sales-eu.privatelink.snowflakecomputing.com", "shop.public.orders"),
    ],
    # Not the same as any of the others: case counts where the data source makes a difference.
    [("postgres://db.example.com:5432", "shop.public.Orders")],
    [("postgres://db.example.com:5433", "shop.public.orders")],
    [("snowflake://acme-sales-eu", 'SHOP.PUBLIC."orders"')],
    [("snowflake://acme-sales-eu", 'SHOP.PUBLIC."A.B"')],
    [("snowflake://acme-sales-eu", "SHOP.PUBLIC.A.B")],
    [("s3://Lake", "orders/2026")],
    [("s3://lake", "Orders/2026")],
    [("bigquery", "shop.public.orders")],
    [("bigquery", "shop.public.Orders")],
    [("file", "/tmp/a")],
    [("catalog://project/p1", "Abc")],
    [("catalog://project/p1", "abc")],
    [("shop", '"db"."shop"."paid"'), ("shop", "db.shop.paid"), ("shop", 'db."shop".paid')],
    [("shop", 'db."shop.paid"')],
    [("shop", 'db."sh""op".paid')],
    [("file", '"db"."paid"')],
    [("shop", 'an "odd" name')],
]


@pytest.mark.parametrize("names", SAME, ids=lambda names: "/".join(names[0]))
def test_spellings_of_one_data_set_have_one_id(names: list[tuple[str, str]]) -> None:
    assert len({asset_id_of(DatasetName(*name)) for name in names}) == 1


def test_different_data_sets_stay_different() -> None:
    for one, other in combinations(SAME, 2):
        assert asset_id_of(DatasetName(*one[0])) != asset_id_of(DatasetName(*other[0]))


@pytest.mark.parametrize("name", [DatasetName(*name) for names in SAME for name in names], ids="/".join)
def test_the_spelling_that_counts_is_its_own_and_what_is_asked_for_leads_to_it(name: DatasetName) -> None:
    assert meant(meant(name)) == meant(name)
    asked = meant_id("/".join(name))
    assert asked is None or asset_id_of(asked) == asset_id_of(name)


@given(st.text(max_size=40), st.text(max_size=40))
def test_any_name_has_one_spelling_that_counts(namespace: str, name: str) -> None:
    once = meant(DatasetName(namespace, name))

    assert meant(once) == once
    assert spellings(DatasetName(namespace, name))


@given(st.sampled_from(["snowflake", "kafka", "postgresql"]), st.text(min_size=1), st.text(min_size=1))
def test_any_name_of_a_scheme_with_rules_has_one_spelling(scheme: str, authority: str, name: str) -> None:
    once = meant(DatasetName(f"{scheme}://{authority}", name))

    assert meant(once) == once


#: (what the connection says, the path, what producers say)
_ASSETS: list[tuple[dict[str, Any], str, tuple[str, str]]] = [
    ({"datasource_type": "snowflake", "host": "ACME-sales", "database": "SHOP"}, "/PUBLIC/ORDERS",
     ("snowflake://acme-sales", "shop.public.orders")),
    ({"datasource_type": "snowflake", "host": "acme-sales", "database": "shop"}, "/public/orders",
     ("snowflake://acme-sales", '"SHOP"."PUBLIC"."ORDERS"')),
    ({"datasource_type": "postgresql", "host": "DB.example.com", "database": "shop"}, "/public/orders",
     ("postgresql://db.example.com", "shop.public.orders")),
    ({"datasource_type": "amazons3", "bucket": "lake"}, "/orders/2026", ("s3a://lake", "orders/2026")),
    ({"datasource_type": "kafka", "host": "b1:9092,b2:9093"}, "/orders", ("kafka://B2:9093", "orders")),
    ({"datasource_type": "kafka", "host": "b2", "port": "9092"}, "/orders", ("kafka://b1:9092,b2:9092", "orders")),
    ({"datasource_type": "oracle", "host": "DB", "database": "SALES.example"}, "/SHOP/ORDERS",
     ("oracle://db:1521", "SALES.example.SHOP.ORDERS")),
]  # fmt: skip


@pytest.mark.parametrize(("connection", "path", "told"), _ASSETS)
def test_an_asset_is_found_by_what_producers_call_its_data(
    connection: dict[str, Any], path: str, told: tuple[str, str]
) -> None:
    name = DatasetName(*told)

    assert path in paths_of(name)
    assert Naming().spellings(Located("a1", path=path, **connection)) & spellings(name)


def test_two_producers_that_spell_a_data_set_differently_tell_of_one() -> None:
    event = {
        "eventType": "COMPLETE", "eventTime": "2026-05-10T15:04:15Z", "producer": "urn:x",
        "run": {"runId": "3f5e83fa-3480-44ff-99c5-ff943904e5e8"}, "job": {"namespace": "n", "name": "j"},
        "inputs": [dict(zip(("namespace", "name"), name, strict=True)) for name in SAME[4]],
    }  # fmt: skip
    recorded = reading.recorded(reading.envelope(event, []), "airflow")

    assert [edge.asset_id for edge in recorded.edges] == ["snowflake://xy12345.us-west-1.aws/SHOP.PUBLIC.ORDERS"]
