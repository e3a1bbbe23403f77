"""What is stuck, why, and what mends it: in words, for whoever was woken."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from shlex import quote

from service.queries.parts import Cause, Freshness, Gap, Reading, Refreshing, Replica, Target, TargetState


class Place(StrEnum):
    """Where on the way from topics to targets something is stuck."""

    SERVICE = "service"
    CONSUMING = "consuming"
    READING = "reading"
    DEAD_LETTERS = "dead_letters"
    TARGET = "target"


@dataclass(frozen=True, slots=True)
class Stuck:
    """One thing that does not go on by itself, or not as it should."""

    place: Place
    #: What exactly: a replica, a target, a cause, a run, a kind.
    subject: str
    what: str
    why: str
    #: The command that mends it, or shows what has to be mended first.
    mend: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Switch:
    """What a person, or the service itself, stopped until a person lets it go on."""

    reason: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Switches:
    """All of them that are set. `brakes` by the replica that stopped by itself: too many events could not be used."""

    paused: Switch | None
    held: Switch | None
    reading_held: Switch | None
    brakes: dict[str, Switch]


def switched_off(replicas: Sequence[Replica], switches: Switches) -> Iterator[Stuck]:
    """What keeps everything from being consumed, or read."""
    if not replicas:
        yield Stuck(
            Place.SERVICE, "replicas", "No replica is running", "none was heard of in the last seconds",
            "catalog-mirror run",
        )  # fmt: skip
    if paused := switches.paused:
        yield Stuck(
            Place.CONSUMING, "every replica", "Consuming is paused", paused.reason, "catalog-mirror resume",
            paused.since,
        )  # fmt: skip
    for replica_id, brake in switches.brakes.items():
        yield Stuck(
            Place.CONSUMING, replica_id, "The brake is pulled", brake.reason, "catalog-mirror resume", brake.since
        )
    for replica in replicas:
        for reason in replica.waits_for:
            yield Stuck(Place.CONSUMING, replica.replica_id, "Nothing is consumed", reason, "catalog-mirror doctor")
        if replica.reading_problem:
            yield Stuck(
                Place.READING, replica.replica_id, "The catalog is not read", replica.reading_problem,
                "catalog-mirror doctor",
            )  # fmt: skip
    if held := switches.reading_held:
        yield Stuck(
            Place.READING, "runs", "Reading is held", held.reason, "catalog-mirror snapshot --resume", held.since
        )


def not_delivered(targets: Sequence[Target], held: Switch | None) -> Iterator[Stuck]:
    """What waits for its target."""
    if held:
        yield Stuck(
            Place.TARGET, "every target", "Deliveries are held", held.reason, "catalog-mirror deliveries release",
            held.since,
        )  # fmt: skip
    for one in targets:
        if one.state is TargetState.PAUSED:
            yield Stuck(
                Place.TARGET, one.target, f"{one.target} is paused", one.because or "no reason given",
                f"catalog-mirror targets resume {quote(one.target)}", one.oldest_at,
            )  # fmt: skip
        if one.state is TargetState.CIRCUIT_OPEN:
            yield Stuck(
                Place.TARGET, one.target, f"{one.target} is not delivered to", one.because or "",
                "catalog-mirror doctor", one.oldest_at,
            )  # fmt: skip
        if one.uncertain:
            yield Stuck(
                Place.TARGET, one.target, f"{one.uncertain} batches may have reached {one.target}, or may not",
                "their answer was lost", "catalog-mirror usage batches --state uncertain",
            )  # fmt: skip


def not_read(
    readings: Sequence[Reading], gaps: Sequence[Gap], refreshing: Refreshing, freshness: Sequence[Freshness]
) -> Iterator[Stuck]:
    """What the mirror may lack."""
    for run in readings[:1]:
        if run.state == "failed":
            yield Stuck(
                Place.READING, run.run_id, f"The last {run.mode} failed", run.problem or "it does not say why",
                f"catalog-mirror {run.mode}", run.finished_at,
            )  # fmt: skip
    for gap in gaps:
        yield Stuck(
            Place.READING, gap.gap_id, "Events may be missing", gap.detail, "catalog-mirror reconcile --repair",
            gap.began_at or gap.noticed_at,
        )  # fmt: skip
    if refreshing.failing:
        yield Stuck(
            Place.READING, "refreshes", f"{refreshing.failing} things could not be read again",
            refreshing.last_error or "", "catalog-mirror doctor", refreshing.due_at,
        )  # fmt: skip
    for kind in freshness:
        if kind.problem:
            yield Stuck(
                Place.READING, kind.kind, f"{kind.kind} cannot be read in {kind.unreadable_in} containers",
                kind.problem, "catalog-mirror doctor",
            )  # fmt: skip
        if kind.differing:
            yield Stuck(
                Place.READING, kind.kind, f"{kind.differing} of {kind.kind} differ from the catalog",
                "a reconcile found them and did not repair them", "catalog-mirror reconcile --repair",
            )  # fmt: skip


def not_used(causes: Sequence[Cause]) -> Iterator[Stuck]:
    """What cannot succeed as it is."""
    for cause in causes:
        letters = "1 dead letter" if cause.letters == 1 else f"{cause.letters} dead letters"
        yield Stuck(
            Place.DEAD_LETTERS, cause.fingerprint, f"{letters}: {cause.reason}", cause.remedy,
            f"catalog-mirror dead-letters replay --fingerprint {cause.fingerprint}", cause.last_at,
        )  # fmt: skip
