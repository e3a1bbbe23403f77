"""Which keys a listing had: eight bytes each, so that a million fit into a few megabytes."""

from __future__ import annotations

from array import array
from bisect import bisect_left

_BUCKETS = 256


class Seen:
    """A set of texts that may only take one for another once in 10^13 times.

    A text that is taken for one that was seen would keep a row that is no more until the next time.
    """

    def __init__(self) -> None:
        self._buckets = [array("Q") for _ in range(_BUCKETS)]
        self._sorted = True

    def add(self, text: str) -> None:
        """Note a text."""
        number = _hash(text)
        self._buckets[number % _BUCKETS].append(number)
        self._sorted = False

    def __contains__(self, text: str) -> bool:
        if not self._sorted:
            for place, bucket in enumerate(self._buckets):  # one by one, lest all of it be there twice
                self._buckets[place] = array("Q", sorted(bucket))
            self._sorted = True
        number = _hash(text)
        bucket = self._buckets[number % _BUCKETS]
        place = bisect_left(bucket, number)
        return place < len(bucket) and bucket[place] == number

    def __len__(self) -> int:
        return sum(map(len, self._buckets))


def _hash(text: str) -> int:
    """64 bits of SipHash under a key of this process, which is as long as a set lives."""
    return hash(text) & 0xFFFF_FFFF_FFFF_FFFF
