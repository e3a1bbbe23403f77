"""Inserts of many rows: whatever the rows have in common, what is written is what they say."""

from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.mirror.bulk import BulkInsert
from service.mirror.store import STORE_ERRORS, Fault, Store, fault_of
from service.mirror.tables import deliveries

#: Columns that may be empty among those that may not.
_COLUMNS = ("delivery_id", "target", "entity_kind", "entity_id", "change", "attempts", "trace", "last_error")
_insert = BulkInsert(deliveries, _COLUMNS, ("delivery_id",), "nothing", clocked=("created_at", "due_at"))


async def _written(store: Store) -> list[Any]:
    columns = [deliveries.c[name] for name in _COLUMNS]
    async with store.read() as connection:
        rows = await connection.execute(sa.select(*columns).order_by(deliveries.c.delivery_id))
        return [tuple(row) for row in rows]


@given(
    said=st.lists(
        st.tuples(
            st.sampled_from(["t", "u"]), st.just("asset"), st.sampled_from(["", "a"]), st.text("{},\"\\'N", max_size=2),
            st.integers(0, 1), st.sampled_from([None, "NULL"]), st.sampled_from([None, "x", "y"]),
        ),
        min_size=1, max_size=4,
    )
)  # fmt: skip
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_what_rows_have_in_common_is_written_to_each_and_what_one_lacks_to_none(
    mirror: Any, said: list[tuple[Any, ...]]
) -> None:
    rows = [(f"d{number}", *values) for number, values in enumerate(said)]
    async with mirror.store.write() as connection:
        await connection.execute(sa.delete(deliveries))
        await _insert.run(connection, rows)
    assert await _written(mirror.store) == rows


async def test_what_one_row_lacks_and_must_have_is_refused_and_not_taken_from_another(mirror: Any) -> None:
    row = ("d1", "t", "asset", "a", "AssetSaved", 0, None, None)
    with pytest.raises(STORE_ERRORS) as refused:
        async with mirror.store.write() as connection:
            await _insert.run(connection, [row, ("d2", None, *row[2:]), ("d3", *row[1:])])
    assert fault_of(refused.value) is Fault.DATA
    assert await _written(mirror.store) == []
