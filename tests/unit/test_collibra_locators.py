"""What locates an asset in Collibra: templates filled with where its data lies, or why there is nothing to fill in."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.mirror.lineage.datasets import Located
from service.targets.collibra.locators import Locators
from service.targets.collibra.options import LocatorRule

ORDERS = Located("a1", "Orders", None, "/SALES/ORDERS", "Db2", "db.example.com", "50000", "SHOP", None, "K1")


def locators(**rules: Any) -> Locators:
    return Locators({name: LocatorRule.model_validate(rule) for name, rule in rules.items()})


@pytest.mark.parametrize(
    ("rule", "locator"),
    [
        ({"type": "DB2", "keys": ["{database}", "{schema}", "{name}"]}, ("DB2", None, ["SHOP", "SALES", "ORDERS"])),
        ({"type": "{host}:{port}", "product": "v{port}", "keys": ["x"]}, ("db.example.com:50000", "v50000", ["x"])),
        ({"type": "t", "keys": ["{database}", "{segments}"]}, ("t", None, ["SHOP", "SALES", "ORDERS"])),
        ({"type": "t", "keys": ["{path}", "{table}"]}, ("t", None, ["SALES/ORDERS", "SALES.ORDERS"])),
    ],
)
def test_templates_are_filled(rule: dict[str, Any], locator: tuple[str, str | None, list[str]]) -> None:
    kind, product, keys = locator
    expected = {"type": kind, "keys": keys} | ({"product": product} if product else {})
    assert locators(db2=rule).of(ORDERS) == expected


def test_the_name_of_a_type_counts_where_its_id_has_no_rule() -> None:
    by_id = replace(ORDERS, datasource_type="8c1a", type_name="Db2")
    assert locators(db2={"type": "by name", "keys": ["k"]}).of(by_id) == {"type": "by name", "keys": ["k"]}


def test_the_rule_of_a_connection_counts_before_that_of_its_type() -> None:
    found = locators(DB2={"type": "by type", "keys": ["k"]}, k1={"type": "by connection", "keys": ["k"]})
    assert found.of(ORDERS) == {"type": "by connection", "keys": ["k"]}


@pytest.mark.parametrize(
    ("asset", "why"),
    [
        (Located("a"), "no connection"),
        (Located("a", connection_id="k"), "where in its connection"),
        (Located("a", connection_id="k", path="/x"), "no locator is set for connections of type 'unknown'"),
        (Located("a", connection_id="k", path="/x", datasource_type="oracle"), "'oracle'"),
        (Located("a", connection_id="k", path="/x", datasource_type="8c1a", type_name="oracle"), "'oracle'"),
        (Located("a", connection_id="k", path="/x", datasource_type="db2"), "database, schema"),
        (Located("a", connection_id="k", path="//", datasource_type="db2", database="d"), "name, schema"),
    ],
)
def test_what_is_missing_is_said(asset: Located, why: str) -> None:
    found = locators(db2={"type": "DB2", "keys": ["{database}", "{schema}", "{name}"]}).of(asset)
    assert isinstance(found, str)
    assert why in found


@given(
    st.text(max_size=30), st.text(max_size=10), st.sampled_from(["{segments}", "{name}", "{path}", "{database}", "x"])
)
def test_a_locator_never_has_an_empty_key(path: str, database: str, key: str) -> None:
    asset = Located("a", connection_id="k", path=path, datasource_type="db2", database=database)
    found = locators(db2={"type": "t", "keys": [key]}).of(asset)
    assert isinstance(found, str) or (found["keys"] and all(found["keys"]))
