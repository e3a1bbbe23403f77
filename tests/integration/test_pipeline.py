"""The pipeline on real stores: what a batch does, whatever is in it and whoever else writes."""

from __future__ import annotations

import asyncio
import itertools
import json
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from sandbox.parts.pgbouncer import PrivatePgBouncer
from service.changes import AssetDeleted, Origin, ProfileSaved
from service.errors import BrakePulled, StoreUnavailable
from service.events.message import Message
from service.pipeline.answers import Answerer
from service.pipeline.committing import Fate
from service.pipeline.decoding import Decoder
from service.pipeline.pipeline import HOPELESS_LIMIT
from service.pipeline.routing import Router, installed_handlers
from service.settings.model import PipelineSettings, ScopeSettings, TargetSettings
from service.settings.scope import Scope

if TYPE_CHECKING:
    from tests.integration.conftest import Events, Mirror, Outlet, Subscriber

KEYS = [
    "v2.data_profiles.p1.POST", "v2.data_profiles..PATCH", "v2.data_profiles.\x00.DELETE", "v2.lineage_events.e1.POST",
    "v2.metadata_enrichment.m.create_enrichment_area", "v3.gss.cams.action", "", ".", "#", "\ud800",
]  # fmt: skip
json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(st.characters(codec=None), max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
FIELDS = [
    "state", "details", "published", "metadata", "guid", "profile_id", "dataset_id", "catalog_id", "event_details",
    "event_id", "event_time", "uses_assets", "id", "properties", "dataset", "value", "artifact_guid", "message_type",
    "last_updated_at", "password", "entity", "data_profile", "columns", "user_name",
]  # fmt: skip
plausible = st.recursive(
    json_values, lambda inner: st.dictionaries(st.sampled_from(FIELDS), inner, max_size=4), max_leaves=12
)
bodies = st.one_of(st.binary(max_size=60), st.builds(lambda value: json.dumps(value).encode(), plausible))
messages = st.builds(
    Message,
    st.one_of(st.sampled_from(KEYS), st.text(max_size=12)),
    bodies,
    st.dictionaries(st.text(), json_values, max_size=2),
)
quick = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)

counter = itertools.count()


@given(messages, st.sampled_from(["keep", "hash", "drop"]))
def test_reading_any_message_never_fails(message: Message, principals: Any) -> None:
    settings, scope = PipelineSettings(principals=principals), Scope(ScopeSettings())
    decoder = Decoder(Router(installed_handlers()), settings, "Catalog Mirror", scope, verifies_hints=False)

    read = decoder.read(message)

    assert read.error is None or not read.changes
    assert read.error is None or read.error.error_class != "handler_failed"


@quick
@given(st.lists(messages, max_size=8))
async def test_any_batch_is_committed_and_every_message_counted_once(
    mirror: Mirror, subscriber: type[Subscriber], batch: list[Message]
) -> None:
    await mirror.clear()
    outcome = await mirror.pipeline(subscriber()).process(batch, Origin.LIVE)

    assert outcome.read == len(batch) == sum(outcome.fates.values()) == sum(outcome.topics.values())
    assert await mirror.one("SELECT coalesce(sum(times), 0) FROM dead_letters") == outcome.fates[Fate.DEAD_LETTERED]


async def test_what_the_catalog_publishes_is_mirrored_answered_and_delivered(
    mirror: Mirror, events: Events, outlet: Outlet
) -> None:
    outcome = await mirror.take(events.profile(), outlet=outlet)

    assert outcome.fates == {Fate.APPLIED: 1}
    assert [delivery.entity_kind for delivery in outlet.taken] == ["lineage_event"]
    assert await mirror.one("SELECT own, event_type FROM lineage_events") == (True, "DATASET_PROFILED")
    assert await mirror.one("SELECT count(*) FROM deliveries") == 1


async def test_a_target_that_takes_nothing_has_nobody_elses_deliveries_wait_in_the_store(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], outlet: Outlet
) -> None:
    outlet.away = frozenset({"away"})
    await mirror.pipeline(subscriber("away"), subscriber("there"), outlet=outlet).process(
        [events.profile()], Origin.LIVE
    )

    assert [delivery.target for delivery in outlet.taken] == ["there"]
    leased = await mirror.all("SELECT target, lease_token IS NOT NULL FROM deliveries ORDER BY target")
    assert [(target, bool(is_leased)) for target, is_leased in leased] == [("away", False), ("there", True)]


async def test_the_same_event_again_writes_nothing_new(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile(), events.lineage())
    before = await mirror.all("SELECT mirrored_at FROM data_profiles")

    outcome = await mirror.take(events.profile(), events.lineage())

    assert (outcome.fates, outcome.deliveries) == ({Fate.UNCHANGED: 2}, 0)
    assert await mirror.all("SELECT mirrored_at FROM data_profiles") == before


@pytest.mark.parametrize("origin", [Origin.SYNC, Origin.REPLAY])
async def test_what_is_not_live_goes_nowhere(
    mirror: Mirror, events: Events, subscriber: type[Subscriber], origin: Origin
) -> None:
    outcome = await mirror.pipeline(subscriber()).process([events.profile()], origin)

    assert outcome.fates == {Fate.APPLIED: 1}
    assert await mirror.one("SELECT count(*) FROM deliveries") == 0
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 0


async def test_a_target_of_states_hears_of_what_took_effect_alone(
    mirror: Mirror, events: Events, subscriber: type[Subscriber]
) -> None:
    target = subscriber("collibra", lineage=False, wanted=(ProfileSaved, AssetDeleted))
    pipeline = mirror.pipeline(target)
    newer, older = events.profile(published="2026-05-10T15:04:20Z"), events.profile(published="2026-05-10T15:04:10Z")

    await pipeline.process([newer, older, events.deletion("a7")], Origin.LIVE)
    await pipeline.process([older, newer], Origin.LIVE)

    kinds = await mirror.all("SELECT entity_kind, entity_id FROM deliveries ORDER BY entity_kind")
    assert kinds == [("asset", "a7"), ("data_profile", "p1")]


async def test_lineage_of_others_is_forwarded_to_who_forwards_and_our_own_is_ignored(
    mirror: Mirror, events: Events, subscriber: type[Subscriber]
) -> None:
    pipeline = mirror.pipeline(subscriber("catalog"), subscriber("openlineage", forwards=True))
    ours = events.lineage("own", event_source_service=Answerer(TargetSettings()).source_service)

    outcome = await pipeline.process([events.lineage("e1"), ours], Origin.LIVE)

    assert outcome.fates == {Fate.APPLIED: 1, Fate.IGNORED: 1}
    assert await mirror.all("SELECT target, entity_id FROM deliveries") == [("openlineage", "e1")]


async def test_an_answer_that_comes_back_under_another_name_is_known_by_its_id(mirror: Mirror, events: Events) -> None:
    await mirror.take(events.profile())
    own = await mirror.one("SELECT event_id FROM lineage_events")
    before = await mirror.content()

    outcome = await mirror.take(events.lineage(own, "2026-06-01T00:00:00Z", uses=["zzz"]))

    assert outcome.fates == {Fate.IGNORED: 1}
    assert (await mirror.content())["lineage_edges"] == before["lineage_edges"]
    assert await mirror.one("SELECT own FROM lineage_events") in (True, 1)


async def test_a_deletion_hint_is_a_tombstone_or_a_refresh_where_a_catalog_can_be_asked(
    mirror: Mirror, events: Events
) -> None:
    await mirror.take(events.deletion("a1"))
    await mirror.take(events.deletion("a2"), verifies_hints=True)

    assert await mirror.all("SELECT asset_id FROM assets WHERE deleted_at IS NOT NULL") == [("a1",)]
    assert await mirror.all("SELECT kind, entity_id FROM refreshes") == [("asset", "a2")]
    assert await mirror.one("SELECT count(*) FROM deliveries") == 0


async def refuse(mirror: Mirror, table: str, condition: str) -> None:
    """Make the store refuse rows of a table, from outside."""
    if mirror.store.dialect == "sqlite":
        name = f"refuse_{next(counter)}"
        await mirror.execute(
            f"CREATE TRIGGER {name} BEFORE INSERT ON {table} WHEN NEW.{condition} BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    else:
        await mirror.execute(f"ALTER TABLE {table} ADD CHECK (NOT ({condition}))")


@pytest.mark.parametrize("bad", [[7], [0], [15], [3, 4, 11], list(range(16))])
async def test_a_row_that_the_store_refuses_is_a_dead_letter_alone(
    mirror: Mirror, events: Events, bad: list[int]
) -> None:
    for number in bad:
        await refuse(mirror, "data_profiles", f"profile_id = 'p{number}'")

    outcome = await mirror.take(*(events.profile(f"p{number}") for number in range(16)))

    assert outcome.fates[Fate.DEAD_LETTERED] == len(bad)
    assert await mirror.one("SELECT count(*) FROM data_profiles") == 16 - len(bad) == outcome.fates[Fate.APPLIED]
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 16 - len(bad) == outcome.deliveries
    letters = await mirror.all("SELECT routing_key, error_class FROM dead_letters")
    assert sorted(letters) == sorted((f"v2.data_profiles.p{number}.PATCH", "store_refused") for number in bad)


async def test_a_refused_own_lineage_event_takes_its_profile_with_it_and_nothing_else(
    mirror: Mirror, events: Events
) -> None:
    await refuse(mirror, "lineage_edges", "asset_id = 'a9'")

    outcome = await mirror.take(events.profile("p1"), events.profile("p2", details={"dataset_id": "a9"}))

    assert outcome.fates == {Fate.APPLIED: 1, Fate.DEAD_LETTERED: 1}
    assert await mirror.all("SELECT profile_id FROM data_profiles") == [("p1",)]
    assert await mirror.one("SELECT count(*) FROM assets") == 1


async def test_the_longest_ids_fit_both_stores(mirror: Mirror, events: Events) -> None:
    longest = "".join(chr(0x10000 + number * 97 % 60_000) for number in range(256))
    assert len(longest.encode()) == 1024

    outcome = await mirror.take(
        events.profile("p", details={"profile_id": longest, "dataset_id": longest, "catalog_id": longest}),
        Message(
            "v2.lineage_events.x.POST",
            json.dumps({"event_details": {"event_id": longest}, "uses_assets": [{"id": longest}]}).encode(),
        ),
        events.deletion(longest),
    )

    assert outcome.fates == {Fate.APPLIED: 3}


async def test_nothing_is_committed_when_the_brake_is_pulled(mirror: Mirror, events: Events) -> None:
    batch = [events.profile(), *(Message("v2.data_profiles.x.POST", b"%d" % number) for number in range(41))]
    pipeline = mirror.pipeline()

    with pytest.raises(BrakePulled):
        await pipeline.process(batch, Origin.LIVE, braked=True)

    assert await mirror.one("SELECT count(*) FROM data_profiles") == 0
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0
    assert (await pipeline.process(batch, Origin.REPLAY)).fates[Fate.DEAD_LETTERED] == 41


async def test_a_message_met_alone_six_times_is_poison_whatever_its_trials_say_and_an_applied_one_is_no_suspect(
    mirror: Mirror, events: Events
) -> None:
    pipeline, message = mirror.pipeline(), events.profile()
    await pipeline.process([message], Origin.LIVE, alone=True)
    assert await mirror.one("SELECT count(*) FROM suspects") == 0

    for _ in range(5):  # as if the process had died before its commit; it survives its trials
        assert await mirror.pipeline()._meet_suspect(message) is None
    outcome = await pipeline.process([message], Origin.LIVE, alone=True)

    assert outcome.fates == {Fate.DEAD_LETTERED: 1}
    assert await mirror.one("SELECT error_class FROM dead_letters") == "poison"
    assert await mirror.one("SELECT count(*) FROM suspects") == 0


async def test_writers_in_opposite_orders_end_without_losing_anything(mirror: Mirror, events: Events) -> None:
    names = [f"p{number}" for number in range(60)]

    def batch(moment: int, order: list[str]) -> list[Message]:
        at = f"2026-05-10T15:04:{moment:02d}Z"
        return [events.profile(name, published=at, details={"dataset_id": f"a-{name}"}) for name in order]

    outcomes = await asyncio.gather(
        *(mirror.take(*batch(moment, names if moment % 2 else names[::-1])) for moment in range(8))
    )

    assert sum(outcome.read for outcome in outcomes) == 480
    assert await mirror.all("SELECT DISTINCT version_at FROM data_profiles")
    assert await mirror.one("SELECT count(*) FROM data_profiles WHERE replaces IS NULL OR replaces < version") == 60
    assert await mirror.one("SELECT count(*) FROM lineage_events WHERE own") == 480
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0


async def test_a_deadlock_is_tried_again(
    postgres_url: str, opened: Callable[..., AbstractAsyncContextManager[Mirror]], events: Events
) -> None:
    async with opened(postgres_url) as mirror:
        await mirror.take(events.profile("p1"), events.profile("p2", details={"dataset_id": "a2"}))
        await mirror.execute("INSERT INTO refreshes VALUES ('data_profile', 'p1', NULL, NULL, 'x', now(), now(), 1)")
        ours = asyncio.Event()

        async def foreign() -> None:
            """Takes the refresh first and the profile then: the order that our writers never take."""
            async with mirror.store.write() as connection:
                await connection.exec_driver_sql("SET LOCAL deadlock_timeout = '10s'")
                await connection.exec_driver_sql("UPDATE refreshes SET times = 7 WHERE entity_id = 'p1'")
                ours.set()
                while not (
                    await connection.exec_driver_sql("SELECT count(*) FROM pg_locks WHERE NOT granted")
                ).scalar():
                    await asyncio.sleep(0.01)
                await connection.exec_driver_sql("UPDATE data_profiles SET status = 'x' WHERE profile_id = 'p1'")

        async def own() -> Any:
            await ours.wait()
            same_second: dict[str, Any] = {"state": {"n": 1}, "published": "2026-05-10T15:04:15.700Z"}
            return await mirror.take(events.profile("p1", **same_second))

        _, outcome = await asyncio.gather(foreign(), own())

        assert outcome.fates == {Fate.APPLIED: 1}
        assert await mirror.one("SELECT times FROM refreshes WHERE entity_id = 'p1'") == 8


async def test_a_store_that_is_gone_is_no_dead_letter(mirror: Mirror, events: Events) -> None:
    await mirror.execute("DROP TABLE lineage_edges" + (" CASCADE" if mirror.store.dialect != "sqlite" else ""))

    with pytest.raises(StoreUnavailable):
        await mirror.take(events.lineage())

    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0
    assert await mirror.one("SELECT count(*) FROM lineage_events") == 0


async def test_the_whole_pipeline_runs_through_pgbouncer_in_transaction_mode(
    postgres_url: str,
    pgbouncer: PrivatePgBouncer,
    opened: Callable[..., AbstractAsyncContextManager[Mirror]],
    events: Events,
) -> None:
    async with opened(pgbouncer.through(postgres_url), schema="mirror") as mirror:
        await refuse(mirror, "mirror.data_profiles", "profile_id = 'p3'")
        batches = [
            [events.profile(f"p{n}", published=f"2026-05-10T15:04:{moment:02d}Z") for n in range(20)]
            + [events.lineage(f"e{moment}")]
            for moment in range(12)
        ]

        outcomes = await asyncio.gather(*(mirror.take(*batch) for batch in batches))

        assert sum(outcome.fates[Fate.DEAD_LETTERED] for outcome in outcomes) == 12
        assert await mirror.one("SELECT count(*) FROM mirror.data_profiles") == 19
        assert await mirror.one("SELECT count(*) FROM mirror.lineage_events WHERE own") == 19 * 12


async def test_a_message_that_was_met_again_and_again_by_a_process_that_lives_on_is_not_blamed(mirror: Mirror) -> None:
    """Each time something else ended it: the store took nothing, the link broke, the brake was pulled."""
    pipeline, message = mirror.pipeline(), Message("v2.data_profiles.p1.POST", b"{}")
    for _ in range(HOPELESS_LIMIT + 2):
        await pipeline.decode([message], alone=True)
        assert await mirror.all("SELECT met FROM suspects") == [(1,)]
    await pipeline.take_back()
    assert await mirror.all("SELECT met FROM suspects") == []
    for _ in range(HOPELESS_LIMIT - 1):  # as processes do that die of it
        await mirror.pipeline().decode([message], alone=True)
    (read,) = await mirror.pipeline().decode([message], alone=True)
    assert read.error is not None
    assert read.error.error_class == "poison"


async def test_a_rehearsal_writes_nothing_and_tells_whether_the_store_takes_it(
    mirror: Mirror, subscriber: type[Subscriber], outlet: Outlet, events: Events
) -> None:
    pipeline = mirror.pipeline(subscriber(), outlet=outlet)
    reads = await pipeline.decode([events.profile("p1"), Message("v2.data_profiles.x.POST", b"{")])
    before = await mirror.content()
    await pipeline.rehearse(reads)
    assert await mirror.content() == before
    assert await mirror.one("SELECT count(*) FROM dead_letters") == 0
    assert outlet.taken == []
    await mirror.execute("ALTER TABLE dead_letters RENAME TO not_dead_letters")
    with pytest.raises(StoreUnavailable):
        await pipeline.rehearse(reads)
    await mirror.execute("ALTER TABLE not_dead_letters RENAME TO dead_letters")
    outcome = await pipeline.commit(reads, Origin.LIVE)
    assert outcome.fates == {Fate.APPLIED: 1, Fate.DEAD_LETTERED: 1}
    assert len(outlet.taken) == 1


def _profile_of_bytes(number: int, **fields: Any) -> Message:
    """A profile event with as many columns as make its body larger than so many bytes."""
    column = {"name": "c" * 60, "value_analysis": {"distinct_count": 7, "null_count": 0, "min_string": "m" * 200}}
    entity = {"data_profile": {"columns": [column] * (number // len(json.dumps(column)) + 1)}}
    state = {"metadata": {"guid": "p1", "dataset_id": "a1", "catalog_id": "c1"}, "entity": entity}
    details = {"profile_id": "p1", "dataset_id": "a1", "catalog_id": "c1"}
    body = {"published": "2026-05-10T15:04:15Z", "state": state, "details": details, **fields}
    return Message("v2.data_profiles.p1.POST", json.dumps(body).encode())


async def test_an_event_of_nearly_sixteen_mib_is_mirrored(mirror: Mirror) -> None:
    message = _profile_of_bytes(15 * 1024**2)
    assert (await mirror.take(message)).fates == {Fate.APPLIED: 1}
    assert await mirror.one("SELECT column_count FROM data_profiles") > 40_000


async def test_of_an_event_beyond_the_limit_what_it_names_is_read_again(mirror: Mirror) -> None:
    small = PipelineSettings(max_body_bytes=50_000)
    outcome = await mirror.take(_profile_of_bytes(60_000), settings=small, verifies_hints=True)
    assert outcome.fates == {Fate.APPLIED: 1}
    assert await mirror.all("SELECT kind, entity_id, container_kind, container_id FROM refreshes") == [
        ("data_profile", "p1", "catalog", "c1")
    ]
    assert await mirror.all("SELECT asset_id, document FROM data_profiles") == [("a1", None)]


@pytest.mark.parametrize(
    ("asks", "fields"),
    [(False, {}), (True, {"details": None}), (True, {"details": {"profile_id": "p1", "dataset_id": "a1"}})],
    ids=["no catalog to ask", "names nothing", "names no container"],
)
async def test_an_event_beyond_the_limit_that_cannot_be_read_again_is_a_dead_letter(
    mirror: Mirror, asks: bool, fields: dict[str, Any]
) -> None:
    message = _profile_of_bytes(60_000, **fields)
    outcome = await mirror.take(message, settings=PipelineSettings(max_body_bytes=50_000), verifies_hints=asks)
    assert [error.error_class for error in outcome.errors] == ["body_too_large"]


async def test_a_body_beyond_the_limit_that_is_no_json_is_told_by_its_size(mirror: Mirror) -> None:
    message = Message("v2.data_profiles.p1.POST", b'{"details": ' + b"[" * 60_000)
    outcome = await mirror.take(message, settings=PipelineSettings(max_body_bytes=50_000), verifies_hints=True)
    assert [error.error_class for error in outcome.errors] == ["body_too_large"]
