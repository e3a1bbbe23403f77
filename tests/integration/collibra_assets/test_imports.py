"""What Collibra is told of assets: created, changed and marked once, and exactly what fails is refused."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from sandbox.collibra.imports import CONTAINS, PART_OF, REPRESENTS
from service.changes import ConnectionDetails, Container, TermAssigned
from service.mirror import deliveries

if TYPE_CHECKING:
    from tests.integration.collibra_assets.conftest import World

#: The test is not about the store, so one kind of it will do.
on_one_store = pytest.mark.parametrize("store_url", ["sqlite"], indirect=True)
LETTERS = "SELECT entity_id, reason FROM dead_letters ORDER BY entity_id"


async def test_an_asset_comes_with_its_columns_attributes_and_relations(world: World) -> None:
    await world.told(world.asset("a1", "id", "name", description="All orders"), world.term(long_description="Who buys"))

    table, column, term = world.there("a1"), world.there("a1/id"), world.there("artifact:t1")
    assert (table.name, table.type, table.domain, table.status) == ("A1", "Table", "Shop data", "Candidate")
    assert table.attributes == {"Description": ["All orders"]}
    assert (column.name, column.display_name, column.type) == ("A1 > id", "id", "Column")
    assert column.attributes == {"Technical Data Type": ["int"], "Column Position": ["1"]}
    assert column.relations == {f"{PART_OF}:TARGET": [table.asset_id]}
    assert (term.type, term.domain, term.attributes) == ("Business Term", "Shop glossary", {"Definition": ["Who buys"]})
    assert len(world.pocket.assets) == 4


async def test_what_changes_nothing_there_is_not_sent_again_and_what_changes_is_sent_alone(world: World) -> None:
    await world.told(world.asset("a1", "id", description="old"))
    await world.told(world.asset("a1", "id", description="old", owner_id="somebody else"))
    assert len(world.pocket.imports) == 1

    await world.told(world.asset("a1", "id", description="new"))
    (command,) = world.pocket.imports[1]
    assert command["identifier"] == {"externalSystemId": "catalog-mirror", "externalEntityId": "a1"}
    assert "status" not in command, "what people made of it there stays"
    assert world.there("a1").attributes == {"Description": ["new"]}

    await world.told(world.asset("a1", "id", description=None))
    assert world.there("a1").attributes == {}


async def test_an_error_buries_exactly_the_delivery_that_it_is_of_and_the_others_go_on(world: World) -> None:
    long = "x" * 300
    await world.told(world.asset("a1", "id"), world.asset("a2", long), world.asset("a3"))

    ((entity, problem),) = await world.mirror.all(LETTERS)
    assert entity == "a2"
    assert "too long" in problem
    assert world.names() == ["A1", "A1 > id", "A2", "A3"]
    assert await world.mirror.one("SELECT count(*) FROM collibra_assets WHERE pending IS NOT NULL") == 0

    await world.told(world.asset("a2", "short"))
    assert world.names() == ["A1", "A1 > id", "A2", "A2 > short", "A3"]


async def test_a_deleted_asset_stays_there_and_is_marked_where_a_status_says_so(world: World) -> None:
    await world.told(world.asset("a1", "id"), world.asset("a2"), target=world.target(world.marking))
    await world.told(world.gone("a1"), target=world.target(world.marking))

    assert [world.there(one).status for one in ("a1", "a1/id", "a2")] == ["Obsolete", "Obsolete", "Candidate"]
    assert world.there("a1").name == "A1"

    await world.told(world.asset("a1", "id"), target=world.target(world.marking))
    assert [world.there(one).status for one in ("a1", "a1/id")] == ["Candidate", "Candidate"]


async def test_a_deleted_asset_that_nobody_marks_is_left_as_it_is_and_reported(world: World) -> None:
    await world.told(world.asset("a1", "id"))
    await world.told(world.gone("a1"))

    assert world.there("a1").status == "Candidate"
    assert len(world.pocket.imports) == 1
    (remark,) = await world.target().remarks()
    assert remark.startswith("2 that are gone")


async def test_a_column_that_is_gone_goes_alone(world: World) -> None:
    await world.told(world.asset("a1", "id", "name"), target=world.target(world.marking))
    await world.told(world.asset("a1", "id"), target=world.target(world.marking))
    assert [world.there(one).status for one in ("a1/id", "a1/name")] == ["Candidate", "Obsolete"]


async def test_a_relation_is_made_as_soon_as_its_other_end_is_there(world: World) -> None:
    await world.told(world.asset("a1", connection_id="k1"))
    assert world.there("a1").relations == {}

    link = ConnectionDetails("db2", None, "db.example.com", None, "SHOP")
    await world.told(world.asset("k1", asset_type="connection", connection=link))
    assert world.there("a1").relations == {f"{CONTAINS}:SOURCE": [world.there("k1").asset_id]}


async def test_terms_tags_and_people_are_told_as_the_mapping_says(world: World) -> None:
    target = world.target(world.naming)
    terms = (TermAssigned("t1"), TermAssigned("t2", column="id"), TermAssigned("t9", standing="suggested"))
    people = {"owner_id": "IBMid-ann", "tags": ("north", "gold")}
    await world.told(
        world.term(), world.term("t2", name="Key"), world.asset("a1", "id", terms=terms, **people), target=target
    )

    table, column = world.there("a1"), world.there("a1/id")
    assert table.relations == {f"{REPRESENTS}:SOURCE": [world.there("artifact:t1").asset_id]}
    assert column.relations[f"{REPRESENTS}:SOURCE"] == [world.there("artifact:t2").asset_id]
    assert (table.tags, table.responsibilities) == (["gold", "north"], {"Owner": ["Ann"]})

    await world.told(world.asset("a1", "id", owner_id="nobody that is mapped"), target=world.target(world.naming))
    table = world.there("a1")
    assert (table.relations, table.tags, table.responsibilities) == ({f"{REPRESENTS}:SOURCE": []}, [], {})


@on_one_store
async def test_a_term_that_comes_later_is_told_of_whom_it_is_assigned_to_whichever_others_never_come(
    world: World,
) -> None:
    terms = (TermAssigned("t0"), TermAssigned("t1"), TermAssigned("t2", column="id"))
    await world.told(world.asset("a1", "id", terms=terms), target=world.target(world.naming))
    assert world.there("a1").relations == {}

    await world.told(world.term(), world.term("t2", name="Key"), target=world.target(world.naming))
    assert world.there("a1").relations == {f"{REPRESENTS}:SOURCE": [world.there("artifact:t1").asset_id]}
    assert world.there("a1/id").relations[f"{REPRESENTS}:SOURCE"] == [world.there("artifact:t2").asset_id]


@on_one_store
async def test_doctor_is_told_of_roles_and_people_that_collibra_does_not_know(world: World) -> None:
    mapping = world.naming | {"people": {"x": {"user": str(UUID(int=7))}, "y": {"group": str(UUID(int=8))}}}
    mapping["assets"] = {
        "data_asset": world.naming["assets"]["data_asset"] | {"responsibilities": {"Boss": "owner_id"}}
    }
    target = world.target(mapping)
    assert await target.check() == [
        "assets.data_asset.responsibilities: Collibra has no role 'Boss'.",
        f"people.x: Collibra has no user '{UUID(int=7)}'.",
        f"people.y: Collibra has no group of users '{UUID(int=8)}'.",
    ]
    await target.close()


@on_one_store
async def test_what_is_not_mapped_is_left_out_and_counted(world: World) -> None:
    await world.told(world.asset("a1", asset_type="notebook"), world.asset("a2", container=Container("project", "p9")))
    assert world.pocket.imports == []
    counted = world.metrics.unlinked.labels("collibra_assets", "asset")
    assert counted._value.get() == 2


@on_one_store
@pytest.mark.parametrize("status", [401, 403, 404, 429, 500, 502, 503])
async def test_an_answer_that_may_change_loses_nothing(world: World, status: int) -> None:
    world.pocket.refusals = [status, status]
    await world.told(world.asset("a1", "id"))
    assert world.names() == ["A1", "A1 > id"]
    assert await world.mirror.all(LETTERS) == []


@on_one_store
async def test_an_import_that_is_refused_as_a_whole_is_divided_until_the_fault_stands_alone(world: World) -> None:
    world.pocket.refusals = [400, 400]
    await world.told(world.asset("a1"), world.asset("a2"), world.asset("a3"))
    letters = await world.mirror.all(LETTERS)
    assert [one for one, _ in letters] == ["a1"]
    assert world.names() == ["A2", "A3"]


@on_one_store
async def test_a_redirect_is_not_followed(world: World) -> None:
    world.pocket.redirect = "http://127.0.0.1:9/elsewhere"
    target = world.target()
    await world.change(world.asset("a1"), target=target)
    async with world.relay(target):
        await world.until("SELECT count(*) FROM target_states WHERE notice LIKE '%307%'", 1)
        world.pocket.redirect = None
        await world.until("SELECT count(*) FROM deliveries", 0)
    assert world.names() == ["A1"]


@on_one_store
async def test_an_answer_that_is_lost_makes_nothing_twice(world: World) -> None:
    world.pocket.lost = 1
    await world.told(world.asset("a1", "id"))
    assert world.names() == ["A1", "A1 > id"]
    assert len(world.pocket.imports) == 2


@on_one_store
async def test_after_too_many_errors_the_rest_is_told_again(world: World) -> None:
    world.pocket.most_failures = 2
    bad = [world.asset(f"b{number}", "x" * 300) for number in range(5)]
    await world.told(*bad, *(world.asset(f"z{number}") for number in range(3)))
    assert [one for one, _ in await world.mirror.all(LETTERS)] == [f"b{number}" for number in range(5)]
    assert [name for name in world.names() if name.startswith("Z")] == ["Z0", "Z1", "Z2"]


@on_one_store
async def test_a_job_that_fails_as_a_whole_is_tried_again_and_buries_nobody(world: World) -> None:
    world.pocket.failing = 2
    await world.told(world.asset("a1"), world.asset("a2"))
    assert world.names() == ["A1", "A2"]
    assert await world.mirror.all(LETTERS) == []


@on_one_store
async def test_a_job_that_does_not_end_in_time_is_looked_at_again_and_not_sent_again(world: World) -> None:
    world.pocket.step_s = 3600
    target = world.target(lease_s=1)
    await world.change(world.asset("a1"), target=target)
    async with world.relay(target):
        await world.until("SELECT count(*) FROM target_states WHERE notice LIKE '%has not ended%'", 1)
        world.pocket.step_s = 0
        await world.until("SELECT count(*) FROM deliveries", 0)
    assert len(world.pocket.imports) == 1
    assert (
        await world.mirror.one("SELECT count(*) FROM collibra_assets WHERE command IS NOT NULL AND job_id IS NULL") == 1
    )


@on_one_store
async def test_a_plan_shows_each_difference_and_sends_nothing(world: World) -> None:
    await world.told(world.asset("a1", "id", description="old"), world.asset("a2"))
    target = world.target(world.marking)
    await world.change(world.asset("a1", "id", description="new"), world.asset("a3"), world.gone("a2"), target=target)
    async with world.mirror.store.read() as connection:
        batch = await deliveries.peek(connection, world.mirror.store, "collibra_assets", 10)
    (sending,) = await target.plan(batch)
    assert sending.changes == (
        'change asset \'A1\' (a1): Description "old" → "new"',
        "mark asset 'A2' (a2): gone in the catalog",
        "create asset 'A3' (a3)",
    )
    assert len(world.pocket.imports) == 1
    await target.close()


@on_one_store
async def test_doctor_is_told_what_collibra_does_not_know(world: World) -> None:
    wrong: dict[str, Any] = {
        "domains": {"*": {"name": "Nowhere", "community": "Shop"}, "c2": {"name": "Shop data", "community": "Nobody"}},
        "assets": {"data_asset": {"type": "Tabel", "status": "Fresh", "attributes": {"Colour": "description"}}},
    }
    target = world.target(wrong)
    assert await target.check() == [
        "assets.data_asset.type: Collibra has no asset type 'Tabel'.",
        "assets.data_asset.attributes: Collibra has no attribute type 'Colour'.",
        "assets.data_asset.status: Collibra has no status 'Fresh'.",
        "domains.*: Collibra has no domain 'Nowhere' in 'Shop'.",
        "domains.c2: Collibra has no community 'Nobody'.",
    ]
    right = world.target()
    assert await right.check() == []
    await target.close()
    await right.close()
