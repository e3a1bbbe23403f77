"""What people do with Airflow: SQL on a database, inlets and outlets, mapped tasks, and one that fails."""

import os
from datetime import UTC, datetime

from airflow.providers.common.compat.lineage.entities import File
from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.providers.standard.operators.python import PythonOperator
from airflow.sdk import DAG, Asset

ORDERS = Asset(os.environ["SHOP_ASSET"])


def report() -> None:
    """Whatever Python does: what it reads and writes is what inlets and outlets say."""


with DAG("shop", schedule="@once", start_date=datetime(2026, 5, 1, tzinfo=UTC)):
    totals = SQLExecuteQueryOperator(
        task_id="totals",
        conn_id="shop",
        sql=[
            "CREATE TABLE IF NOT EXISTS totals (customer_id int, total numeric)",
            "INSERT INTO totals SELECT o.customer_id, sum(o.amount) FROM orders o"
            " JOIN customers c ON c.id = o.customer_id GROUP BY o.customer_id",
        ],
    )
    regions = SQLExecuteQueryOperator.partial(task_id="regions", conn_id="shop").expand(
        sql=[f"CREATE TABLE {name} AS SELECT * FROM orders WHERE region = '{name}'" for name in ("north", "south")]
    )
    broken = SQLExecuteQueryOperator(
        task_id="broken", conn_id="shop", sql="CREATE TABLE shares AS SELECT total / 0 AS share FROM totals"
    )
    written = PythonOperator(
        task_id="report", python_callable=report, inlets=[ORDERS], outlets=[File(url="s3://lake/reports/orders.csv")]
    )
    totals >> [broken, written]
