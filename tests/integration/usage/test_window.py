"""What a window comes to, against a calculation of another kind; on every day boundary, in many zones."""

from __future__ import annotations

from collections import defaultdict
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from service.changes import UsageObserved
from service.mirror import writer
from service.mirror.usage.figures import Figure, figures
from service.mirror.usage.window import last_window, midnight, window_until
from service.text.times import from_datetime

if TYPE_CHECKING:
    from tests.integration.conftest import Mirror

#: Zones whose days are odd: half and quarter hours, jumps at midnight and over it, half an hour of summer, a lost day.
ZONES = (
    "UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Asia/Kathmandu", "Pacific/Chatham", "Pacific/Apia",
    "Australia/Lord_Howe", "America/Sao_Paulo", "America/Havana", "Africa/Cairo", "Asia/Beirut", "Pacific/Kiritimati",
    "America/St_Johns",
)  # fmt: skip
SECOND = timedelta(seconds=1)


def first_moment(day: date, zone: ZoneInfo) -> datetime:
    """By looking at the clock, second by second within a search: the first moment at which the zone shows the day."""
    low, high = (datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(hours=hours) for hours in (-30, 30))
    assert low.astimezone(zone).date() < day <= high.astimezone(zone).date()
    # Coarsely from the front, so that a clock that goes back over midnight does not mislead the search.
    while (low + timedelta(minutes=10)).astimezone(zone).date() < day:
        low += timedelta(minutes=10)
    while low.astimezone(zone).date() < day:
        low += SECOND
    return low


@pytest.mark.parametrize("name", ZONES)
def test_every_day_of_ten_years_begins_when_the_clock_first_shows_it(name: str) -> None:
    zone = ZoneInfo(name)
    for number in range(3700):
        day = date(2011, 12, 20) + timedelta(number)
        if number % 30 and all(_offset(day, zone) == _offset(day + timedelta(more), zone) for more in (-1, 1)):
            continue  # nothing happens around this day
        if day != date(2011, 12, 30) or name != "Pacific/Apia":  # a day that Samoa left out
            assert midnight(day, zone) == first_moment(day, zone), day


def _offset(day: date, zone: ZoneInfo) -> Any:
    return datetime(day.year, day.month, day.day, tzinfo=UTC).astimezone(zone).utcoffset()


@given(st.integers(1_420_070_400, 1_893_456_000), st.sampled_from(ZONES), st.integers(0, 7 * 86_400))
def test_the_last_window_is_over_for_as_long_as_asked_and_no_later_one_is(now_s: int, name: str, delay_s: int) -> None:
    zone, moment = ZoneInfo(name), datetime.fromtimestamp(now_s, UTC)
    found = last_window(moment, zone, delay_s)
    day = found.end.astimezone(zone).date()
    settled = moment - timedelta(seconds=delay_s)

    assert found == window_until(day, zone)
    assert found.end <= settled < first_moment(day + timedelta(1), zone)


def by_hand(facts: list[UsageObserved], days: tuple[date, date], zone: ZoneInfo, same: dict[str, str]) -> Any:
    """The figures by looking at each fact on its own, by the clock of the zone."""
    uses: dict[str, int] = defaultdict(int)
    users: dict[str, set[str]] = defaultdict(set)
    last: dict[str, int] = {}
    begin, end = (first_moment(day, zone) for day in days)
    for fact in sorted(facts, key=lambda fact: (fact.at_us, fact.fact_id)):
        number = fact.number
        if fact.counter is not None:
            number = max(0, fact.number - last.get(fact.counter, fact.number))
            last[fact.counter] = fact.number
        moment = datetime.fromtimestamp(fact.at_us // 1_000_000, UTC) + timedelta(microseconds=fact.at_us % 1_000_000)
        if begin <= moment < end and number:
            asset = same.get(fact.asset_id, fact.asset_id)
            uses[asset] += number
            users[asset] |= {fact.user} if fact.user else set()
    return {asset: Figure(number, len(users[asset]) or None) for asset, number in uses.items()}


@st.composite
def histories(draw: st.DrawFn) -> tuple[list[UsageObserved], date, str]:
    """Uses and readings, many of them a moment before or after a midnight of the window."""
    name, end = draw(st.sampled_from(ZONES)), draw(st.dates(date(2016, 1, 1), date(2027, 1, 1)))
    zone = ZoneInfo(name)
    facts = []
    for number in range(draw(st.integers(0, 25))):
        day = end - timedelta(days=draw(st.sampled_from((0, 1, 2, 15, 29, 30, 31, 40))))
        off_us = draw(st.one_of(st.sampled_from((-1, 0, 1)), st.integers(-43_200_000_000, 43_200_000_000)))
        asset, at_us = draw(st.sampled_from("abcd")), from_datetime(midnight(day, zone)) + off_us
        if draw(st.integers(0, 3)) == 0:
            stood = draw(st.integers(0, 9))
            facts.append(UsageObserved(f"f{number}", asset, at_us, "statistic", None, stood, f"counter of {asset}"))
        else:
            facts.append(UsageObserved(f"f{number}", asset, at_us, "import", draw(st.sampled_from((None, *"xyz")))))
    return facts, end, name


@given(told=histories(), same=st.sampled_from(({}, {"b": "a"}, {"b": "a", "d": "c"})), twice=st.booleans())
@settings(
    max_examples=60, deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)  # fmt: skip
async def test_the_figures_of_any_history_are_those_of_an_independent_calculation(
    mirror: Mirror, told: tuple[list[UsageObserved], date, str], same: dict[str, str], twice: bool
) -> None:
    facts, end, name = told
    await mirror.clear()
    async with mirror.store.write() as connection:
        for part in (facts[::2], facts[1::2], facts if twice else []):
            await writer.apply(connection, enumerate(part))
        zone = ZoneInfo(name)
        found = await figures(connection, window_until(end, zone), same)

    assert found == by_hand(facts, (end - timedelta(30), end), zone, same)
