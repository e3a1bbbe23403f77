"""The outbox: heads only, by lease and token, on the store's clock."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.errors import DeliveryRejected
from service.mirror import controls, dead_letters, deliveries
from service.mirror.deliveries import Delivery, Lease

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror

Opened = Callable[..., AbstractAsyncContextManager["Mirror"]]

LEASE = Lease("mine", 60)


def of(name: str, entity: str = "p1", kind: str = "data_profile", target: str = "t") -> Delivery:
    return Delivery(name, target, kind, entity, "ProfileSaved")


async def create(mirror: Mirror, *new: Delivery, lease: Lease | None = None) -> set[str]:
    async with mirror.store.write() as connection:
        return await deliveries.create(connection, new, lease)


async def claim(mirror: Mirror, lease: Lease = LEASE, target: str = "t", limit: int = 10) -> list[str]:
    async with mirror.store.write() as connection:
        return [row.delivery_id for row in await deliveries.claim(connection, mirror.store, target, lease, limit)]


async def done(mirror: Mirror, *ids: str, token: str = "mine") -> int:
    async with mirror.store.write() as connection:
        return await deliveries.done(connection, "t", ids, token)


async def pending(mirror: Mirror) -> list[str]:
    async with mirror.store.read() as connection:
        return [row.delivery_id for row in await deliveries.pending(connection)]


async def test_only_the_oldest_of_each_entity_is_claimed(mirror: Mirror) -> None:
    await create(mirror, of("a1", "a", "lineage_event"))
    await create(mirror, of("b1", "b", "lineage_event"), of("x", "a", "lineage_event", "other"))
    await create(mirror, of("a2", "a", "lineage_event"))

    assert await claim(mirror) == ["a1", "b1"]
    assert await claim(mirror) == []
    assert await done(mirror, "a1") == 1
    assert await claim(mirror) == ["a2"]


async def test_a_delivery_is_made_once(mirror: Mirror) -> None:
    assert await create(mirror, of("a1"), of("a2")) == {"a1", "a2"}
    assert await create(mirror, of("a1"), of("a3")) == {"a3"}


async def test_the_oldest_go_first_up_to_the_limit(mirror: Mirror) -> None:
    for number in range(5):
        await create(mirror, of(f"d{number}", f"e{number}"))

    assert await claim(mirror, limit=3) == ["d0", "d1", "d2"]


async def test_a_claim_reads_little_of_what_waits_before_anybody_has_counted_it(
    empty_postgres_url: str, opened: Opened
) -> None:
    read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"
    async with opened(empty_postgres_url) as mirror:
        await mirror.execute("ALTER TABLE deliveries SET (autovacuum_enabled = off)")
        for target in ("paused", "t"):
            await create(mirror, *(of(f"{target}{number}", f"e{number}", target=target) for number in range(10_000)))
        async with mirror.store.write() as connection:
            before = (await connection.execute(sa.text(read))).scalar_one()
            claimed = await deliveries.claim(connection, mirror.store, "t", LEASE, 10)
            after = (await connection.execute(sa.text(read))).scalar_one()

    assert len(claimed) == 10
    assert after - before < 100


async def test_what_is_born_leased_is_nobody_elses_until_the_lease_lapses(mirror: Mirror) -> None:
    await create(mirror, of("a1"), lease=Lease("memory", 60))
    await create(mirror, of("b1", "b"), lease=Lease("memory", -1))

    assert await claim(mirror) == ["b1"]
    assert await done(mirror, "a1", token="memory") == 1
    assert await done(mirror, "b1", token="memory") == 0


async def test_a_lease_that_lapsed_is_claimed_by_another_and_its_first_holder_removes_nothing(mirror: Mirror) -> None:
    await create(mirror, of("a1"))
    assert await claim(mirror, Lease("slow", -1)) == ["a1"]
    assert await claim(mirror, Lease("quick", 60)) == ["a1"]

    async with mirror.store.write() as connection:
        await deliveries.give_back(connection, mirror.store, ["a1"], "slow", after_s=0, error="late")

    assert await done(mirror, "a1", token="slow") == 0
    assert await claim(mirror) == []
    assert await done(mirror, "a1", token="quick") == 1


async def test_what_is_given_back_is_due_later_and_counts_an_attempt(mirror: Mirror) -> None:
    await create(mirror, of("a1"), of("b1", "b"))
    await claim(mirror)
    async with mirror.store.write() as connection:
        await deliveries.give_back(connection, mirror.store, ["a1"], "mine", after_s=60, error="no\x00\ud800")
        await deliveries.give_back(connection, mirror.store, ["b1"], "mine", after_s=0, error=None)

    assert await claim(mirror) == ["b1"]
    assert await mirror.one("SELECT attempts, last_error FROM deliveries WHERE delivery_id = 'a1'") == (
        1,
        "no\ufffd\ufffd",
    )
    async with mirror.store.write() as connection:
        assert await deliveries.retry_now(connection, "t", ["a"]) == 1
    assert await claim(mirror) == ["a1"]


async def test_a_head_that_waits_holds_the_rest_of_its_entity(mirror: Mirror) -> None:
    await create(mirror, of("a1", kind="lineage_event"))
    await claim(mirror)
    await create(mirror, of("a2", kind="lineage_event"))
    async with mirror.store.write() as connection:
        await deliveries.give_back(connection, mirror.store, ["a1"], "mine", after_s=60, error="x")

    assert await claim(mirror) == []


async def test_pending_states_of_one_entity_collapse_into_the_head(mirror: Mirror) -> None:
    for name in ("a1", "a2", "a3"):
        await create(mirror, of(name))
    await create(mirror, of("b1", "b"))

    assert await claim(mirror) == ["a1", "b1"]
    assert await pending(mirror) == ["a1", "b1"]

    await create(mirror, of("a4"))
    await done(mirror, "a1", "b1")
    assert await claim(mirror) == ["a4"]


async def test_a_dead_lettered_head_unblocks_the_rest(mirror: Mirror) -> None:
    await create(mirror, of("a1", kind="lineage_event"))
    await create(mirror, of("a2", kind="lineage_event"))
    await claim(mirror)
    async with mirror.store.write() as connection:
        await deliveries.bury(connection, of("a1", kind="lineage_event"), DeliveryRejected(target="t", problem="no"))

    assert await claim(mirror) == ["a2"]
    letter = await mirror.one("SELECT kind, state, target, entity_id, error_class FROM dead_letters")
    assert letter == ("delivery", "open", "t", "p1", "rejected")


@pytest.mark.parametrize(
    ("kind", "newer", "state"),
    [
        ("data_profile", False, dead_letters.REPLAYED),
        ("data_profile", True, dead_letters.SUPERSEDED),
        ("lineage_event", True, dead_letters.REPLAYED),
    ],
)
async def test_a_revived_delivery_goes_again_unless_a_newer_state_is_on_its_way(
    mirror: Mirror, kind: str, newer: bool, state: str
) -> None:
    await create(mirror, of("a1", kind=kind))
    async with mirror.store.write() as connection:
        await deliveries.bury(connection, of("a1", kind=kind), DeliveryRejected(target="t", problem="no"))
    if newer:
        await create(mirror, of("a2", kind=kind))
    async with mirror.store.write() as connection:
        (letter,) = await dead_letters.find(connection, dead_letters.Filter())
        assert await deliveries.revive(connection, letter) == state

    assert ("a1" in await pending(mirror)) == (state == dead_letters.REPLAYED)


async def test_what_was_delivered_is_counted(mirror: Mirror) -> None:
    async with mirror.store.write() as connection:
        await controls.ensure_targets(connection, ["t"])
    await create(mirror, of("a1"), of("b1", "b"))
    await claim(mirror)
    await done(mirror, "a1", "b1", "c1")

    assert await mirror.one("SELECT delivered FROM target_states") == 2


async def test_what_has_waited_too_long_is_told(mirror: Mirror) -> None:
    await create(mirror, of("a1"))
    async with mirror.store.read() as connection:
        old = await deliveries.too_old(connection, mirror.store, "t", -1, 10)
        young = await deliveries.too_old(connection, mirror.store, "t", 60, 10)

    assert ([row.delivery_id for row in old], young) == (["a1"], [])


async def test_two_claimers_at_once_never_share_a_delivery(mirror: Mirror) -> None:
    for number in range(30):
        await create(mirror, of(f"d{number}", f"e{number}"))

    claims = await asyncio.gather(*(claim(mirror, Lease(f"r{n}", 60), limit=10) for n in range(6)))

    taken = [name for names in claims for name in names]
    assert len(taken) == len(set(taken))
    while rest := await claim(mirror):
        taken += rest
    assert sorted(taken) == sorted(f"d{number}" for number in range(30))


async def test_a_lineage_delivery_carries_its_document(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())
    async with mirror.store.write() as connection:
        claimed: list[Any] = await deliveries.claim(connection, mirror.store, "lineage", LEASE, 10)

    assert [delivery.document for delivery in claimed] == [await mirror.one("SELECT document FROM lineage_events")]
    assert 0 <= claimed[0].age_s < 60
