"""The tree of digests, the file of things beside it, and the certificates that carry it."""

from __future__ import annotations

import json
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from service.text import certificates
from service.text.certificates import CertificateInvalid, KeyUnusable, StrangerSigned
from service.text.digest_tree import (
    DEPTH,
    Gathering,
    Sorting,
    Thing,
    Things,
    ThingsDamaged,
    ThingsNotWritten,
    Tree,
    compare,
    differing,
    place_of,
    thing_of,
)

States = dict[tuple[str, str], bytes]
_STATES = st.dictionaries(
    st.tuples(st.sampled_from(["asset", "data_profile"]), st.text(min_size=1, max_size=6)),
    st.binary(min_size=16, max_size=16),
    max_size=40,
)


def tree_of(states: States) -> Tree:
    gathering = Gathering()
    for (kind, thing_id), state in states.items():
        gathering.add(place_of(kind, thing_id), state)
    return gathering.tree()


def file_of(path: Path, states: States) -> Path:
    sorting = Sorting()
    for (kind, thing_id), state in states.items():
        sorting.add(thing_of(kind, thing_id, state))
    sorting.write(path)
    sorting.close()
    return path


@given(_STATES, st.randoms())
def test_a_root_says_what_there_is_in_whatever_order_it_came(states: States, random: object) -> None:
    shuffled = list(states.items())
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    assert tree_of(dict(shuffled)).root == tree_of(states).root


@given(_STATES, _STATES)
def test_roots_are_equal_where_all_is_equal_and_nowhere_else(one: States, other: States) -> None:
    assert (tree_of(one).root == tree_of(other).root) == (one == other)


def test_the_way_down_meets_few_digests() -> None:
    states = {("asset", f"a{number}"): number.to_bytes(16, "big") for number in range(100_000)}
    ours, theirs = tree_of(states), tree_of(states | {("asset", "a77"): b"x" * 16})
    assert len(ours.buckets) == 16**DEPTH
    assert compare(ours, ours, 5).steps == 1
    found = compare(ours, theirs, 5)
    assert found.buckets == [place_of("asset", "a77").hex()[:DEPTH]]
    assert found.steps <= 1 + 16 * DEPTH


def test_what_differs_is_named_by_reading_few_lines(tmp_path: Path) -> None:
    states = {("asset", f"a{number}"): number.to_bytes(16, "big") for number in range(50_000)}
    changed = {key: state for key, state in states.items() if key[1] != "a5"}
    changed |= {("asset", "a77"): b"x" * 16, ("asset", "new"): b"n" * 16}
    files = [Things(file_of(tmp_path / str(number), told)) for number, told in enumerate((states, changed))]
    trees = tree_of(states), tree_of(changed)

    found = compare(*trees, 5)
    named = [
        one for name in found.buckets
        for one in differing(files[0].bucket(name, trees[0]), files[1].bucket(name, trees[1]))
    ]  # fmt: skip

    assert sorted((one["id"], one["how"]) for one in named) == [
        ("a5", "only here"), ("a77", "another state"), ("new", "only in the certificate"),
    ]  # fmt: skip
    assert files[0].read + files[1].read < 0.01 * 100_000


@given(states=_STATES)
def test_every_bucket_of_a_file_is_found(states: States, tmp_path_factory: pytest.TempPathFactory) -> None:
    told, tree = Things(file_of(tmp_path_factory.mktemp("things") / "f", states)), tree_of(states)
    found = [thing for name in tree.buckets for thing in told.bucket(name, tree)]
    assert sorted(found) == sorted(thing_of(*key, state) for key, state in states.items())


@pytest.mark.parametrize("damage", [b"", b"no json\n", b'["000","a"]\n', b'{"a": 1}\n'])
def test_a_damaged_file_of_things_is_told(tmp_path: Path, damage: bytes) -> None:
    states = {("asset", "a1"): b"1" * 16}
    path = file_of(tmp_path / "things", states)
    path.write_bytes(damage)
    (name,) = tree_of(states).buckets
    with pytest.raises(ThingsDamaged):
        Things(path).bucket(name, tree_of(states))
    with pytest.raises(ThingsDamaged, match="No such file"):
        Things(tmp_path / "nothing").bucket(name, tree_of(states))
    assert differing([Thing("0", "k", "i", "1")], [Thing("0", "k", "i", "1")]) == []


# Certificates.


@pytest.fixture(scope="module")
def key() -> Ed25519PrivateKey:
    return Ed25519PrivateKey.generate()


def test_what_was_signed_is_read_again_with_whose_key_it_is(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    path = tmp_path / "c.json"
    path.write_bytes(certificates.signed({"a": [1, "é"]}, key))
    told, signer = certificates.opened(path, key.public_key())
    assert told["a"] == [1, "é"]
    assert signer == certificates.fingerprint(key.public_key())
    with pytest.raises(StrangerSigned, match="another key"):
        certificates.opened(path, Ed25519PrivateKey.generate().public_key())


def test_a_change_of_any_byte_is_noticed(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    made = certificates.signed({"container": "c1", "things": 17}, key)
    path = tmp_path / "c.json"
    for place in range(len(made)):
        for other in {made[place] ^ 1, made[place] ^ 32, ord("A")} - {made[place]}:
            path.write_bytes(made[:place] + bytes([other]) + made[place + 1 :])
            with pytest.raises(CertificateInvalid):
                certificates.opened(path)
    for cut in (made[:-1], made + b"\n", made[:50], b"", b"[]\n", b"\xff", json.dumps(json.loads(made)).encode()):
        path.write_bytes(cut)
        with pytest.raises(CertificateInvalid):
            certificates.opened(path)


def test_keys_are_read_from_pem_files_and_others_are_refused(tmp_path: Path, key: Ed25519PrivateKey) -> None:
    secret, public = tmp_path / "key.pem", tmp_path / "public.pem"
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    assert certificates.private_key(secret).private_bytes_raw() == key.private_bytes_raw()
    assert certificates.public_key(public) == key.public_key()
    with pytest.raises(KeyUnusable, match="No such file"):
        certificates.private_key(tmp_path / "none")
    for path, reads in ((public, certificates.private_key), (secret, certificates.public_key)):
        with pytest.raises(KeyUnusable, match="no PEM file"):
            reads(path)


def test_a_full_disk_is_told_as_such(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    thing = thing_of("asset", "a1", b"state")
    with closing(Sorting()) as sorting:
        sorting.add(thing)
        with pytest.raises(ThingsNotWritten, match="cannot be written in"):
            sorting.write(tmp_path / "missing" / "things.ndjson")
    full_disk = partial(Path("/dev/full").open, "wb", buffering=0)
    monkeypatch.setattr("service.text.digest_tree.TemporaryFile", full_disk)
    with closing(Sorting()) as full, pytest.raises(ThingsNotWritten, match="No space left on device"):
        full.add(thing)
