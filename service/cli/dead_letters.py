"""`dead-letters`: see and mend what could not succeed."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any

import typer

from service.cli.common import (
    Json,
    acting,
    on_store,
    opened_store,
    out,
    print_json,
    quiet_settings,
    run_async,
    show_table,
    utc,
)
from service.cli.editing import edited
from service.errors import UsageError
from service.mirror.dead_letters import OPEN, Filter
from service.mirror.tables import dead_letters
from service.operations import dead_letters as operations
from service.operations.dead_letters import Group, Whole
from service.settings.model import Settings

app = typer.Typer(help="Events and deliveries that could not succeed as they were.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters.")]
ErrorClass = Annotated[str | None, typer.Option("--class", help="Only of this class, such as not_json.")]
Topic = Annotated[str | None, typer.Option(help="Only with this routing key; * stands for anything.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only with this cause.")]
All = Annotated[bool, typer.Option("--all", help="All that match, without naming ids.")]
Entity = Annotated[str | None, typer.Option(help="Only about this thing: its id, as keys and deliveries name it.")]
Since = Annotated[datetime | None, typer.Option(help="Only last met at or after this moment (UTC).")]
Until = Annotated[datetime | None, typer.Option(help="Only last met before this moment (UTC).")]
Reason = Annotated[str | None, typer.Option("--reason", help="Why, for the audit log.")]


@app.command("list")
def list_(
    error_class: ErrorClass = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    state: Annotated[str, typer.Option(help="open, replayed, superseded, discarded, or any.")] = OPEN,
    group: Annotated[bool, typer.Option("--group", help="One row per cause.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest first."""
    chosen = None if state == "any" else state
    which = Filter((), error_class, topic, fingerprint, chosen, entity, utc(since), utc(until))
    if group:
        _show_groups(on_store(operations.groups), as_json)
        return
    page = on_store(lambda store: operations.find(store, which, limit))
    if as_json:
        print_json([asdict(letter) for letter in page.letters])
        return
    columns = ("id", "topic, thing or target", "class", "times", "last", "reason")
    cells = [(one.dead_letter_id[:12], one.about, one.error_class, one.times, one.last_at, one.reason)
             for one in page.letters]  # fmt: skip
    show_table(f"Dead letters ({len(page.letters)} of {page.total})", columns, cells, "No dead letters.")


def _show_groups(groups: list[Group], as_json: bool) -> None:
    if as_json:
        print_json([asdict(group) for group in groups])
        return
    cells = [(one.fingerprint, one.error_class, one.letters, one.last_at, one.reason) for one in groups]
    show_table("Dead letters by cause", ("cause", "class", "letters", "newest", "example"), cells, "No dead letters.")


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="Id, or its first characters.")],
    as_json: Json = False,
) -> None:
    """Show one dead letter whole: why, what to do, headers and body (secrets blanked)."""
    for whole in on_store(lambda store: operations.show(store, letter)):
        full = _full(whole)
        if as_json:
            print_json(full)
            continue
        told = [(k, v) for k, v in full.items() if k not in ("body", "original_body", "history")]
        show_table("Dead letter", ("what", "value"), told, "")
        out.print(full["body"] if full["body"] is not None else "(no body)", markup=False)
        if full["original_body"] is not None:
            out.print("\nBefore it was edited:")
            out.print(full["original_body"], markup=False)
        history = [(e["at"], e["who"], e["action"], e["reason"]) for e in full["history"]]
        show_table("History", ("when", "who", "action", "why"), history, "Nobody has touched it.")


def _full(whole: Whole) -> dict[str, Any]:
    """The letter as the table of dead letters has it, with what was done to it."""
    told = asdict(whole.letter) | {"headers": whole.headers}
    for name in ("body", "original_body"):
        body = getattr(whole, name)
        told[name] = body.decode("utf-8", "backslashreplace") if body is not None else None
    done = [asdict(entry) | {"detail": entry.detail and json.dumps(entry.detail)} for entry in whole.history]
    return {column.name: told[column.name] for column in dead_letters.columns} | {"history": done}


@app.command("edit")
def edit(
    letter: Annotated[str, typer.Argument(help="Id, or its first characters.")],
    body: Annotated[str | None, typer.Option("--body", help="File with the whole new body; - is stdin.")] = None,
    set_: Annotated[
        list[str] | None, typer.Option("--set", help="PATH=VALUE, such as state.metadata.dataset_id=a1; repeatable.")
    ] = None,
    reason: Reason = None,
) -> None:
    """Mend the body of a dead letter, in your editor unless told otherwise; then `replay` it.

    What it had at first is kept beside it, and who edited it is on record.
    """
    seen = on_store(lambda store: operations.editable(store, letter), migrate=True)
    new, rules = edited(seen.body or b"", body, set_ or []), quiet_settings().pipeline
    key, digest = seen.letter.dead_letter_id, seen.digest
    done = on_store(lambda store: operations.edit(store, rules, key, new, digest, acting(reason)))
    told = " Secrets in it were blanked, and what of people is hidden." if done.blanked else ""
    out.print(f"{key[:12]} has a new body of {done.bytes_after} bytes (was {done.bytes_before}).{told}")
    out.print(f"`catalog-mirror dead-letters replay {key[:12]}` tries it.", markup=False)


@app.command("replay")
def replay(
    ids: Ids = None,
    all_: All = False,
    error_class: ErrorClass = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    rate: Annotated[float, typer.Option(min=0, help="Letters per second at most; 0: as fast as it goes.")] = 0,
    reason: Reason = None,
    deliver: Annotated[bool, typer.Option("--deliver", help="Also create deliveries, as if it were live.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be replayed.")] = False,
    as_json: Json = False,
) -> None:
    """Try dead letters again; those that fail again stay open with their new reason.

    What could not be read of the catalog is asked for again, which the running service does: it is `to be read`; where
    there is no catalog to ask, or the item had no id, it `cannot be read`, and stays open.
    """
    which = _chosen(ids, all_, error_class, topic, fingerprint, entity, since, until)
    counts = run_async(_replay(quiet_settings(), which, deliver, dry_run, rate, reason))
    if as_json:
        print_json(counts)
    else:
        told = {name: number for name, number in counts.items() if number} or counts
        out.print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in told.items()))


def _chosen(
    ids: Sequence[str] | None, all_: bool, error_class: str | None, topic: str | None, fingerprint: str | None,
    entity: str | None, since: datetime | None, until: datetime | None,
) -> Filter:  # fmt: skip
    if not (ids or all_ or error_class or topic or fingerprint or entity or since or until):
        raise UsageError(problem="Nothing is chosen", advice="Name ids, a filter, or --all.")
    return Filter(tuple(ids or ()), error_class, topic, fingerprint, OPEN, entity, utc(since), utc(until))


async def _replay(
    settings: Settings, which: Filter, deliver: bool, dry_run: bool, rate: float, reason: str | None
) -> dict[str, int]:
    async with opened_store(settings, migrate=True) as store:
        if dry_run:
            return {"would_be_replayed": len(await operations.choose(store, which))}
        return asdict(await operations.replay(store, settings, which, acting(reason), deliver=deliver, rate=rate))


@app.command("discard")
def discard(
    ids: Ids = None,
    all_: All = False,
    error_class: ErrorClass = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    entity: Entity = None,
    since: Since = None,
    until: Until = None,
    reason: Reason = None,
) -> None:
    """Close dead letters without replaying them; they stay in the store, marked as discarded."""
    which = _chosen(ids, all_, error_class, topic, fingerprint, entity, since, until)
    number = on_store(lambda store: operations.discard(store, which, acting(reason)), migrate=True)
    out.print(f"{number} discarded.")
