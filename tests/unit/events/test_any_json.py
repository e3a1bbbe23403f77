"""Whatever JSON the catalog sends, reading it tells a state or a data error; and no order of items tells another."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from handlers import assets, containers, glossary, listings
from service.changes import AssetDeletionHinted, Change, Container, ContainerKind, Rank
from service.errors import DataError
from service.events.cards import card_changes
from service.events.keys import words_of
from service.events.message import Event
from service.events.things import container_change, thing_change
from service.kinds import THINGS
from service.mirror.parts import classification_rows, column_rows, connection_rows, term_rows
from service.mirror.planning import plan_of
from service.pipeline.routing import Handler, handlers_of
from service.text import documents

#: Each example is built of hundreds of choices; what breaks breaks early.
few = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
HERE = Container("project", "p1")
AT_US = 1_778_425_455_000_000
#: Words at which the mapping looks.
WORDS = st.sampled_from([
    "metadata", "entity", "asset_id", "guid", "id", "name", "asset_type", "data_asset", "columns", "type", "rov",
    "mode", "column_info", "data_profile", "connection", "properties", "flags", "tags", "created", "created_at",
    "usage", "source", "target", "scores", "asset", "list", "asset_terms", "term_id", "source_asset", "attachments",
    "parent_category", "resources", "catalog_id", "end1", "job", "job_run", "check", "length", "scale", "position",
])  # fmt: skip
SCALARS = (
    st.none() | st.booleans() | st.integers() | st.integers(min_value=-(2**70), max_value=2**70) | st.floats()
    | st.text(max_size=8) | st.just("\ud800") | st.just("\0") | st.just(10**400) | st.decimals(allow_nan=False)
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(WORDS | st.text(max_size=5), inner, max_size=5)
    ),
    max_leaves=10,
)  # fmt: skip
OBJECTS = st.dictionaries(WORDS | st.text(max_size=5), JSON, max_size=6)


@st.composite
def cards(draw: Any) -> dict[str, Any]:
    """Objects that look enough like cards to be read far."""
    metadata = {"asset_id": draw(st.sampled_from(["a1", "a2", "", 5])), **draw(OBJECTS)}
    columns = st.lists(st.fixed_dictionaries({"name": st.text(max_size=3) | SCALARS}, optional={"type": JSON}))
    entity = draw(OBJECTS) | {"data_asset": {"columns": draw(columns | JSON)}}
    entity |= {name: draw(JSON) for name in ("column_info", "asset_terms", "data_profile", "connection")}
    return {"metadata": metadata, "entity": draw(st.just(entity) | JSON), "attachments": draw(JSON)}


def rows_of(changes: list[Change]) -> None:
    """Make every row that the writer would; hints are not written as they are."""
    plan = plan_of(enumerate(change for change in changes if not isinstance(change, AssetDeletionHinted)))
    for row in plan.assets.values():
        if row.change is not None:
            for parts in (column_rows, term_rows, classification_rows, connection_rows):
                list(parts(row.change))  # type: ignore[arg-type]


@few
@given(cards() | OBJECTS)
def test_any_object_as_a_card_is_a_state_or_a_data_error(card: dict[str, Any]) -> None:
    with suppress(DataError):
        rows_of(list(card_changes(card, HERE, AT_US, Rank.LISTED)))


@few
@given(kind=st.sampled_from(sorted(THINGS)), item=OBJECTS, parent=st.none() | st.text(max_size=3))
def test_any_object_as_a_thing_is_a_state_or_a_data_error(kind: str, item: dict[str, Any], parent: str | None) -> None:
    with suppress(DataError):
        rows_of([thing_change(THINGS[kind], item, HERE, AT_US, parent)])
    with suppress(DataError):
        rows_of(
            [
                thing_change(
                    THINGS[kind], {**item, "id": "i1", "metadata": {"asset_id": "i1", **item}}, HERE, AT_US, parent
                )
            ]
        )


@few
@given(kind=st.sampled_from(["catalog", "project", "space"]), item=OBJECTS)
def test_any_object_as_a_container_is_a_state_or_a_data_error(kind: ContainerKind, item: dict[str, Any]) -> None:
    with suppress(DataError):
        rows_of([container_change(kind, {**item, "metadata": {"guid": "c1", **item}}, AT_US)])


HANDLERS = [handler for module in (assets, containers, glossary, listings) for handler in handlers_of(module)]


@few
@given(
    handler=st.sampled_from(HANDLERS),
    body=OBJECTS,
    state=cards(),
    verb=st.sampled_from(["POST", "PATCH", "DELETE", ""]),
)
def test_any_body_of_an_undocumented_event_is_handled_or_a_data_error(
    handler: Handler, body: dict[str, Any], state: dict[str, Any], verb: str
) -> None:
    key = handler.patterns[0].text.replace("*", "x1", 1).replace("*", verb).replace("#", verb)
    for told in (body, {**body, "state": state, "published": "2026-05-10T15:04:15Z"}):
        with suppress(DataError):
            rows_of(list(handler.run(Event(key, words_of(key), told))))


@few
@given(st.binary(max_size=200) | OBJECTS.map(lambda value: repr(value).encode("utf-8", "surrogatepass")))
def test_any_bytes_as_an_answer_are_json_or_a_data_error(body: bytes) -> None:
    with suppress(DataError):
        documents.parsed(body)


@few
@given(st.lists(cards(), max_size=6).flatmap(lambda items: st.tuples(st.just(items), st.permutations(items))))
def test_any_order_of_items_tells_the_same_rows(orders: tuple[list[dict[str, Any]], list[dict[str, Any]]]) -> None:
    """Also where an id comes twice: pages shift while things come and go."""
    found = []
    for items in orders:
        changes: list[Change] = []
        for item in items:
            with suppress(DataError):
                changes += card_changes(item, HERE, None, Rank.LISTED)
        plan = plan_of(enumerate(changes))
        rows = (*plan.assets.items(), *plan.data_profiles.items(), *plan.containers.items())
        found.append({(name, repr(row.values)) for name, row in rows})
    assert found[0] == found[1]
