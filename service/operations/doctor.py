"""Looks at everything the service needs, and says what to do, ready to paste."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

import sqlalchemy as sa
import structlog

from service.catalog import listings
from service.catalog.client import IMPATIENT, CatalogClient
from service.catalog.paging import Pages
from service.catalog.turns import Lane
from service.changes import SECOND_US
from service.errors import MirrorError, SchemaMissing, TransientError
from service.kinds import CONTAINERS
from service.mirror import controls, dead_letters, schema
from service.mirror.store import Store
from service.mirror.usage.observing import STATISTIC
from service.operations.broker_findings import broker_findings
from service.operations.findings import Finding, Verdict, checked
from service.settings.model import Settings, hide_password
from service.targets.base import Target, installed_targets
from service.targets.collibra import batches

log = structlog.get_logger(__name__)

#: Looks at one thing, with these settings.
Check = Callable[[Settings], AsyncIterator[Finding]]
#: Seconds that our clock and the catalog's may differ by; a `Date` has whole seconds and a call takes time.
CLOCK_TOLERANCE_S = 30


async def findings(settings: Settings, *more: Check) -> list[Finding]:
    """Settings, store, broker, catalog and targets, each looked at, and `more`; changes nothing."""
    checks = (_settings, _store, broker_findings, _catalog, _usage, _targets, *more)
    return [finding for check in checks async for finding in check(settings)]


async def _settings(settings: Settings) -> AsyncIterator[Finding]:
    yield Finding("settings", Verdict.OK, "every setting is known and usable")
    url = settings.amqp.url.get_secret_value() if settings.amqp.url else ""
    if url.startswith("amqp://") and not any(host in url for host in ("@localhost", "@127.0.0.1", "@[::1]")):
        remedy = "Use amqps:// (port 5671), with CATALOG_MIRROR_AMQP__CA_FILE for a company's own certificates."
        yield Finding("encryption", Verdict.WARNING, f"{hide_password(url)} is not encrypted", remedy)


async def _store(settings: Settings) -> AsyncIterator[Finding]:
    store = Store(settings.store)
    try:
        reachable = await checked("store", lambda: _store_answers(store))
        yield reachable
        if reachable.verdict is Verdict.OK:
            yield (fits := await _schema(store))
            if fits.verdict is Verdict.OK:
                async for finding in _batches(store):
                    yield finding
            async for finding in _store_contents(store):
                yield finding
    finally:
        await store.close()


async def _store_answers(store: Store) -> str:
    store.check_writable()
    await store.check()
    return store.where


async def _schema(store: Store) -> Finding:
    try:
        await schema.check(store)
    except SchemaMissing as error:
        return Finding(
            "schema", Verdict.WARNING, str(error), f"{error.advice()} `run` does so unless STORE__MIGRATE=false."
        )
    return Finding("schema", Verdict.OK, f"revision {await schema.current(store)}")


async def _batches(store: Store) -> AsyncIterator[Finding]:
    """Batches of usage that nobody knows the fate of."""
    async with store.read() as connection:
        for (target, state), number in (await batches.counts(connection)).items():
            if state == batches.UNCERTAIN:
                remedy = "`catalog-mirror usage batches --state uncertain` lists them, `usage settle` decides."
                yield Finding(f"target {target}", Verdict.WARNING, f"{number} batches are uncertain", remedy)


async def _store_contents(store: Store) -> AsyncIterator[Finding]:
    async with store.read() as connection:
        if store.dialect == "postgresql":
            encoding = (await connection.execute(sa.text("SHOW server_encoding"))).scalar_one()
            if encoding != "UTF8":
                remedy = "Create the database with ENCODING 'UTF8'; other encodings refuse much of the catalog's text."
                yield Finding("encoding", Verdict.FAILED, f"the database stores {encoding}", remedy)
        if await schema.current(store) is None:
            return
        letters = await dead_letters.count(connection, dead_letters.Filter())
        if letters:
            remedy = "`catalog-mirror dead-letters list --group` shows the causes."
            yield Finding("dead letters", Verdict.WARNING, f"{letters} are open", remedy)
        for gap in await controls.open_gaps(connection):
            yield Finding("gap", Verdict.WARNING, gap.detail, "Events may be missing: publish or replay them again.")
        for target in await controls.read_targets(connection):
            if target.notice:
                yield Finding(f"target {target.target}", Verdict.WARNING, target.notice)


async def _catalog(settings: Settings) -> AsyncIterator[Finding]:
    """Signs in and looks at what we may see; silent where no catalog is set."""
    if settings.catalog.url is None:
        return
    try:
        async with CatalogClient(settings.catalog, patience=IMPATIENT) as client:
            await client.sign_in()
            yield Finding("catalog", Verdict.OK, f"signed in to {settings.catalog.url}")
            seen: list[str] = []
            for kind, declared in ((f"{of}s", declared) for of, declared in CONTAINERS.items()):
                try:
                    number, at_us = await _counted(listings.pages(client.on(Lane.REFRESH), declared))
                except MirrorError as error:
                    verdict = Verdict.FAILED if kind == "catalogs" else Verdict.WARNING
                    yield Finding(kind, verdict, str(error), error.advice())
                    continue
                if not seen:
                    yield _clock(at_us)
                seen.append(f"{number} {kind}")
            if seen:
                yield _containers(seen)
    except MirrorError as error:
        yield Finding("catalog", Verdict.FAILED, str(error), error.advice())


async def _counted(pages: Pages) -> tuple[int, int | None]:
    """How many items a listing has, and from when its last page is."""
    number, at_us = 0, None
    async with aclosing(pages):
        async for page in pages:
            number, at_us = number + len(page.items), page.at_us
    return number, at_us


def _clock(at_us: int | None) -> Finding:
    if at_us is None:
        remedy = "Have the proxy before the catalog pass its `Date` header: without it no reading counts as newer."
        return Finding("clock", Verdict.WARNING, "the catalog's answers carry no usable `Date`", remedy)
    ahead_s = round(time.time() - at_us / SECOND_US)
    if abs(ahead_s) > CLOCK_TOLERANCE_S:
        which = "ahead of" if ahead_s > 0 else "behind"
        remedy = "Set both clocks by NTP; events more than a day ahead of ours are refused."
        return Finding("clock", Verdict.WARNING, f"ours is {abs(ahead_s)} s {which} the catalog's", remedy)
    return Finding("clock", Verdict.OK, f"within {CLOCK_TOLERANCE_S} s of the catalog's")


def _containers(seen: list[str]) -> Finding:
    if all(count.startswith("0 ") for count in seen):
        remedy = "Make the account that we sign in with a collaborator of the catalogs to mirror."
        return Finding("containers", Verdict.WARNING, "none can be seen", remedy)
    return Finding("containers", Verdict.OK, f"{', '.join(seen)} can be seen")


async def _usage(settings: Settings) -> AsyncIterator[Finding]:
    """What is to count as usage and cannot; silent where all is well."""
    if settings.usage.statistics and STATISTIC in settings.sync.skip:
        found = "USAGE__STATISTICS names statistics, and SYNC__SKIP leaves statistics out"
        remedy = "Take `asset_statistic` out of CATALOG_MIRROR_SYNC__SKIP; reading them costs five calls per asset."
        yield Finding("usage", Verdict.WARNING, found, remedy)


async def _targets(settings: Settings) -> AsyncIterator[Finding]:
    async def names() -> str:
        told = [f"{one.name}{' (off: nothing leads there)' * one.leads_nowhere}" for one in installed_targets(settings)]
        return ", ".join(told) or "none is on"

    found = await checked("targets", names)
    yield found
    if found.verdict is Verdict.OK:
        async for remark in _remarks(settings):
            yield remark
        for target in installed_targets(settings):
            async for fault in _faults(target):
                yield fault


async def _remarks(settings: Settings) -> AsyncIterator[Finding]:
    """What people should know of targets; silent while the store cannot be asked, which is told elsewhere."""
    store = Store(settings.store)
    try:
        await schema.check(store)
        for target in installed_targets(settings):
            target.attach(store)
            for remark in await target.remarks():
                yield Finding(f"target {target.name}", Verdict.WARNING, remark)
    except TransientError as error:
        log.debug("targets_not_asked", problem=str(error))
    finally:
        await store.close()


async def _faults(target: Target) -> AsyncIterator[Finding]:
    """What the other system says of our settings; silent for targets that have nothing to ask it."""
    check = f"settings of {target.name}"
    try:
        faults = await target.check()
    except TransientError as error:
        yield Finding(check, Verdict.WARNING, str(error), "Look again once it can be reached.")
        return
    finally:
        await target.close()
    for fault in faults or ():
        yield Finding(check, Verdict.FAILED, fault, "Correct the settings, or create it there.")
    if faults == []:
        yield Finding(check, Verdict.OK, "all that they name is there")
