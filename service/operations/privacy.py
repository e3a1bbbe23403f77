"""People: tell where the mirror has somebody, and forget them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from service.errors import UsageError
from service.mirror import controls
from service.mirror.privacy import held, sweeping
from service.mirror.privacy.sweeping import Place, Traces
from service.mirror.store import Store
from service.mirror.usage.people import people_of
from service.operations.acting import Act
from service.operations.work import Desk, Tell, Work
from service.settings.model import Settings
from service.text.forgotten import Person

#: Seconds within which every replica knows whom it is to hold, and has committed what it had in hand.
KNOWN_S = 5.0
#: What is left, and why. Nothing of it can be undone from here.
STAYS = (
    "The audit log: it is evidence of who did what, and the store refuses to change it. The GDPR knows such exceptions "
    "(article 17, paragraph 3, b and e); whether they hold for you, your data protection officer can say.",
    "The catalog and the targets: they have copies of their own, and have to be asked themselves.",
    "Backups, the database's log, and space that was freed: until they are overwritten (`VACUUM`), or expire.",
    "SHA-256 of bodies of dead letters, from which no name can be read.",
    "Files of captures and logs, and the file of tokens: they are no part of the store.",
)
#: What keeps them from coming back, and what does not.
HELD = (
    "Salted hashes of the names are kept. By them, what comes later is known again wherever a text is one of the names "
    "or addresses, or has such an address in it: in events, readings, imports, and lineage that is posted.",
    "A name in the middle of a sentence is not known again when the catalog tells that sentence anew: mend it there.",
    "Who signs in, or acts, is written down by the name that their token has.",
)


@dataclass(frozen=True, slots=True)
class Report:
    """Where somebody is: rows by table that would be rewritten or removed, the first places, and what stays."""

    rewritten: dict[str, int]
    removed: dict[str, int]
    places: list[Place]
    #: Entries of the audit log that name them.
    audited: int
    #: They are held: what comes later is written without them.
    is_held: bool
    stays: list[str]
    held: list[str]


async def report(store: Store, settings: Settings, names: Sequence[str]) -> Report:
    """Where the mirror has somebody; changes nothing.

    Raises:
        UsageError: no usable names are given.
    """
    person = Person(names)
    swept = await sweeping.look(store, await _traces(store, settings, person))
    return await _told(store, person, swept)


async def forget(store: Store, settings: Settings, names: Sequence[str], act: Act) -> Report:
    """Take somebody out of the mirror, and keep them out. May be repeated after an interruption.

    Raises:
        UsageError: no usable names are given, or the reason has one of them in it: the audit log would keep it.
    """
    person = Person(names)
    _check_reason(person, act.reason)
    traces = await _traces(store, settings, person)
    async with store.writing() as connection:
        hashes = await held.hold(connection, person)
        others = bool(await controls.live_replicas(connection, store))
        await act.record(connection, "privacy.forget", f"person {hashes[0]}", {"names": len(hashes)})
    await held.load(store)
    if others:
        await asyncio.sleep(KNOWN_S)
    swept = await sweeping.sweep(store, traces)
    told = await _told(store, person, swept)
    async with store.writing() as connection:
        counts = {"rewritten": told.rewritten, "removed": told.removed}
        await act.record(connection, "privacy.forgotten", f"person {hashes[0]}", counts)
    return told


async def begin_forget(desk: Desk, store: Store, settings: Settings, names: Sequence[str], act: Act) -> Work:
    """The same as work that goes on after this has answered; raises as `forget`, and `TooMuchWork`."""
    _check_reason(Person(names), act.reason)

    async def job(_: Tell) -> dict[str, Any]:
        done = asdict(await forget(store, settings, names, act))
        return {name: done[name] for name in ("rewritten", "removed", "audited", "stays", "held")}

    return await desk.begin("forget", act, job)


def _check_reason(person: Person, reason: str | None) -> None:
    if reason and person.hidden_text(reason) != reason:
        raise UsageError(
            problem="the reason names the person, and the audit log would keep it: say it without the name"
        )


async def _traces(store: Store, settings: Settings, person: Person) -> Traces:
    people = await people_of(store, settings.usage, settings.pipeline.principals)
    return Traces(person, {found for form in person.forms if (found := people.any_hash(form))})


async def _told(store: Store, person: Person, swept: sweeping.Swept) -> Report:
    async with store.reading() as connection:
        is_held = await held.is_held(connection, person)
    number = await sweeping.audited(store, person)
    return Report(swept.rewritten, swept.removed, swept.places, number, is_held, list(STAYS), list(HELD))
