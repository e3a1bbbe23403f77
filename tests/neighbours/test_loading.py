"""What loads and transforms data and tells its lineage by a package of its own: dlt, SQLMesh, Dagster."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.fixtures import Rows
from tests.neighbours.environments import Environment
from tests.neighbours.whole import TOKENS, Mirror

STATES = "SELECT source_service, event_type FROM v1_lineage_events ORDER BY source_service"
PROJECTS = Path(__file__).parent / "projects"


def told_to(mirror: Mirror) -> dict[str, str]:
    """The environment by which these packages are told where lineage goes."""
    return {
        "OPENLINEAGE_URL": mirror.url,
        "OPENLINEAGE_API_KEY": TOKENS["ingest"],
        "OPENLINEAGE_NAMESPACE": "shop",
        "OPENLINEAGE__TRANSPORT": json.dumps(mirror.transport),
    }


@pytest.fixture
def shop(empty_postgres_url: str) -> sa.URL:
    return sa.engine.make_url(empty_postgres_url)


@pytest.mark.neighbour("dlt", "a load with a list below it, by dlt-openlineage")
async def test_a_load_shows_the_tables_that_it_filled(
    tmp_path: Path, shop: sa.URL, mirror: Mirror, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    dlt = installed("dlt")
    tried(f"{dlt.version('dlt')}, dlt-openlineage {dlt.version('dlt-openlineage')}")
    place = shop.set(drivername="postgresql", password="none").render_as_string(hide_password=False)
    variables = told_to(mirror) | {
        "DESTINATION__POSTGRES__CREDENTIALS": place,
        "HOME": str(tmp_path),
        "RUNTIME__DLTHUB_TELEMETRY": "false",
    }
    await dlt.run("python", PROJECTS / "dlt" / "shop.py", cwd=tmp_path, variables=variables)
    edges = await mirror.edges()
    assert {made_of for made_of, _ in edges} == {"shop/orders"}
    [one, other] = sorted(made for _, made in edges)
    # The namespace is the destination's class and a digest of where it is; a list is a table of its own.
    assert re.fullmatch(r"dlt\.destinations\.postgres://\w+/raw\.orders", one)
    assert other == f"{one}__lines"
    assert await mirror.rows.all(STATES) == [("shop/shop", "JOB_COMPLETED")]


@pytest.mark.neighbour("SQLMesh", "plan, by sqlmesh-openlineage")
async def test_a_plan_shows_what_its_models_read(
    tmp_path: Path,
    shop: sa.URL,
    mirror: Mirror,
    rows_of: Callable[[str], Rows],
    installed: Callable[[str], Environment],
    tried: Callable[[str], None],
) -> None:
    await rows_of(shop.render_as_string(False)).execute(
        "CREATE SCHEMA till", "CREATE TABLE till.payments (order_id int, paid numeric)"
    )
    sqlmesh = installed("sqlmesh")
    tried(f"{sqlmesh.version('sqlmesh')}, sqlmesh-openlineage {sqlmesh.version('sqlmesh-openlineage')}")
    place = shutil.copytree(PROJECTS / "sqlmesh", tmp_path / "shop")
    variables = told_to(mirror) | {
        "SHOP_HOST": str(shop.host),
        "SHOP_PORT": str(shop.port),
        "SHOP_USER": str(shop.username),
        "SHOP_PASSWORD": str(shop.password or ""),
        "SHOP_DATABASE": str(shop.database),
        "SQLMESH__DISABLE_ANONYMIZED_ANALYTICS": "true",
        "HOME": str(tmp_path),
    }
    await sqlmesh.run("sqlmesh", "plan", "--auto-apply", "--no-prompts", cwd=place, variables=variables)
    name = shop.database
    # What is read is named with quotes, what is made without; of what is no model nothing is told.
    assert await mirror.edges() == {(f"shop/{name}.shop.paid", f"shop/{name}.shop.totals")}
    models = [f'shop/"{name}"."shop"."{model}"' for model in ("paid", "totals")]
    assert await mirror.rows.all(STATES) == [(model, "JOB_COMPLETED") for model in models]


@pytest.mark.neighbour("Dagster", "assets in processes of their own, by dagster-openlineage (tells no inputs)")
async def test_assets_are_known_by_their_names(
    tmp_path: Path, mirror: Mirror, installed: Callable[[str], Environment], tried: Callable[[str], None]
) -> None:
    dagster = installed("dagster")
    tried(f"{dagster.version('dagster')}, dagster-openlineage {dagster.version('dagster-openlineage')}")
    home = shutil.copytree(PROJECTS / "dagster", tmp_path / "home")
    variables = told_to(mirror) | {"DAGSTER_HOME": str(home), "DAGSTER_EVENTS": str(home / "events")}
    words = ("asset", "materialize", "-f", "shop.py", "--select", "*")
    await dagster.run("dagster", *words, cwd=home, variables=variables)
    # Its adapter could tell what an asset is made of, and nothing that calls it says so (0.2.1, adapter.py).
    made = await mirror.rows.all("SELECT role, asset_id, event_type FROM v1_lineage_edges ORDER BY asset_id")
    assert made == [("generates", f"shop/{name}", "JOB_COMPLETED") for name in ("orders", "totals")]
