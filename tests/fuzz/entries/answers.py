"""What the catalog answers: a kind in the first line, then the body of a listing, of a refusal or of a document."""

from __future__ import annotations

from service.catalog.answer import Answer
from service.catalog.paging import read_cursor
from service.catalog.refusals import read_refusal
from service.changes import Container
from service.errors import CatalogAnswerInvalid, CursorInvalid, DataError
from service.events.profile_documents import findings_of
from service.kinds import KINDS
from service.sync.cleaning import clean
from service.sync.readings import container_told, id_of, told_of
from service.text.privacy import Privacy
from service.text.profile_values import ProfileValues
from tests.fuzz.entries.bodies import rows_of
from tests.fuzz.harness import Entry, headed

HERE = Container("project", "p1")
AT_US = 1_778_425_455_000_000
PRIVACY = Privacy()


def take(raw: bytes) -> None:
    kind, body = headed(raw)
    if kind == "refusal":
        read_refusal(body, ("hunter2",))
    elif kind == "document":
        findings_of(body, ProfileValues.NUMBERS)
    elif kind == "cursor":
        read_cursor("fuzz", body.decode("utf-8", "replace"))
    else:
        listed(kind, Answer(200, body, AT_US, "GET /v2/fuzz"))


def listed(name: str, answer: Answer) -> None:
    """Each item for itself: what one of them lacks keeps no other one back."""
    refused: DataError | None = None
    for item in answer.listed("resources"):
        if not isinstance(item, dict):
            continue
        try:
            item = clean(item, PRIVACY)
            if name == "container":
                told = container_told("catalog", item, HERE, AT_US, None)
            else:
                kind = KINDS.get(name, KINDS["asset"])
                id_of(kind, item, HERE)
                told = told_of(kind, item, HERE, AT_US, "parent")
            rows_of(one.change() for one in told)
        except DataError as error:
            refused = error
    if refused is not None:
        raise refused


ENTRY = Entry(take, (DataError, CatalogAnswerInvalid, CursorInvalid))
