"""A tree of digests over things and their states: two sets are compared from the root down, in few steps.

A thing has a place by the digest of its kind and id: the first three hexadecimal digits name its bucket, one of 4,096,
which the tree has two levels of 16 above. A bucket's digest is over the places and states of its things in order, a
node's over its children. So sets are equal where their roots are, whatever order they came in, and where they differ
the way down meets 16 digests a level.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from tempfile import TemporaryFile, gettempdir
from typing import IO, Any, NamedTuple

import msgspec

from service.errors import MirrorError

#: Bytes of a digest.
SIZE = 16
#: Levels of the tree below its root; a level has 16 times as many nodes as the one above.
DEPTH = 3
_DIGITS = "0123456789abcdef"
#: Bytes of a thing in a bucket: its place and its state.
_RECORD = 2 * SIZE


class Thing(NamedTuple):
    """A thing, and the digest of its state."""

    place: str
    kind: str
    id: str
    state: str


def thing_of(kind: str, thing_id: str, state: bytes) -> Thing:
    """A thing with its place in the tree."""
    return Thing(place_of(kind, thing_id).hex(), kind, thing_id, state.hex())


def place_of(kind: str, thing_id: str) -> bytes:
    """Where a thing is in the tree."""
    return blake2b(f"{kind}\0{thing_id}".encode("utf-8", "surrogatepass"), digest_size=SIZE).digest()


def _digest(parts: Iterable[bytes]) -> bytes:
    return blake2b(b"".join(parts), digest_size=SIZE).digest()


class Gathering:
    """Takes things in any order, some forty bytes each; answers the digests of their buckets."""

    def __init__(self) -> None:
        self._buckets: dict[str, bytearray] = {}

    def add(self, place: bytes, state: bytes) -> None:
        """One thing."""
        name = place[:2].hex()[:DEPTH]
        self._buckets.setdefault(name, bytearray()).extend(place + state)

    def tree(self) -> Tree:
        """The tree of all."""
        return Tree({name: _bucket_digest(held).hex() for name, held in self._buckets.items()})


def _bucket_digest(held: bytes | bytearray) -> bytes:
    return _digest(sorted(bytes(held[start : start + _RECORD]) for start in range(0, len(held), _RECORD)))


def digest_of_bucket(things: Iterable[Thing]) -> str:
    """The digest of a bucket, by its things."""
    return _bucket_digest(b"".join(bytes.fromhex(one.place + one.state) for one in things)).hex()


class Tree:
    """Digests of the buckets that are not empty, by name, and of the nodes above, which are made of them."""

    def __init__(self, buckets: Mapping[str, str]) -> None:
        self.buckets = dict(sorted(buckets.items()))
        self._nodes = dict(self.buckets)
        level = self.buckets
        for length in reversed(range(DEPTH)):
            parts: dict[str, list[str]] = {}
            for name, digest in level.items():
                parts.setdefault(name[:length], []).append(name[length] + digest)
            level = {name: _digest([part.encode() for part in told]).hex() for name, told in parts.items()}
            self._nodes |= level

    @property
    def root(self) -> str:
        """The digest of everything; empty where there is nothing."""
        return self._nodes.get("", "")

    def node(self, name: str) -> str | None:
        """The digest of a node, which its digits name from the root; None: nothing is below it."""
        return self._nodes.get(name)


@dataclass(frozen=True, slots=True)
class Compared:
    """Buckets that differ, in order, and how many digests were looked at in each tree."""

    buckets: list[str]
    steps: int


def compare(one: Tree, other: Tree, most: int) -> Compared:
    """From the root down to the first buckets that differ, at most so many."""
    found: list[str] = []
    steps, waiting = 0, [""]
    while waiting and len(found) < most:
        name = waiting.pop()
        steps += 1
        if one.node(name) == other.node(name):
            continue
        if len(name) == DEPTH:
            found.append(name)
        else:
            waiting += [name + digit for digit in reversed(_DIGITS)]
    return Compared(found, steps)


class ThingsDamaged(MirrorError):
    """The file of things {path} does not fit its certificate: {problem}."""

    remedy = "Take the file that was written with the certificate, whole and unchanged."


class ThingsNotWritten(MirrorError):
    """The file of things cannot be written in {place}: {problem}."""

    remedy = "Make room there, or choose another path; things wait in the system's temporary folder (TMPDIR) first."


_line = msgspec.json.Decoder(tuple[str, str, str, str])


class Sorting:
    """Writes things into a file in the order of their places, without holding all of them in memory."""

    def __init__(self) -> None:
        self._parts: dict[str, IO[bytes]] = {}
        for digit in _DIGITS:
            self._parts[digit] = TemporaryFile()  # noqa: SIM115 (closed by `close`)

    def add(self, thing: Thing) -> None:
        """One thing.

        Raises:
            ThingsNotWritten: there is no room for it.
        """
        try:  # for each of a million things, so without a context manager
            self._parts[thing.place[0]].write(msgspec.json.encode(thing) + b"\n")
        except OSError as error:
            raise _not_written(gettempdir(), error) from None

    def write(self, path: Path) -> None:
        """All of them, readable by the owner alone; a file that is there is replaced whole; raises as `add` does."""
        part = path.with_name(path.name + ".part")
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                for held in self._parts.values():
                    held.seek(0)
                    file.writelines(sorted(held))
            part.replace(path)
        except OSError as error:
            raise _not_written(path.parent, error) from None

    def close(self) -> None:
        """Give the space back."""
        for part in self._parts.values():
            part.close()


def _not_written(place: str | Path, error: OSError) -> ThingsNotWritten:
    """A full disk of ours is no failure of the store that is read meanwhile."""
    return ThingsNotWritten(place=place, problem=error.strerror or error)


class Things:
    """A file of things in the order of their places, of which a bucket is found by halving."""

    def __init__(self, path: Path) -> None:
        self._path = path
        #: Lines that were read.
        self.read = 0

    def bucket(self, name: str, tree: Tree) -> list[Thing]:
        """The things of one bucket.

        Raises:
            ThingsDamaged: the file cannot be read, or the bucket is not what the tree says.
        """
        try:
            with self._path.open("rb") as file:
                found = list(self._from(file, name))
        except OSError as error:
            raise ThingsDamaged(path=self._path, problem=error.strerror or error) from None
        except (msgspec.DecodeError, ValueError) as error:
            raise ThingsDamaged(path=self._path, problem=error) from None
        told = digest_of_bucket(found) if found else None
        if told != tree.buckets.get(name):
            raise ThingsDamaged(path=self._path, problem=f"bucket {name} has another digest")
        return found

    def _from(self, file: IO[bytes], name: str) -> Iterator[Thing]:
        low, high = 0, file.seek(0, os.SEEK_END)
        while low < high:  # the first line that begins at or after `low` and is not before the bucket
            middle = (low + high) // 2
            thing = self._at(file, middle)
            if thing is None or thing.place >= name:
                high = middle
            else:
                low = middle + 1
        self._seek(file, low)
        while (thing := self._next(file)) and thing.place.startswith(name):
            yield thing

    def _at(self, file: IO[bytes], place: int) -> Thing | None:
        self._seek(file, place)
        return self._next(file)

    @staticmethod
    def _seek(file: IO[bytes], place: int) -> None:
        """To the beginning of the first line that begins at or after a byte."""
        file.seek(max(0, place - 1))
        if place:
            file.readline()

    def _next(self, file: IO[bytes]) -> Thing | None:
        line = file.readline()
        self.read += bool(line)
        return Thing(*_line.decode(line)) if line else None


def differing(ours: Iterable[Thing], theirs: Iterable[Thing]) -> list[dict[str, Any]]:
    """Things that only one side has, or that have another state there."""
    here, there = ({(one.kind, one.id): one.state for one in side} for side in (ours, theirs))
    told = []
    for kind, thing_id in sorted({*here, *there}):
        one, other = here.get((kind, thing_id)), there.get((kind, thing_id))
        if one != other:
            how = "another state" if one and other else "only here" if one else "only in the certificate"
            told.append({"kind": kind, "id": thing_id, "how": how})
    return told
