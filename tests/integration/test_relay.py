"""The relay with a target of somebody's own: order, circuits, and what becomes of what is refused."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import SecretStr

from service.changes import Origin
from service.errors import DeliveryRejected, MirrorError, TargetUnavailable
from service.mirror import controls, deliveries, schema
from service.mirror.deliveries import Delivery, Lease
from service.mirror.store import Store
from service.mirror.tables import deliveries as outbox
from service.settings.model import RelaySettings, StoreSettings
from service.targets.base import Target
from service.targets.relay import Relay
from service.telemetry.metrics import Metrics


class Toy(Target):
    """Remembers what it was given, in order; refuses and fails as it is told."""

    def __init__(self) -> None:
        super().__init__("toy", [Origin.LIVE])
        self.got: list[tuple[str, str]] = []
        self.down = False
        self.refuses: set[str] = set()
        self.tended = 0
        self.idle = False

    @classmethod
    def create(cls, name: str, settings: Any) -> "Toy":
        return cls()

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        if self.down:
            raise TargetUnavailable(target=self.name, problem="down")
        results: list[MirrorError | None] = []
        for delivery in batch:
            if delivery.entity_id in self.refuses:
                results.append(DeliveryRejected(target=self.name, problem="no such thing"))
            else:
                self.got.append((delivery.entity_id, delivery.change))
                results.append(None)
        return results

    async def tend(self) -> bool | None:
        if self.idle:
            return None
        if self.down:
            raise TargetUnavailable(target=self.name, problem="down")
        self.tended += 1
        return False


@pytest.fixture
async def store(store_url: str) -> AsyncIterator[Store]:
    store = Store(StoreSettings(url=SecretStr(store_url)))
    await schema.upgrade(store)
    async with store.write() as connection:
        await controls.ensure_targets(connection, ["toy"])
    yield store
    await store.close()


@pytest.fixture
async def toy(store: Store) -> AsyncIterator[Toy]:
    toy = Toy()
    relay = Relay(store, [toy], RelaySettings(poll_s=0.05, retry_max_s=0.2, lease_s=5), Metrics())
    task = asyncio.create_task(relay.run())
    yield toy
    relay.stop()
    await task


def _delivery(number: int, entity: str, change: str) -> Delivery:
    return Delivery(f"toy:{entity}:{number}", "toy", "asset", entity, change)


async def _create(store: Store, *new: Delivery, lease: Lease | None = None) -> None:
    for delivery in new:
        async with store.write() as connection:
            await deliveries.create(connection, [delivery], lease)


async def _until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.02)


async def _open(store: Store) -> int:
    async with store.read() as connection:
        return int((await connection.execute(sa.text("SELECT count(*) FROM deliveries"))).scalar_one())


async def _until_empty(store: Store) -> None:
    async with asyncio.timeout(20):
        while await _open(store):
            await asyncio.sleep(0.02)


async def test_an_outage_opens_the_circuit_loses_nothing_and_closes_again(store: Store, toy: Toy) -> None:
    toy.down = True
    await _create(store, *(_delivery(number, f"a{number}", "AssetSaved") for number in range(20)))
    async with asyncio.timeout(20):
        while True:
            async with store.read() as connection:
                notice = (await controls.read_targets(connection))[0].notice
            if notice:
                break
            await asyncio.sleep(0.02)
    assert "down" in notice
    assert await _open(store) == 20
    toy.down = False
    await _until_empty(store)
    assert sorted(entity for entity, _ in toy.got) == sorted(f"a{number}" for number in range(20))
    async with store.read() as connection:
        row = (await controls.read_targets(connection))[0]
        letters = (await connection.execute(sa.text("SELECT count(*) FROM dead_letters"))).scalar_one()
    assert (row.notice, row.delivered, letters) == (None, 20, 0)


async def test_work_of_its_own_waits_for_pause_and_circuit_and_probes_that(store: Store) -> None:
    toy = Toy()
    toy.tends_every_s, toy.down = 0.01, True
    relay = Relay(store, [toy], RelaySettings(poll_s=0.02, retry_max_s=0.1), Metrics())
    lane = relay.lanes[0]
    task = asyncio.create_task(relay.run())
    await _until(lambda: lane.notice)
    assert "down" in str((await _target(store)).notice)
    toy.down = False
    await _until(lambda: toy.tended >= 2)
    assert (lane.notice, (await _target(store)).notice) == (None, None)
    lane.set_paused(True)
    await asyncio.sleep(0.05)
    before = toy.tended
    await asyncio.sleep(0.2)
    assert toy.tended == before
    lane.set_paused(False)
    await _until(lambda: toy.tended > before)
    relay.stop()
    await task


async def test_a_turn_without_work_does_not_close_a_circuit(store: Store) -> None:
    toy = Toy()
    toy.tends_every_s, toy.down, toy.idle = 0.01, True, True
    relay = Relay(store, [toy], RelaySettings(poll_s=0.01, retry_max_s=0.2), Metrics())
    await _create(store, _delivery(1, "a1", "AssetSaved"))
    task = asyncio.create_task(relay.run())
    await _until(lambda: relay.lanes[0].notice)
    async with store.write() as connection:  # not due for long: only turns are left to probe with
        await connection.execute(sa.update(outbox).values(due_at=store.later(600)))
    await asyncio.sleep(0.5)
    assert relay.lanes[0].notice, "nobody heard of the target"
    toy.idle = toy.down = False
    await _until(lambda: not relay.lanes[0].notice)
    relay.stop()
    await task


async def _target(store: Store) -> Any:
    async with store.read() as connection:
        return (await controls.read_targets(connection))[0]


async def test_what_collapses_is_found_by_an_index_whatever_statistics_say(postgres_url: str) -> None:
    """An outbox is empty most of the time, so also when its statistics are made: a join compared each with each."""
    store = Store(StoreSettings(url=SecretStr(postgres_url), timeout_s=300))
    rows = sa.text(
        "INSERT INTO deliveries (delivery_id, target, entity_kind, entity_id, change, created_at, due_at)"
        " SELECT gen_random_uuid()::text, 'toy', 'asset', (n % 100)::text, 'AssetSaved', now(), now()"
        " FROM generate_series(1, 10000) n WHERE n <= CAST(:number AS int)"
    )
    async with store.write() as connection:
        await connection.execute(rows, {"number": 10_000})
        await connection.execute(sa.delete(outbox))
    async with store.write() as connection:
        await connection.execute(sa.text("ANALYZE deliveries"))
        await connection.execute(rows, {"number": 300})
    async with store.write() as connection:
        claimed = await deliveries.claim(connection, store, "toy", Lease("us", 30), 500)
        read = "SELECT seq_tup_read + idx_tup_fetch FROM pg_stat_xact_user_tables WHERE relname = 'deliveries'"
        looked_at = (await connection.execute(sa.text(read))).scalar_one()
        left = (await connection.execute(sa.select(sa.func.count()).select_from(outbox))).scalar_one()
    await store.close()
    assert (len(claimed), left) == (100, 100)
    assert looked_at < 300 * 300


async def test_pending_states_of_one_thing_collapse_to_the_newest(store: Store) -> None:
    await _create(store, *(_delivery(number, "a1", "AssetSaved") for number in range(5)))
    toy = Toy()
    relay = Relay(store, [toy], RelaySettings(poll_s=0.05), Metrics())
    task = asyncio.create_task(relay.run())
    await _until_empty(store)
    relay.stop()
    await task
    assert len(toy.got) == 1, "what is sent is read when it is sent, so once is enough"


async def test_a_refused_head_becomes_a_dead_letter_and_unblocks_the_rest(store: Store, toy: Toy) -> None:
    toy.refuses = {"bad"}
    await _create(store, _delivery(1, "bad", "AssetSaved"), _delivery(2, "good", "AssetSaved"))
    await _until(lambda: toy.got)
    await _until_empty(store)
    async with store.read() as connection:
        rows = (await connection.execute(sa.text("SELECT kind, target, error_class FROM dead_letters"))).all()
    assert [tuple(row) for row in rows] == [("delivery", "toy", "rejected")]


async def test_a_lease_of_a_crashed_replica_lapses_and_the_delivery_goes_out(store: Store, toy: Toy) -> None:
    await _create(store, _delivery(1, "a1", "AssetSaved"), lease=Lease("somebody else's", 1.0))
    await asyncio.sleep(0.3)
    assert toy.got == [], "a lease is respected while it lasts"
    await _until_empty(store)
    assert toy.got == [("a1", "AssetSaved")]


async def test_a_delivery_that_waited_too_long_becomes_a_dead_letter(store: Store) -> None:
    await _create(store, _delivery(1, "a1", "AssetSaved"))
    await asyncio.sleep(0.2)
    toy = Toy()
    toy.down = True
    relay = Relay(store, [toy], RelaySettings(poll_s=0.05, max_age_s=0.1), Metrics())
    task = asyncio.create_task(relay.run())
    await _until_empty(store)
    relay.stop()
    await task
    async with store.read() as connection:
        assert (await connection.execute(sa.text("SELECT error_class FROM dead_letters"))).scalar_one() == "too_old"


async def test_what_is_committed_while_the_store_is_looked_through_goes_out_at_once(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    toy = Toy()
    relay = Relay(store, [toy], RelaySettings(poll_s=30), Metrics())
    (lane,) = relay.lanes
    claim = lane._claim

    async def claim_while_one_comes(limit: int) -> list[Delivery]:
        found = await claim(limit)
        if not toy.got:
            lane.accept([_delivery(1, "a", "{}")])
        return found

    monkeypatch.setattr(lane, "_claim", claim_while_one_comes)
    task = asyncio.create_task(relay.run())
    async with asyncio.timeout(10):
        while not toy.got:
            await asyncio.sleep(0.01)
    relay.stop()
    await task


class Beside(Toy):
    """Takes what is new beside what waited; each call comes to its end when the test lets it, or fails when told to."""

    side_by_side = True
    at_once = 2

    def __init__(self) -> None:
        super().__init__()
        self.may_end: dict[str, asyncio.Event] = {}
        self.failures: list[bool] = []
        self.under_way: list[str] = []
        self.most = 0

    async def deliver(self, batch: Sequence[Delivery]) -> list[MirrorError | None]:
        entities = [delivery.entity_id for delivery in batch]
        assert not set(entities) & set(self.under_way), "two calls have a thing in common"
        self.under_way += entities
        self.most = max(self.most, len(self.under_way))
        try:
            for entity in entities:
                if entity in self.may_end:
                    await self.may_end[entity].wait()
                await asyncio.sleep(0)
            self.down = bool(self.failures) and self.failures.pop()
            return await super().deliver(batch)
        finally:
            for entity in entities:
                self.under_way.remove(entity)


def _told(number: int, entity: str) -> Delivery:
    """A change, which is told as it was: each goes out."""
    return Delivery(f"toy:{entity}:{number}", "toy", "asset", entity, str(number), document="{}", keeps=True)


async def _commit(store: Store, relay: Relay, *new: Delivery) -> None:
    """A transaction as the pipeline makes it: from memory goes what nothing of its thing waits before."""
    async with store.write() as connection:
        if not relay.admits({"toy": len(new)}):
            await deliveries.create_in_turn(connection, new)
            return
        created, behind = await deliveries.create_in_order(connection, new, relay.lease())
    relay.accept([delivery for delivery in new if delivery.delivery_id in created - behind])


async def test_what_is_fresh_overtakes_a_backlog_but_not_what_waits_of_its_own_thing(store: Store) -> None:
    toy = Beside()
    toy.may_end["old"] = asyncio.Event()
    relay = Relay(store, [toy], RelaySettings(poll_s=0.02), Metrics())
    await _create(store, _told(1, "old"), _told(2, "older than fresh"), _told(3, "old"))
    task = asyncio.create_task(relay.run())
    await _until(lambda: "old" in toy.under_way)
    await _commit(store, relay, _told(4, "old"))
    await _commit(store, relay, _told(5, "fresh"))
    await _until(lambda: toy.got)
    assert toy.got == [("fresh", "5")]
    toy.may_end["old"].set()
    await _until_empty(store)
    relay.stop()
    await task
    assert [change for entity, change in toy.got if entity == "old"] == ["1", "3", "4"]


async def test_a_target_that_takes_one_call_at_a_time_is_given_one(store: Store) -> None:
    toy = Beside()
    toy.side_by_side = False
    toy.may_end["old"] = asyncio.Event()
    relay = Relay(store, [toy], RelaySettings(poll_s=0.02), Metrics())
    await _create(store, _told(1, "old"))
    task = asyncio.create_task(relay.run())
    await _until(lambda: "old" in toy.under_way)
    await _commit(store, relay, _told(2, "fresh"))
    for _ in range(20):
        await asyncio.sleep(0)
    toy.may_end["old"].set()
    await _until_empty(store)
    relay.stop()
    await task
    assert (toy.most, [change for _, change in toy.got]) == (1, ["1", "2"])


async def test_a_target_that_is_away_leaves_the_memory_of_others_alone(store: Store) -> None:
    one, other = Toy(), Toy()
    other.name = "other"
    relay = Relay(store, [one, other], RelaySettings(memory_max=10), Metrics())
    relay.lanes[0].set_paused(True)
    assert relay.admits({"toy": 1, "other": 1}) == {"other"}
    assert relay.admits({"other": 11}) == frozenset()


@given(
    waiting=st.lists(st.sampled_from("abc"), max_size=8),
    fresh=st.lists(st.lists(st.sampled_from("abcd"), min_size=1, max_size=3, unique=True), max_size=5),
    failures=st.lists(st.booleans(), max_size=4),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_side_by_side_each_thing_is_told_in_its_order_and_a_backlog_drains(
    store: Store, waiting: list[str], fresh: list[list[str]], failures: list[bool]
) -> None:
    toy = Beside()
    toy.failures = list(failures)
    relay = Relay(store, [toy], RelaySettings(poll_s=0.01, retry_max_s=0.01), Metrics())
    numbers = iter(range(1000))
    made = [_told(next(numbers), entity) for entity in waiting]
    async with store.write() as connection:
        await deliveries.create_in_turn(connection, made)
    task = asyncio.create_task(relay.run())
    for entities in fresh:
        new = [_told(next(numbers), entity) for entity in entities]
        await _commit(store, relay, *new)
        made += new
    await _until_empty(store)
    relay.stop()
    await task
    for entity in "abcd":
        told = [int(change) for name, change in toy.got if name == entity]
        assert told == [int(delivery.change) for delivery in made if delivery.entity_id == entity]
