"""Routes: the most specific pattern takes the event, settings go before what handlers declare."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from service.changes import Change
from service.errors import SettingInvalid
from service.events.keys import words_of
from service.events.message import Event
from service.pipeline.installed import entries
from service.pipeline.routing import GROUP, Evidence, Handler, Router, handles, installed_handlers


@handles("a.*.c", "a.#", evidence=Evidence.ASSUMED)
def wide(event: Event) -> Iterator[Change]:
    yield from ()


@handles("a.b.c", evidence=Evidence.DOCUMENTED)
def narrow(event: Event) -> Iterator[Change]:
    yield from ()


HANDLERS: list[Handler] = [wide, narrow]


def taken_by(router: Router, key: str) -> str | None:
    route = router.route(words_of(key))
    return None if route is None else route.handler.name if route.handler else "ignore"


def test_the_most_specific_pattern_wins_whatever_the_order_of_handlers() -> None:
    for handlers in (HANDLERS, HANDLERS[::-1]):
        router = Router(handlers)
        assert [taken_by(router, key) for key in ("a.b.c", "a.x.c", "a", "b")] == ["narrow", "wide", "wide", None]


def test_settings_go_before_defaults_even_if_less_specific() -> None:
    assert taken_by(Router(HANDLERS, {"#": "wide"}), "a.b.c") == "wide"


def test_among_settings_the_most_specific_wins() -> None:
    router = Router(HANDLERS, {"a.#": "ignore", "a.#.c": "narrow", "a.z.c": "wide"})

    assert [taken_by(router, key) for key in ("a.x.c", "a.z.c", "a.x")] == ["narrow", "wide", "ignore"]


def test_what_is_ignored_is_taken_and_not_bound() -> None:
    router = Router(HANDLERS, {"a.b.c": "ignore"})

    assert taken_by(router, "a.b.c") == "ignore"
    assert router.bindings() == ["a.#", "a.*.c"]


def test_defaults_can_be_turned_off() -> None:
    router = Router(HANDLERS, {"x.*": "narrow"}, defaults=False)

    assert router.bindings() == ["x.*"]
    assert taken_by(router, "a.b.c") is None


@pytest.mark.parametrize("overrides", [{"a": "nobody"}, {"": "wide"}])
def test_a_bad_override_is_a_settings_error_that_says_what_there_is(overrides: dict[str, str]) -> None:
    with pytest.raises(SettingInvalid, match="ROUTES__OVERRIDES") as caught:
        Router(HANDLERS, overrides)
    assert "nobody" not in overrides.values() or "narrow, wide, ignore" in str(caught.value)


def test_our_own_lineage_key_is_no_route() -> None:
    router = Router(installed_handlers())

    assert taken_by(router, "v2.lineage_events.x.MIRROR") is None


def test_every_documented_topic_has_a_handler() -> None:
    router = Router(installed_handlers())
    keys = [
        "v2.data_profiles.5210c7d-cf6b.POST", "v2.data_profiles.x.PATCH", "v2.data_profiles.x.DELETE",
        "v2.lineage_events.x.POST", "v2.metadata_enrichment.x.create_enrichment_area", "v3.gss.cams.action",
    ]  # fmt: skip

    assert None not in [taken_by(router, key) for key in keys]


def test_a_package_is_found_where_python_looks_from_now_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = [entry.name for entry in entries(GROUP)]
    metadata = tmp_path / "late-1.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: late\nVersion: 1\n")
    (metadata / "entry_points.txt").write_text(f"[{GROUP}]\nlate = late\n")
    monkeypatch.syspath_prepend(tmp_path)
    assert sorted(entry.name for entry in entries(GROUP)) == sorted([*before, "late"])
