"""The chart, rendered once a run for each value set; without helm its tests skip here and fail in CI."""

from collections.abc import Callable
from functools import cache
from typing import Any, NoReturn

import pytest

from sandbox import chart
from sandbox.tools import ToolMissing


@pytest.fixture(scope="session")
def render(do_without: Callable[[Exception], NoReturn]) -> Callable[..., list[chart.Manifest]]:
    """`render("small", "replicaCount=1")`: the manifests of a value set, changed by `--set` arguments."""

    @cache
    def rendered(name: str, *settings: str) -> list[chart.Manifest]:
        try:
            return chart.render(chart.VALUE_SETS[name], *settings)
        except ToolMissing as missing:
            do_without(missing)

    return rendered


@pytest.fixture(params=chart.VALUE_SETS)
def value_set(request: pytest.FixtureRequest) -> str:
    """The test runs once for each value set."""
    return str(request.param)


@pytest.fixture
def manifests(value_set: str, render: Callable[..., list[chart.Manifest]]) -> list[Any]:
    """The manifests of the value set."""
    return render(value_set)
