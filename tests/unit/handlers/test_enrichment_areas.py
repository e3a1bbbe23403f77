"""Enrichment areas: the body is opaque, the id stands in the key."""

from typing import Any

import pytest

from handlers.enrichment_areas import enrichment_area_created
from service.changes import RefreshAsked, ThingSaved
from service.errors import FieldInvalid
from service.events.message import Event

KEY = "v2.metadata_enrichment.area-1.create_enrichment_area"


@pytest.mark.parametrize("body", [{}, {"anything": [1, {"x": None}]}, {"id": 7, "state": 3, "details": []}])
def test_any_object_is_kept_and_the_area_is_to_be_read(body: dict[str, Any]) -> None:
    saved, asked = enrichment_area_created.run(Event.of(KEY, body))

    assert isinstance(saved, ThingSaved)
    assert (saved.thing_id, saved.version.at_us) == ("area-1", None)
    assert asked == RefreshAsked("enrichment_area", "area-1", reason="opaque_body")


def test_a_time_counts_if_it_happens_to_be_there() -> None:
    saved, _ = enrichment_area_created.run(Event.of(KEY, {"published": 1529682109550}))

    assert isinstance(saved, ThingSaved)
    assert saved.version.at_us == 1529682109550000


@pytest.mark.parametrize(
    ("key", "body"),
    [
        (KEY.replace("area-1", ""), {}),
        (KEY.replace("area-1", "a\x00"), {}),
        (KEY.replace("area-1", "x" * 1025), {}),
        (KEY, {"published": "soon"}),
    ],
)
def test_no_usable_id_or_time_is_a_data_error(key: str, body: dict[str, Any]) -> None:
    with pytest.raises(FieldInvalid):
        list(enrichment_area_created.run(Event.of(key, body)))
