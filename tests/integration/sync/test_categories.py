"""Categories: a tree of which the catalog has no list (docs/contract.md, "Calls")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from aiohttp import web

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.model import PocketCatalog
from service.changes import RefreshAsked
from service.mirror import refreshes
from tests.integration.sync.kinds import on_one_store, only
from tests.integration.sync.truth import differences

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

READ = only("artifact", "category", "category_member")
COMPARED = {"artifacts", "categories", "category_members"}


def pocket() -> PocketCatalog:
    return PocketCatalog(seed=6, assets=10, clock=SteppingClock())


async def left(reader: Reader) -> dict[str, Any]:
    return {kind: told for kind, told in (await differences(reader.mirror, reader.catalog)).items() if kind in COMPARED}


async def reconciled(reader: Reader) -> None:
    reader.catalog.clock.advance(60)  # type: ignore[attr-defined]
    await reader.reconcile(accept_deletions=True)


async def told(reader: Reader, kind: str = "category") -> str | None:
    found: str | None = await reader.mirror.one(f"SELECT problem FROM v1_freshness WHERE kind = '{kind}'")
    return found


async def test_what_a_category_holds_with_all_below_it(reading: Reading) -> None:
    """Artifacts name the category they are in; the views tell the rest of the tree."""
    catalog = pocket()
    categories = catalog.glossary.categories
    business = next(one.id for one in categories.all() if one.name == "Business")
    people = next(one.id for one in categories.all() if one.name == "People")
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        assert await left(reader) == {}
        paths = await reader.mirror.all("SELECT path, depth FROM v1_category_paths ORDER BY path")
        assert [tuple(row) for row in paths] == [
            ("Business", 1), ("Business >> People", 2), ("Business >> People >> Customers", 3), ("[uncategorized]", 1),
        ]  # fmt: skip
        query = (
            "SELECT count(*) FROM v1_artifacts a JOIN v1_category_ancestors t ON t.category_id = a.parent_category_id"
            " WHERE t.ancestor_id = :category"
        )
        inside = [one for one in catalog.true_artifacts() if one.category_id in (business, people)]
        assert await reader.mirror.one(query, category=business) == len(inside) > 0


async def test_categories_that_are_each_below_the_other_come_to_an_end(reading: Reading) -> None:
    catalog = pocket()
    categories = catalog.glossary.categories
    one, other = categories.create("One"), categories.create("Other")
    categories.get(one).parent, categories.get(other).parent = other, one
    async with reading(catalog, only("artifact", "category")) as reader:
        await reader.snapshot()
        query = "SELECT ancestor_id FROM v1_category_ancestors WHERE category_id = :id"
        assert {row[0] for row in await reader.mirror.all(query, id=one)} == {one, other}
        paths = "SELECT count(*) FROM v1_category_paths WHERE category_id IN (:one, :other)"
        assert await reader.mirror.one(paths, one=one, other=other) == 0, "they have no top"


@on_one_store
async def test_changes_moves_and_deletions_of_categories_and_roles(reading: Reading) -> None:
    catalog = pocket()
    glossary, categories = catalog.glossary, catalog.glossary.categories
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        people = next(one for one in categories.all() if one.name == "People")
        categories.move(people.id, None)
        empty = next(one.id for one in categories.all() if one.name == "Customers")
        glossary.delete_category(empty)
        categories.remove_role(people.id, next(iter(people.roles)))
        given = categories.add_role(people.id, "IBMid-270000EVA", "editor")
        glossary.move(glossary.published()[0].id, people.id)
        await reconciled(reader)
        assert await left(reader) == {}
        assert await reader.mirror.one("SELECT count(*) FROM categories WHERE deleted_at IS NOT NULL") == 1
        role = "SELECT role FROM v1_category_members WHERE category_member_id = :given"
        assert await reader.mirror.one(role, given=given) == "editor"


@on_one_store
@pytest.mark.parametrize("strict", [False, True])
async def test_a_category_that_is_not_there_costs_only_itself(reading: Reading, strict: bool) -> None:
    """Whether the others are answered without it, or all are refused for it."""
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        catalog.knobs.forms.strict_categories = strict
        catalog.glossary.delete_category(
            next(one.id for one in catalog.glossary.categories.all() if one.name == "Customers")
        )
        catalog.glossary.categories.create("New")
        await reconciled(reader)
        assert await left(reader) == {}
        assert await told(reader) is None


@on_one_store
async def test_a_category_that_is_closed_to_us_hides_no_other_and_is_kept(reading: Reading) -> None:
    catalog = pocket()
    closed = next(one.id for one in catalog.glossary.categories.all() if one.name == "People")

    def spoil(path: str, query: Any, body: Any) -> Any:
        is_bulk = path == "/v3/categories/hierarchy" and closed in str(body)
        return web.Response(status=403, text="{}") if is_bulk or path.endswith(closed) else body

    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        catalog.knobs.spoil = spoil
        catalog.glossary.categories.create("New")
        await reconciled(reader)
        assert await left(reader) == {}
        assert closed in str(await told(reader))
        assert await reader.mirror.one("SELECT count(*) FROM categories WHERE deleted_at IS NOT NULL") == 0


@on_one_store
async def test_without_the_search_those_are_missing_that_hold_nothing_and_that_is_said(reading: Reading) -> None:
    catalog = pocket()
    catalog.knobs.spoil = lambda path, query, body: (
        web.Response(status=403, text="{}") if path == "/v3/search" else body
    )
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        names = await reader.mirror.all("SELECT name FROM v1_categories ORDER BY name")
        assert [name for (name,) in names] == ["Business", "People", "[uncategorized]"]
        assert "the search cannot be asked" in str(await told(reader))
        catalog.knobs.spoil = None
        await reconciled(reader)
        assert await left(reader) == {}
        assert await told(reader) is None


@on_one_store
async def test_a_service_that_is_not_there_deletes_no_category(reading: Reading) -> None:
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        catalog.knobs.spoil = lambda path, query, body: (
            web.Response(status=404, text="{}") if "categor" in path else body
        )
        await reconciled(reader)
        assert await reader.mirror.one("SELECT count(*) FROM categories WHERE deleted_at IS NOT NULL") == 0
        assert await told(reader)


@on_one_store
async def test_the_one_that_is_always_there_is_mirrored_though_it_is_answered_with_no_other(reading: Reading) -> None:
    catalog = pocket()
    special = catalog.glossary.categories.uncategorized

    def spoil(path: str, query: Any, body: Any) -> Any:
        if path != "/v3/categories/hierarchy":
            return body
        kept = [one for one in body["resources"] if one["metadata"]["artifact_id"] != special]
        return {**body, "resources": kept}

    catalog.knobs.spoil = spoil
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        assert await left(reader) == {}


@on_one_store
async def test_roles_count_where_they_were_given_though_all_above_are_told(reading: Reading) -> None:
    """A catalog that calls the parameter otherwise answers inherited roles, too."""
    catalog = pocket()
    async with reading(catalog, READ, parameters={"include_inherited": "another_name"}) as reader:
        await reader.snapshot()
        assert await left(reader) == {}


@on_one_store
async def test_a_hint_at_an_artifact_that_is_a_category_is_one_at_the_category(reading: Reading) -> None:
    """The feed of the search index does not tell one from the other."""
    catalog = pocket()
    async with reading(catalog, READ) as reader:
        await reader.snapshot()
        made = catalog.glossary.categories.create("New")
        gone = next(one.id for one in catalog.glossary.categories.all() if one.name == "Customers")
        catalog.glossary.delete_category(gone)
        catalog.clock.advance(60)  # type: ignore[attr-defined]
        async with reader.mirror.store.write() as connection:
            await refreshes.ask(connection, [RefreshAsked("artifact", made), RefreshAsked("artifact", gone)])
        await reader.refresh()
        assert await left(reader) == {}
        assert await reader.mirror.one("SELECT count(*) FROM artifacts WHERE artifact_id = :made", made=made) == 0
