"""Versions: which of two states is the newer one, as bytes and as Python sees it."""

from hypothesis import given
from hypothesis import strategies as st

from service.changes import SECOND_US, Rank, Version

digests = st.binary(min_size=16, max_size=16)
times = st.one_of(st.none(), st.integers(-62_135_510_400_000_000, 253_402_214_400_000_000), st.integers(0, 3))
versions = st.builds(Version, times, st.sampled_from(Rank), digests, digests)


def order(version: Version) -> tuple[object, ...]:
    at = (0, 0) if version.at_us is None else (1, version.at_us)
    return (at, int(version.rank), version.digest, version.whole)


@given(versions, versions)
def test_keys_sort_bytewise_as_versions_do(one: Version, other: Version) -> None:
    assert (one.key < other.key) == (order(one) < order(other))
    assert (one.key == other.key) == (one == other)


@given(versions)
def test_a_version_comes_back_from_its_key(version: Version) -> None:
    assert Version.from_key(version.key) == version
    assert len(version.key) == 41


@given(versions, versions)
def test_ties_are_mutual_and_never_with_oneself_or_a_stub(one: Version, other: Version) -> None:
    assert one.ties_with(other) == other.ties_with(one)
    assert not one.ties_with(one)
    assert Rank.STUB not in (one.rank, other.rank) or not one.ties_with(other)


@given(digests, digests, st.integers(-(10**15), 10**15), st.integers(0, SECOND_US - 1), st.integers(0, SECOND_US - 1))
def test_states_of_one_second_that_differ_tie(one: bytes, other: bytes, second: int, first: int, then: int) -> None:
    start = second * SECOND_US
    early, late = Version(start + first, Rank.EVENT, one), Version(start + then, Rank.READ, other)

    assert early.ties_with(late) == (one != other)
    assert not early.ties_with(Version(start + SECOND_US, Rank.EVENT, other))


def test_a_state_without_a_time_is_older_than_any_and_newer_than_a_stub() -> None:
    stub, listed, untimed = Version(None, Rank.STUB), Version(None, Rank.LISTED), Version(None, Rank.EVENT)
    ancient = Version(-62_000_000_000_000_000, Rank.STUB)

    assert stub.key < listed.key < untimed.key < ancient.key


def test_a_deletion_beats_a_state_of_the_same_moment() -> None:
    assert Version(5, Rank.DELETED).key > Version(5, Rank.EVENT, b"\xff" * 16, b"\xff" * 16).key
