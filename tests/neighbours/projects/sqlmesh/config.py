"""A project on PostgreSQL that tells its lineage."""

import os

from openlineage.client import OpenLineageClient
from sqlmesh.core.config import Config, GatewayConfig, ModelDefaultsConfig, PostgresConnectionConfig
from sqlmesh.core.console import create_console, set_console
from sqlmesh_openlineage.console import OpenLineageConsole

# What `sqlmesh_openlineage.install(url, namespace, api_key)` is for; with a key that fails
# (findings/sqlmesh-openlineage-cannot-send-a-key.sh). This client reads OPENLINEAGE__TRANSPORT, or openlineage.yml.
told = OpenLineageConsole(create_console(), url="console://", namespace=os.environ["OPENLINEAGE_NAMESPACE"])
told._emitter.client = OpenLineageClient()
set_console(told)

config = Config(
    gateways={
        "shop": GatewayConfig(
            connection=PostgresConnectionConfig(
                host=os.environ["SHOP_HOST"],
                port=int(os.environ["SHOP_PORT"]),
                user=os.environ["SHOP_USER"],
                password=os.environ["SHOP_PASSWORD"],
                database=os.environ["SHOP_DATABASE"],
            )
        )
    },
    default_gateway="shop",
    model_defaults=ModelDefaultsConfig(dialect="postgres", start="2026-05-01"),
)
