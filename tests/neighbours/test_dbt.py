"""dbt and its wrapper `dbt-ol`, on PostgreSQL: both ways in which the wrapper tells what happened."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.fixtures import Rows
from tests.neighbours.environments import Environment
from tests.neighbours.whole import Mirror

PROJECT = Path(__file__).parent / "projects" / "dbt"
#: Options of `dbt-ol`: it reads what dbt left behind at the end, or follows what dbt logs.
AT_THE_END: tuple[str, ...] = ()
WHILE_IT_RUNS = ("--consume-structured-logs",)
#: Who is made of whom, by the names in the project.
MODELS = {
    ("shop.stg_orders", "shop.orders_by_day"),
    ("shop.stg_orders", "shop.customers"),
    ("till.payments", "shop.customers"),
}
#: At the end the wrapper leaves out what a model reads of a seed (findings/openlineage-dbt-tells-two-graphs.sh).
OF_SEEDS = {
    AT_THE_END: set[tuple[str, str]](),
    WHILE_IT_RUNS: {("shop.raw_orders", "shop.stg_orders"), ("shop.raw_customers", "shop.customers")},
}
HISTORY = {("shop.stg_orders", "shop.orders_history")}
#: Following the log, the wrapper tells of each test a table of failures, though dbt keeps none unless told to.
AUDIT = "shop_dbt_test__audit."


class Shop:
    """The project in a folder of its own, its database, and the mirror that it tells."""

    def __init__(self, place: Path, database: str, mirror: Mirror, installed: Environment) -> None:
        self._place, self._mirror, self._installed = place, mirror, installed
        self.url = sa.engine.make_url(database)
        #: What its data sets' names begin with.
        self.namespace = f"postgres://{self.url.host}:{self.url.port}"
        self.prefix = f"{self.namespace}/{self.url.database}."
        self._variables = {
            "SHOP_HOST": str(self.url.host),
            "SHOP_PORT": str(self.url.port),
            "SHOP_USER": str(self.url.username),
            "SHOP_PASSWORD": str(self.url.password or ""),
            "SHOP_DATABASE": str(self.url.database),
            "OPENLINEAGE_CONFIG": str(place / "openlineage.yml"),
            "OPENLINEAGE_NAMESPACE": "shop",
        }
        (place / "openlineage.yml").write_text(json.dumps({"transport": mirror.transport}), encoding="utf-8")

    async def dbt(self, *arguments: str, way: tuple[str, ...] = AT_THE_END, expect: int = 0) -> str:
        """`dbt-ol …`; answers what it prints, once the mirror has all of it."""
        words = (*way, *arguments, "--project-dir", str(self._place), "--profiles-dir", str(self._place))
        said = await self._installed.run("dbt-ol", *words, cwd=self._place, expect=expect, variables=self._variables)
        assert "failed to emit" not in said, said
        return said

    async def edges(self) -> set[tuple[str, str]]:
        """What was made of what, without what all names begin with, and without tables of failures."""
        found = await self._mirror.edges()
        assert all(name.startswith(self.prefix) for pair in found for name in pair), found
        pairs = {(one.removeprefix(self.prefix), other.removeprefix(self.prefix)) for one, other in found}
        return {pair for pair in pairs if not pair[1].startswith(AUDIT)}


@pytest.fixture
async def shop(
    tmp_path: Path,
    empty_postgres_url: str,
    mirror: Mirror,
    rows_of: Callable[[str], Rows],
    installed: Callable[[str], Environment],
    tried: Callable[[str], None],
) -> Shop:
    """The project, before dbt has done anything."""
    await rows_of(empty_postgres_url).execute(
        "CREATE SCHEMA till",
        "CREATE TABLE till.payments (order_id int, paid numeric)",
        "INSERT INTO till.payments VALUES (10, 25), (12, 7)",
    )
    place = tmp_path / "shop"
    shutil.copytree(PROJECT, place)
    dbt = installed("dbt")
    tried(f"{dbt.version('dbt-core')}, openlineage-dbt {dbt.version('openlineage-dbt')}")
    return Shop(place, empty_postgres_url, mirror, dbt)


@pytest.mark.neighbour("dbt", "seed, run, snapshot, test, one after the other")
@pytest.mark.parametrize("way", [AT_THE_END, WHILE_IT_RUNS], ids=["artifacts", "structured logs"])
async def test_each_command_adds_what_it_made(shop: Shop, mirror: Mirror, way: tuple[str, ...]) -> None:
    await shop.dbt("seed", way=way)
    assert await shop.edges() == set()
    await shop.dbt("run", way=way)
    assert await shop.edges() == MODELS | OF_SEEDS[way]
    await shop.dbt("snapshot", way=way)
    assert await shop.edges() == MODELS | OF_SEEDS[way] | HISTORY
    await shop.dbt("run", "--select", "orders_by_day", way=way)  # the second time it is incremental
    assert await shop.edges() == MODELS | OF_SEEDS[way] | HISTORY
    await shop.dbt("test", way=way)
    assert await shop.edges() == MODELS | OF_SEEDS[way] | HISTORY


@pytest.mark.neighbour("dbt", "build, with a model and a test that fail")
@pytest.mark.parametrize("way", [AT_THE_END, WHILE_IT_RUNS], ids=["artifacts", "structured logs"])
async def test_what_failed_is_known_and_made_nothing(shop: Shop, mirror: Mirror, way: tuple[str, ...]) -> None:
    await shop.dbt("build", "--vars", "{break_a_model: true, break_a_test: true}", way=way, expect=1)
    assert await shop.edges() == MODELS | OF_SEEDS[way] | HISTORY
    outcomes: list[Any] = await mirror.rows.all(
        "SELECT assertion, column_name, success FROM v1_quality_assertions ORDER BY 1, 2"
    )
    assert outcomes == [
        ("accepted_values", "name", False),
        ("not_null", "customer_id", True),
        ("unique", "customer_id", True),
    ]
    before = await mirror.lineage(f"{shop.prefix}shop.stg_orders", "--direction", "forward")
    assert "breaking" not in json.dumps(before)
    told = await mirror.lineage(f"{shop.prefix}shop.stg_orders", "--direction", "forward", "--failed")
    assert "breaking" in json.dumps(told)
