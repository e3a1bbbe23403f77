"""Taking a person out of what is there, and knowing them again in what comes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import UsageError
from service.mirror.usage.people import People
from service.text.forgotten import MARK, Forgotten, Person
from service.text.principals import Principals, principal
from service.text.privacy import Privacy, clean_body

ANN = ("IBMid-550000ANN", "Ann O'Hara", "ann.ohara@example.org")


def holding(*names: str) -> Forgotten:
    known = Forgotten()
    known.learn(b"salt", Person(names).hashes(b"salt"), 1)
    return known


@pytest.mark.parametrize(
    ("told", "left"),
    [
        ("Ann O'Hara", MARK),
        ("ask ann o'hara, or ANN.OHARA@example.org.", f"ask {MARK}, or {MARK}."),
        ("joann o'hara and Ann O'Harass", "joann o'hara and Ann O'Harass"),
        ("mail joann.ohara@example.org", "mail joann.ohara@example.org"),
        ("ann.ohara@example.org.au", "ann.ohara@example.org.au"),
        (principal("IBMid-550000ANN", Principals.HASH), MARK),
    ],
)
def test_a_person_is_taken_out_of_texts_by_whole_names_alone(told: str, left: str) -> None:
    assert Person(ANN).hidden_text(told) == left


def test_keys_that_become_alike_stay_apart_and_nothing_else_changes() -> None:
    told = {"IBMid-550000ANN": 1, "Ann O'Hara": 2, "[forgotten]": 3, "other": [1.5, None, True]}
    left = Person(ANN).hidden(told)
    assert sorted(left.values(), key=str) == sorted(told.values(), key=str)
    assert len(left) == 4
    other = {"a": ["b", {"c": "d"}]}
    assert Person(ANN).hidden(other) is other


def test_what_comes_is_known_again_by_hashes_alone() -> None:
    known = holding(*ANN)
    told = {"owner_id": "ibmid-550000ann", "members": {"Ann O'Hara": "admin"}, "text": "write to Ann.OHara@example.org"}
    assert known.hidden(told) == {"owner_id": MARK, "members": {MARK: "admin"}, "text": f"write to {MARK}"}
    assert known.hidden_in_bytes(b"\xff ann.ohara@example.org") == b"\xff " + MARK.encode()
    assert "Ann" not in repr(vars(known))
    assert Forgotten().hidden(told) is told, "where nobody was forgotten nothing is walked"


def test_privacy_applies_it_before_names_are_hashed() -> None:
    body = json.dumps({"state": {"owner_id": ANN[0], "steward_ids": ["IBMid-1"]}}).encode()
    clean, changed = clean_body(body, 64, Privacy(Principals.HASH, forgotten=holding(*ANN)))
    owner = json.loads(clean)["state"]["owner_id"]
    assert changed
    assert ANN[0].encode() not in clean
    assert owner in (MARK, principal(MARK, Principals.HASH))
    assert Privacy(forgotten=holding(*ANN)).hides_people
    assert not Privacy().hides_people


def test_who_was_forgotten_uses_nothing() -> None:
    people = People("salt", Principals.KEEP, holding(*ANN))
    assert people.hash(ANN[0]) is None
    assert people.hash(MARK) is None
    assert people.any_hash(ANN[0]) == People("salt", Principals.KEEP).hash(ANN[0])
    assert people.hash("somebody else")


@pytest.mark.parametrize("names", [[], ["Al"], ["x" * 400], [f"name {n}" for n in range(30)]])
def test_names_that_cannot_be_used_are_refused(names: list[str]) -> None:
    with pytest.raises(UsageError):
        Person(names)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from([*ANN, f"<{ANN[2]}>"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.sampled_from(ANN), inner),
    max_leaves=20,
)


@given(_JSON)
def test_nothing_of_them_is_left_and_a_second_time_changes_nothing(value: Any) -> None:
    person = Person(ANN)
    left = person.hidden(value)
    assert person.hidden(left) is left
    text = json.dumps(left, ensure_ascii=False)
    assert not any(f'"{name}"' in text for name in ANN)
