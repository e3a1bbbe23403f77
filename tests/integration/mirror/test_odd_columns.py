"""What belongs to an asset arrives whatever characters it has, on either store, by whatever way the rows are sent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from service.changes import AssetColumn, AssetSaved, Container, Origin, Rank, TermAssigned, Version
from service.documents import document
from service.mirror import writer

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
