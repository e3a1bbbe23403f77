"""How many secrets are found, and how much that is none is taken for one: `python -m benchmarks.secrets`.

Secrets are made by the patterns of gitleaks (`gitleaks.tsv`), each in a sentence. Some of them gitleaks knows by their
own form, others by a vendor's name that stands before them (`asana = 4f1c…`); of the latter we look for no vendor, but
for a word of a secret (`asana_token = 4f1c…`). What is none is what events of profiles and cards say every day: names,
ids, types, digests, sentences, addresses, values of tables.
"""

from __future__ import annotations

import argparse
import importlib
import random
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.events import samples_of
from service.text import documents
from service.text.redaction import redact

#: What reads patterns has no public name.
_parser: Any = importlib.import_module("re._parser")
_RULES = Path(__file__).with_name("gitleaks.tsv")
#: How gitleaks writes what may stand between a vendor's name and a secret; and what people write there.
_BETWEEN = r"""(?:[ \t\w.-]{0,20})[\s'"]{0,3}(?:=|>|:{1,3}=|\|\||:|=>|\?=|,)[\x60'"\s=]{0,5}"""
_WORDS, _SIGN = ("_token", "_api_key", "_secret", "_password", "_access_key"), """(?:=| = |: |="|": ")"""
#: Secrets made of each rule, and everyday values.
SAMPLES, VALUES = 10, 200_000
#: Longest repetition that is made where a pattern has no bound.
_LONGEST = 40


class Rule(NamedTuple):
    """What gitleaks looks for."""

    name: str
    pattern: str

    @property
    def is_by_form(self) -> bool:
        """Whether the secret is known by itself."""
        return "{0,50}?" not in self.pattern

    def with_word(self, word: str) -> Rule:
        """The same secrets with this word between the vendor's name and them, assigned as people write it."""
        return self._replace(pattern=self.pattern.replace(_BETWEEN, word + _SIGN))


class Recall(NamedTuple):
    """Of how many secrets of a rule how many are found."""

    rule: Rule
    made: int
    found: int


def rules() -> list[Rule]:
    """All of gitleaks', in their order."""
    lines = _RULES.read_text(encoding="utf-8").splitlines()
    pairs = (line.split("\t", 1) for line in lines if not line.startswith("#"))
    return [Rule(name, pattern) for name, pattern in pairs]


def recall(told: Sequence[Rule], samples: int = SAMPLES, seed: int = 2026) -> list[Recall]:
    """How many secrets of each rule are found, in a sentence of a description."""
    chance = random.Random(seed)
    found = []
    for rule in told:
        made = [text_of(rule.pattern, chance) for _ in range(samples)]
        found.append(Recall(rule, samples, sum(_is_found(f"see {text} there") for text in made)))
    return found


def _is_found(text: str) -> bool:
    return redact({"description": text})[1]


def text_of(pattern: str, chance: random.Random) -> str:
    """A text that a pattern matches."""
    return "".join(_parts(_parser.parse(pattern), chance))


def _parts(parsed: Any, chance: random.Random) -> Iterator[str]:
    for operator, told in parsed:
        match str(operator):
            case "LITERAL":
                yield chr(told)
            case "NOT_LITERAL":
                yield "x"
            case "ANY":  # mostly a dot of an address that nobody escaped
                yield "."
            case "IN":
                yield chance.choice(_members(told))
            case "BRANCH":
                yield from _parts(chance.choice(told[1]), chance)
            case "SUBPATTERN":
                yield from _parts(told[3], chance)
            case "MAX_REPEAT" | "MIN_REPEAT" | "POSSESSIVE_REPEAT":
                least, most, what = told
                for _ in range(chance.randint(least, max(least, min(most, _LONGEST)))):
                    yield from _parts(what, chance)
            case _:  # the beginning, the end, the boundary of a word: nothing stands there
                continue


_WORD = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
_CLASSES = {"CATEGORY_DIGIT": "0123456789", "CATEGORY_WORD": f"{_WORD}_", "CATEGORY_SPACE": " \n"}
_ALL = "".join(map(chr, range(32, 127)))


def _members(told: Any) -> str:
    """Characters of a set; letters and digits where it has any, so that no sign ends the text too early."""
    found, is_negated = "", False
    for operator, what in told:
        match str(operator):
            case "LITERAL":
                found += chr(what)
            case "RANGE":
                found += "".join(map(chr, range(what[0], min(what[1], 126) + 1)))
            case "CATEGORY":
                found += _CLASSES.get(str(what), "x")
            case "NEGATE":
                is_negated = True
    found = "".join(char for char in _ALL if char not in found) if is_negated else found
    return "".join(filter(str.isalnum, found)) or found


def false_alarms(values: int = VALUES, seed: int = 2026) -> list[str]:
    """Of so many everyday values, and of profile events beside them, what is taken for a secret."""
    chance = random.Random(seed)
    wrong = [f"{key}: {value}" for key, value in everyday(values, chance) if redact({key: value})[1]]
    for sample in samples_of(max(1, values // 1000), seed):
        clean, blanked = redact(documents.read(sample.body, 64))
        wrong += [str(clean)] if blanked else []
    return wrong


_NAMES = (
    "CUSTOMER_ID", "order_total", "password_hash", "PWD_CHANGED_AT", "token_count", "secret_santa", "passenger",
    "api_key_id", "KOSTENSTELLE", "顧客番号", "pass_rate", "cookie_consent", "auth_mode", "session_key_len", "E-Mail",
    "access_key_rotated",
)  # fmt: skip
_SENTENCES = (
    "Customers that bought in the last {n} days", "The password of a user is kept elsewhere", "Primary key: {id}",
    "Tokens per request, at most {n}", "Loaded from s3://lake/raw/{id}/part-{n}.parquet", "commit {hex}", "hf_{n}",
    "see https://wiki.example.com/x/{id}?tab={n}#top", "jdbc:postgresql://db.example.com:5432/shop?ssl=true",
    "SELECT a, b FROM t WHERE c = '{id}' AND n > {n}", "Steward is jane.doe{n}@example.com", "IBAN DE{digits}",
    "checksum sha256:{hex}", "build 2026.{n}.1-rc{n}", "Data class 'Credit card number' with confidence 0.{n}",
    "Passwords must not be stored in clear text", "{id}:{n}:{id}", "Contains secrets of the trade", "sk-{n}",
    "key-value pairs of {id}", "Authorization is done by the gateway", "AKIA is a prefix", "SG.{n}", "pat.{n}",
    "xoxb tokens are blanked", "git clone https://github.com/x/{id}.git", "Bearer of the policy {n}", "A3-{n}",
    "curl -s https://h/{id}", "host:5432:{n}", "cookie jar {n}", "npm_{n}", "ABSK{n}", "EAAA{n}",
)  # fmt: skip


def everyday(number: int, chance: random.Random) -> Iterator[tuple[str, Any]]:
    """So many members as objects of the catalog have them, with no secret among them."""
    keys = (
        "name",
        "description",
        "guid",
        "asset_id",
        "type",
        "value",
        "comment",
        "text",
        "sample",
        "display_name",
        "path",
    )
    for _ in range(number):
        yield chance.choice(keys), _VALUES[chance.randrange(len(_VALUES))](chance)


def _sentence(chance: random.Random) -> str:
    return chance.choice(_SENTENCES).format(
        n=chance.randrange(1000), id=_id(chance), hex=f"{chance.getrandbits(256):064x}",
        digits=f"{chance.randrange(10**20):020d}",
    )  # fmt: skip


def _id(chance: random.Random) -> str:
    return str(uuid.UUID(int=chance.getrandbits(128), version=4))


def _words(chance: random.Random) -> str:
    return "".join(chance.choices(_WORD, k=chance.randint(4, 40)))


_VALUES = (
    _id,
    _sentence,
    _sentence,
    _words,
    lambda chance: f"{chance.choice(_NAMES)}_{chance.randrange(100)}",
    lambda chance: chance.choice(_NAMES),
    lambda chance: f"{chance.getrandbits(chance.choice((64, 128, 160, 256))):x}",
    lambda chance: chance.randrange(10**9),
    lambda chance: f"/catalogs/{_id(chance)}/{chance.choice(_NAMES)}/{chance.randrange(100)}",
    lambda chance: f"2026-05-{chance.randrange(1, 29):02d}T{chance.randrange(24):02d}:04:15Z",
    lambda chance: f"{chance.choice(_NAMES).lower()}@{chance.randrange(99)}.example.com",
    lambda chance: "-".join(chance.choice(_NAMES).lower() for _ in range(3)),
)


def groups() -> dict[str, list[Rule]]:
    """Rules by how the secret is known."""
    by_form = [rule for rule in rules() if rule.is_by_form]
    by_name = [rule for rule in rules() if not rule.is_by_form]
    chance = random.Random(0)
    return {
        "by their form": by_form,
        "by a vendor's name, with a word for a secret": [rule.with_word(chance.choice(_WORDS)) for rule in by_name],
        "by a vendor's name alone": [rule.with_word("") for rule in by_name],
    }


def share_of(told: Sequence[Recall]) -> float:
    """Which share of the secrets is found."""
    return sum(one.found for one in told) / sum(one.made for one in told)


def main() -> int:
    """Measure both and tell it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.secrets", description="Measure what is blanked.")
    parser.add_argument("--missed", action="store_true", help="name the rules of which secrets stay, too")
    chosen = parser.parse_args()
    for group, some in groups().items():
        told = recall(some)
        print(f"{share_of(told):6.1%} of secrets that gitleaks knows {group} ({len(some)} rules)")
        for one in told:
            if chosen.missed and one.found < one.made:
                print(f"    {one.rule.name}: {one.found} of {one.made}")
    wrong = false_alarms()
    print(
        "\n    ".join(
            (f"{len(wrong):6} of {VALUES:,} everyday values were blanked", *(one[:100] for one in wrong[:10]))
        )
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
