"""Somebody is forgotten: nothing of them is left in the store but what is told, and nothing brings them back."""

from __future__ import annotations

import json
import unicodedata
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from service.changes import Origin
from service.errors import UsageError
from service.events.message import Message
from service.events.stored import version_of
from service.mirror import audit, controls, sessions
from service.mirror.privacy import held, sweeping
from service.mirror.search import following
from service.mirror.tables import assets, audit_log, metadata, usage_facts
from service.mirror.usage.people import people_of
from service.operations import privacy
from service.operations.acting import Act, Way
from service.operations.privacy import Report
from service.queries.asked import Filters
from service.queries.search import search
from service.settings.model import Settings
from service.text.forgotten import MARK
from service.text.principals import Principals

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.integration.conftest import Events, Mirror

ANN = ("IBMid-550000ANN", "Ann O'Härä", "ann.ohara@example.org")
#: Somebody else.
JOANN = "joann.ohara@example.org"
ACT = Act("dana", Way.COMMAND, "asked by letter 17")
SETTINGS = Settings()


def asset(asset_id: str = "a1", at: str = "2026-05-10T15:04:15Z", name: str = "CUSTOMERS", **more: Any) -> Message:
    metadata_ = {"asset_id": asset_id, "name": name, "asset_type": "data_asset", "catalog_id": "c1",
                 "rov": {"mode": 0}, "owner_id": ANN[0], "description": f"Ask {ANN[1]} ({ANN[2]})", **more}  # fmt: skip
    state = {"metadata": metadata_, "entity": {"data_asset": {"columns": []}}}
    body = {"event": "UPDATE_ASSET", "published": at, "state": state,
            "details": {"catalog_id": "c1", "asset_id": asset_id}}  # fmt: skip
    return Message(f"v2.assets.{asset_id}.PATCH", json.dumps(body).encode())


async def fill(mirror: Mirror, events: Events) -> None:
    """A mirror in which Ann is everywhere."""
    await mirror.take(asset(), asset("a2", name="ORDERS", owner_id="IBMid-2", description=JOANN))
    await mirror.take(events.lineage(user_id=ANN[0], actor={"user_name": ANN[1]}))
    await mirror.take(Message("v2.data_profiles.p1.PATCH", json.dumps({"published": "x", "by": ANN[1]}).encode()))
    await mirror.take(Message("v2.data_profiles.p2.PATCH", f"no json of {ANN[2]}".encode()))
    people = await people_of(mirror.store, SETTINGS.usage, Principals.KEEP)
    fact = {"asset_id": "a1", "occurred_at": sa.func.now(), "number": 1, "source": "import", "version": b"1"}
    fact |= {"occurred_at": mirror.store.now(), "mirrored_at": mirror.store.now()}
    async with mirror.store.write() as connection:
        for number, name in enumerate((ANN[0], "IBMid-2")):
            told = fact | {"fact_id": f"f{number}", "user_hash": people.hash(name)}
            await connection.execute(sa.insert(usage_facts).values(told))
        await controls.set_control(connection, controls.PAUSE, {"reason": f"by {ANN[1]}"})
        await audit.record(connection, ANN[1], "consuming.pause", "every replica")
    await sessions.begin(mirror.store, ANN[1], ["read"], "", 60)
    while await following.step(mirror.store):
        pass


async def everything(mirror: Mirror) -> dict[str, str]:
    """All that the store holds, table by table, as text."""
    found = {}
    async with mirror.store.read() as connection:
        for table in metadata.tables.values():
            rows = [tuple(row) for row in await connection.execute(sa.select(table))]
            found[table.name] = repr([
                [value.decode("utf-8", "replace") if isinstance(value, bytes) else value for value in row]
                for row in rows
            ])  # fmt: skip
    return found


def named_in(found: dict[str, str]) -> set[str]:
    names = [*ANN, repr(json.dumps(ANN[1]))[2:-2], "O'Härä", "härä"]  # as it is, and as JSON and `repr` write it
    without_joann = {table: text.replace(JOANN, "").casefold() for table, text in found.items()}
    return {table for table, text in without_joann.items() if any(name.casefold() in text for name in names)}


async def forget(mirror: Mirror, names: Sequence[str] = ANN, act: Act = ACT) -> Report:
    return await privacy.forget(mirror.store, SETTINGS, names, act)


async def test_nothing_of_somebody_who_is_forgotten_is_left_but_the_audit_log(mirror: Mirror, events: Events) -> None:
    await fill(mirror, events)
    before = named_in(await everything(mirror))
    assert {"assets", "lineage_events", "dead_letters", "sessions", "audit_log", "controls"} <= before
    looked = await privacy.report(mirror.store, SETTINGS, ANN)
    assert named_in(await everything(mirror)) == before, "a look changes nothing"
    assert not looked.is_held

    done = await forget(mirror)

    assert named_in(await everything(mirror)) == {"audit_log"}
    assert (done.audited, done.is_held) == (1, True)
    assert (done.rewritten, done.removed) == (looked.rewritten, looked.removed), "it was foretold"
    assert done.removed["sessions"] == 1
    assert await mirror.one("SELECT owner_id FROM v1_assets WHERE asset_id = 'a1'") == MARK
    assert await mirror.one("SELECT description FROM assets WHERE asset_id = 'a1'") == f"Ask {MARK} ({MARK})"
    assert await mirror.one("SELECT description FROM assets WHERE asset_id = 'a2'") == JOANN
    assert await mirror.all("SELECT user_hash IS NULL FROM usage_facts ORDER BY fact_id") in (
        [(True,), (False,)], [(1,), (0,)],
    )  # fmt: skip
    again = await forget(mirror)
    assert (again.rewritten, again.removed) == ({}, {})


async def test_it_is_audited_without_telling_the_name_again(mirror: Mirror, events: Events) -> None:
    await fill(mirror, events)
    await forget(mirror)
    rows = await mirror.all(sa.select(audit_log.c.action, audit_log.c.subject, audit_log.c.reason, audit_log.c.detail))
    mine = [row for row in rows if row[0].startswith("privacy.")]
    assert [row[0] for row in mine] == ["privacy.forget", "privacy.forgotten"]
    assert mine[0][1] == mine[1][1]
    assert named_in({"mine": repr(mine)}) == set()
    with pytest.raises(UsageError, match="reason names the person"):
        await forget(mirror, act=Act("dana", Way.COMMAND, f"{ANN[1]} asked"))


async def test_nothing_that_comes_later_brings_them_back(mirror: Mirror, events: Events) -> None:
    await forget(mirror)

    await mirror.take(asset(at="2026-05-10T15:04:20Z", description="nothing", collaborators={ANN[0]: "admin"}))
    await mirror.take(events.lineage("e2", user_id=ANN[0], actor={"user_name": ANN[1]}))
    await mirror.take(Message("v2.data_profiles.p1.PATCH", json.dumps({"published": "x", "by": ANN[2]}).encode()))
    await mirror.take(Message("v2.data_profiles.p2.PATCH", f"no json of {ANN[2]}".encode()))

    assert named_in(await everything(mirror)) == set()
    assert await mirror.one("SELECT owner_id FROM assets") == MARK


async def test_another_process_knows_whom_it_is_to_hold(mirror: Mirror, opened: Any, events: Events) -> None:
    url = mirror.store.url.set(drivername=mirror.store.dialect).render_as_string(hide_password=False)
    async with opened(url, migrate=False) as other:
        await forget(mirror)
        await held.load(other.store)
        await other.take(asset(description="nothing"))
        async with other.store.read() as connection:
            told = await controls.read_control(connection, held.CONTROL)
            await held.follow(connection, other.store.forgotten, told)
    assert named_in(await everything(mirror)) == set()


async def test_a_name_in_a_sentence_that_is_told_anew_comes_back_and_the_report_says_so(mirror: Mirror) -> None:
    await forget(mirror)
    await mirror.take(asset(description=f"Ask {ANN[1]} today"))
    found = await privacy.report(mirror.store, SETTINGS, ANN)
    assert found.rewritten.get("assets") == 1
    assert any("middle of a sentence" in text for text in found.held)
    await forget(mirror)
    assert named_in(await everything(mirror)) == set()


async def test_the_same_event_once_more_changes_nothing_for_its_digest_is_that_of_what_is_left(mirror: Mirror) -> None:
    await mirror.take(asset(description="nothing"))
    await forget(mirror)
    async with mirror.store.read() as connection:
        row = (await connection.execute(sa.select(assets).where(assets.c.asset_id == "a1"))).one()
    assert row.version == version_of("asset", row._mapping, "asset_id").key

    await mirror.take(asset(description="nothing"))

    assert await mirror.one(sa.select(assets.c.version)) == row.version
    assert await mirror.all("SELECT * FROM refreshes") == []


async def test_search_finds_the_thing_and_no_longer_by_the_person(mirror: Mirror, events: Events) -> None:
    await fill(mirror, events)
    await forget(mirror)
    while await following.step(mirror.store):
        pass
    async with mirror.store.read() as connection:
        by_name = await search(connection, "customers", Filters(), limit=5, cursor=None)
        by_person = await search(connection, "hara", Filters(), limit=5, cursor=None)
        by_owner = await search(connection, "", Filters(owners=(ANN[0],)), limit=5, cursor=None)
    assert [match.id for match in by_name.matches] == ["a1"]
    assert [match.id for match in by_person.matches] in ([], ["a2"])
    assert by_owner.matches == []


async def test_many_rows_are_swept_in_small_transactions(mirror: Mirror, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeping, "_ROWS", 2)
    await mirror.take(*(asset(f"a{number}") for number in range(7)))
    done = await forget(mirror)
    assert done.rewritten["assets"] == 7
    assert named_in(await everything(mirror)) == set()


async def test_histories_are_rewritten_and_what_differed_in_the_person_alone_becomes_one(mirror: Mirror) -> None:
    pipeline = mirror.pipeline(histories=True)
    for second, owner in ((10, ANN[0]), (15, ANN[2]), (15, ANN[1]), (20, "IBMid-2")):
        message = asset(at=f"2026-05-10T15:04:{second}Z", owner_id=owner, description="nothing")
        await pipeline.process([message], Origin.LIVE)
    states = "SELECT owner_id FROM assets_history ORDER BY version_at"
    assert len(await mirror.all(states)) == 4

    await forget(mirror)

    assert await mirror.all(states) == [(MARK,), (MARK,), ("IBMid-2",)]
    assert named_in(await everything(mirror)) == set()


async def test_case_and_composition_of_a_name_do_not_count(mirror: Mirror) -> None:
    for number, name in enumerate((ANN[1].upper(), ANN[1].lower(), unicodedata.normalize("NFD", ANN[1]))):
        await mirror.take(asset(f"a{number}", owner_id="IBMid-2", description=f"Ask {name}, please"))
    await forget(mirror)
    assert await mirror.all("SELECT DISTINCT description FROM assets") == [(f"Ask {MARK}, please",)]
