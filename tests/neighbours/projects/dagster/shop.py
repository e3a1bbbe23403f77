"""Assets that are made of one another; the storage of events tells of them (dagster.yaml)."""

from dagster import Definitions, asset


@asset
def orders() -> list[int]:
    """What came in."""
    return [25, 30, 7]


@asset
def totals(orders: list[int]) -> int:
    """What they amount to."""
    return sum(orders)


defs = Definitions(assets=[orders, totals])
