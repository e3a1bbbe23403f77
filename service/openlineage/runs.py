"""What an event tells of its run: job, beginning and end, what started it, what it is for, why it failed. Pure.

Parents: https://openlineage.io/docs/spec/facets/run-facets/parent_run; `nominalTime` is what a schedule says, and
`errorMessage` why a run failed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from service.changes import RunFact
from service.errors import FieldInvalid
from service.openlineage.facets import version_of
from service.openlineage.words import LAST_STATES, run_id_of
from service.text import lookup
from service.text.documents import canonical, digest_of
from service.text.times import read_time

#: The longest text of an error that is shown, in characters; the original keeps all of it.
MAX_ERROR = 2000
#: Later than every moment: of beginnings the earliest counts.
_END_OF_TIME = 1 << 62


def facts_of(event: dict[str, Any], at_us: int) -> tuple[RunFact, ...]:
    """The facts of a run event, of which each is told once."""
    return tuple(_facts(event, at_us))


def _facts(event: dict[str, Any], at_us: int) -> Iterator[RunFact]:
    state, job = event.get("eventType"), event["job"]
    facets = lookup.mapping(event["run"].get("facets"))
    yield _fact("job", at_us, job_namespace=job["namespace"], job_name=job["name"])
    if state == "START":
        yield _fact("start", _END_OF_TIME - at_us, at_us=at_us)
    if state in LAST_STATES:
        yield _fact("end", at_us, at_us=at_us)
    if parent := _parent(lookup.mapping(facets.get("parent"))):
        yield _fact("parent", at_us, **parent)
    nominal = lookup.mapping(facets.get("nominalTime"))
    if (begins := _moment(nominal.get("nominalStartTime"))) is not None:
        yield _fact("nominal", at_us, at_us=begins, until_us=_moment(nominal.get("nominalEndTime")))
    if why := lookup.text(lookup.mapping(facets.get("errorMessage")).get("message")):
        yield _fact("error", at_us, text=why[:MAX_ERROR])


def _fact(fact: str, counts: int, **members: Any) -> RunFact:
    text = canonical(members)
    return RunFact(fact, version_of(counts, text, digest_of(text)), **members)


def _parent(facet: dict[str, Any]) -> dict[str, Any] | None:
    """The run that started this one, and the first of the line, where they are told."""
    root = lookup.mapping(facet.get("root"))
    parent, first = _run(facet), _run(root)
    if parent is None:
        return None
    names = ("root_run_id", "root_job_namespace", "root_job_name")
    return dict(zip(("run_id", "job_namespace", "job_name"), parent, strict=True)) | dict(
        zip(names, first or (None, None, None), strict=True)
    )


def _run(told: dict[str, Any]) -> tuple[str, str | None, str | None] | None:
    run_id, job = lookup.text(lookup.at(told, ("run", "runId"))), lookup.mapping(told.get("job"))
    return (run_id_of(run_id), lookup.text(job.get("namespace")), lookup.text(job.get("name"))) if run_id else None


def _moment(value: Any) -> int | None:
    try:
        return read_time(value, "nominalTime") if isinstance(value, str) else None
    except FieldInvalid:
        return None  # it decorates the run, and the original keeps it
