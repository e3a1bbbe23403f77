"""Airflow with a scheduler, an executor of processes and an API server, each a process of its own."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path

import aiohttp
import pytest
import sqlalchemy as sa

from sandbox.parts.process import free_port
from sandbox.parts.providers import Postgres
from tests.fixtures import Rows
from tests.neighbours.environments import Environment
from tests.neighbours.whole import Mirror

DAGS = Path(__file__).parent / "projects" / "airflow"
#: Seconds until Airflow has found, scheduled and run all of the DAG.
PATIENCE_S = 240.0


def variables(place: Path, shop: sa.URL, store: str, mirror: Mirror) -> dict[str, str]:
    """The environment of every part of one Airflow; none of its ports is one that others may use."""
    api = free_port()
    return {
        "AIRFLOW_HOME": str(place),
        "AIRFLOW__CORE__DAGS_FOLDER": str(DAGS),
        "AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION": "false",
        "AIRFLOW__CORE__EXECUTOR": "LocalExecutor",
        "AIRFLOW__CORE__LOAD_EXAMPLES": "false",
        "AIRFLOW__CORE__PARALLELISM": "2",
        "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": store,
        "AIRFLOW__API__HOST": "127.0.0.1",
        "AIRFLOW__API__PORT": str(api),
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{api}",
        "AIRFLOW__API__WORKERS": "1",
        "AIRFLOW__API_AUTH__JWT_SECRET": "only-for-this-test-0123456789abcdef0123456789abcdef",
        "AIRFLOW__LOGGING__WORKER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__LOGGING__TRIGGER_LOG_SERVER_PORT": str(free_port()),
        "AIRFLOW__OPENLINEAGE__TRANSPORT": json.dumps(mirror.transport),
        "AIRFLOW__OPENLINEAGE__NAMESPACE": "shop",
        "AIRFLOW_CONN_SHOP": shop.set(drivername="postgres").render_as_string(hide_password=False),
        "SHOP_ASSET": f"postgres://{shop.host}:{shop.port}/{shop.database}/public/orders",
    }


class Airflow:
    """One Airflow that runs."""

    def __init__(self, installed: Environment, place: Path, settings: dict[str, str]) -> None:
        self._installed, self._place, self._settings = installed, place, settings

    async def command(self, *arguments: str) -> str:
        """`airflow …`."""
        return await self._installed.run("airflow", *arguments, cwd=self._place, variables=self._settings)

    @asynccontextmanager
    async def standing(self) -> AsyncIterator[None]:
        """Its parts run; the scheduler starts once the API server answers, as tasks ask that one what to do."""
        with ExitStack() as parts:
            parts.enter_context(self._part("api-server"))
            await self._wait_for_api()
            parts.enter_context(self._part("scheduler"))
            parts.enter_context(self._part("dag-processor"))
            yield

    @contextmanager
    def _part(self, name: str) -> Iterator[None]:
        """One part, in a session of its own; all of its processes end with it."""
        with (self._place / f"{name}.log").open("w") as log:
            process = subprocess.Popen(
                [self._installed.bin / "airflow", name], cwd=self._place,
                env=self._installed.variables(self._settings), stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip
            try:
                yield
            finally:
                process.terminate()
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                with suppress(ProcessLookupError):  # all of them have ended
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    async def _wait_for_api(self) -> None:
        async with asyncio.timeout(PATIENCE_S), aiohttp.ClientSession() as session:
            while True:
                with suppress(aiohttp.ClientConnectionError):
                    async with session.get(f"{self._settings['AIRFLOW__API__BASE_URL']}/api/v2/version") as answer:
                        if answer.status == 200:
                            return
                await asyncio.sleep(0.5)

    def log(self) -> str:
        """The end of what its parts and tasks said."""
        texts = [path.read_text(encoding="utf-8", errors="replace")[-3000:] for path in self._place.rglob("*.log")]
        return "\n".join(texts)


@pytest.fixture
def shop_url(empty_postgres_url: str) -> sa.URL:
    return sa.engine.make_url(empty_postgres_url)


@pytest.fixture
async def airflow(
    tmp_path: Path,
    shop_url: sa.URL,
    empty_postgres_url: str,
    postgres: Postgres,
    mirror: Mirror,
    rows_of: Callable[[str], Rows],
    installed: Callable[[str], Environment],
    tried: Callable[[str], None],
) -> AsyncIterator[Airflow]:
    await rows_of(empty_postgres_url).execute(
        "CREATE TABLE customers (id int)",
        "CREATE TABLE orders (customer_id int, region text, amount numeric)",
        "INSERT INTO customers VALUES (1)",
        "INSERT INTO orders VALUES (1, 'north', 10), (1, 'south', 5)",
    )
    environment = installed("airflow")
    tried(
        f"{environment.version('apache-airflow')},"
        f" provider {environment.version('apache-airflow-providers-openlineage')}"
    )
    name = f"{shop_url.database}_airflow"
    url = sa.engine.make_url(postgres.create_database(name)).set(drivername="postgresql+psycopg2")
    store = url.render_as_string(hide_password=False)
    made = Airflow(environment, tmp_path, variables(tmp_path, shop_url, store, mirror))
    await made.command("db", "migrate")
    async with made.standing():
        yield made
    postgres.drop_database(name)


async def finished(airflow: Airflow, rows: Rows) -> None:
    """Wait until the mirror has been told of the end of the DAG's run."""
    told = "SELECT count(*) FROM v1_lineage_events WHERE source_service = 'shop/shop' AND event_type = 'JOB_FAILED'"
    try:
        await rows.until(told, 1, PATIENCE_S)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{airflow.log()}") from None


@pytest.mark.neighbour("Airflow", "SQL, inlets and outlets, mapped and failing tasks, by a scheduler and its executor")
async def test_a_dag_shows_what_its_tasks_read_and_wrote(airflow: Airflow, shop_url: sa.URL, mirror: Mirror) -> None:
    await finished(airflow, mirror.rows)
    await mirror.at_rest()
    prefix = f"postgres://{shop_url.host}:{shop_url.port}/{shop_url.database}.public."
    assert await mirror.edges() == {
        (f"{prefix}orders", f"{prefix}totals"),
        (f"{prefix}customers", f"{prefix}totals"),
        (f"{prefix}orders", f"{prefix}north"),
        (f"{prefix}orders", f"{prefix}south"),
        (f"{prefix}orders", "s3://lake/reports/orders.csv"),
    }
    ended = await mirror.rows.all(
        "SELECT source_service, event_type FROM v1_lineage_events WHERE event_type <> 'JOB_COMPLETED' ORDER BY 1"
    )
    assert ended == [(f"shop/{job}", "JOB_FAILED") for job in ("shop", "shop.broken")]
    assert "shares" not in await mirror.command("lineage", f"{prefix}totals")
