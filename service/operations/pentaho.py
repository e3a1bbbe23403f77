"""Jobs at Pentaho Data Catalog: ask for one by hand, look how they stand, and forget one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import quote

from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import UsageError
from service.mirror.store import Store
from service.operations.acting import Act, Conflict, Unknown
from service.settings.model import Settings
from service.targets.pentaho import answers, ledger, links
from service.targets.pentaho.ledger import BY_HAND
from service.targets.pentaho.links import Link
from service.targets.pentaho.operations import STATUS_PATH, Operation, Takes, is_secret
from service.targets.pentaho.planning import Planned
from service.targets.pentaho.rules import more_of
from service.targets.pentaho.target import Pentaho, configured

#: Where people learn what an operation takes.
NEEDS = "docs/pentaho.md tells what each operation needs."


class NoSuchPentaho(Unknown):
    """There is no Pentaho called {name!r} in the settings."""

    remedy = "Set its URL, CATALOG_MIRROR_TARGETS__NAME__URL; docs/pentaho.md tells what else."


class JobUnknown(Unknown):
    """No job of {name!r} begins with {job!r}."""

    remedy = "`catalog-mirror pentaho jobs list` lists them."


class StatusUnknown(Conflict):
    """{name} does not tell how the job {job!r} stands: {problem}."""

    remedy = "`catalog-mirror pentaho jobs list` has the ids at Pentaho."


@dataclass(frozen=True, slots=True)
class PentahoJob:
    """A job that was asked for: what for, by whom, and how it stands with us and at Pentaho."""

    job_key: str
    operation: str
    request: dict[str, Any]
    #: Operations that follow when it has succeeded.
    follows: list[str]
    asked_by: str
    state: str
    pentaho_job_id: str | None
    #: As Pentaho words it.
    status: str | None
    problem: str | None
    attempts: int
    failures: int
    polls: int
    asked_at: datetime | None
    next_at: datetime
    deadline_at: datetime | None
    created_at: datetime
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class WouldSend:
    """A request as it would be sent, its secrets blanked."""

    to: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for: an operation on things at Pentaho, or on what things of the catalog are linked to."""

    operation: Operation
    #: At Pentaho.
    ids: tuple[str, ...]
    #: In the catalog: of which kind a link has to be, how it is asked for, and the ids.
    linked: tuple[str, str, tuple[str, ...]]
    #: More members of the request; never a secret, as they are stored with the job.
    more: dict[str, Any]
    #: A person says yes to what destroys.
    sure: bool = False


@asynccontextmanager
async def opened(settings: Settings, store: Store, name: str) -> AsyncIterator[Pentaho]:
    """The Pentaho of this name, for work by hand.

    Raises:
        NoSuchPentaho: settings have none.
    """
    target = configured(settings, name)
    if target is None:
        raise NoSuchPentaho(name=name)
    target.attach(store)
    try:
        yield target
    finally:
        await target.close()


async def plan(store: Store, target: Pentaho, wish: Wish, by: str) -> list[WouldSend]:
    """The requests that make what was asked for, as many as the largest scope needs; sends nothing.

    Raises:
        UsageError: something is not linked, nothing is named, or a secret is among what would be stored.
        RequestInvalid: a member is missing, unknown, or of another type.
    """
    planned = await _planned(store, target, wish, by)
    return [WouldSend(one.operation, target.runner.shown(one.operation, one.request)) for one in planned]


async def ask(store: Store, target: Pentaho, wish: Wish, act: Act) -> list[str]:
    """Write those jobs down, for a running service to ask for; answers their keys.

    Raises:
        UsageError: as `plan`; or it destroys, and nobody said yes to that.
        RequestInvalid: as `plan`.
    """
    if wish.operation.destroys and not wish.sure:
        what = ", ".join(wish.ids)
        raise UsageError(f"{what} would be deleted at Pentaho, with its metadata and data", "Say yes to that.")
    planned = await _planned(store, target, wish, act.by)
    async with store.writing() as connection:
        keys = await ledger.insert(connection, target.name, planned)
        await act.record(connection, "pentaho.ask", target.name, {"operation": wish.operation.name, "jobs": keys})
    return keys


async def jobs(
    store: Store, target: str, state: str | None = None, limit: int = 50, job: str | None = None
) -> list[PentahoJob]:
    """Jobs, the newest first; `job` is the beginning of their key, or of Pentaho's id."""
    async with store.reading() as connection:
        return [PentahoJob(**row) for row in await ledger.listed(connection, target, state, limit, job)]


async def status(target: Pentaho, job_id: str) -> Any:
    """What Pentaho says how a job stands, by the job's id there.

    Raises:
        StatusUnknown: it does not say.
        TargetUnavailable: it does not answer.
    """
    reply = await target.poster.get(STATUS_PATH.format(id=quote(job_id, safe="")))
    if not reply.is_success or reply.is_page:
        raise StatusUnknown(name=target.name, job=job_id, problem=answers.told_of(reply))
    return reply.data()


async def forget(store: Store, target: str, job: str, act: Act) -> int:
    """Neither ask for open jobs whose key begins so nor look at them any more; answers how many."""
    async with store.writing() as connection:
        keys = [row["job_key"] for row in await ledger.listed(connection, target, key=job)]
        problem = f"forgotten by {act.by}"
        number = sum([await ledger.forget(connection, store, target, key, problem) for key in keys])
        if number:
            await act.record(connection, "pentaho.forget", target, {"jobs": keys})
        return number


async def _planned(store: Store, target: Pentaho, wish: Wish, by: str) -> list[Planned]:
    if secret := next(filter(is_secret, wish.more), None):
        raise UsageError(f"{secret} would be stored with the job", "Put it into the secret_file of the data source.")
    async with store.reading() as connection:
        return await _jobs_of(connection, target, wish, by)


async def _jobs_of(connection: AsyncConnection, target: Pentaho, wish: Wish, by: str) -> list[Planned]:
    what, (kind, option, catalog_ids) = wish.operation, wish.linked
    found = await links.of_catalog(connection, target.name, catalog_ids)
    chosen = [link for catalog_id in catalog_ids for link in found.get(catalog_id, ()) if link.kind == kind]
    if missing := set(catalog_ids) - {link.catalog_id for link in chosen}:
        raise UsageError(f"{min(missing)} is not linked as {kind}", "`catalog-mirror links list` shows what is.")
    ids = sorted({*wish.ids, *(link.pentaho_id for link in chosen)})
    if not ids:
        raise UsageError(f"{what.command} needs {option}", NEEDS)
    size = target.options.scope_max if what.many else 1
    groups = [ids[start : start + size] for start in range(0, len(ids), size)]
    asker = f"{BY_HAND}{by}"
    return [Planned(what.name, await _request(connection, target, wish, some), (), asker) for some in groups]


async def _request(connection: AsyncConnection, target: Pentaho, wish: Wish, ids: Sequence[str]) -> dict[str, Any]:
    what, options = wish.operation, target.options
    more = dict(options.bodies.get(what.name, {}))
    if what.takes is Takes.DATA_SOURCE:
        known = (await links.of_pentaho(connection, target.name, ids)).get(ids[0], [Link("connection", "", ids[0])])
        more = more_of(what, known[0], options, target.data_sources)
    request = what.request(ids, {name: value for name, value in (more | wish.more).items() if value is not None})
    what.check_by_hand(request)
    return request
