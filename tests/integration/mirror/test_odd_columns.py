"""What belongs to an asset arrives whatever characters it has, on either store, by whatever way the rows are sent."""

from __future__ import annotations

import random
import string
from typing import TYPE_CHECKING, Any

from service.changes import AssetColumn, AssetSaved, Container, Origin, Rank, TermAssigned, Version
from service.events.cards import card_changes
from service.mirror import writer
from service.mirror.lineage.datasets import at_paths
from service.text.documents import document

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

ODD = ('"quoted"', "back\\slash", "tab\tand\nline", "{a,b}", "null", "Größe 😀", "\x1f", "it's", "")
UNFIT = "nul\x00 and half \ud83d"
SHOWN = "nul\ufffd and half \ufffd"


async def test_odd_names_of_columns_arrive_as_they_are(mirror: Mirror) -> None:
    columns = tuple(
        AssetColumn(name, 2**31 - 1, None, name, 2**53 + 1, -3, True, None, (name,), None, None, 0.1)
        for name in (*ODD, UNFIT)
    )
    terms = tuple(TermAssigned("t1", name, name, "suggested", 1e-7) for name in ODD)
    state = AssetSaved(
        "a1",
        Version(1, Rank.READ),
        document({}),
        Container("catalog", "c1"),
        columns=columns,
        terms=terms,
    )

    async with mirror.store.write() as connection:
        await writer.apply(connection, [(0, state)], Origin.SYNC)

    rows = await mirror.all("SELECT name, native_type, tags, length, scale, nullable, quality_score FROM asset_columns")
    assert {row[0] for row in rows} == {*ODD, SHOWN}
    assert all(row[0] == row[1] == row[2] for row in rows)
    assert {(row[3], row[4], bool(row[5]), row[6]) for row in rows} == {(2**53 + 1, -3, True, 0.1)}
    assert {row[0] for row in await mirror.all("SELECT column_name FROM asset_terms WHERE confidence = 1e-7")} == {*ODD}


def _long(seed: int, length: int = 4000) -> str:
    """Text that no compression makes fit."""
    return "".join(random.Random(seed).choices(string.ascii_letters + "äß€", k=length))


def _card(asset_id: str, columns: list[dict[str, Any]], **entity: Any) -> dict[str, Any]:
    remote = {"connection_id": "k1", "connection_path": _long(9)}
    return {
        "metadata": {"asset_id": asset_id, "asset_type": "data_asset", "name": _long(8), "catalog_id": "c1"},
        "entity": {"data_asset": {"columns": columns}, **entity},
        "attachments": [remote],
    }


async def _mirrored(mirror: Mirror, card: dict[str, Any]) -> None:
    changes = list(card_changes(card, Container("catalog", "c1"), 1, Rank.READ))
    async with mirror.store.write() as connection:
        await writer.apply(connection, [(0, change) for change in changes], Origin.SYNC)


async def test_names_ids_and_paths_of_any_length_are_mirrored(mirror: Mirror) -> None:
    """An index entry of PostgreSQL has room for 2,704 bytes; what is longer cost the whole asset."""
    first, second = _long(1), _long(1)[:-1] + "?"
    term, other = {"term_id": _long(2), "term_display_name": _long(3)}, {"term_id": _long(2) + "?"}
    info = {
        first: {"column_terms": [term, other], "column_classifications": [{"id": _long(4)}, {"id": _long(4) + "?"}]}
    }
    classified = {"data_classification_manual": [{"id": _long(5)}, {"id": _long(5) + "?"}]}
    card = _card(
        "i" * 1024,
        [{"name": first}, {"name": second}],
        column_info=info,
        asset_terms={"list": [term, other]},
        data_profile=classified,
    )

    await _mirrored(mirror, card)

    names = [name for (name,) in await mirror.all("SELECT name FROM v1_asset_columns ORDER BY position")]
    assert len(set(names)) == 2
    assert all(name.startswith(first[:400]) and len(name.encode()) <= 1024 for name in names)
    on_columns = "SELECT count(*) FROM v1_asset_terms t JOIN v1_asset_columns c ON c.name = t.column_name"
    assert await mirror.one(on_columns) == 2
    assert await mirror.one("SELECT count(*) FROM v1_asset_terms WHERE column_name = ''") == 2
    assert await mirror.one("SELECT count(*) FROM v1_asset_classifications") == 2
    assert await mirror.one("SELECT count(*) FROM v1_column_classifications") == 2
    assert await mirror.one("SELECT connection_path FROM v1_assets") == _long(9)
    async with mirror.store.read() as connection:
        assert [found.asset_id for found in await at_paths(connection, [_long(9), "/x"])] == ["i" * 1024]


async def test_positions_beyond_what_a_column_holds_do_not_cost_the_asset(mirror: Mirror) -> None:
    columns = [{"name": str(place), "position": place} for place in (2**31, 2**40, 2**70, -(2**31), 7)]

    await _mirrored(mirror, _card("a1", columns))

    assert await mirror.all("SELECT name, position FROM v1_asset_columns ORDER BY position, name") == [
        (str(2**31), 1), (str(2**40), 2), (str(2**70), 3), (str(-(2**31)), 4), ("7", 7),
    ]  # fmt: skip


async def test_positions_that_are_told_from_0_are_shown_from_1(mirror: Mirror) -> None:
    await _mirrored(mirror, _card("a1", [{"name": name, "position": place} for place, name in enumerate("abc")]))

    rows = await mirror.all("SELECT name, position FROM v1_asset_columns ORDER BY position")
    assert rows == [("a", 1), ("b", 2), ("c", 3)]


async def test_columns_with_the_same_name_are_all_there(mirror: Mirror) -> None:
    """As the result of a join has them, and names that differ in what no store can hold."""
    names = ["amount", "amount", "amount (2)", "amount", UNFIT, SHOWN]

    await _mirrored(mirror, _card("a1", [{"name": name} for name in names]))

    rows = await mirror.all("SELECT name FROM v1_asset_columns ORDER BY position")
    assert [name for (name,) in rows] == [
        "amount", "amount (2)", "amount (2) (2)", "amount (3)", SHOWN, f"{SHOWN} (2)",
    ]  # fmt: skip


async def test_classifications_of_columns_have_a_view(mirror: Mirror) -> None:
    info = {"email": {"column_classifications": [{"id": "pii", "name": "Personal", "global_id": "r_pii"}]}}

    await _mirrored(mirror, _card("a1", [{"name": "email"}], column_info=info))

    select = "SELECT asset_id, column_name, classification_id, classification, global_id FROM v1_column_classifications"
    assert await mirror.all(select) == [("a1", "email", "pii", "Personal", "r_pii")]
    await _mirrored(mirror, _card("a2", [{"name": "email"}]))
    assert await mirror.one("SELECT count(*) FROM v1_column_classifications") == 1


async def test_whole_numbers_that_are_told_as_text_keep_their_digits(mirror: Mirror) -> None:
    lengths = ["9007199254740993", 9007199254740993, "9007199254740993.0", "1e3", "1.5", "NaN", "9" * 400]
    columns = [{"name": str(at), "type": {"length": length}} for at, length in enumerate(lengths)]

    await _mirrored(mirror, _card("a1", columns))

    rows = await mirror.all("SELECT length FROM v1_asset_columns ORDER BY position")
    exact = 2**53 + 1
    assert [length for (length,) in rows] == [exact, exact, exact, 1000, None, None, None]
