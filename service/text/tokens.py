"""Tokens that are known by how they begin: a table with who tells of each, to which settings may add forms.

A form is written like a regular expression, of which there is no more than this: characters that stand for themselves,
and sets of characters with how often they come, as in `acme_[A-Za-z0-9]{20,40}`. It has one reading, and is tried where
its beginning stands alone, so that no text takes longer than in proportion to its length.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from ahocorasick_rs import BytesAhoCorasick

#: Bounds of a form: characters of its beginning and of a whole token at least, how often a set may come at most,
#: characters of the form itself; and how many forms settings may add.
BEGIN_MIN, TOKEN_MIN, COUNT_MAX, FORM_MAX, FORMS_MAX = 3, 10, 1024, 200, 100


class Vendor(NamedTuple):
    """Whose tokens they are, who tells of them, and in which forms they are written."""

    name: str
    source: str
    forms: tuple[str, ...]


_GITLEAKS = "gitleaks, config/gitleaks.toml of 2026-07-22"

VENDORS: tuple[Vendor, ...] = (
    Vendor("GitHub", "https://docs.github.com/authentication, Token formats", (
        *(f"gh{kind}_[A-Za-z0-9]{{16,255}}" for kind in "opusr"), "github_pat_[A-Za-z0-9_]{20,255}",
    )),
    Vendor("GitLab", "https://docs.gitlab.com/security/tokens, Token prefixes", (
        "glpat-[A-Za-z0-9_.-]{16,320}", "glrt-[A-Za-z0-9_.-]{16,320}", "glagent-[A-Za-z0-9_-]{16,1024}",
        *(f"gl{kind}-[A-Za-z0-9_-]{{16,255}}" for kind in ("dt", "cbt", "ptt", "ft", "soat", "imt", "oas", "ffct")),
        "GR1348941[A-Za-z0-9_-]{20,50}",
    )),
    Vendor("Slack", "https://docs.slack.dev/authentication/tokens", (
        *(f"xox{kind}-[A-Za-z0-9-]{{8,255}}" for kind in "abeoprs"),
        "xapp-[A-Za-z0-9-]{8,255}",
    )),
    Vendor("AWS", "https://docs.aws.amazon.com/IAM, Unique identifiers", (
        *(f"{kind}[A-Z0-9]{{16}}" for kind in ("AKIA", "ASIA", "ABIA", "ACCA")), "A3T[A-Z0-9]{17}",
        "ABSK[A-Za-z0-9+/]{109,269}", "bedrock-api-key-[A-Za-z0-9+/]{20,1024}",
    )),
    Vendor("Google", _GITLEAKS, ("AIza[A-Za-z0-9_-]{35}",)),
    Vendor("Alibaba", _GITLEAKS, ("LTAI[A-Za-z0-9]{20}",)),
    Vendor("Databricks", _GITLEAKS, ("dapi[0-9a-f]{32}-[0-9]{1}", "dapi[0-9a-f]{32}")),
    Vendor("Stripe", "https://docs.stripe.com/keys", tuple(
        f"{kind}k_{stage}_[A-Za-z0-9]{{10,255}}" for kind in "rs" for stage in ("live", "test", "prod")
    )),
    Vendor("HashiCorp Vault", _GITLEAKS, ("hvs.[A-Za-z0-9_-]{90,120}", "hvb.[A-Za-z0-9_-]{138,300}")),
    Vendor("OpenAI and Anthropic", _GITLEAKS, (
        *(f"sk-{kind}-[A-Za-z0-9_-]{{40,255}}" for kind in ("proj", "svcacct", "admin", "ant")),
        "sk-[A-Za-z0-9]{20}T3BlbkFJ[A-Za-z0-9]{20}",
    )),
    Vendor("Hugging Face", _GITLEAKS, ("hf_[A-Za-z]{34}", "api_org_[A-Za-z]{34}")),
    Vendor("npm, PyPI, RubyGems, Clojars", _GITLEAKS, (
        "npm_[A-Za-z0-9]{36}", "pypi-AgE[A-Za-z0-9_-]{50,1000}", "rubygems_[0-9a-f]{48}", "CLOJARS_[A-Za-z0-9]{60}",
        "clojars_[A-Za-z0-9]{60}",
    )),
    Vendor("DigitalOcean", _GITLEAKS, tuple(f"do{kind}_v1_[0-9a-f]{{64}}" for kind in "opr")),
    Vendor("Grafana", _GITLEAKS, (
        "glc_[A-Za-z0-9+/]{32,400}", "eyJrIjoi[A-Za-z0-9+/]{70,400}", "glsa_[A-Za-z0-9]{32}_[A-Fa-f0-9]{8}",
    )),
    Vendor("Sentry", _GITLEAKS, ("sntrys_eyJ[A-Za-z0-9+/=_]{60,500}", "sntryu_[0-9a-f]{64}")),
    Vendor("Shopify", _GITLEAKS, tuple(f"shp{kind}_[A-Fa-f0-9]{{32}}" for kind in ("at", "ca", "pa", "ss"))),
    Vendor("SendGrid, Sendinblue", _GITLEAKS, ("SG.[A-Za-z0-9=_.-]{66}", "xkeysib-[0-9a-f]{64}-[A-Za-z0-9]{16}")),
    Vendor("Square", _GITLEAKS, (
        "EAAA[A-Za-z0-9_-]{22,60}", "sq0atp-[A-Za-z0-9_-]{22,60}", "sq0csp-[A-Za-z0-9_-]{43}",
    )),
    Vendor("JFrog Artifactory", _GITLEAKS, ("AKCp[A-Za-z0-9]{69}", "cmVmd[A-Za-z0-9]{59}")),
    Vendor("PlanetScale", _GITLEAKS, tuple(f"pscale_{k}_[A-Za-z0-9_=.-]{{32,64}}" for k in ("tkn", "oauth", "pw"))),
    Vendor("OpenShift", _GITLEAKS, ("sha256~[A-Za-z0-9_-]{43}",)),
    Vendor("Dynatrace", _GITLEAKS, ("dt0c01.[A-Za-z0-9]{24}.[A-Za-z0-9]{64}",)),
    Vendor("ClickHouse Cloud", _GITLEAKS, ("4b1d[A-Za-z0-9]{38}",)),
    Vendor("1Password, age", _GITLEAKS, (
        "ops_eyJ[A-Za-z0-9+/]{250,1000}", "A3-[A-Z0-9]{6}-[A-Z0-9]{11}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}",
        "A3-[A-Z0-9]{6}-[A-Z0-9]{6}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}-[A-Z0-9]{5}", "AGE-SECRET-KEY-1[A-Z0-9]{58}",
    )),
    Vendor("Airtable, Harness", _GITLEAKS, (
        "pat[A-Za-z0-9]{14}.[0-9a-f]{64}", "pat.[A-Za-z0-9_-]{22}.[A-Za-z0-9]{24}.[A-Za-z0-9]{20}",
        "sat.[A-Za-z0-9_-]{22}.[A-Za-z0-9]{24}.[A-Za-z0-9]{20}",
    )),
    Vendor("Facebook", _GITLEAKS, ("EAAM[A-Za-z0-9]{100,400}", "EAAC[A-Za-z0-9]{100,400}")),
    Vendor("a JSON Web Token in base64 once more", _GITLEAKS, ("ZXlK[A-Za-z0-9+/_-]{40,1024}",)),
    Vendor("Pulumi, Prefect, Doppler, Heroku", _GITLEAKS, (
        "pul-[0-9a-f]{40}", "pnu_[A-Za-z0-9]{36}", "dp.pt.[A-Za-z0-9]{43}", "HRKU-AA[A-Za-z0-9_-]{58}",
    )),
    Vendor("Notion, Linear, Postman, ReadMe", _GITLEAKS, (
        "ntn_[0-9]{11}[A-Za-z0-9]{35}", "lin_api_[A-Za-z0-9]{40}", "PMAK-[A-Fa-f0-9]{24}-[A-Fa-f0-9]{34}",
        "rdme_[a-z0-9]{70}",
    )),
    Vendor("others", _GITLEAKS, (
        "p8e-[A-Za-z0-9]{32}", "EZAK[A-Za-z0-9]{54}", "EZTK[A-Za-z0-9]{54}", "fio-u-[A-Za-z0-9_=-]{64}",
        "ico-[A-Za-z0-9]{32}", "pplx-[A-Za-z0-9]{48}", "tk-us-[A-Za-z0-9_-]{48}", "API-[A-Z0-9]{26}",
        "fo1_[A-Za-z0-9_-]{43}", "fm1a_[A-Za-z0-9+/]{100,1000}", "fm1r_[A-Za-z0-9+/]{100,1000}",
        "fm2_[A-Za-z0-9+/]{100,1000}", "sgp_[A-Fa-f0-9]{16}_[A-Fa-f0-9]{40}", "sgp_local_[A-Fa-f0-9]{40}",
        "sgp_[A-Fa-f0-9]{40}", "shippo_live_[A-Fa-f0-9]{40}", "shippo_test_[A-Fa-f0-9]{40}",
        "FLWSECK_TEST-[A-Za-z0-9]{12,32}", "duffel_live_[A-Za-z0-9_=-]{43}", "duffel_test_[A-Za-z0-9_=-]{43}",
        "_gitlab_session=[0-9a-z]{32}", "sm_aat_[A-Za-z0-9]{16}", "sm_pat_[A-Za-z0-9]{16}", "sm_sat_[A-Za-z0-9]{16}",
        "s-s4t2ud-[a-f0-9]{64}", "s-s4t2af-[a-f0-9]{64}", "v1.0-[0-9a-f]{24}-[0-9a-f]{146}",
    )),
)  # fmt: skip
FORMS: tuple[str, ...] = tuple(form for vendor in VENDORS for form in vendor.forms)

_LITERAL = r"[A-Za-z0-9_.:/~=\-]"
_SET = r"(?:[A-Z]-[A-Z]|[a-z]-[a-z]|[0-9]-[0-9]|[A-Za-z0-9_./+=~:]|-(?=\]))"
_PIECE = re.compile(rf"({_LITERAL}+)|\[({_SET}+)\]\{{([0-9]{{1,4}})(?:,([0-9]{{1,4}}))?\}}")
#: Where a token begins; in JSON that does not parse the end of a line may stand before it, in its escape.
_BEGIN = rb"(?:(?<![A-Za-z0-9_\-])|(?<=\\[nrt]))"


class Form(NamedTuple):
    """A form as it is looked for."""

    beginning: bytes
    pattern: bytes


def form_of(text: str) -> Form:
    """A form as somebody writes it.

    Raises:
        ValueError: it is none, or could be read in two ways, or would be found in everyday words.
    """
    pieces = _pieces(text)
    beginning = pieces[0].text if pieces and pieces[0].is_literal else ""
    if len(beginning) < BEGIN_MIN:
        raise ValueError(f"a form begins with {BEGIN_MIN} characters at least that stand for themselves")
    if sum(piece.least for piece in pieces) < TOKEN_MIN:
        raise ValueError(f"a form stands for {TOKEN_MIN} characters at least")
    for piece, following in pairwise(pieces):
        if piece.least < piece.most and piece.chars & following.first:
            raise ValueError(f"a form has one reading: what follows {piece.text} may not be of that set")
    ends = b"" if pieces[-1].least < pieces[-1].most else rb"(?![A-Za-z0-9])"
    return Form(beginning.encode(), b"".join(piece.pattern for piece in pieces) + ends)


class _Piece(NamedTuple):
    text: str
    chars: frozenset[str]
    least: int
    most: int
    is_literal: bool

    @property
    def first(self) -> frozenset[str]:
        return frozenset(self.text[0]) if self.is_literal else self.chars

    @property
    def pattern(self) -> bytes:
        """Possessive: what is taken is not given back."""
        return re.escape(self.text).encode() if self.is_literal else f"{self.text}+".encode()


def _pieces(text: str) -> list[_Piece]:
    pieces: list[_Piece] = []
    at = 0
    while at < len(text):
        found = _PIECE.match(text, at)
        if found is None or len(text) > FORM_MAX:
            raise ValueError(
                "a form is characters, and sets of them with how often they come, as acme_[A-Za-z0-9]{20,40}; "
                f"it has {FORM_MAX} characters at most, and is written in JSON where a comma is in it"
            )
        literal, chosen, least, most = found.groups()
        if literal:
            pieces.append(_Piece(literal, frozenset(), len(literal), len(literal), is_literal=True))
        else:
            low, high = int(least), int(most or least)
            if not 1 <= low <= high <= COUNT_MAX:
                raise ValueError(f"a set comes 1 to {COUNT_MAX} times")
            pieces.append(_Piece(found[0], _members(chosen), low, high, is_literal=False))
        at = found.end()
    return pieces


def _members(chosen: str) -> frozenset[str]:
    """The characters of a set."""
    try:
        pattern = re.compile(f"[{chosen}]")
    except re.error:
        raise ValueError(f"[{chosen}] is no set of characters") from None
    return frozenset(filter(pattern.match, map(chr, range(32, 127))))


class Tokens:
    """Finds tokens of these forms.

    Raises:
        ValueError: one is no form.
    """

    def __init__(self, forms: Iterable[str]) -> None:
        patterns: dict[bytes, list[bytes]] = {}
        for form in map(form_of, forms):
            patterns.setdefault(form.beginning, []).append(form.pattern)
        self.beginnings = tuple(patterns)
        self._found = BytesAhoCorasick(self.beginnings)
        self._patterns = [re.compile(_BEGIN + b"(?:" + b"|".join(those) + b")") for those in patterns.values()]

    def are_in(self, body: bytes) -> bool:
        """Whether one stands there."""
        matches = self._found.find_matches_as_indexes(body, overlapping=True)
        return any(self._patterns[number].match(body, start) for number, start, _ in matches)

    def blanked(self, body: bytes, blank: bytes) -> bytes:
        """The bytes with `blank` where a token stood."""
        parts: list[bytes] = []
        done = 0
        for number, start, _ in self._found.find_matches_as_indexes(body, overlapping=True):
            if start >= done and (token := self._patterns[number].match(body, start)):
                parts += (body[done:start], blank)
                done = token.end()
        return b"".join((*parts, body[done:])) if parts else body


OURS = Tokens(FORMS)
