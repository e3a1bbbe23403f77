"""Pages of views: conditions, columns, order, and what belongs together across stores."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st

from service.errors import QueryInvalid
from service.mirror.described import VIEWS
from service.queries import views
from service.queries.relations import RELATIONS

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror


async def page(mirror: Mirror, view: str, *conditions: str, **more: Any) -> views.Page:
    async with mirror.store.read() as connection:
        return await views.page(
            connection, view, conditions=[views.condition_of(view, one) for one in conditions], **more
        )


async def keys(mirror: Mirror, view: str, *conditions: str) -> list[Any]:
    return [row[0] for row in (await page(mirror, view, *conditions, columns=[VIEWS[view].key[0]])).rows]


@pytest.mark.usefixtures("catalog")
async def test_rows_that_meet_all_conditions_are_told_in_the_order_of_their_keys(mirror: Mirror) -> None:
    every = await keys(mirror, "v1_assets")
    assert every == ["a-archive", "a-invoices", "a-notebook", "a-orders", "s3://lake/raw/orders.parquet"]
    assert await keys(mirror, "v1_assets", "name:prefix:customer") == ["a-archive"]  # as it is written
    assert await keys(mirror, "v1_assets", "name:prefix:CUSTOMER_", "owner_id:eq:u-ann") == ["a-orders"]
    assert await keys(mirror, "v1_assets", "owner_id:null:true", "is_stub:eq:false") == ["a-invoices", "a-notebook"]
    assert await keys(mirror, "v1_assets", "changed_at:gte:2026-05-13T00:00:00Z") == ["a-archive", "a-invoices"]
    assert await keys(mirror, "v1_assets", "changed_at:lt:2026-05-11T00:00:00Z") == ["a-notebook", "a-orders"]
    assert await keys(mirror, "v1_asset_columns", "position:gte:2") == ["a-orders"]
    assert await keys(mirror, "v1_asset_columns", "nullable:eq:false") == ["a-orders"]
    assert await keys(mirror, "v1_assets", "name:prefix:%") == []


@pytest.mark.usefixtures("catalog")
async def test_pages_follow_each_other(mirror: Mirror) -> None:
    for view in ("v1_assets", "v1_asset_columns", "v1_asset_terms", "v1_lineage_edges"):
        whole = await page(mirror, view)
        paged: list[Any] = []
        cursor: str | None = None
        while True:
            found = await page(mirror, view, limit=1, cursor=cursor)
            paged += found.rows
            if (cursor := found.next) is None:
                break
        assert paged == whole.rows
        assert len(paged) > 1


@pytest.mark.usefixtures("catalog")
async def test_a_cursor_is_good_for_its_query_alone(mirror: Mirror) -> None:
    cursor = (await page(mirror, "v1_assets", limit=1)).next
    assert cursor is not None
    with pytest.raises(QueryInvalid, match="of another query"):
        await page(mirror, "v1_assets", "owner_id:eq:u-ann", cursor=cursor)
    with pytest.raises(QueryInvalid, match="of another query"):
        await page(mirror, "v1_artifacts", cursor=cursor)


async def test_every_view_is_told_with_the_types_that_the_store_has(mirror: Mirror) -> None:
    for view in VIEWS:
        assert (await page(mirror, view)).rows == []
    if mirror.store.dialect == "sqlite":
        return
    families = {
        "text": ("text",), "integer": ("bigint", "integer", "smallint", "numeric"), "number": ("double precision",),
        "truth": ("boolean",), "time": ("timestamp with time zone",),
    }  # fmt: skip
    rows = await mirror.all(
        "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_name LIKE 'v1%'"
    )
    wrong = [
        (view, column, there, views.type_of(view, column))
        for view, column, there in rows
        if there not in families[views.type_of(view, column)]
    ]
    assert wrong == []


@pytest.mark.usefixtures("catalog")
async def test_documents_are_told_where_they_are_asked_for_and_few_at_once(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MAX_DOCUMENTS", 2)
    found = await page(mirror, "v1_assets", columns=["document"], limit=100)
    assert len(found.rows) == 2
    assert found.next is not None
    assert "document" not in (await page(mirror, "v1_assets")).columns


@pytest.mark.parametrize(
    ("condition", "says"),
    [
        ("nmae:eq:x", "There are asset_id, "),
        ("name", "OPERATOR"),
        ("name:like:x", "eq, prefix, lt, gte, null"),
        ("is_stub:lt:true", "eq, null"),
        ("is_stub:eq:yes", "true or false"),
        ("changed_at:gte:yesterday", "2026-05-10T15:04:15Z"),
        ("owner_id:null:maybe", "true or false"),
    ],
)
def test_a_condition_that_is_none_is_refused_with_what_there_is(condition: str, says: str) -> None:
    with pytest.raises(QueryInvalid) as caught:
        views.condition_of("v1_assets", condition)
    assert says in f"{caught.value} {caught.value.advice()}"


@given(st.data())
def test_what_the_pattern_allows_is_read_and_nothing_else(data: st.DataObject) -> None:
    view = data.draw(st.sampled_from(["v1_assets", "v1_profile_columns", "v1_quality_scores"]))
    pattern = views.condition_pattern(view)
    column = data.draw(st.sampled_from([*RELATIONS[view].c.keys(), "other"]))
    operator = data.draw(st.sampled_from([*views.Operator, "like"]))
    value = data.draw(
        st.text(max_size=8) | st.sampled_from(["true", "1", "-2.5", "2026-05-10T15:04:15Z", "2026-02-30T00:00:00Z"])
    )
    text = f"{column}:{operator}:{value}"
    try:
        views.condition_of(view, text)
        is_read = True
    except QueryInvalid:
        is_read = False
    assert is_read == bool(re.fullmatch(pattern, text, re.S)), text


@pytest.mark.usefixtures("catalog")
async def test_nothing_that_is_asked_becomes_sql(mirror: Mirror) -> None:
    hostile = "'; DROP TABLE assets; --"
    assert await keys(mirror, "v1_assets", f"name:eq:{hostile}") == []
    with pytest.raises(QueryInvalid):
        await page(mirror, "v1_assets", columns=[hostile])
    assert await mirror.one(sa.text("SELECT count(*) FROM assets")) == 6
