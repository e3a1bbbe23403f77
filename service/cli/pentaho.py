"""`pentaho`: every operation of Pentaho Data Catalog by hand, and the jobs that were asked for."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Annotated, Any

import typer
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from service.cli.common import (
    Json,
    acting,
    err,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
    who,
)
from service.errors import UsageError
from service.mirror.store import Store
from service.operations import pentaho as operations
from service.operations.pentaho import NEEDS, Wish
from service.targets.pentaho import answers
from service.targets.pentaho.ledger import OPEN, State
from service.targets.pentaho.operations import OPERATIONS, Operation, Takes
from service.targets.pentaho.target import Pentaho
from service.targets.pentaho.usage import date_range

app = typer.Typer(help="Jobs at Pentaho Data Catalog, by hand.", no_args_is_help=True)
jobs_app = typer.Typer(help="Jobs that were asked for.", no_args_is_help=True)

OfTarget = Annotated[str, typer.Option("--target", help="Which Pentaho, where there are several.")]
Wait = Annotated[bool, typer.Option("--wait", help="Follow the job to its end; exit 1 unless it succeeds.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only print what would be sent.")]
More = Annotated[str, typer.Option("--body", metavar="JSON", help="More members of the body.")]
Scope = Annotated[list[str] | None, typer.Option("--scope", help="Entities at Pentaho; may be repeated.")]
Assets = Annotated[list[str] | None, typer.Option("--asset", help="Assets of the catalog that are linked.")]
Collection = Annotated[str | None, typer.Option("--collection", help="The collection at Pentaho.")]
OfList = Annotated[str | None, typer.Option("--list", help="A list of the catalog that is linked.")]
Rules = Annotated[list[str] | None, typer.Option("--rule", help="Business rules at Pentaho; may be repeated.")]
Source = Annotated[str | None, typer.Option("--data-source", help="The data source at Pentaho.")]
FqdnId = Annotated[str | None, typer.Option("--fqdn-id", help="Its fqdnId, where it is not linked.")]
Connection = Annotated[str | None, typer.Option("--connection", help="A connection of the catalog that is linked.")]


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a person asks for, and how."""

    wish: Wish
    target: str
    wait: bool
    dry_run: bool


def _of_entities(operation: Operation) -> Callable[..., None]:
    def command(
        scope: Scope = None, asset: Assets = None, body: More = "{}", wait: Wait = False, dry_run: DryRun = False,
        target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        linked = ("asset", "--scope or --asset", tuple(asset or ()))
        _tell(_Asked(Wish(operation, tuple(scope or ()), linked, _members(body)), target, wait, dry_run), as_json)

    return command


def _usage(operation: Operation) -> Callable[..., None]:
    def command(
        first: Annotated[str, typer.Option("--from", metavar="DATE", help="First day, as 2026-05-01.")],
        last: Annotated[str, typer.Option("--to", metavar="DATE", help="Last day.")],
        scope: Scope = None, asset: Assets = None, body: More = "{}", wait: Wait = False, dry_run: DryRun = False,
        target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        linked = ("asset", "--scope or --asset", tuple(asset or ()))
        more = {"configs": date_range(first, last)} | _members(body)
        _tell(_Asked(Wish(operation, tuple(scope or ()), linked, more), target, wait, dry_run), as_json)

    return command


def _of_collection(operation: Operation) -> Callable[..., None]:
    def command(
        collection: Collection = None, of_list: OfList = None, wait: Wait = False, dry_run: DryRun = False,
        target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        linked = ("list", "--collection or --list", (of_list,) if of_list else ())
        _tell(_Asked(Wish(operation, (collection,) if collection else (), linked, {}), target, wait, dry_run), as_json)

    return command


def _of_rules(operation: Operation) -> Callable[..., None]:
    def command(
        rule: Rules = None, scope: Scope = None, wait: Wait = False, dry_run: DryRun = False,
        target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        more: dict[str, Any] = {"scope": sorted(set(scope))} if scope else {}
        _tell(_Asked(Wish(operation, tuple(rule or ()), ("rule", "--rule", ()), more), target, wait, dry_run), as_json)

    return command


def _of_data_source(operation: Operation) -> Callable[..., None]:
    def command(
        data_source: Source = None, fqdn_id: FqdnId = None, connection: Connection = None, body: More = "{}",
        wait: Wait = False, dry_run: DryRun = False, target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        linked = ("connection", "--data-source or --connection", (connection,) if connection else ())
        more = _members(body) | ({"fqdnId": fqdn_id} if fqdn_id else {})
        ids = (data_source,) if data_source else ()
        _tell(_Asked(Wish(operation, ids, linked, more), target, wait, dry_run), as_json)

    return command


def _removal(operation: Operation) -> Callable[..., None]:
    def command(
        data_source: Annotated[str, typer.Option("--data-source", help="The data source at Pentaho.")],
        yes: Annotated[bool, typer.Option("--yes", help="Yes, with its metadata and data.")] = False,
        fqdn_id: FqdnId = None, wait: Wait = False, dry_run: DryRun = False,
        target: OfTarget = "pentaho", as_json: Json = False,
    ) -> None:  # fmt: skip
        more = {"fqdnId": fqdn_id} if fqdn_id else {}
        linked = ("connection", "--data-source", ())
        _tell(_Asked(Wish(operation, (data_source,), linked, more, sure=yes), target, wait, dry_run), as_json)

    return command


_SHAPES = {
    Takes.ENTITIES: _of_entities,
    Takes.COLLECTION: _of_collection,
    Takes.RULES: _of_rules,
    Takes.DATA_SOURCE: _of_data_source,
}
_OWN_SHAPES = {"usage_statistics": _usage, "remove_datasource": _removal}

for _operation in OPERATIONS.values():
    _shape = _OWN_SHAPES.get(_operation.name, _SHAPES[_operation.takes])
    app.command(_operation.command, help=_operation.meaning)(_shape(_operation))
app.add_typer(jobs_app, name="jobs")


def _members(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except ValueError:
        value = None
    if not isinstance(value, dict):
        raise UsageError("--body is no JSON object", NEEDS)
    return value


def _tell(asked: _Asked, as_json: bool) -> None:
    rows = run_async(_ask(asked))
    if as_json or asked.dry_run:
        print_json(rows)
    else:
        _show(rows)
    good = {State.SUCCEEDED} if asked.wait else {State.ASKING, State.RUNNING, State.SUCCEEDED}
    if not asked.dry_run and any(row["state"] not in good for row in rows):
        raise typer.Exit(1)


async def _ask(asked: _Asked) -> list[dict[str, Any]]:
    async with _pentaho(asked.target) as (target, store):
        if asked.dry_run:
            return [asdict(one) for one in await operations.plan(store, target, asked.wish, who())]
        keys = await operations.ask(store, target, asked.wish, acting())
        if obstacle := await target.runner.work(keys):
            raise obstacle
        if asked.wait:
            await _follow(target, store, keys)
        return await _rows(store, target.name, keys)


@asynccontextmanager
async def _pentaho(name: str) -> AsyncIterator[tuple[Pentaho, Store]]:
    settings = quiet_settings()
    async with opened_store(settings, migrate=True) as store, operations.opened(settings, store, name) as target:
        yield target, store


async def _follow(target: Pentaho, store: Store, keys: Sequence[str]) -> None:
    """Look how they stand until all are at their end; a running service looks too, and one of us finds it."""
    columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
    with Progress(*columns, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task("asked")
        while rows := [row for row in await _rows(store, target.name, keys) if row["state"] in OPEN]:
            told = ", ".join(f"{row['operation']}: {row['status'] or row['state']}" for row in rows[:3])
            bar.update(task, description=told)
            await asyncio.sleep(target.options.poll_s)
            if obstacle := await target.runner.work([row["job_key"] for row in rows]):
                raise obstacle


async def _rows(store: Store, target: str, keys: Sequence[str]) -> list[dict[str, Any]]:
    return [asdict(job) for key in keys for job in await operations.jobs(store, target, job=key)]


def _show(rows: Sequence[dict[str, Any]]) -> None:
    columns = ("job", "operation", "state", "at Pentaho", "its status", "since", "problem")
    cells = [
        (r["job_key"][:8], r["operation"], r["state"], r["pentaho_job_id"], r["status"], r["created_at"], r["problem"])
        for r in rows
    ]
    show_table("Jobs", columns, cells, "No job was asked for.")


@app.command("job-status")
def job_status(
    job_id: Annotated[str, typer.Argument(help="The job's id at Pentaho.")],
    target: OfTarget = "pentaho",
    as_json: Json = False,
) -> None:
    """Ask Pentaho how a job stands."""
    data = run_async(_status(target, job_id))
    if as_json:
        print_json(data)
    else:
        out.print(answers.status_word(data) or "It tells no status.", markup=False)


async def _status(name: str, job_id: str) -> Any:
    async with _pentaho(name) as (target, _):
        return await operations.status(target, job_id)


@jobs_app.command("list")
def list_(
    state: Annotated[str | None, typer.Option(help=f"Only in this state: {', '.join(State)}.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    target: OfTarget = "pentaho",
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    if state is not None and state not in set(State):
        raise UsageError(f"there is no state {state!r}", f"It is one of {', '.join(State)}.")
    rows = run_async(_listed(target, state, limit, None))
    if as_json:
        print_json(rows)
    else:
        _show(rows)


@jobs_app.command("show")
def show(
    job: Annotated[str, typer.Argument(help="The job, or its id at Pentaho, or the first characters.")],
    target: OfTarget = "pentaho",
) -> None:
    """Print all that is known of jobs, as JSON; exit 1 if there is none."""
    rows = run_async(_listed(target, None, 50, job))
    print_json(rows)
    if not rows:
        raise typer.Exit(1)


@jobs_app.command("forget")
def forget(
    job: Annotated[str, typer.Argument(help="The job, or its first characters.")],
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")] = None,
    target: OfTarget = "pentaho",
) -> None:
    """Neither ask for an open job nor look at it any more; at Pentaho it goes on if it runs there."""
    number = on_store(lambda store: operations.forget(store, target, job, acting(reason)), migrate=True)
    out.print(f"{number} forgotten.")
    if not number:
        raise typer.Exit(1)


async def _listed(target: str, state: str | None, limit: int, key: str | None) -> list[dict[str, Any]]:
    async with opened_store(quiet_settings(), migrate=True) as store:
        return [asdict(job) for job in await operations.jobs(store, target, state, limit, key)]
