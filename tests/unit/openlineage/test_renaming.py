"""Rules by which data sets are called otherwise: what fits, what comes out, and what is refused at start."""

from __future__ import annotations

import re
import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SettingInvalid
from service.openlineage.renaming import MAX_LENGTH, MAX_RULES, READY, Renaming
from service.openlineage.spelling import DatasetName

DBT = DatasetName("duckdb:///path/shop.duckdb", "shop.raw.orders")
DLT = DatasetName("dlt.destinations.duckdb://duckdb", "raw.orders")


def rule(namespace: str, name: str, to_namespace: str, to_name: str) -> dict[str, str]:
    return {"namespace": namespace, "name": name, "to_namespace": to_namespace, "to_name": to_name}


@pytest.mark.parametrize(
    "told",
    [
        {"rule": "dlt-duckdb", "file": "/path/shop.duckdb"},
        {"rule": "dlt-duckdb", "file": "/path/shop.duckdb", "database": "shop", "at": "duckdb"},
        rule("dlt.destinations.duckdb://*", "*", "duckdb:///path/shop.duckdb", "shop.raw.orders"),
        rule(
            "dlt.destinations.{kind}://{any}", "{schema}.{table}", "{kind}:///path/shop.duckdb", "shop.{schema}.{table}"
        ),
    ],
)
def test_a_table_that_dlt_loads_is_called_as_dbt_calls_it(told: dict[str, str]) -> None:
    renaming = Renaming([told])

    assert renaming.of(DLT) == DBT
    assert renaming.of(DBT) == DBT
    assert renaming.of(other := DatasetName("dlt.duckdb://duckdb", "raw.orders")) == other
    found = renaming.of_id("dlt.destinations.duckdb://duckdb/raw.orders")
    assert found is not None
    assert found[1:] == (DLT, DBT)
    assert renaming.of_id("duckdb:///path/shop.duckdb/shop.raw.orders") is None


@pytest.mark.parametrize(
    ("ready", "told", "expected"),
    [
        ("bigquery", {"project": "p"}, ("bigquery", "p.raw.orders")),
        ("mssql", {"host": "h", "database": "d"}, ("mssql://h:1433", "d.raw.orders")),
        ("postgres", {"host": "h", "database": "d", "port": "6432"}, ("postgres://h:6432", "d.raw.orders")),
        ("redshift", {"host": "h", "database": "d"}, ("redshift://h:5439", "d.raw.orders")),
        ("snowflake", {"account": "org-acc", "database": "d"}, ("snowflake://org-acc", "d.raw.orders")),
    ],
)
def test_what_is_ready_follows_the_rules_of_the_specification(
    ready: str, told: dict[str, str], expected: tuple[str, str]
) -> None:
    name = DatasetName(f"dlt.destinations.{ready}://0a1b2c", "raw.orders")

    assert Renaming([{"rule": f"dlt-{ready}", **told}]).of(name) == expected
    assert Renaming([{"rule": f"dlt-{ready}", "at": "other", **told}]).of(name) == name


@pytest.mark.parametrize(
    ("pattern", "text", "found"),
    [
        ("{a}.{b}", "x.y.z", "x|y.z"), ("*.{b}", "x.y.z", "|y.z"), ("{a}.x.{b}", "a.b.x.c", "a.b|c"),
        ("{a}aa", "aaa", "a|"), ("{a}aa", "aa", None), ("*aa", "aa", "|"), ("x{a}", "x", None), ("x*", "x", "|"),
        ("{a}-{a}", "p-p", "p|"), ("{a}-{a}", "p-q", None), ("x", "x", "|"), ("x", "xx", None), ("x", "", None),
        ("{a}.b", "a.b.b", "a.b|"), ("a*b", "ab", "|"), ("a*b", "a", None), ("ab*ba", "aba", None),
        ("Ä {a}\n", "Ä ü\n", "ü|"),
    ],
)  # fmt: skip
def test_an_open_part_stands_for_as_little_as_fits(pattern: str, text: str, found: str | None) -> None:
    used = [f"{{{name}}}" if f"{{{name}}}" in pattern else "" for name in "ab"]
    renaming = Renaming([rule("n", pattern, "to", "|".join(used))])

    made = renaming.of(DatasetName("n", text))

    assert made == (("n", text) if found is None else ("to", found))


@given(
    parts=st.lists(st.sampled_from(["a", "b", ".", "ab"]), min_size=1, max_size=5),
    opened=st.lists(st.sampled_from(["*", "{x}", "{y}"]), max_size=3, unique=True),
    text=st.text("ab.", max_size=12),
)
def test_a_pattern_fits_what_an_expression_of_its_form_fits(parts: list[str], opened: list[str], text: str) -> None:
    pattern = "".join(part + (opened[place] if place < len(opened) else "") for place, part in enumerate(parts))
    tokens = re.split(r"(\*|\{x\}|\{y\})", pattern)
    shape = "".join({"*": ".*?", "{x}": "(?P<x>.+?)", "{y}": "(?P<y>.+?)"}.get(one, re.escape(one)) for one in tokens)
    fits = re.fullmatch(shape, text)
    to = "-".join(name for name in ("{x}", "{y}") if name in pattern) or "-"

    made = Renaming([rule("n", pattern, "to", to)]).of(DatasetName("n", text))

    expected = "-".join(fits[name] for name in ("x", "y") if f"{{{name}}}" in pattern) or "-" if fits else None
    assert made == (("to", expected) if fits else ("n", text))


def test_the_first_rule_that_fits_is_applied_once_to_the_name_as_told_or_as_compared() -> None:
    renaming = Renaming([rule("s3://a", "{x}", "s3://b", "{x}"), rule("s3://b", "{x}", "s3://c", "{x}")])

    assert renaming.of(DatasetName("s3://a", "t")) == ("s3://b", "t")
    assert renaming.of(DatasetName("S3A://a", "t")) == ("s3://b", "t")


def test_long_names_take_no_longer_than_their_length() -> None:
    renaming = Renaming([rule("*a*a*a*a*a*a*a*b", "*", "to", "x")] * MAX_RULES)
    started = time.process_time()
    assert renaming.of(DatasetName("a" * 100_000, "n")).namespace != "to"
    assert time.process_time() - started < 5


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ([{}], r"rule 1: it has to have name, namespace, to_name, to_namespace, or `rule` with one of dlt-bigquery"),
        (["dlt"], r"rule 1: it is no object of texts"),
        ([rule("a", "b", "c", "d"), {**rule("a", "b", "c", "d"), "to_name": 1}], r"rule 2: it is no object of texts"),
        ([{**rule("a", "b", "c", "d"), "more": "x"}], r"rule 1: it has to have"),
        ([rule("", "b", "c", "d")], r"rule 1: namespace has to have 1 to 1024 characters"),
        ([rule("a", "x" * (MAX_LENGTH + 1), "c", "d")], r"rule 1: name has to have 1 to 1024 characters"),
        ([rule("a", "{x}", "c", "{y}")], r"rule 1: to_name uses y, which the patterns do not have"),
        ([rule("a", "{x}", "*", "{x}")], r"rule 1: to_namespace has a `\*`"),
        ([rule("a", "{x}{y}", "c", "{x}")], r"rule 1: name has two parts beside each other"),
        ([rule("a", "{x}*", "c", "{x}")], r"rule 1: name has two parts beside each other"),
        ([rule("a", "{x.", "c", "d")], r"rule 1: name has a brace that belongs to no \{word\}"),
        ([rule("a", "b", "c", "}")], r"rule 1: to_name has a brace"),
        ([rule("a", ".".join("*" * 11), "c", "d")], r"rule 1: name has more than 10 parts"),
        ([{"rule": "dlt"}], r"rule 1: 'dlt' is none of those that are ready: dlt-bigquery, dlt-duckdb"),
        ([{"rule": "dlt-duckdb"}], r"rule 1: 'dlt-duckdb' takes file, and may be told at, database"),
        ([{"rule": "dlt-duckdb", "file": ""}], r"rule 1: 'dlt-duckdb' takes file"),
        ([{"rule": "dlt-duckdb", "file": "x", "host": "h"}], r"rule 1: 'dlt-duckdb' takes file"),
        ([rule("a", "b", "c", "d")] * (MAX_RULES + 1), r"there are 101 rules, more than 100"),
    ],
)
def test_a_rule_that_cannot_be_used_is_refused_at_start_and_named(rules: list[Any], told: str) -> None:
    with pytest.raises(SettingInvalid, match=told) as caught:
        Renaming(rules)
    assert "CATALOG_MIRROR_LINEAGE__NAMES" in str(caught.value)


def test_every_rule_that_is_ready_can_be_switched_on() -> None:
    for name, ready in READY.items():
        Renaming([{"rule": name, **dict.fromkeys(ready.needed, "x")}])
