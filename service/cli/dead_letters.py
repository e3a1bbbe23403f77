"""`dead-letters`: see and mend what could not succeed."""

from __future__ import annotations

import asyncio
import dataclasses
import json
import time
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from service.changes import Origin
from service.cli.common import Json, opened_store, out, print_json, quiet_settings, run_async, show_table, utc, who
from service.cli.editing import MAX_DEPTH, edited
from service.cli.replay import replaying_pipeline
from service.errors import LineInvalid, MirrorError, UsageError
from service.events.message import Message
from service.events.recording import read_line
from service.mirror import audit, dead_letters, deliveries, refreshes
from service.mirror.dead_letters import DELIVERY, DISCARDED, OPEN, READING, REPLAYED, Filter
from service.mirror.store import Store
from service.pipeline.committing import Fate
from service.pipeline.pipeline import Pipeline
from service.settings.model import Settings
from service.text.privacy import clean_body

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


class DeadLetterUnknown(MirrorError):
    """There is no dead letter {which}."""

    remedy = "`catalog-mirror dead-letters list` shows the open ones."


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
    rows, total = run_async(_list(which, limit, group))
    if as_json:
        print_json([_brief(row) for row in rows] if not group else [dict(row._mapping) for row in rows])
    elif group:
        show_table(
            "Dead letters by cause",
            ("cause", "class", "letters", "newest", "example"),
            [(r.fingerprint, r.error_class, r.letters, r.last_at, r.reason) for r in rows],
            "No dead letters.",
        )
    else:
        columns = ("id", "topic, thing or target", "class", "times", "last", "reason")
        cells = [(r.dead_letter_id[:12], _about(r), r.error_class, r.times, r.last_at, r.reason) for r in rows]
        show_table(f"Dead letters ({len(rows)} of {total})", columns, cells, "No dead letters.")


def _about(row: Any) -> str:
    """The topic of an event, the thing that was read, or the target of a delivery."""
    if row.kind == READING:
        return f"{row.entity_kind} {row.entity_id}".strip()
    return str(row.routing_key or row.target)


async def _list(which: Filter, limit: int, group: bool) -> tuple[list[Any], int]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        if group:
            return await dead_letters.count_by_fingerprint(connection), 0
        return await dead_letters.find(connection, which, limit), await dead_letters.count(connection, which)


@app.command("show")
def show(
    letter: Annotated[str, typer.Argument(help="Id, or its first characters.")],
    as_json: Json = False,
) -> None:
    """Show one dead letter whole: why, what to do, headers and body (secrets blanked)."""
    for full in run_async(_shown(letter)):
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


async def _shown(letter: str) -> list[dict[str, Any]]:
    """The letters of this id, with what was done to each."""
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        rows = await dead_letters.find(connection, Filter((letter,), state=None))
        if not rows:
            raise DeadLetterUnknown(which=repr(letter))
        shown = []
        for row in rows:
            history = await audit.entries(connection, row.dead_letter_id)
            shown.append(_full(row) | {"history": [dict(entry._mapping) for entry in history]})
        return shown


def _brief(row: Any) -> dict[str, Any]:
    return {key: value for key, value in row._mapping.items() if key not in ("body", "original_body", "headers")}


def _full(row: Any) -> dict[str, Any]:
    full = dict(row._mapping)
    full["headers"] = json.loads(row.headers) if row.headers else None
    for name in ("body", "original_body"):
        body = getattr(row, name)
        full[name] = body.decode("utf-8", "backslashreplace") if body is not None else None
    return full


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
    row = run_async(_only(letter))
    if row.kind == READING:
        raise UsageError(
            problem="what was read is the catalog's: mend it there, then replay the letter, which reads it"
        )
    if row.kind == DELIVERY:
        raise UsageError(problem="a delivery has no body of its own: mend the target, then replay it")
    new, blanked = clean_body(edited(row.body, body, set_ or []), MAX_DEPTH, quiet_settings().pipeline.privacy)
    run_async(_edit(row, new, blanked, reason))
    told = " Secrets in it were blanked, and what of people is hidden." if blanked else ""
    out.print(f"{row.dead_letter_id[:12]} has a new body of {len(new)} bytes (was {len(row.body)}).{told}")
    out.print(f"`catalog-mirror dead-letters replay {row.dead_letter_id[:12]}` tries it.", markup=False)


async def _only(letter: str) -> Any:
    async with opened_store(quiet_settings(), migrate=True) as store, store.read() as connection:
        rows = await dead_letters.find(connection, Filter((letter,)))
    if not rows:
        raise DeadLetterUnknown(which=f"{letter!r} that is open")
    if len(rows) > 1:
        raise UsageError(problem=f"{letter!r} stands for {len(rows)} dead letters; give more characters")
    return rows[0]


async def _edit(row: Any, body: bytes, blanked: bool, reason: str | None) -> None:
    async with opened_store(quiet_settings()) as store, store.write() as connection:
        await dead_letters.edit(connection, row, body, blanked=blanked)
        sizes = {"bytes_before": len(row.body), "bytes_after": len(body)}
        await audit.record(connection, who(), "dead_letter.edit", row.dead_letter_id, reason, sizes)


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
        async with store.read() as connection:
            letters = await dead_letters.find(connection, which)
        if not letters and which.ids:
            raise DeadLetterUnknown(which=" ".join(which.ids))
        if dry_run:
            return {"would_be_replayed": len(letters)}
        pipeline = await replaying_pipeline(settings, store, deliver=deliver)
        origin = Origin.LIVE if deliver else Origin.REPLAY
        can_read = settings.catalog.url is not None
        counts = {"replayed": 0, "failed_again": 0, "cut_off": 0, "to_be_read": 0, "cannot_be_read": 0}
        for letter in letters:
            started = time.monotonic()
            if dead_letters.was_read(letter):
                result = await _read_again(store, letter, origin, can_read=can_read)
            else:
                result = await _replay_one(store, pipeline, letter)
            counts[result] += 1
            async with store.write() as connection:
                detail = {"result": result, "delivered": deliver}
                await audit.record(connection, who(), "dead_letter.replay", letter.dead_letter_id, reason, detail)
            if rate:
                await asyncio.sleep(max(0.0, 1 / rate - (time.monotonic() - started)))
        return counts


async def _read_again(store: Store, letter: Any, origin: Origin, *, can_read: bool) -> str:
    """Ask for what could not be read to be read again, by the service that runs; answers how it went."""
    asked = dead_letters.reading_of(letter, origin) if can_read else None
    if asked is None:
        return "cannot_be_read"
    async with store.write() as connection:
        await refreshes.ask(connection, [asked])
        await dead_letters.close(connection, [letter.dead_letter_id], REPLAYED)
    return "to_be_read"


async def _replay_one(store: Store, pipeline: Pipeline, letter: Any) -> str:
    """Replay one letter; answers how it went."""
    state = REPLAYED
    if letter.truncated:  # its end is not in the store: only the publisher has it
        return "cut_off"
    if letter.kind == "delivery":
        async with store.write() as connection:
            state = await deliveries.revive(connection, store, letter)
    else:
        outcome = await pipeline.process([_message(letter)], Origin.REPLAY)
        if outcome.fates[Fate.DEAD_LETTERED]:
            return "failed_again"
    async with store.write() as connection:
        await dead_letters.close(connection, [letter.dead_letter_id], state)
    return "replayed"


def _message(letter: Any) -> Message:
    """The message that the letter keeps, under the name that it has."""
    if letter.error_class == LineInvalid.error_class:
        return dataclasses.replace(read_line(letter.body), known_as=letter.dead_letter_id)
    headers = json.loads(letter.headers) if letter.headers else {}
    return Message(letter.routing_key, letter.body, headers, known_as=letter.dead_letter_id)


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
    number = run_async(_discard(which, reason))
    if not number and which.ids:
        raise DeadLetterUnknown(which=" ".join(which.ids))
    out.print(f"{number} discarded.")


async def _discard(which: Filter, reason: str | None) -> int:
    async with opened_store(quiet_settings(), migrate=True) as store, store.write() as connection:
        letters = await dead_letters.find(connection, which)
        for letter in letters:
            await dead_letters.close(connection, [letter.dead_letter_id], DISCARDED)
            await audit.record(connection, who(), "dead_letter.discard", letter.dead_letter_id, reason)
        return len(letters)
