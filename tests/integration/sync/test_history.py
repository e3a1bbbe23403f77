"""A random life of the catalog, with events lost, repeated and out of order, ends in an equal mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sandbox.catalog.clock import SteppingClock
from sandbox.catalog.feed import Mischief, Scrambler
from sandbox.catalog.history import History
from sandbox.catalog.knobs import Knobs
from sandbox.catalog.model import PocketCatalog
from service.changes import Origin
from service.events.message import Message
from tests.integration.sync.truth import differences, expected_rows

if TYPE_CHECKING:
    from tests.integration.sync.conftest import Reading

OPERATIONS = 3000
LAG_S = 30.0


async def test_events_with_mischief_and_one_reconcile_end_in_an_equal_mirror(reading: Reading) -> None:
    catalog = PocketCatalog(seed=3, assets=150, clock=SteppingClock(), knobs=Knobs(index_lag_s=LAG_S))
    scrambler = Scrambler(Mischief(drop=0.2, repeat=0.2, reorder=0.3), seed=3)
    waiting: list[Message] = []
    catalog.sink = lambda key, body: waiting.extend(Message(*message) for message in scrambler.pass_on((key, body)))
    async with reading(catalog) as reader:
        await reader.snapshot()
        history = History(catalog, seed=3)
        for number in range(OPERATIONS):
            history.step()
            if number % 50 == 0:
                await reader.pipeline.process(waiting, Origin.LIVE)
                waiting.clear()
        catalog.clock.advance(2 * LAG_S)  # type: ignore[attr-defined]
        catalog.catch_up()
        assert await differences(reader.mirror, catalog) != {}

        await reader.reconcile(accept_deletions=True)

        left = await differences(reader.mirror, catalog)
        assert left == {}, left
        assert history.done.total() == OPERATIONS
        assert all(expected_rows(catalog).values()), "nothing of a kind is left to compare"
