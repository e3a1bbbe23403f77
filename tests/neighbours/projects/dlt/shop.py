"""A load into PostgreSQL, with a list below each order, that tells its lineage."""

import dlt
import dlt_openlineage

dlt_openlineage.install(namespace="shop")  # OPENLINEAGE_NAMESPACE is not looked at


@dlt.resource
def orders():
    """Orders with their lines."""
    yield [{"id": 1, "lines": [{"sku": "a", "number": 2}]}, {"id": 2, "lines": [{"sku": "b", "number": 1}]}]


dlt.pipeline("shop", destination="postgres", dataset_name="raw").run(orders())
