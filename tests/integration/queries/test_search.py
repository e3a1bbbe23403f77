"""Search finds what people call it, begin to call it, or mistype; never what not everybody may see."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import AssetDeleted, ContainerDeleted
from service.errors import QueryInvalid
from service.mirror import controls, writer
from service.mirror.search import following, preparing
from service.mirror.tables import assets, search_things
from service.queries.asked import Filters, Kind
from service.queries.counting import Precision
from service.queries.search import Found, search
from service.text.words import name_of
from tests.integration.queries.conftest import CATALOG, HR, SALES, asset, version

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror
    from tests.integration.queries.conftest import Write

pytestmark = pytest.mark.usefixtures("catalog")


async def found(mirror: Mirror, text: str = "", filters: Filters | None = None, **more: object) -> Found:
    async with mirror.store.read() as connection:
        return await search(connection, text, filters, **more)  # type: ignore[arg-type]


def ids(answer: Found) -> list[str]:
    return [match.id for match in answer.matches]


async def test_what_begins_so_comes_first_then_names_with_all_words_then_the_rest(mirror: Mirror) -> None:
    answer = await found(mirror, "customer")

    # Two names begin so, another artifact and a notebook have it in their names; the classified asset has the term.
    assert ids(answer) == ["t-customer", "a-orders", "a-archive", "a-notebook"]
    assert [match.kind for match in answer.matches][:2] == [Kind.ARTIFACT, Kind.ASSET]
    assert answer.found.number == 4
    assert answer.next is None


async def test_things_are_found_by_words_wherever_they_stand(mirror: Mirror) -> None:
    told = {
        "ord cust": "a-orders",  # beginnings, in any order
        "archive customerOrders": "a-archive",
        "zurich": "a-invoices",  # without accents
        "RECHNUNGEN": "a-invoices",
        "every since 2001": "a-orders",  # a description
        "somebody": "t-customer",
        "people": "p-hr",
        "raw orders parquet": "s3://lake/raw/orders.parquet",
        "a-notebook": "a-notebook",  # an id
    }
    assert {text: ids(await found(mirror, text))[0] for text in told} == told


async def test_a_column_leads_to_its_asset_and_is_told(mirror: Mirror) -> None:
    (match,) = (await found(mirror, "email")).matches

    assert (match.id, match.columns, match.container_name) == ("a-orders", ["CUSTOMER_EMAIL"], "Sales")


async def test_mistyped_words_are_taken_for_those_that_are_much_alike(mirror: Mirror) -> None:
    answer = await found(mirror, "custmoer ordres")

    assert answer.corrected == {"custmoer": ["customer", "customers"], "ordres": ["orders", "order"]}
    assert ids(answer)[:2] == ["a-orders", "a-archive"]
    assert (await found(mirror, "customer")).corrected == {}
    assert (await found(mirror, "xylophone")).matches == []


async def test_without_the_extension_words_are_found_all_the_same(mirror: Mirror) -> None:
    if mirror.store.dialect == "sqlite":
        pytest.skip("SQLite needs no extension")
    await mirror.execute("DROP EXTENSION pg_trgm CASCADE")

    answer = await found(mirror, "custmoer")
    assert (answer.matches, answer.finds_mistyped) == ([], False)
    assert ids(await found(mirror, "rech")) == ["a-invoices"]
    assert ids(await found(mirror, "count custom")) == ["a-notebook"]
    assert await preparing.prepare(mirror.store)
    assert (await found(mirror, "custmoer")).matches


async def test_filters_narrow_it(mirror: Mirror) -> None:
    told: tuple[tuple[Filters, set[str]], ...] = (
        (Filters((Kind.ARTIFACT,)), {"t-customer", "k-pi"}),
        (Filters((Kind.DATA_SET,)), {"s3://lake/raw/orders.parquet"}),
        (Filters(types=("notebook",)), {"a-notebook"}),
        (Filters(containers=("p-hr",)), {"a-invoices", "p-hr"}),
        (Filters(terms=("Customer",)), {"a-orders"}),
        (Filters(terms=("t-mail",)), {"a-orders"}),
        (Filters(classes=("Email Address",)), {"a-orders"}),
        (Filters(classes=("Personal Information",)), {"a-orders"}),
        (Filters(owners=("u-ann", "u-bob")), {"a-orders", "a-archive"}),
        (Filters(owners=("u-bob",), tags=("gold",)), set()),
        (Filters(changed_since=datetime(2026, 5, 12, tzinfo=UTC)), {"a-archive", "a-invoices"}),
    )
    for filters, expected in told:
        assert set(ids(await found(mirror, "", filters))) == expected, filters


async def test_facets_count_what_matches_have(mirror: Mirror) -> None:
    facets = {facet.name: facet.values for facet in (await found(mirror, "customer")).facets}

    assert facets["type"] == {"data_asset": 2, "glossary_term": 1, "notebook": 1}
    assert facets["tag"] == {"gold": 1, "pii": 1}
    assert facets["class"] == {"Email Address": 1, "Personal Information": 1}
    assert facets["container"] == {"c-sales": 3}


async def test_pages_follow_each_other_whatever_their_size(mirror: Mirror) -> None:
    whole = ids(await found(mirror))
    paged: list[str] = []
    cursor: str | None = None
    while True:
        answer = await found(mirror, limit=2, cursor=cursor)
        paged += ids(answer)
        cursor = answer.next
        if cursor is None:
            break
    assert paged == whole
    assert len(whole) == len(set(whole)) == 9

    mistyped = await found(mirror, "custmoer", limit=1)
    assert mistyped.next is not None
    assert ids(await found(mirror, "custmoer", limit=1, cursor=mistyped.next)) == ["a-orders"]


async def test_a_cursor_is_good_for_its_question_alone(mirror: Mirror) -> None:
    cursor = (await found(mirror, "customer", limit=1)).next
    assert cursor is not None
    for text, filters in (("orders", None), ("customer", Filters(tags=("gold",)))):
        with pytest.raises(QueryInvalid, match="of another query"):
            await found(mirror, text, filters, cursor=cursor)
    for broken in ("x", cursor[:-5], "W10"):
        with pytest.raises(QueryInvalid, match="The cursor is"):
            await found(mirror, "customer", cursor=broken)


async def test_what_not_everybody_may_see_is_found_neither_at_once_nor_when_it_was_shown_before(
    mirror: Mirror, write: Write
) -> None:
    assert "a-secret" not in ids(await found(mirror, "salaries"))

    async with mirror.store.write() as connection:  # hidden, and search has not followed yet
        await connection.execute(sa.update(assets).where(assets.c.asset_id == "a-orders").values(visibility_mode=16))
    assert "a-orders" not in ids(await found(mirror, "customer"))

    await write(asset("a-secret", "CUSTOMER_SALARIES", 9))
    assert ids(await found(mirror, "salaries")) == ["a-secret"]
    await write(asset("a-secret", "CUSTOMER_SALARIES", 10, visibility_mode=8))
    assert await mirror.one("SELECT count(*) FROM search_things WHERE thing_id = 'a-secret'") == 0


async def test_search_follows_what_changes_is_deleted_and_is_removed_altogether(mirror: Mirror, write: Write) -> None:
    await write(asset("a-orders", "Bestellungen", 9))
    assert ids(await found(mirror, "bestell")) == ["a-orders"]
    assert "a-orders" not in ids(await found(mirror, "customer"))

    await write(AssetDeleted("a-orders", version(10), SALES))
    assert ids(await found(mirror, "bestell")) == []

    await write(ContainerDeleted(HR, version(10)))
    assert ids(await found(mirror, "rechnungen")) == []

    await mirror.execute("DELETE FROM assets WHERE asset_id = 'a-notebook'")
    assert ids(await found(mirror, "count customers")) == []
    assert await following.go_round(mirror.store) == 1
    assert await mirror.one("SELECT count(*) FROM search_things WHERE thing_id = 'a-notebook'") == 0


async def test_a_data_set_that_the_catalog_comes_to_know_is_an_asset(mirror: Mirror, write: Write) -> None:
    await write(asset("s3://lake/raw/orders.parquet", "Raw orders", 9))

    (match,) = (await found(mirror, "raw orders")).matches
    assert (match.kind, match.name) == (Kind.ASSET, "Raw orders")


async def test_what_committed_late_is_found_when_it_has_settled(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "SETTLED_S", 0.0)
    values = dict.fromkeys(("version",), b"\0") | {"mapping": 1, "document": "{}"}
    moment = datetime(2020, 1, 1, tzinfo=UTC)  # written long before what was looked at, and committed now
    row = {"asset_id": "late", "name": "Latecomer", "mirrored_at": moment, **values}
    control = {f"{name}_settled": [moment.isoformat(), ""] for name in ("assets", "artifacts", "containers")}
    async with mirror.store.write() as connection:
        known = await controls.read_control(connection, following.FOLLOWED)
        await controls.set_control(connection, following.FOLLOWED, known | control)
        await connection.execute(sa.insert(assets).values(row))

    for _ in range(4):
        await following.step(mirror.store)

    assert ids(await found(mirror, "latecomer")) == ["late"]


async def test_of_very_many_matches_it_is_said_that_there_are_more(
    mirror: Mirror, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.queries.matching.CANDIDATES", 2)
    monkeypatch.setattr("service.queries.search.CANDIDATES", 2)

    answer = await found(mirror)

    assert (answer.found.number, answer.found.precision) == (2, Precision.AT_LEAST)


async def test_two_replicas_that_follow_write_everything_once(mirror: Mirror, write: Write) -> None:
    async with mirror.store.write() as connection:
        await connection.execute(sa.delete(search_things))
        await controls.clear_control(connection, following.FOLLOWED)
    for _ in range(8):
        await asyncio.gather(following.step(mirror.store), following.step(mirror.store))

    assert await mirror.one("SELECT count(*) FROM search_things") == 9
    assert ids(await found(mirror, "customer"))[:2] == ["t-customer", "a-orders"]


@settings(max_examples=20, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.text(max_size=60))
async def test_whatever_is_typed_is_answered(mirror: Mirror, text: str) -> None:
    text = text.encode("utf-8", "replace").decode()
    if len(name_of(text).split()) <= 10:
        await found(mirror, text)


async def test_search_finds_in_a_schema_of_its_own_and_without_the_right_to_make_the_extension(
    empty_postgres_url: str, opened: Callable[..., AbstractAsyncContextManager[Mirror]], mirror: Mirror
) -> None:
    if mirror.store.dialect == "sqlite":
        pytest.skip("schemas are PostgreSQL's")
    role = "reader_" + empty_postgres_url.rpartition("_")[2][:12]
    async with opened(empty_postgres_url, migrate=False) as owner:
        await owner.execute(f"CREATE ROLE {role} LOGIN PASSWORD 'x'", f"CREATE SCHEMA own AUTHORIZATION {role}")
        url = sa.make_url(empty_postgres_url).set(username=role, password="x").render_as_string(hide_password=False)
        try:
            async with opened(url, schema="own") as other:
                async with other.store.write() as connection:
                    await writer.apply(connection, enumerate(CATALOG))
                while await following.step(other.store):
                    pass
                assert ids(await found(other, "customer"))[:2] == ["t-customer", "a-orders"]
                assert not (await found(other, "custmoer")).finds_mistyped
                await owner.execute("CREATE EXTENSION pg_trgm")
                assert await preparing.prepare(other.store)
                assert ids(await found(other, "custmoer"))[:2] == ["t-customer", "a-orders"]
        finally:
            await owner.execute(f"DROP OWNED BY {role} CASCADE", f"DROP ROLE {role}")
