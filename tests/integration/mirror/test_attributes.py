"""Attributes of assets are rows, a value each, and so are attachments; both belong to the newest state."""

from __future__ import annotations

import itertools
import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import AssetDeleted, Change, Container, Origin, Rank, Version
from service.events.cards import card_changes
from service.mirror import writer
from service.mirror.purge import purge
from service.mirror.rebuild import rebuild
from service.settings.model import ScopeSettings
from service.settings.scope import Scope
from service.text.documents import parsed

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

VALUES = "attribute, path, text_value, number_value, truth_value, time_value, cut"
LEAVES = f"SELECT {VALUES} FROM asset_attributes ORDER BY asset_id, number"
PLACE = Container("catalog", "c1")


def card(entity: dict[str, Any], *attachments: Any, asset_id: str = "a1", **metadata: Any) -> dict[str, Any]:
    """A card with these attributes."""
    told = {"asset_id": asset_id, "asset_type": "book", "name": "Book", "catalog_id": "c1", **metadata}
    return {"metadata": told, "entity": entity, "attachments": list(attachments)}


def changes(told: dict[str, Any], at_us: int = 1_000_000) -> list[Change]:
    """What the card changes, read as the catalog sends it."""
    read = parsed(json.dumps(told).encode())
    return list(card_changes(read, PLACE, at_us, Rank.READ))


async def take(mirror: Mirror, *several: Change) -> None:
    """Write them as one batch."""
    async with mirror.store.write() as connection:
        await writer.apply(connection, [(0, change) for change in several], Origin.SYNC)


async def told(mirror: Mirror, value: Any) -> list[Any]:
    """The rows of an attribute `x`, without its name."""
    await take(mirror, *changes(card({"x": value})))
    return [row[1:] for row in await mirror.all(LEAVES)]


async def test_each_value_is_a_row_with_its_place(mirror: Mirror) -> None:
    book = {
        "author": {"first": "Anna", "born": "1970-05-10T15:04:15+02:00"},
        "price": 12.5,
        "lent": False,
        "keep": None,
        "chapters": [{"title": "One", "pages": [1, 2]}, {}, [], "end"],
    }
    await take(mirror, *changes(card({"book": book, "seal": "broken", "empty": {}})))

    view = f"SELECT {VALUES}, asset_name, container_kind, container_id FROM v1_asset_attributes ORDER BY 1, 2"
    rows = [(*row[:4], None if row[4] is None else bool(row[4]), *row[5:]) for row in await mirror.all(view)]
    assert {row[7:] for row in rows} == {("Book", "catalog", "c1")}
    assert [row[:5] for row in rows] == [
        ("book", "author.born", "1970-05-10T15:04:15+02:00", None, None),
        ("book", "author.first", "Anna", None, None),
        ("book", "chapters[0].pages[0]", "1", 1, None),
        ("book", "chapters[0].pages[1]", "2", 2, None),
        ("book", "chapters[0].title", "One", None, None),
        ("book", "chapters[3]", "end", None, None),
        ("book", "lent", None, None, False),
        ("book", "price", "12.5", 12.5, None),
        ("seal", "", "broken", None, None),
    ]
    times = "SELECT count(*) FROM v1_asset_attributes WHERE time_value = :at"
    at = datetime(1970, 5, 10, 13, 4, 15, tzinfo=UTC)
    on_sqlite = await _is_sqlite(mirror)
    assert await mirror.one(times, at="1970-05-10T13:04:15.000000Z" if on_sqlite else at) == 1
    assert await mirror.one("SELECT count(*) FROM v1_asset_attributes WHERE time_value IS NOT NULL") == 1


async def _is_sqlite(mirror: Mirror) -> bool:
    async with mirror.store.read() as connection:
        return connection.dialect.name == "sqlite"


async def test_what_has_views_of_its_own_is_left_to_them(mirror: Mirror) -> None:
    entity = {
        "data_asset": {"mime_type": "text/csv", "columns": [{"name": "c"}]},
        "column_info": {"c": {"column_description": "x"}},
        "connection": {"properties": {"host": "h", "password": "x"}},
        "data_profile": {"attribute_classes": ["x"]},
        "asset_terms": {"list": [{"term_id": "t"}]},
        "column_attribute": {"columns": {"c": {"rank": 7}}},
    }
    await take(mirror, *changes(card(entity)))

    assert [row[:3] for row in await mirror.all(LEAVES)] == [("column_attribute", "columns.c.rank", "7")]


async def test_names_that_would_be_read_otherwise_stand_in_brackets(mirror: Mirror) -> None:
    odd = {"a.b": 1, "a": {"b": 2, "": 3}, "c[0]": 4, "c": [5], 'say "x"': 6, "Größe in m": 7}

    assert {row[0]: row[1] for row in await told(mirror, odd)} == {
        '["a.b"]': "1", "a.b": "2", 'a[""]': "3", '["c[0]"]': "4", "c[0]": "5", '["say \\"x\\""]': "6",
        "Größe in m": "7",
    }  # fmt: skip


async def test_texts_that_no_store_holds_are_shown_as_far_as_they_go(mirror: Mirror) -> None:
    nul, half, shown = "nul\x00", "half \ud83d", "half \ufffd"
    rows = await told(mirror, {nul: nul, "nul\ufffd": 1, half: half, shown: "😀", "it's": '"\\\n\t', "e": ""})

    assert {row[:2] for row in rows} == {
        ("nul\ufffd", "nul\ufffd"), ("nul\ufffd (2)", "1"), (shown, shown), (f"{shown} (2)", "😀"),
        ("it's", '"\\\n\t'), ("e", ""),
    }  # fmt: skip


async def test_attributes_whose_names_no_store_holds_stay_two(mirror: Mirror) -> None:
    long = "n" * 3000
    await take(mirror, *changes(card({"\x00": 1, "\ufffd": 2, long: {long + "a": {long: 3}, long + "b": 4}})))

    rows = await mirror.all(LEAVES)
    assert [row[2] for row in rows if row[0] in ("\ufffd", "\ufffd (2)")] == ["1", "2"]
    assert len({row[:2] for row in rows}) == 4
    assert all(len(row[0].encode()) <= 512 and len(row[1].encode()) <= 1024 for row in rows)


async def test_a_text_that_is_too_long_is_cut_and_says_so(mirror: Mirror) -> None:
    fits, over, wide = "x" * 1024, "x" * 1025, "€" * 100_000
    rows = await told(mirror, [fits, over, wide, "\x00" * 400])

    assert [(row[1], row[5]) for row in rows] == [
        (fits, None), (fits, "text"), ("€" * 341, "text"), ("\ufffd" * 341, "text"),
    ]  # fmt: skip


async def test_numbers_keep_their_digits(mirror: Mirror) -> None:
    numbers = b'{"x": [18446744073709551617, 1e400, 0.1, 1e-400, 5E-324, 9007199254740993, -0.0, 1.50, 1E3]}'
    entity = parsed(numbers)
    await take(mirror, *card_changes(card(entity), PLACE, 1, Rank.READ))

    rows = await mirror.all(LEAVES)
    assert [(row[2], row[3]) for row in rows] == [
        ("18446744073709551617", float(2**64)), ("1E+400", None), ("0.1", 0.1), ("1E-400", 0), ("5e-324", 5e-324),
        ("9007199254740993", float(2**53)), ("0", 0), ("1.5", 1.5), ("1000", 1000),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "is_time"),
    [
        ("2026-05-10T15:04:15Z", True), ("2026-05-10 15:04", True), ("2026-05-10T15:04:15.123456789+0200", True),
        ("2026-05-10", False), ("20260510", False), ("1778425455000", False), ("2026-13-10T15:04:15Z", False),
        ("2026-05-10T15:04:15Z and more", False), ("0000-00-00T00:00:00", False), ("٢٠٢٦-05-10T15:04", False),
        ("9999-12-31T23:59:59Z", False), ("0001-01-01T00:00:00Z", False), ("0042-05-10T15:04:15Z", True),
    ],
)  # fmt: skip
async def test_only_what_is_plainly_a_time_is_one(mirror: Mirror, text: str, is_time: bool) -> None:
    assert [(row[1], row[4] is not None) for row in await told(mirror, {"at": text})] == [(text, is_time)]


async def test_of_too_many_values_the_first_are_rows_and_one_stands_for_the_rest(mirror: Mirror) -> None:
    await take(mirror, *changes(card({"a": list(range(400)), "b": {"c": list(range(100_000))}, "d": 1})))

    rows = await mirror.all(LEAVES)
    assert len(rows) == 501
    assert rows[499][:3] == ("b", "c[99]", "99")
    assert rows[500] == ("b", "c[100]", None, None, None, None, "leaves")
    assert {row[6] for row in rows[:500]} == {None}
    assert len(await told(mirror, list(range(500)))) == 500


async def test_depths_and_long_names_in_them_cost_no_more_than_they_say(mirror: Mirror) -> None:
    deep: Any = "end"
    for level in range(60):
        deep = {"n" * 20_000 + str(level): deep, "also": level}

    rows = await told(mirror, deep)

    assert len({row[0] for row in rows}) == 61
    assert {row[1] for row in rows} == {"end", *map(str, range(60))}


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_the_newest_state_counts_in_any_order(mirror: Mirror, order: tuple[int, ...]) -> None:
    states = [
        changes(card({"x": [1, 2, 3], "y": 1}, {"id": "t1"}, {"id": "t2"}), at_us=1_000_000),
        changes(card({"x": {"b": 1}}, {"id": "t3"}), at_us=2_000_000),
        changes(card({"x": {"a": 2}, "z": 1}, {"id": "t2", "name": "new"}), at_us=3_000_000),
    ]
    for place in order:
        await take(mirror, *states[place])
        await take(mirror, *states[order[0]])

    assert [row[:3] for row in await mirror.all(LEAVES)] == [("x", "a", "2"), ("z", "", "1")]
    assert await mirror.all("SELECT attachment_id, name FROM asset_attachments") == [("t2", "new")]


async def test_of_hidden_and_deleted_assets_nothing_is_shown(mirror: Mirror) -> None:
    for mode in (8, 16):
        await take(mirror, *changes(card({"x": 1}, {"id": "t"}, asset_id=f"m{mode}", rov={"mode": mode})))
    await take(mirror, *changes(card({"x": 1}, {"id": "t"}, asset_id="gone")))
    assert await mirror.all("SELECT asset_id FROM v1_asset_attributes") == [("gone",)]
    assert await mirror.all("SELECT asset_id FROM v1_asset_attachments") == [("gone",)]

    await take(mirror, AssetDeleted("gone", Version(9_000_000, Rank.DELETED)))

    assert await mirror.all("SELECT asset_id FROM v1_asset_attributes") == []
    assert await mirror.one("SELECT count(*) FROM asset_attributes WHERE asset_id = 'gone'") == 0
    assert await mirror.one("SELECT count(*) FROM asset_attachments WHERE asset_id = 'gone'") == 0


async def test_rebuilding_makes_the_same_of_the_documents(mirror: Mirror) -> None:
    entity = {"x": {"b": [1, 2.50, "\ud83d"], "a": True}, "\x00": {"t": "2026-05-10T15:04:15Z"}}
    await take(mirror, *changes(card(entity, {"id": "t1", "size": 9.0}, {"id": "t1"}, {"name": "no id"})))
    attachments = "SELECT * FROM asset_attachments ORDER BY attachment_id"
    before = await mirror.all(LEAVES), await mirror.all(attachments)
    await mirror.execute("DELETE FROM asset_attachments", "UPDATE asset_attributes SET text_value = 'x', cut = 'x'")

    assert [batch async for batch in rebuild(mirror.store, everything=True)] == [("asset", 1)]

    assert (await mirror.all(LEAVES), await mirror.all(attachments)) == before
    assert len(before[0]) == 5
    assert [row[1] for row in before[1]] == ["#3", "t1", "t1 (2)"]


async def test_what_is_out_of_scope_is_purged(mirror: Mirror) -> None:
    await take(mirror, *changes(card({"x": 1}, {"id": "t"})))

    await purge(mirror.store, Scope(ScopeSettings(exclude=["catalog:c1"])))

    assert await mirror.all("SELECT asset_id FROM asset_attributes UNION SELECT asset_id FROM asset_attachments") == []


async def test_attachments_say_where_data_lie_and_not_how_to_get_in(mirror: Mirror) -> None:
    remote = {
        "id": "t1", "asset_type": "data_asset", "name": "remote", "mime": "text/csv", "connection_id": "k1",
        "connection_path": "/S/T", "create_time": 1778425455000, "size": 7.0, "is_remote": True, "test_doc": 0,
        "usage": {"access_count": 4}, "href": "https://x/y?sig=z",
    }  # fmt: skip
    referenced = {
        "id": "t2", "asset_type": "data_profile", "name": "profile", "object_key": "key-of-it", "size": "2",
        "handle": {"bucket": "b", "key": "key-of-it"}, "is_remote": False, "url": "https://x/y",
    }  # fmt: skip
    managed = {"attachment_id": "t3", "attachment_type": "managed", "created_at": "2026-05-10T15:04:15Z"}
    await take(mirror, *changes(card({"x": 1}, remote, referenced, managed, "none")))

    columns = "attachment_id, asset_id, asset_type, name, mime, size, kind, connection_id, connection_path"
    assert await mirror.all(f"SELECT {columns}, asset_name FROM v1_asset_attachments ORDER BY 1") == [
        ("t1", "a1", "data_asset", "remote", "text/csv", 7, "remote", "k1", "/S/T", "Book"),
        ("t2", "a1", "data_profile", "profile", None, 2, "referenced", None, None, "Book"),
        ("t3", "a1", None, None, None, None, "managed", None, None, "Book"),
    ]
    times = "SELECT count(DISTINCT created_at), count(created_at) FROM v1_asset_attachments"
    assert await mirror.one(times) == (1, 2)
    assert "key-of-it" not in repr(await mirror.all("SELECT * FROM asset_attachments"))


async def test_odd_attachments_do_not_cost_the_asset(mirror: Mirror) -> None:
    odd = [
        {"id": "i" * 5000, "name": "nul\x00", "size": 2**70}, {"id": "i" * 5000}, {"id": 7, "create_time": "never"},
        {"id": {"x": 1}, "mime": ["a", "b"], "is_remote": "true"}, {}, {"id": "half \ud83d", "connection_id": "k"},
    ]  # fmt: skip
    await take(mirror, *changes(card({}, *odd)))

    rows = await mirror.all("SELECT attachment_id, name, size, kind FROM v1_asset_attachments ORDER BY attachment_id")
    assert len(rows) == 6
    assert {row[0] for row in rows} >= {"#4", "#5", "7", "half \ufffd"}
    assert sum(row[3] == "remote" for row in rows) == 2


async def test_a_value_is_found_without_reading_the_table(empty_postgres_url: str, opened: Any) -> None:
    async with opened(empty_postgres_url) as mirror:
        for number in range(3):
            several = [
                change
                for place in range(400)
                for change in changes(card({"x": {"k": f"v{place}", "l": "same"}}, asset_id=f"a{number}-{place}"))
            ]
            await take(mirror, *several)
        await mirror.execute("ANALYZE")
        for table in ("asset_attributes", "v1_asset_attributes"):
            query = f"SELECT asset_id FROM {table} WHERE attribute = 'x' AND path = 'k' AND text_value = 'v7'"
            plan = "\n".join(row[0] for row in await mirror.all(f"EXPLAIN {query}"))
            assert "asset_attributes_value" in plan
            assert "Seq Scan on asset_attributes" not in plan
            assert len(await mirror.all(query)) == 3


_TEXTS = st.one_of(
    st.text(st.characters(codec=None), max_size=6),
    st.sampled_from(["", "a.b", "[0]", '"', "\x00", "\ufffd", "\ud83d", "2026-05-10T15:04:15Z", "x" * 1100, "€" * 400]),
)
_LEAVES = st.one_of(
    st.none(), st.booleans(), _TEXTS, st.integers(-(2**80), 2**80), st.floats(allow_nan=False, allow_infinity=False)
)
_VALUES = st.recursive(
    _LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_TEXTS, inner, max_size=4), max_leaves=12
)


@settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(entity=st.dictionaries(_TEXTS.map(lambda name: name + "x"), _VALUES, max_size=3))
async def test_whatever_an_attribute_says_both_stores_take_it_and_show_the_same(
    both: list[Mirror], entity: dict[str, Any]
) -> None:
    found = []
    for mirror in both:
        await mirror.clear()
        await take(mirror, *changes(card(entity)))
        rows = await mirror.all(LEAVES)
        assert len({row[:2] for row in rows}) == len(rows)
        async for _ in rebuild(mirror.store, everything=True):
            pass
        assert await mirror.all(LEAVES) == rows
        found.append([(*row[:4], row[4] if row[4] is None else bool(row[4]), _iso(row[5]), row[6]) for row in rows])
    assert found[0] == found[1]


def _iso(at: Any) -> str | None:
    return str(datetime.fromisoformat(at) if isinstance(at, str) else at)
