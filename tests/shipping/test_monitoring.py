"""Alerts and dashboard: what they ask for exists, and what they link to is there."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sandbox.chart import of_kind
from service.telemetry.metrics import Metrics

ROOT = Path(__file__).parents[2]
ALERTS = yaml.safe_load((ROOT / "helm/files/alerts.yaml").read_text(encoding="utf-8"))
DASHBOARD = json.loads((ROOT / "helm/files/dashboard.json").read_text(encoding="utf-8"))
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]


def scraped() -> dict[str, set[str]]:
    """Every name that is scraped, with its labels."""
    names: dict[str, set[str]] = {}
    for name, kind, labels, _ in Metrics().described:
        for suffix in ("_bucket", "_sum", "_count") if kind == "histogram" else ("",):
            names[name + suffix] = {*labels, *(("le",) if suffix == "_bucket" else ())}
    return names


def asked_for() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    for panel in DASHBOARD["panels"]:
        yield from (target["expr"] for target in panel["targets"])
    yield from (variable["query"]["query"] for variable in DASHBOARD["templating"]["list"][1:])


def test_every_metric_and_label_that_is_asked_for_exists() -> None:
    known = scraped()
    of_the_scrape = {"namespace", "job", "pod", "instance"}
    for expression in asked_for():
        names = set(re.findall(r"catalog_mirror_\w+", expression))
        assert names
        assert names <= set(known), expression
        labels = set(re.findall(r"(\w+)(?==~?|!=)", expression))
        labels |= {word for group in re.findall(r"by \(([^)]*)\)", expression) for word in re.findall(r"\w+", group)}
        assert labels <= of_the_scrape.union(*(known[name] for name in names)), expression


def test_every_metric_is_on_the_dashboard() -> None:
    shown = " ".join(target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"])
    assert [name for name, *_ in Metrics().described if name not in shown] == []


def test_every_alert_links_to_its_section_of_the_runbook(render: Callable[..., list[Any]]) -> None:
    runbook = (ROOT / "docs/runbook.md").read_text(encoding="utf-8")
    sections = {title.lower() for title in re.findall(r"^## (\w+)$", runbook, re.M)}
    assert {rule["alert"].lower() for rule in RULES} == sections
    [made] = of_kind(render("large"), "PrometheusRule")
    base = "https://git.example.com/catalog-mirror/blob/main/docs/runbook.md"
    for rule in made["spec"]["groups"][0]["rules"]:
        assert rule["annotations"]["runbook_url"] == f"{base}#{rule['alert'].lower()}"
        assert rule["annotations"]["console_url"] in {"/", "/dead-letters", "/targets", "/reading"}, (
            "a page that is there"
        )


def test_every_alert_is_tested_to_fire() -> None:
    cases = yaml.safe_load((ROOT / "tests/shipping/alerts_test.yaml").read_text(encoding="utf-8"))["tests"]
    fired = {test["alertname"] for case in cases for test in case["alert_rule_test"] if test.get("exp_alerts")}
    assert fired == {rule["alert"] for rule in RULES}


def test_the_dashboard_is_whole(render: Callable[..., list[Any]]) -> None:
    [config] = [m for m in of_kind(render("large"), "ConfigMap") if "catalog-mirror.json" in m["data"]]
    assert json.loads(config["data"]["catalog-mirror.json"]) == DASHBOARD
    assert config["metadata"]["labels"]["grafana_dashboard"] == "1"
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
