"""`dead-letters`: see and mend what could not succeed."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import Annotated, Any

import typer

from service.changes import Origin
from service.cli.common import Json, opened_store, out, print_json, quiet_settings, run_async, show_table
from service.cli.replay import replaying_pipeline
from service.errors import LineInvalid, MirrorError, UsageError
from service.events.message import Message
from service.events.recording import read_line
from service.mirror import dead_letters, deliveries
from service.mirror.dead_letters import DISCARDED, OPEN, REPLAYED, Filter
from service.mirror.store import Store
from service.pipeline import Fate, Pipeline
from service.settings import Settings

app = typer.Typer(help="Events and deliveries that could not succeed as they were.", no_args_is_help=True)

Ids = Annotated[list[str] | None, typer.Argument(help="Ids, or their first characters.")]
ErrorClass = Annotated[str | None, typer.Option("--class", help="Only of this class, such as not_json.")]
Topic = Annotated[str | None, typer.Option(help="Only with this routing key; * stands for anything.")]
Fingerprint = Annotated[str | None, typer.Option(help="Only with this cause.")]
All = Annotated[bool, typer.Option("--all", help="All that match, without naming ids.")]


class DeadLetterUnknown(MirrorError):
    """There is no dead letter {which}."""

    remedy = "`catalog-mirror dead-letters list` shows the open ones."


@app.command("list")
def list_(
    error_class: ErrorClass = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    state: Annotated[str, typer.Option(help="open, replayed, superseded, discarded, or any.")] = OPEN,
    group: Annotated[bool, typer.Option("--group", help="One row per cause.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="Rows at most.")] = 50,
    as_json: Json = False,
) -> None:
    """List dead letters, the newest first."""
    which = Filter((), error_class, topic, fingerprint, None if state == "any" else state)
    rows, total = run_async(_list(which, limit, group))
    if as_json:
        print_json([_brief(row) for row in rows] if not group else [dict(row._mapping) for row in rows])
    elif group:
        show_table(
            "Dead letters by cause", ("cause", "class", "letters", "newest", "example"), rows, "No dead letters."
        )
    else:
        columns = ("id", "topic or target", "class", "times", "last", "reason")
        cells = [
            (r.dead_letter_id[:12], r.routing_key or r.target, r.error_class, r.times, r.last_at, r.reason)
            for r in rows
        ]
        show_table(f"Dead letters ({len(rows)} of {total})", columns, cells, "No dead letters.")


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
    rows = run_async(_find(Filter((letter,), state=None)))
    if not rows:
        raise DeadLetterUnknown(which=repr(letter))
    for row in rows:
        full = _full(row)
        if as_json:
            print_json(full)
        else:
            show_table("Dead letter", ("what", "value"), [(k, v) for k, v in full.items() if k != "body"], "")
            out.print(full["body"] if full["body"] is not None else "(no body)", markup=False)


async def _find(which: Filter) -> list[Any]:
    async with opened_store(quiet_settings()) as store, store.read() as connection:
        return await dead_letters.find(connection, which)


def _brief(row: Any) -> dict[str, Any]:
    return {key: value for key, value in row._mapping.items() if key not in ("body", "headers")}


def _full(row: Any) -> dict[str, Any]:
    full = dict(row._mapping)
    full["headers"] = json.loads(row.headers) if row.headers else None
    full["body"] = row.body.decode("utf-8", "backslashreplace") if row.body is not None else None
    return full


@app.command("replay")
def replay(
    ids: Ids = None,
    all_: All = False,
    error_class: ErrorClass = None,
    topic: Topic = None,
    fingerprint: Fingerprint = None,
    deliver: Annotated[bool, typer.Option("--deliver", help="Also create deliveries, as if it were live.")] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be replayed.")] = False,
    as_json: Json = False,
) -> None:
    """Try dead letters again; those that fail again stay open with their new reason."""
    which = _chosen(ids, all_, error_class, topic, fingerprint)
    counts = run_async(_replay(quiet_settings(), which, deliver, dry_run))
    if as_json:
        print_json(counts)
    else:
        out.print(", ".join(f"{number} {name.replace('_', ' ')}" for name, number in counts.items()))


def _chosen(
    ids: Sequence[str] | None, all_: bool, error_class: str | None, topic: str | None, fingerprint: str | None
) -> Filter:
    if not (ids or all_ or error_class or topic or fingerprint):
        raise UsageError(problem="Nothing is chosen", advice="Name ids, a filter, or --all.")
    return Filter(tuple(ids or ()), error_class, topic, fingerprint)


async def _replay(settings: Settings, which: Filter, deliver: bool, dry_run: bool) -> dict[str, int]:
    async with opened_store(settings) as store:
        async with store.read() as connection:
            letters = await dead_letters.find(connection, which)
        if not letters and which.ids:
            raise DeadLetterUnknown(which=" ".join(which.ids))
        if dry_run:
            return {"would_be_replayed": len(letters)}
        pipeline = await replaying_pipeline(settings, store, deliver=deliver)
        counts = {"replayed": 0, "failed_again": 0, "cut_off": 0}
        for letter in letters:
            counts[await _replay_one(store, pipeline, letter)] += 1
        return counts


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
) -> None:
    """Close dead letters without replaying them; they stay in the store, marked as discarded."""
    which = _chosen(ids, all_, error_class, topic, fingerprint)
    number = run_async(_discard(which))
    if not number and which.ids:
        raise DeadLetterUnknown(which=" ".join(which.ids))
    out.print(f"{number} discarded.")


async def _discard(which: Filter) -> int:
    async with opened_store(quiet_settings()) as store, store.write() as connection:
        letters = await dead_letters.find(connection, which)
        for letter in letters:
            await dead_letters.close(connection, [letter.dead_letter_id], DISCARDED)
        return len(letters)
