"""Ids that look random, repeat for a seed, and can be turned back into the number they were made from."""

from __future__ import annotations

from collections import Counter
from enum import IntEnum
from hashlib import blake2b

_MASK48 = (1 << 48) - 1
#: Numbers below it are those of generated things.
_FIRST_NEW = 1 << 40


def mix(*numbers: int) -> int:
    """64 bits that depend on every number."""
    return int.from_bytes(blake2b(repr(numbers).encode(), digest_size=8).digest())


class Kind(IntEnum):
    """What an id is for; ids of different kinds never meet. Generated things and created ones are of two kinds."""

    ASSET = 1
    CREATED_ASSET = 2
    PROFILE = 3
    ATTACHMENT = 4
    CONTAINER = 5
    ARTIFACT = 6
    QUALITY = 7
    ASSET_LIST = 8
    JOB = 9
    RUN = 10
    LINEAGE = 11
    RELATIONSHIP_TYPE = 12
    PRIVATE_CATALOG = 13
    TOKEN = 14
    TRACE = 15
    REPOSITORY = 16
    CREATED_PROFILE = 17
    CREATED_ATTACHMENT = 18
    RULE = 19
    CATEGORY = 20
    CONTRACT = 21
    DATASOURCE_TYPE = 22


class Ids:
    """All ids of one catalog."""

    def __init__(self, seed: int) -> None:
        self._salts = {kind: blake2b(repr((seed, int(kind))).encode(), digest_size=10) for kind in Kind}
        self._masks = {kind: mix(seed, kind) & _MASK48 for kind in Kind}
        self._used: Counter[Kind] = Counter()

    def of(self, kind: Kind, index: int) -> str:
        """The id of the thing with this number."""
        salted = self._salts[kind].copy()
        salted.update(b"%d" % index)
        high = salted.hexdigest()
        return f"{high[:8]}-{high[8:12]}-4{high[12:15]}-a{high[15:18]}-{(index ^ self._masks[kind]) & _MASK48:012x}"

    def index_of(self, kind: Kind, text: str) -> int | None:
        """The number an id was made from, None if it is none of ours."""
        try:
            index = int(text[-12:], 16) ^ self._masks[kind]
        except ValueError:
            return None
        return index if self.of(kind, index) == text else None

    def new(self, kind: Kind) -> str:
        """The next unused id of a kind."""
        index = _FIRST_NEW + self._used[kind]
        self._used[kind] += 1
        return self.of(kind, index)
