"""The console as people meet it: in a real browser."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
import sqlalchemy as sa
from playwright.async_api import expect
from pydantic import SecretStr

from service.changes import Origin
from service.events.message import Message
from service.http.console import files, overview
from service.http.console.forms import COOKIE
from service.http.console.lineage import Drawn
from service.http.console.live import Live
from service.mirror import audit
from service.mirror.tables import collibra_assets, sessions
from service.settings.model import TargetSettings
from tests.browsing import NARROW

if TYPE_CHECKING:
    from tests.browsing import Person
    from tests.integration.conftest import Events, Mirror
    from tests.integration.console.conftest import Serve, Served

People = Callable[..., Any]

#: A name that tries everything: markup, a script, right-to-left, an escape sequence, and length.
HOSTILE = "<img src=x onerror=document.title='gone'>\"'&amp; \u202egnihton \x1b[31mred\x07 " + "x" * 10_000
ANOTHER = "</script><script>document.title='gone'</script>"


def asset(asset_id: str, name: str = "CUSTOMERS", **more: Any) -> Message:
    """An asset with two columns, as the catalog tells of it."""
    body = {
        "event": "UPDATE_ASSET",
        "published": "2026-05-10T15:04:15Z",
        "state": {
            "metadata": {
                "asset_id": asset_id, "name": name, "asset_type": "data_asset", "catalog_id": "c1",
                "description": name, "rov": {"mode": 0}, "tags": [name[:50]], **more,
            },
            "entity": {"data_asset": {"columns": [
                {"name": "ID", "type": {"type": "bigint", "native_type": "bigint"}},
                {"name": name[:200], "type": {"type": "varchar", "native_type": "varchar", "length": 20}},
            ]}},
        },
        "details": {"catalog_id": "c1", "asset_id": asset_id},
    }  # fmt: skip
    return Message(f"v2.assets.{asset_id}.PATCH", json.dumps(body).encode())


def unusable(number: int = 1, **state: Any) -> Message:
    """A profile event without the id of what was profiled."""
    body = {
        "event": "UPDATE_DATA_PROFILE", "published": "2026-05-10T15:04:15Z",
        "state": {"metadata": {"guid": f"p{number}", "dataset_id": 17, "catalog_id": "c1"}, **state},
        "details": {"profile_id": f"p{number}", "catalog_id": "c1"},
    }  # fmt: skip
    return Message(f"v2.data_profiles.p{number}.PATCH", json.dumps(body).encode())


@asynccontextmanager
async def signed_in_quietly(served: Served, who: str = "operator") -> AsyncIterator[tuple[aiohttp.ClientSession, str]]:
    """Somebody without a browser, and the token of their forms."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        form = {"token": f"{who}-0123456789abcdef", "to": "/"}
        async with session.post(f"{served.url}/signin", data=form) as answer:
            assert answer.status == 200
        held = next(cookie.value for cookie in session.cookie_jar if cookie.key == COOKIE)
        yield session, hashlib.sha256(f"form of {held}".encode()).hexdigest()


async def signed_in(person: People, served: Served, who: str = "operator", **options: Any) -> Person:
    one: Person = await person(served.url, **options)
    await one.sign_in(f"{who}-0123456789abcdef")
    return one


async def test_a_stuck_event_is_found_mended_and_replayed_in_five_clicks(
    mirror: Mirror, console: Served, person: People
) -> None:
    await mirror.take(unusable())
    someone = await signed_in(person, console)
    assert "1 dead letter: " in await someone.text()
    await someone.click("link", "Look at them")
    await someone.page.get_by_role("rowheader").get_by_role("link").first.click()
    someone.clicks += 1
    assert "dataset_id" in await someone.page.locator(".trouble").first.inner_text(), "it says what is wrong"
    body = someone.page.get_by_label("Body, to be mended")
    await body.fill((await body.input_value()).replace('"dataset_id": 17', '"dataset_id": "a1"'))
    await someone.click("button", "Show what changes")
    assert await mirror.one("SELECT count(*) FROM data_profiles") == 0, "nothing is saved yet"
    assert '-       "dataset_id": 17' in await someone.page.locator(".diff").inner_text()
    await someone.page.get_by_label("Why, for the audit log").fill("the id was a number")
    await someone.click("button", "Save and replay")
    assert "1 replayed." in await someone.page.get_by_role("status").first.inner_text()
    assert someone.clicks == 4, "and one for signing in"
    assert await mirror.one("SELECT asset_id FROM data_profiles") == "a1"
    async with mirror.store.read() as connection:
        told = [(one.who, one.action, one.reason) for one in await audit.entries(connection)]
    assert told[0] == ("operator", "dead_letter.replay", "the id was a number")
    assert told[1][:2] == ("operator", "dead_letter.edit")


async def test_two_people_edit_one_letter_and_the_second_is_told(
    mirror: Mirror, console: Served, person: People
) -> None:
    await mirror.take(unusable())
    letter = await mirror.one("SELECT dead_letter_id FROM dead_letters")
    first, second = await signed_in(person, console), await signed_in(person, console, "second")
    for one, value in ((first, '"a1"'), (second, '"a2"')):
        await one.goto(f"/dead-letters/{letter}")
        body = one.page.get_by_label("Body, to be mended")
        await body.fill((await body.input_value()).replace('"dataset_id": 17', f'"dataset_id": {value}'))
        await one.click("button", "Show what changes")
    await first.click("button", "Save", exact=True)
    await second.click("button", "Save", exact=True)
    assert "operator" in await second.text(), "who changed it is told"
    assert b'"a1"' in await mirror.one("SELECT body FROM dead_letters")


@pytest.mark.parametrize("dark", [False, True])
async def test_every_page_is_good_for_everybody_on_any_screen(
    mirror: Mirror, events: Events, serve: Serve, person: People, tmp_path: Path, dark: bool
) -> None:
    await _fill(mirror, events)
    targets = await _collibra_with_too_much(mirror, tmp_path)
    letter = await mirror.one("SELECT dead_letter_id FROM dead_letters LIMIT 1")
    pages = ["/", "/dead-letters", f"/dead-letters/{letter}", "/targets", "/reading", "/audit", "/sessions", "/about",
             "/assets/a1", "/explained/a1", "/lineage?of=a1", "/lineage", "/assets/none",
             "/collibra/collibra_assets/deletions"]  # fmt: skip
    async with serve(targets=targets) as console:
        someone = await signed_in(person, console, dark=dark, screen=NARROW)
        for path in pages:
            await someone.goto(path)
            assert await someone.found_by_axe() == [], path
            assert await someone.overflow() <= 0, f"{path} is wider than 360 px"
        assert "Remove these in Collibra" in await someone.page.content(), "the last page had what it is for"


async def test_names_from_outside_are_shown_and_do_nothing(
    mirror: Mirror, events: Events, console: Served, person: People
) -> None:
    for number, name in enumerate((HOSTILE, ANOTHER), 1):
        await mirror.take(asset(f"a{number}", name), unusable(number, note=name))
    await mirror.take(events.lineage(uses=["a1"], generates=["a2"]))
    someone = await signed_in(person, console)
    letter = await mirror.one("SELECT dead_letter_id FROM dead_letters LIMIT 1")
    pages = (
        "/",
        "/assets/a1",
        "/assets/a2",
        "/explained/a1",
        "/lineage?of=a1",
        "/dead-letters",
        f"/dead-letters/{letter}",
    )
    for path in pages:
        await someone.goto(path)
        assert await someone.page.title() != "gone", path
        shown = await someone.page.content()
        assert not re.search("[\u202e\x1b\x07]", shown), path
        assert await someone.overflow() <= 0, path
    await someone.goto("/assets/a1")
    heading = await someone.page.get_by_role("heading", level=1).inner_text()
    assert "<img src=x" in heading
    assert "\\u202e" in heading
    assert "\\x1b" in heading


async def test_lineage_is_drawn_expands_and_goes_by_keyboard(
    mirror: Mirror, events: Events, console: Served, person: People
) -> None:
    tables = [asset(f"a{number}", f"TABLE_{number}") for number in range(5)]
    jobs = [events.lineage(f"e{number}", uses=[f"a{number}"], generates=[f"a{number + 1}"]) for number in range(4)]
    await mirror.pipeline().process([*tables, *jobs], Origin.LIVE)  # nobody is told, so no lineage of ours
    someone = await signed_in(person, console)
    await someone.goto("/lineage?of=a0&depth=1")
    drawn = someone.page.locator("#drawn")
    await expect(drawn).to_have_text("3 nodes, 2 links.")
    await someone.page.locator("#graph").focus()
    for key in ("ArrowRight", "ArrowRight", "ArrowRight", "Enter"):
        await someone.page.keyboard.press(key)
    await expect(drawn).to_have_text("5 nodes, 4 links, 2 of them new.")
    await someone.page.keyboard.press("Space")
    await someone.page.wait_for_url("**/assets/a1")
    await someone.goto("/lineage?of=TABLE_2")
    assert "TABLE_1" in await someone.text(), "by its name, and told in words"


def test_of_too_many_nodes_the_nearest_are_drawn() -> None:
    chain = [{"id": str(number), "start": number == 7} for number in range(4000)]
    links = [{"id": f"l{number}", "source": str(number), "target": str(number + 1)} for number in range(3999)]
    drawn = Drawn(chain, links, cut=False)
    assert drawn.cut
    assert {node["id"] for node in drawn.nodes} == {str(number) for number in range(2000)}
    assert len(drawn.edges) == 1999


async def test_who_may_only_read_sees_no_letters_and_has_no_buttons(
    mirror: Mirror, console: Served, person: People
) -> None:
    await mirror.take(unusable())
    someone = await signed_in(person, console, "reader")
    assert await someone.page.get_by_role("link", name="Dead letters").count() == 0
    assert await someone.page.get_by_role("button", name="Pause").count() == 0
    letter = await mirror.one("SELECT dead_letter_id FROM dead_letters")
    for path in ("/dead-letters", f"/dead-letters/{letter}", "/explained/p1", "/targets", "/reading", "/audit"):
        assert await someone.goto(path) == 403
        assert "lacks the scope operate" in await someone.text()


async def test_the_public_port_shows_and_takes_no_action(mirror: Mirror, serve: Serve) -> None:
    await mirror.take(unusable())
    letter = await mirror.one("SELECT dead_letter_id FROM dead_letters")
    async with serve(acts=False) as served, signed_in_quietly(served) as (session, token):
        async with session.get(f"{served.url}/dead-letters/{letter}") as answer:
            assert answer.status == 200
            assert "Replay as it is" not in await answer.text()
        for path in ("/consuming/pause", "/dead-letters/replay", f"/dead-letters/{letter}/edit", "/reading/ask",
                     "/targets/catalog_lineage/pause", "/deliveries/release", "/reading/gaps/close"):  # fmt: skip
            async with session.post(served.url + path, data={"form_token": token}) as answer:
                assert answer.status in (404, 405), path


async def test_nobody_comes_in_without_a_token_and_out_with_it(mirror: Mirror, console: Served, person: People) -> None:
    someone = await person(console.url)
    await someone.goto("/dead-letters?state=open")
    assert someone.page.url.startswith(f"{console.url}/signin?to=")
    await someone.page.get_by_label("Token").fill("no such token at all")
    await someone.page.get_by_role("button", name="Sign in").click()
    assert "not known" in await someone.page.get_by_role("alert").inner_text()
    await someone.page.get_by_label("Token").fill("operator-0123456789abcdef")
    await someone.page.get_by_role("button", name="Sign in").click()
    await someone.page.wait_for_url(f"{console.url}/dead-letters?state=open")
    (cookie,) = await someone.context.cookies()
    assert cookie["httpOnly"]
    assert cookie["sameSite"] == "Strict"
    assert cookie["value"] not in str(await mirror.all(sessions.select())), "a copy of the store opens nothing"
    kept = console.tokens.read_text(encoding="utf-8")
    console.tokens.write_text(kept.replace("operator-0123456789abcdef", "operator-another-token"), encoding="utf-8")
    await asyncio.sleep(1.1)  # the file is looked at once a second
    await someone.goto("/dead-letters")
    assert "/signin" in someone.page.url, "with its token the session ends"


async def test_a_session_is_ended_by_who_may_and_by_signing_out(console: Served, person: People) -> None:
    someone, other = await signed_in(person, console), await signed_in(person, console, "reader")
    await someone.goto("/sessions")
    row = someone.page.get_by_role("row").filter(has=someone.page.get_by_role("rowheader", name="reader"))
    await row.get_by_role("button", name="End").click()
    assert "1 ended." in await someone.text()
    await other.goto("/")
    assert "/signin" in other.page.url
    await someone.click("button", "Sign out")
    await someone.goto("/")
    assert "/signin" in someone.page.url


async def test_a_form_of_somebody_elses_page_is_refused(console: Served, mirror: Mirror) -> None:
    async with signed_in_quietly(console) as (session, token):
        forged: list[tuple[dict[str, str], str, str]] = [
            ({"Origin": "https://elsewhere.example"}, token, "another site"),
            ({"Origin": "null"}, token, "another site"),
            ({"Origin": "http://["}, token, "another site"),
            ({"Sec-Fetch-Site": "cross-site"}, token, "another site"),
            ({"Sec-Fetch-Site": "same-site"}, token, "another site"),
            ({}, "0" * 64, "not of this session"),
            ({}, "", "not of this session"),
        ]
        for headers, brought, word in forged:
            form = {"form_token": brought}
            async with session.post(f"{console.url}/consuming/pause", data=form, headers=headers) as answer:
                assert answer.status == 403
                assert word in await answer.text()
        assert await mirror.one("SELECT count(*) FROM controls WHERE name = 'pause'") == 0
        async with session.post(f"{console.url}/consuming/pause", data={"form_token": token}) as answer:
            assert answer.status == 200
    assert await mirror.one("SELECT count(*) FROM controls WHERE name = 'pause'") == 1


async def test_the_overview_follows_and_says_when_the_service_is_gone(
    mirror: Mirror, serve: Serve, person: People
) -> None:
    async with serve() as served:
        someone = await signed_in(person, served)
        await expect(someone.page.locator("#live-state")).to_have_text("Live.")
        await mirror.take(unusable())
        await someone.page.get_by_role("link", name="Look at them").wait_for()
        port = int(served.url.rpartition(":")[2])
    await expect(someone.page.locator("#live-state")).to_contain_text("does not answer", timeout=15_000)
    async with serve(port=port):
        await expect(someone.page.locator("#live-state")).to_have_text("Live.", timeout=15_000)
    someone.complaints.clear()  # that nobody listened is what this is about


async def test_who_looks_away_while_nothing_changes_leaves_nothing_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    async def never() -> Any:
        await asyncio.sleep(60)

    monkeypatch.setattr(overview, "_ALIVE_S", 0.01)
    live: Live[Any] = Live(never)
    async with aclosing(live.watch()) as changes, aclosing(overview._or_silence(changes)) as told:
        assert [await anext(told) for _ in range(3)] == [None, None, None], "comments keep the connection alive"
    await live.end()
    await asyncio.sleep(0)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


async def test_switches_are_thrown_and_are_on_record(mirror: Mirror, console: Served, person: People) -> None:
    someone = await signed_in(person, console)
    await someone.page.get_by_label("Why, for the audit log").first.fill("new disks")
    await someone.click("button", "Pause")
    assert "Consuming is paused" in await someone.text()
    assert "new disks" in await someone.text()
    await someone.click("button", "Go on consuming")
    assert "Consuming is paused" not in await someone.text()
    await someone.goto("/reading")
    await someone.click("button", "Compare", exact=True)
    assert "was asked for" in await someone.text()
    await someone.goto("/audit")
    said = await someone.text()
    assert all(word in said for word in ("consuming.pause", "consuming.resume", "reading.reconcile", "new disks"))


async def test_without_tokens_whoever_sits_here_reads(mirror: Mirror, serve: Serve, person: People) -> None:
    await mirror.take(asset("a1"))
    async with serve(tokens=False, acts=False) as served:
        someone = await person(served.url)
        assert await someone.goto("/assets/a1") == 200
        assert await someone.goto("/dead-letters") == 403
        async with aiohttp.ClientSession() as session, session.get(served.url, headers={"Host": "evil.example"}) as got:
            assert got.status == 403, "a name that leads here from elsewhere is not this machine"


async def test_a_store_that_is_away_is_told_as_a_page(mirror: Mirror, console: Served, person: People) -> None:
    someone = await signed_in(person, console)
    await mirror.execute("DROP TABLE gaps")
    assert await someone.goto("/") == 503
    assert "store cannot be used" in await someone.text()
    someone.complaints.clear()


async def test_the_first_page_weighs_little(mirror: Mirror, events: Events, console: Served) -> None:
    await _fill(mirror, events)
    async with signed_in_quietly(console) as (session, _):
        async with session.get(console.url) as answer:
            page = await answer.text()
        loaded = set(re.findall(r'(?:src|href)="(/static/[^"]+)"', page))
        assert len(loaded) >= 6
        weight = len(page.encode())
        for address in loaded:
            async with session.get(console.url + address) as got:
                assert got.status == 200
                assert "immutable" in got.headers["Cache-Control"]
                weight += int(got.headers["Content-Length"])
    assert weight <= 200_000


def test_files_that_are_served_are_those_of_the_console_alone() -> None:
    assert files.found("console.css")
    for name in ("../app.py", "vendor/stamp", "htmx.org/LICENSE", "/etc/passwd", "console.css/..", ""):
        assert files.found(name) is None
    told = files.found("console.css")
    assert told is not None
    assert gzip.decompress(told.packed) == told.body


async def _collibra_with_too_much(mirror: Mirror, folder: Path) -> dict[str, TargetSettings]:
    """A target whose Collibra has assets, one of them with a long name, that the mirror does not have."""
    mapping = folder / "mapping.yaml"
    mapping.write_text("assets: {data_asset: {type: Table}}\ndomains: {c1: {name: Shop, community: Shop}}\n")
    row = {"target": "collibra_assets", "entity_kind": "asset", "kind": "asset", "command": "{}", "state": "told"}
    names = {"gone-1": "ORDERS", "gone-" + "x" * 400: HOSTILE}
    rows = [row | {"external_id": known, "entity_id": known, "name": name} for known, name in names.items()]
    async with mirror.store.write() as connection:
        await connection.execute(sa.insert(collibra_assets), rows)
    options = {"mapping_file": str(mapping)}
    chosen = TargetSettings(url="http://127.0.0.1:1", username="u", password=SecretStr("p"), options=options)
    return {"collibra_assets": chosen}


async def _fill(mirror: Mirror, events: Events) -> None:
    await mirror.take(asset("a1"), asset("a2", "ORDERS"), unusable(), unusable(2), events.profile())
    await mirror.take(events.lineage(uses=["a1"], generates=["a2"]))


async def test_what_changes_is_made_once_and_has_the_forms_of_whoever_looks(console: Served) -> None:
    async def first(session: aiohttp.ClientSession) -> str:
        async with session.get(f"{console.url}/live") as answer:
            assert answer.content_type == "text/event-stream"
            return (await answer.content.readuntil(b"\n\n")).decode()

    async with (
        signed_in_quietly(console) as (one, her_token),
        signed_in_quietly(console, "second") as (two, his_token),
        signed_in_quietly(console, "reader") as (three, _),
    ):
        while True:  # until one page was made for all three
            hers, his, readers = await asyncio.gather(*map(first, (one, two, three)))
            if len({re.findall('data-at="([^"]+)"', page)[0] for page in (hers, his, readers)}) == 1:
                break
    assert her_token in hers
    assert his_token not in hers
    assert hers.replace(her_token, "") == his.replace(his_token, "")
    assert "form_token" not in readers
