"""The documents of profiles: read from where signed URLs lead, where settings allow it; nothing of ours is sent."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from aiohttp import web

from sandbox.catalog.asset_routes import object_of
from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.model import PocketCatalog
from sandbox.catalog.storage import Storage, storing
from sandbox.parts.tls import Certificates
from service.catalog.attachments import Documents, Hosts
from service.changes import RefreshAsked
from service.errors import DocumentRefused, SettingInvalid
from service.kinds import KINDS
from service.mirror import refreshes
from service.pipeline.profile_watch import ProfileWatch
from service.settings.model import CatalogSettings, SyncSettings

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reader, Reading

LOCAL = ("localhost", "127.0.0.0/8")
#: What documents do not hang on: reading it each time would be most of what these tests do.
ELSE = sorted(KINDS.keys() - {"asset", "data_profile"})


def settings(**told: Any) -> SyncSettings:
    known = {"profile_documents": "on", "profile_document_hosts": LOCAL, "skip": ELSE}
    return SyncSettings.model_validate(known | told)


@asynccontextmanager
async def read_documents(
    reading: Reading, certificates: Certificates, sync: SyncSettings | None = None
) -> AsyncIterator[tuple[Reader, Storage, str, str]]:
    """A mirror of a catalog with one finished profile, its storage, and the ids of profile and asset."""
    catalog = PocketCatalog(seed=5, assets=6, odd_cards=False, clock=SteppingClock())
    (asset_id,) = [one.asset_id for one in catalog.assets.carrying("data_asset")][:1]
    profile_id = catalog.create_profile(asset_id, start=True)
    catalog.finish_profile(asset_id, profile_id)
    async with storing(catalog, certificates) as storage:
        sync = sync or settings()
        watch = ProfileWatch(reads_documents=True, keeps_s=1e10)
        async with reading(catalog, sync, watch=watch, ca_file=certificates.ca) as reader:
            yield reader, storage, profile_id, asset_id


async def columns(reader: Reader, profile_id: str) -> list[Any]:
    query = (
        "SELECT column_name, row_count, distinct_count, null_ratio, min_text, inferred_type FROM v1_profile_columns "
        "WHERE profile_id = :id ORDER BY position"
    )
    return await reader.mirror.all(query, id=profile_id)


async def freshness(reader: Reader) -> Any:
    query = "SELECT things, missing, unreadable, problem FROM v1_freshness WHERE kind = 'profile_document'"
    found = await reader.mirror.all(query)
    return found[0] if found else None


async def test_a_snapshot_of_everything_reads_them(reading: Reading, certificates: Certificates) -> None:
    async with read_documents(reading, certificates, settings(skip=[])) as (reader, storage, profile_id, asset_id):
        await reader.snapshot()
        things, missing, _, _ = await freshness(reader)
        assert things == missing > 0
        await reader.refresh()

        found = await columns(reader, profile_id)
        rows = int(profile_id[:6], 16) % 90_000 + 10
        (profile,) = [one for one in reader.catalog.profiles.of(asset_id) if one["metadata"]["guid"] == profile_id]
        told = object_of(reader.catalog, asset_id, profile["entity"]["data_profile"]["attachment_id"])
        assert [row[:2] for row in found] == [(column["name"], rows) for column in told["columns"]] != []
        assert all(row[3] == (rows % 7) / rows and row[4:] == ("[redacted]", "STRING") for row in found)
        things, missing, unreadable, problem = await freshness(reader)
        assert (missing, unreadable, problem) == (0, 0, None)
        assert things == len(storage.asked) > 0
        assert not any({"authorization", "cookie"} & {name.lower() for name in asked} for asked in storage.asked)
        assert await reader.mirror.one("SELECT count(*) FROM profile_runs WHERE profile_id = :id", id=profile_id) == 1

        before = len(storage.asked)
        await reader.reconcile()
        await reader.refresh()
        assert len(storage.asked) == before  # what was read of this attachment is not read again


async def test_a_refresh_reads_it_again_and_a_new_run_replaces_it(reading: Reading, certificates: Certificates) -> None:
    async with read_documents(reading, certificates) as (reader, storage, profile_id, asset_id):
        await reader.snapshot()
        await reader.refresh()
        before = len(storage.asked)
        await ask(reader, RefreshAsked("data_profile", profile_id))
        await reader.refresh()
        assert len(storage.asked) == before + 1

        storage.spoil = lambda _, found: web.json_response({"columns": [{"name": "only", "value_analysis": {}}]})
        assert isinstance(reader.catalog.clock, SteppingClock)
        reader.catalog.clock.advance(5)
        reader.catalog.finish_profile(asset_id, profile_id)  # another run: another attachment
        await ask(reader, RefreshAsked("asset", asset_id))
        await reader.refresh()
        assert [row[0] for row in await columns(reader, profile_id)] == ["only"]
        assert await reader.mirror.one(
            "SELECT attachment_id FROM profile_documents WHERE profile_id = :id", id=profile_id
        ) == (await reader.mirror.one("SELECT attachment_id FROM data_profiles WHERE profile_id = :id", id=profile_id))


async def test_a_document_of_an_attachment_that_the_profile_no_longer_names_is_not_shown(
    reading: Reading, certificates: Certificates
) -> None:
    async with read_documents(reading, certificates) as (reader, _, profile_id, _asset):
        await reader.snapshot()
        await reader.refresh()
        assert await columns(reader, profile_id)
        await reader.mirror.execute("UPDATE data_profiles SET attachment_id = 'another'")
        assert await columns(reader, profile_id) == []


async def ask(reader: Reader, request: RefreshAsked) -> None:
    async with reader.mirror.store.write() as connection:
        await refreshes.ask(connection, [request])


def _redirecting(request: web.Request, _: Any) -> Any:
    if request.host.startswith("localhost"):
        raise web.HTTPFound(f"https://127.0.0.1:{request.url.port}{request.path_qs}")
    raise AssertionError("asked elsewhere")


async def _endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for _ in range(2**15):
        if request.transport is None or request.transport.is_closing():
            break
        await response.write(b" " * 2**16)
        await asyncio.sleep(0)  # else nobody hears that the client has gone
    return response


UNUSABLE: dict[str, tuple[Any, str]] = {
    "a page": (lambda *_: web.Response(text="<!DOCTYPE html><html>Sign in</html>"), "a page for people"),
    "no JSON": (lambda *_: web.Response(text="{'a'"), "cut off, or no JSON"),
    "cut off": (lambda _, found: web.Response(body=json.dumps(found).encode()[:-9]), "cut off, or no JSON"),
    "nothing": (lambda *_: web.Response(), "cut off, or no JSON"),
    "a list": (lambda *_: web.json_response([]), "no profile's document"),
    "columns of another type": (lambda *_: web.json_response({"columns": {"a": 1}}), "no profile's document"),
    "NaN": (lambda *_: web.Response(text='{"columns": [{"name": "c", "value_analysis": {"mean": NaN}}]}'), "no JSON"),
    "too large": (lambda *_: web.Response(body=b" " * 2**21), "more than the 1048576 bytes"),
    "without end": (lambda request, _: _endless(request), "more than the 1048576 bytes"),
    "elsewhere": (_redirecting, "localhost leads there|does not name it"),
}


@pytest.mark.parametrize("case", UNUSABLE)
async def test_what_cannot_be_used_is_told_and_harms_nothing(
    reading: Reading, certificates: Certificates, case: str
) -> None:
    spoil, reason = UNUSABLE[case]
    sync = settings(profile_document_max_bytes=2**20)
    async with read_documents(reading, certificates, sync) as (reader, storage, profile_id, _):
        storage.spoil = spoil
        await reader.snapshot()
        await reader.refresh()

        things, missing, unreadable, problem = await freshness(reader)
        assert (things, missing) == (unreadable, 0)
        assert things > 0
        assert any(part in problem for part in reason.split("|")), problem
        assert await columns(reader, profile_id) == []
        assert (
            await reader.mirror.one("SELECT count(*) FROM v1_data_profiles WHERE profile_id = :id", id=profile_id) == 1
        )

        storage.spoil = None
        await reader.reconcile()
        await reader.refresh()
        assert (await freshness(reader))[2:] == (0, None)
        assert await columns(reader, profile_id)


async def test_an_expired_url_is_asked_for_anew_once(reading: Reading, certificates: Certificates) -> None:
    async with read_documents(reading, certificates) as (reader, storage, profile_id, _):
        asked = 0

        def expired(*_: Any) -> Any:
            nonlocal asked
            asked += 1
            return web.Response(status=403, text="<Code>AccessDenied</Code>") if asked % 2 else None

        storage.spoil = expired
        await reader.snapshot()
        with structlog.testing.capture_logs() as logs:
            await reader.refresh()

        assert await columns(reader, profile_id)
        assert asked == 2 * (await freshness(reader))[0]
        assert not [one for one in logs if "Signature" in json.dumps(one, default=str)]


async def test_what_is_away_is_tried_again_and_given_up_with_its_reason(
    reading: Reading, certificates: Certificates
) -> None:
    async with read_documents(reading, certificates, settings(refresh_attempts=2)) as (reader, storage, profile_id, _):
        storage.spoil = lambda *_: web.Response(status=503)
        await reader.snapshot()
        for _ in range(2):
            await reader.mirror.execute("UPDATE refreshes SET due_at = asked_at")
            await reader.refresh()

        _, missing, unreadable, problem = await freshness(reader)
        assert (missing, unreadable > 0) == (0, True)
        assert "it answers 503" in problem
        assert "Signature" not in problem
        assert await columns(reader, profile_id) == []


async def test_nothing_is_asked_where_settings_do_not_say_so(reading: Reading, certificates: Certificates) -> None:
    for hosts in ((), ("127.0.0.0/8",), ("localhost",), ("s3.example.com", "10.0.0.0/8")):
        async with read_documents(reading, certificates, settings(profile_document_hosts=hosts)) as parts:
            reader, storage, profile_id, _ = parts
            await reader.snapshot()
            await reader.refresh()
            assert storage.asked == []
            assert "PROFILE_DOCUMENT_HOSTS" in (await freshness(reader))[3]
            assert await columns(reader, profile_id) == []
            await reader.mirror.clear()


async def test_the_document_of_another_profile_is_not_taken_for_it(
    reading: Reading, certificates: Certificates
) -> None:
    async with read_documents(reading, certificates) as (reader, storage, _profile_id, _):

        def another(path: str, _: Any, body: Any) -> Any:
            return {**body, "object_key": "data_profile_of-another", "name": "x"} if "/attachments/" in path else body

        reader.catalog.knobs.spoil = another
        await reader.snapshot()
        await reader.refresh()
        assert storage.asked == []
        assert "of another profile" in (await freshness(reader))[3]


ADDRESSES = {
    "https://10.0.0.1/x": False, "https://169.254.169.254/latest": False, "https://[::1]/": False,
    "https://[fe80::1]/": False, "https://[::ffff:10.0.0.1]/": False, "https://0.0.0.0/": False,
    "https://192.168.7.7/": True, "https://8.8.8.8/": True, "https://[::ffff:192.168.7.7]/": True,
}  # fmt: skip


@pytest.mark.parametrize("url", ADDRESSES)
def test_addresses_that_are_not_public_are_asked_where_a_network_is_named(url: str) -> None:
    hosts = Hosts(("*", "192.168.0.0/16"))
    if ADDRESSES[url]:
        assert hosts.check(url)
        return
    with pytest.raises(DocumentRefused, match="not public"):
        hosts.check(url)


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("http://s3.example.com/x", "only https"),
        ("ftp://s3.example.com/x", "only https"),
        ("file:///etc/hostname", "only https"),
        ("https://other.example.com/", "does not name it"),
        ("https://s3.example.com.evil.test/", "does not name it"),
        ("https://user@evil.test/?s3.example.com", "does not name it"),
        ("https://[bad", "no URL"),
        ("", "only https"),
    ],
)
def test_hosts_that_are_not_named_are_not_asked(url: str, reason: str) -> None:
    hosts = Hosts(("s3.example.com", "*.storage.test"))
    assert hosts.check("https://S3.example.com/x?y") == "s3.example.com"
    assert hosts.check("https://eu.storage.test.") == "eu.storage.test"
    with pytest.raises(DocumentRefused, match=reason):
        hosts.check(url)


async def test_a_name_that_leads_to_a_private_address_is_refused(certificates: Certificates) -> None:
    documents = Documents(CatalogSettings(ca_file=certificates.ca), settings(profile_document_hosts=["localhost"]))
    with pytest.raises(DocumentRefused, match=r"(127\.0\.0\.1|::1) is not public"):
        await documents.fetch("https://localhost:1/x")


def test_a_network_that_is_none_is_a_wrong_setting() -> None:
    with pytest.raises(SettingInvalid, match="PROFILE_DOCUMENT_HOSTS"):
        Hosts(("10.0.0.300/8",))
