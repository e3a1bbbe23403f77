"""Dead letters: see them, mend them, try them again, or let them go."""

from __future__ import annotations

import asyncio
import dataclasses
import hashlib
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import msgspec
from sqlalchemy.ext.asyncio import AsyncConnection

from service.errors import BodyTooLarge, UsageError
from service.mirror import dead_letters as letters
from service.mirror.dead_letters import DELIVERY, DISCARDED, OPEN, READING, Filter
from service.mirror.store import Store
from service.operations import history
from service.operations.acting import Act, Conflict, Unknown
from service.operations.differences import Line, differences
from service.operations.history import Entry
from service.operations.replaying import Replayer, replaying_pipeline
from service.operations.work import Desk, Tell, Work
from service.settings.model import PipelineSettings, Settings
from service.text.forgotten import Forgotten
from service.text.privacy import clean_body

#: Nesting of an edited body.
MAX_DEPTH = 200
#: Letters that are discarded in one transaction: others wait for it where the store has one writer.
_AT_ONCE = 200
#: The actions, as the audit log names them.
_EDIT, _DISCARD = "dead_letter.edit", "dead_letter.discard"


class DeadLetterUnknown(Unknown):
    """There is no dead letter {which}."""

    remedy = "`catalog-mirror dead-letters list` shows the open ones."


class EditedMeanwhile(Conflict):
    """The dead letter {letter} has another body than the one that was edited: {who} changed it."""

    remedy = "Look at it again and edit what is there now; nothing of yours was saved."


@dataclass(frozen=True, slots=True)
class Letter:
    """A dead letter without what may be large."""

    dead_letter_id: str
    #: `event`, `reading` or `delivery`: what it is of.
    kind: str
    #: `open`, `replayed`, `superseded` or `discarded`.
    state: str
    #: Of an event.
    routing_key: str | None
    #: Of a delivery.
    target: str | None
    entity_kind: str | None
    entity_id: str | None
    error_class: str
    reason: str
    #: What to do.
    remedy: str
    #: Letters with the same cause have the same.
    fingerprint: str
    #: Of the original: bytes, and their SHA-256.
    body_size: int
    body_sha256: str
    #: Something of the body was blanked, or its end is not here.
    blanked: bool
    truncated: bool
    #: How often it was met.
    times: int
    first_at: datetime
    last_at: datetime
    closed_at: datetime | None
    edited_at: datetime | None

    @property
    def about(self) -> str:
        """The topic of an event, the thing that was read, or the target of a delivery."""
        if self.kind == READING:
            return f"{self.entity_kind} {self.entity_id}".strip()
        return str(self.routing_key or self.target)


@dataclass(frozen=True, slots=True)
class Whole:
    """A dead letter with headers, bodies (secrets are blanked in all three) and what was done to it, newest first."""

    letter: Letter
    headers: dict[str, Any] | None
    body: bytes | None
    #: What it had at first, where somebody edited it.
    original_body: bytes | None
    history: tuple[Entry, ...]

    @property
    def digest(self) -> str:
        """Names the body as it is now: whoever edits it says what they saw."""
        return digest_of(self.body)


@dataclass(frozen=True, slots=True)
class Page:
    """Letters of a listing, and how many match in all."""

    letters: tuple[Letter, ...]
    total: int


@dataclass(frozen=True, slots=True)
class Group:
    """Open letters with one cause; `reason` is that of one of them."""

    fingerprint: str
    error_class: str
    letters: int
    last_at: datetime
    reason: str


@dataclass(frozen=True, slots=True)
class Edited:
    """A letter has another body now."""

    dead_letter_id: str
    #: Of the body that is there now.
    digest: str
    bytes_before: int
    bytes_after: int
    #: Secrets in it were blanked, or what of people is hidden.
    blanked: bool


@dataclass(slots=True)
class Replayed:
    """How many letters came to what when they were tried again."""

    replayed: int = 0
    #: They stay open, with their new reason.
    failed_again: int = 0
    #: Their end is not in the store: only the publisher has it.
    cut_off: int = 0
    #: They are asked for again, which the running service does.
    to_be_read: int = 0
    #: There is no catalog to ask, or the item had no id.
    cannot_be_read: int = 0


async def find(store: Store, which: Filter, limit: int = 50, after: str | None = None) -> Page:
    """Matching letters, the newest first; `after`: those that follow on the letter with this id.

    Raises:
        DeadLetterUnknown: there is none with that id (any more).
    """
    async with store.reading() as connection:
        if after is not None and await letters.read(connection, after) is None:
            raise DeadLetterUnknown(which=repr(after))
        rows = await letters.briefly(connection, which, limit, after)
        return Page(tuple(_letter(row) for row in rows), await letters.count(connection, which))


async def groups(store: Store) -> list[Group]:
    """Open letters by cause, the most frequent first."""
    async with store.reading() as connection:
        rows = await letters.count_by_fingerprint(connection)
    return [Group(*(getattr(row, field.name) for field in dataclasses.fields(Group))) for row in rows]


async def show(store: Store, beginning: str) -> list[Whole]:
    """The letters whose ids begin so, open or not.

    Raises:
        DeadLetterUnknown: there is none.
    """
    async with store.reading() as connection:
        rows = await letters.find(connection, Filter((beginning,), state=None))
        if not rows:
            raise DeadLetterUnknown(which=repr(beginning))
        return [await _whole(connection, row) for row in rows]


async def one(store: Store, beginning: str) -> Whole:
    """The one letter whose id begins so, open or not.

    Raises:
        DeadLetterUnknown: there is none.
        UsageError: there are several.
    """
    async with store.reading() as connection:
        row = await _only(connection, beginning)
        if row is None:
            raise DeadLetterUnknown(which=repr(beginning))
        return await _whole(connection, row)


async def open_one(store: Store, beginning: str) -> str:
    """The id of the one open letter that begins so.

    Raises:
        DeadLetterUnknown: there is none that is open.
        UsageError: there are several.
    """
    async with store.reading() as connection:
        return str((await _open_one(connection, beginning)).dead_letter_id)


async def editable(store: Store, beginning: str) -> Whole:
    """The one open letter whose id begins so, with a body of its own.

    Raises:
        DeadLetterUnknown: there is none that is open.
        UsageError: there are several, or it is of a kind that has no body.
    """
    async with store.reading() as connection:
        return await _whole(connection, await _editable(connection, beginning))


async def diff(store: Store, rules: PipelineSettings, beginning: str, body: bytes) -> list[Line]:
    """What `edit` would change, line by line of the JSON with its keys sorted; nothing is saved.

    Raises:
        DeadLetterUnknown, UsageError, BodyTooLarge: as `edit`.
    """
    new, _ = await asyncio.to_thread(_clean, body, rules, store.forgotten)
    async with store.reading() as connection:
        row = await _editable(connection, beginning)
    return await asyncio.to_thread(differences, row.body, new, MAX_DEPTH)


async def edit(store: Store, rules: PipelineSettings, beginning: str, body: bytes, digest: str, act: Act) -> Edited:
    """Give an open letter another body; what it had at first is kept beside it. Nothing of it is tried yet.

    Args:
        body: the whole new one; secrets in it are blanked before it is written.
        digest: of the body that the editor saw.

    Raises:
        DeadLetterUnknown: no open letter begins so.
        UsageError: several do, or it is of a kind that has no body of its own.
        BodyTooLarge: the body is larger than PIPELINE__MAX_BODY_BYTES.
        EditedMeanwhile: somebody else changed it since.
    """
    new, blanked = await asyncio.to_thread(_clean, body, rules, store.forgotten)
    async with store.writing() as connection:
        row = await _editable(connection, beginning, hold=True)
        if digest_of(row.body) != digest:
            raise EditedMeanwhile(letter=row.dead_letter_id[:12], who=await _last_editor(connection, row))
        await letters.edit(connection, row, new, blanked=blanked)
        edited = Edited(row.dead_letter_id, digest_of(new), len(row.body), len(new), blanked)
        sizes = {"bytes_before": edited.bytes_before, "bytes_after": edited.bytes_after}
        await act.record(connection, _EDIT, row.dead_letter_id, sizes)
        return edited


async def choose(store: Store, which: Filter) -> list[str]:
    """Ids of the letters that `replay` would try, or `discard` close.

    Raises:
        DeadLetterUnknown: ids were given, and no letter begins so.
    """
    async with store.reading() as connection:
        found = await letters.ids(connection, which)
    if not found and which.ids:
        raise DeadLetterUnknown(which=" ".join(which.ids))
    return found


async def replay(
    store: Store, settings: Settings, which: Filter, act: Act, *,
    deliver: bool = False, rate: float = 0.0, tell: Callable[[Replayed, int], None] | None = None,
) -> Replayed:  # fmt: skip
    """Try letters again; those that fail again stay open with their new reason.

    Args:
        deliver: also create deliveries, as if it were live.
        rate: letters per second at most; 0: as fast as it goes.
        tell: given after each letter how it went so far, and how many letters there are.

    Raises:
        DeadLetterUnknown: ids were given, and no letter begins so.
    """
    chosen = await choose(store, which)
    if not chosen:
        return Replayed()
    pipeline = await replaying_pipeline(settings, store, deliver=deliver)
    replayer = Replayer(store, pipeline, act, deliver=deliver, can_read=settings.catalog.url is not None)
    counts = Replayed()
    for dead_letter_id in chosen:
        started = time.monotonic()
        result = await replayer.replay(dead_letter_id)
        if result is not None:
            setattr(counts, result, getattr(counts, result) + 1)
        if tell:
            tell(counts, len(chosen))
        if rate:
            await asyncio.sleep(max(0.0, 1 / rate - (time.monotonic() - started)))
    return counts


async def begin_replay(
    desk: Desk, store: Store, settings: Settings, which: Filter, act: Act, *, deliver: bool = False, rate: float = 0.0
) -> Work:
    """The same as work that goes on after this has answered; tells the counts, and `letters`: how many there are.

    Raises:
        DeadLetterUnknown: as `replay`.
        TooMuchWork: this process has enough to do.
    """
    await choose(store, which)

    async def job(tell: Tell) -> dict[str, int]:
        def told(counts: Replayed, number: int) -> None:
            tell({"letters": number, **dataclasses.asdict(counts)})

        done = await replay(store, settings, which, act, deliver=deliver, rate=rate, tell=told)
        return dataclasses.asdict(done)

    return await desk.begin("replay", act, job)


async def discard(store: Store, which: Filter, act: Act) -> int:
    """Close letters without replaying them; they stay in the store. Answers how many.

    Raises:
        DeadLetterUnknown: ids were given, and no letter begins so.
    """
    chosen, number = await choose(store, which), 0
    for start in range(0, len(chosen), _AT_ONCE):
        async with store.writing() as connection:
            for dead_letter_id in chosen[start : start + _AT_ONCE]:
                if await letters.close(connection, [dead_letter_id], DISCARDED):
                    await act.record(connection, _DISCARD, dead_letter_id)
                    number += 1
    return number


def digest_of(body: bytes | None) -> str:
    """SHA-256 of a body as it is stored."""
    return hashlib.sha256(body or b"").hexdigest()


def pretty(body: bytes) -> str:
    """A body as a person reads and edits it: JSON over several lines, whose numbers and order stay; else as text."""
    try:
        return msgspec.json.format(body, indent=2).decode()
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return body.decode("utf-8", "backslashreplace")


def _clean(body: bytes, rules: PipelineSettings, forgotten: Forgotten) -> tuple[bytes, bool]:
    if len(body) > rules.max_body_bytes:
        raise BodyTooLarge(size=len(body), limit=rules.max_body_bytes)
    return clean_body(body, MAX_DEPTH, rules.privacy(forgotten))


async def _editable(connection: AsyncConnection, beginning: str, *, hold: bool = False) -> Any:
    row = await _open_one(connection, beginning, hold=hold)
    if row.kind == READING:
        raise UsageError(
            problem="what was read is the catalog's: mend it there, then replay the letter, which reads it"
        )
    if row.kind == DELIVERY:
        raise UsageError(problem="a delivery has no body of its own: mend the target, then replay it")
    return row


async def _open_one(connection: AsyncConnection, beginning: str, *, hold: bool = False) -> Any:
    row = await _only(connection, beginning, hold=hold)
    if row is None or row.state != OPEN:
        raise DeadLetterUnknown(which=f"{beginning!r} that is open")
    return row


async def _only(connection: AsyncConnection, beginning: str, *, hold: bool = False) -> Any:
    """The one letter whose id is this, or begins so; of several the open one, if it is one. None: there is none."""
    if (row := await letters.read(connection, beginning, hold=hold)) is not None:
        return row
    for state in (OPEN, None):
        which = Filter((beginning,), state=state)
        number = await letters.count(connection, which)
        if number > 1:
            raise UsageError(problem=f"{beginning!r} stands for {number} dead letters; give more characters")
        if number:
            (dead_letter_id,) = await letters.ids(connection, which, 1)
            return await letters.read(connection, dead_letter_id, hold=hold)
    return None


async def _last_editor(connection: AsyncConnection, row: Any) -> str:
    """Who edited a letter last, and when, as a sentence has it."""
    found = await history.read(connection, row.dead_letter_id, _EDIT, limit=1)
    return f"{found[0].who}, at {found[0].at:%Y-%m-%d %H:%M:%S} UTC," if found else "something"


def _letter(row: Any) -> Letter:
    return Letter(**{field.name: getattr(row, field.name) for field in dataclasses.fields(Letter)})


async def _whole(connection: AsyncConnection, row: Any) -> Whole:
    done = await history.read(connection, row.dead_letter_id)
    headers = json.loads(row.headers) if row.headers else None
    return Whole(_letter(row), headers, row.body, row.original_body, tuple(done))
