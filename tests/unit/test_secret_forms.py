"""The table of forms: each is blanked wherever it stands, and everyday texts are left alone."""

import json
import re
import time
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.errors import SettingInvalid
from service.settings.model import load
from service.targets.pentaho.operations import is_secret
from service.text import redaction, tokens
from service.text.privacy import Privacy, clean_body
from service.text.redaction import BLANK, may_hold_secrets, redact, redact_bytes, redact_identity, redact_text
from service.text.secret_forms import FORMS

SECRET = "hunter2SWORDFISH"
HEX = "0123456789abcdef0123456789abcdef"

#: Texts with a secret, by the form that knows it; `{}` is where it stands.
TEXTS: list[tuple[str, str, str]] = [
    ("GitHub", "clone with {}", f"ghp_{SECRET}{SECRET}"),
    ("GitHub", "x={} y", f"github_pat_{SECRET}_{SECRET}"),
    ("GitLab", "({})", f"glpat-{SECRET}-{SECRET}"),
    ("Slack", "{}", f"xoxb-123456-{SECRET}"),
    ("AWS", "id {} of", "AKIAABCDEFGHIJKLMNOP"),
    ("AWS", "{}", "ASIAABCDEFGHIJKLMNOP"),
    ("Google", "?x={}", "AIza" + "Ab3-_" * 7),
    ("Databricks", "{}", f"dapi{HEX}"),
    ("Stripe", "{}", f"sk_live_{SECRET}{SECRET}"),
    ("Oracle's JDBC", "jdbc:oracle:thin:scott/{}@//db:1521/shop", SECRET),
    ("Oracle's JDBC", "jdbc:oracle:oci8:scott/{}@db:1521:shop", SECRET),
    ("Azure", "DefaultEndpointsProtocol=https;AccountName=x;AccountKey={};EndpointSuffix=y", f"{SECRET}+/=="),
    ("Azure", "Endpoint=sb://x/;SharedAccessKeyName=y;SharedAccessKey={}", f"{SECRET}="),
    ("webhook", "https://hooks.slack.com/services/{}", f"T000/B000/{SECRET}"),
    ("webhook", "https://discord.com/api/webhooks/{}", f"123/{SECRET}"),
    ("webhook", "https://acme.webhook.office.com/webhookb2/{}", f"{SECRET}@x/IncomingWebhook/y"),
    (".pgpass", "db.acme.com:5432:shop:scott:{}", SECRET),
    (".pgpass", "# local\n*:*:*:scott:{}", SECRET),
    ("cookie", "Cookie: session={}; theme=dark", SECRET),
    ("cookie", "Set-Cookie: sid={}; HttpOnly", SECRET),
    ("pass", "https://h/?user=u&pass={}", SECRET),
    ("curl", "curl -s -u scott:{} https://h", SECRET),
    ("curl", "curl https://h --user 'scott:{}'", SECRET),
    ("SQL", "CREATE USER scott IDENTIFIED BY '{}'", SECRET),
    ("SQL", "ALTER USER scott IDENTIFIED WITH mysql_native_password BY '{}'", SECRET),
    ("SQL", "ALTER ROLE scott WITH ENCRYPTED PASSWORD '{}'", SECRET),
    ("SQL", 'create user scott identified by "{}"', SECRET),
    ("SQL, without quotes", "create user scott identified by {}", SECRET),
    ("prose", "The password is {}, ask Jane", f"{SECRET}!"),
    ("prose", "Das Passwort lautet: {}", SECRET),
    ("prose", "le mot de passe est {}", SECRET),
]
WRAPS: list[Callable[[str], Any]] = [
    lambda text: {"description": text},
    lambda text: [{"x": json.dumps({"y": text})}],
    lambda text: {"deep": [{"z": [1, f"before\n{text}"]}]},
]


def test_every_form_of_the_table_has_its_texts() -> None:
    assert {form.name for form in FORMS} <= {name for name, _, _ in TEXTS}
    assert all(form.source for form in FORMS)
    assert all(form.tell_tales for form in FORMS)


@pytest.mark.parametrize(("form", "text", "secret"), TEXTS)
@pytest.mark.parametrize("wrap", WRAPS)
def test_the_secret_goes_and_what_stands_around_it_stays(
    form: str, text: str, secret: str, wrap: Callable[[str], Any]
) -> None:
    whole = text.format(secret)
    body = json.dumps(wrap(whole)).encode()
    for raw in (body, b"{" + body, json.dumps(wrap(whole), ensure_ascii=False, indent=1).encode()):
        clean, blanked = clean_body(raw, 64, Privacy())
        assert blanked, form
        assert secret.encode() not in clean
        assert SECRET.encode() not in clean
    left = redact_text(whole)
    assert BLANK in left
    assert left.split()[0] == whole.split()[0] or secret in whole.split()[0]


@pytest.mark.parametrize(
    ("form", "text", "secret"),
    [one for one in TEXTS if one[0] not in {form.name for form in FORMS if not form.in_names}],
)
def test_what_is_a_secret_by_its_form_is_one_in_a_name_too(form: str, text: str, secret: str) -> None:
    assert secret not in str(redact({"name": text.format(secret)})), form


@pytest.mark.parametrize(
    "key",
    [
        "passwort", "Passwort", "DB_PASSWORT", "kennwort", "motDePasse", "mot_de_passe", "パスワード", "暗証番号",
        "秘密鍵", "account_key", "AccountKey", "Cookie", "set-cookie", "cookies", "pass", "db_pass", "userPass", "PASS",
    ],
)  # fmt: skip
def test_more_keys_are_those_of_secrets(key: str) -> None:
    for raw in (json.dumps({key: SECRET}), json.dumps({key: SECRET}, ensure_ascii=False)):
        for body in (raw.encode(), b"{" + raw.encode()):
            clean, blanked = clean_body(body, 64, Privacy())
            assert blanked, (key, body)
            assert SECRET.encode() not in clean, (key, body)


def written(form: str) -> str:
    """A token of this form: of each set its first and last character, as often as may be at most."""

    def of_set(found: re.Match[str]) -> str:
        chars, most = found[1].rstrip("-"), int(found[2].split(",")[-1])
        return "".join(islice(cycle(chars[0] + chars[-1]), most))

    return re.sub(r"\[([^]]+)\]\{([0-9,]+)\}", of_set, form)


@pytest.mark.parametrize("form", tokens.FORMS)
def test_every_form_of_a_token_is_blanked_wherever_it_stands(form: str) -> None:
    token = written(form)
    for text in (token, f"clone with {token}, then", f'x="{token}"', f"a\n{token}\n"):
        left = redact_text(text)
        assert left == text.replace(token, BLANK), form
        assert redact_identity(text) == left
    assert redact_text(f"x{token}") == f"x{token}", "in the middle of a word it is none"


#: What catalogs say every day.
EVERYDAY: list[Any] = [
    {"pass": 12, "fail": 3}, {"pass": True}, {"bypass": "allowed"}, {"compass": "north"}, {"passes": "all"},
    {"passenger_pass_count": 7}, "Asia Pacific", "EURASIA region", "ASIA", "AKIA",
    {"asia_sales": "ASIA-PACIFIC-2026-REGION"},
    "The password is required", "the token is not null", "Password was changed by the user", "the secret is out",
    "cookie consent", {"cookie_consent": "given"}, "a cookies table", "hooks.slack.com", "https://discord.com/channels/1",
    "host:5432", "db.acme.com:5432/shop", "a:b:c:d:e", "10:30:15:22:11", "identified by its number",
    "column pass = 3 of 4", "curl -s https://h/x", "curling club", "daphnia dapi", "jdbc:oracle:thin:@//db:1521/shop",
    "tasks_live_here", "ghp_short", "xoxb", "AIza", {"name": "glossary-pattern"}, "customer is identified",
    "urn:5432:shop", {"path": "/data/cookie:jar"},
]  # fmt: skip


@pytest.mark.parametrize("value", EVERYDAY)
def test_everyday_texts_stay(value: Any) -> None:
    for told in ({"x": value}, {"description": [value]}, value):
        assert redact(told) == (told, False)


@pytest.mark.parametrize(
    "piece",
    [
        b"curl ", b"curl -u ", b"curl -u a:", b"cookie:", b"cookie: ", b"identified ", b"identified by ", b"password '",
        b"password is ", b"jdbc:oracle:thin:", b"jdbc:oracle:thin:a/", b"a:5432:b:c:", b":5432:", b":*:", b"ghp_a",
        b"xoxb-", b"hooks.slack.com/services/", b"accountkey=", b'"pass": "', b"pass=", b"identified with ", b"AKIA",
        b"password is 1", b"mot de passe ", b"asia", b"sg", b"glpat-", b"sk_live_a", b"hvs.",
        b"ghp_aaaaaaaaaaaaaaaaaaaaaaaa",
    ],
)  # fmt: skip
def test_hostile_bytes_take_time_in_proportion(piece: bytes) -> None:
    started = time.thread_time()
    redact_bytes(b"token " + piece * (400_000 // len(piece)))

    assert time.thread_time() - started < 8  # quadratic: hours


@pytest.fixture
def words(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Words that somebody has set, as they come to the process: with its settings."""
    monkeypatch.setenv("CATALOG_MIRROR_PIPELINE__SECRET_WORDS", '["Geheim-Zahl", "heslo", "пароль", "clé_secrète"]')
    load()
    yield
    redaction.know(())


#: Keys that have such a word in them, in spellings that people use.
SET_KEYS = [
    "geheimzahl", "GEHEIMZAHL", "geheim_zahl", "Geheim.Zahl", "konto-geheim zahl-neu", "dbHeslo", "heslo2", "пароль",
    "Пароль", "ПАРОЛЬ", "пароль_бд", "clé_secrète", "CLÉ SECRÈTE", "Clé-Secrète",
]  # fmt: skip


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("key", SET_KEYS)
def test_words_that_are_set_count_wherever_ours_do(key: str) -> None:
    for raw in (json.dumps({key: SECRET}), json.dumps({key: SECRET}, ensure_ascii=False)):
        for body in (raw.encode(), b"{" + raw.encode(), raw.encode()[:-2]):
            clean, blanked = clean_body(body, 64, Privacy())
            assert blanked, (key, body)
            assert SECRET.encode() not in clean, (key, body)
    for text in (
        f"{key}={SECRET}",
        f"x; {key} = '{SECRET}'",
        json.dumps({key: SECRET}),
        f"<{key.replace(' ', '_')}>{SECRET}<",
    ):
        assert SECRET not in redact_text(text), text
    assert SECRET not in str(redact({"name": key, "value": SECRET}))
    assert SECRET not in redact_identity(f"jdbc:x://h/d;{'heslo' if ' ' in key else 'geheimzahl'}={SECRET}")
    assert is_secret(key), "in a connection of Pentaho's"


@pytest.mark.parametrize("key", SET_KEYS)
def test_nobody_else_pays_for_words_that_somebody_set(key: str) -> None:
    told = {key: SECRET}
    assert redact(told) == (told, False)
    assert not may_hold_secrets(json.dumps(told, ensure_ascii=False).encode())


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("value", [*EVERYDAY, {"path": "/data/heslo_type=refresh/x"}, {"heslo_ok": True}])
def test_everyday_texts_stay_where_words_are_set(value: Any) -> None:
    assert redact({"x": value}) == ({"x": value}, False)


@pytest.mark.usefixtures("words")
@pytest.mark.parametrize("piece", ["geheim", "g_e", "heslo", "heslo=", "парол", "пароль ", "<heslo", "clé_"])
def test_words_that_are_set_take_time_in_proportion(piece: str) -> None:
    started = time.thread_time()
    redact_bytes(b"token " + piece.encode() * (400_000 // len(piece.encode())))
    assert time.thread_time() - started < 15


@pytest.mark.parametrize("words", ["x", "a-", "p.*d", "a" * 65, "\U0001f511key", ",".join(["heslo"] * 101)])
def test_what_is_no_word_is_refused_by_the_name_of_its_setting(monkeypatch: pytest.MonkeyPatch, words: str) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_PIPELINE__SECRET_WORDS", words)
    with pytest.raises(SettingInvalid, match="PIPELINE__SECRET_WORDS"):
        load()


@pytest.fixture
def forms(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Forms that somebody has set."""
    monkeypatch.setenv("CATALOG_MIRROR_PIPELINE__SECRET_FORMS", '["acme_[A-Za-z0-9]{8,40}", "ACME-[0-9]{12}"]')
    load()
    yield
    redaction.know(())


@pytest.mark.usefixtures("forms")
@pytest.mark.parametrize("token", [f"acme_{SECRET}", "ACME-123456789012"])
def test_forms_that_are_set_count_wherever_ours_do(token: str) -> None:
    for told in ({"x": token}, {"deep": [{"description": f"use {token}, or ask"}]}, {"name": token}, [token]):
        raw = json.dumps(told).encode()
        for body in (raw, b"{" + raw, raw[:-1], raw.decode().encode("utf-16")):
            clean, blanked = clean_body(body, 64, Privacy())
            assert blanked, (told, body)
            assert token.encode() not in clean.replace(b"\x00", b""), (told, body)
    assert token not in redact_text(f"see {token}")
    assert redact_text("AKIAABCDEFGHIJKLMNOP") == BLANK, "ours stay"


@pytest.mark.parametrize("text", ["acme_abcdefghijkl", "ACME-123456789012"])
def test_nobody_else_pays_for_forms_that_somebody_set(text: str) -> None:
    assert redact({"x": text}) == ({"x": text}, False)


@pytest.mark.usefixtures("forms")
@pytest.mark.parametrize(
    "text", ["acme_short", "ACME-1234567890123", "ACME-12345678901", "xacme_abcdefghijkl", "acme_"]
)
def test_what_is_no_token_of_a_form_stays(text: str) -> None:
    assert redact({"x": text}) == ({"x": text}, False)


#: Forms that could be read in two ways, would be found in everyday words, or are more than a form may be.
NO_FORMS = [
    "ab[0-9]{20}", "[a-z]{20}", "_[a-z]{20}", "acme_[a-z]{3}", "acme_[a-z]{1,20}[a-f]{3}", "acme_[a-z]{1,9}x[a-z]{9}",
    "acme_(a+)+", "acme_[a-z]+", "acme_.*", "acme_[^a]{20}", "acme_[z-a]{20}", "acme_[a-z]{0,20}", "acme_[a-z]{20,10}",
    "acme_[a-z]{20,2000}", "acme_[a-z]", "acme_\\w{20}", "acme é[a-z]{20}", f"acme_{'x' * 200}", "acme_[a-z]{20}|b",
]  # fmt: skip


@pytest.mark.parametrize("form", NO_FORMS)
def test_what_is_no_form_is_refused_by_the_name_of_its_setting(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    monkeypatch.setenv("CATALOG_MIRROR_PIPELINE__SECRET_FORMS", json.dumps([form]))
    with pytest.raises(SettingInvalid, match="PIPELINE__SECRET_FORMS"):
        load()


def test_there_are_no_more_forms_than_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    told = [f"acme{number}_[a-z]{{20}}" for number in range(101)]
    monkeypatch.setenv("CATALOG_MIRROR_PIPELINE__SECRET_FORMS", json.dumps(told))
    with pytest.raises(SettingInvalid, match="PIPELINE__SECRET_FORMS"):
        load()


#: What is like the beginning of a token, and what is passed over where one is looked for.
_AROUND = st.text("_-. aGgS", max_size=12).map(str.encode)
_TOKENS = [b"SG." + b"a" * 66, b"_gitlab_session=" + b"0" * 32, b"hvs." + b"A" * 90, b"A3T" + b"A" * 17]


@given(st.sampled_from(_TOKENS), _AROUND, _AROUND)
def test_a_token_is_seen_among_what_is_passed_over(token: bytes, before: bytes, after: bytes) -> None:
    assert may_hold_secrets(token[:4].lower() + before + b" " + token + b" " + after + token[:4].lower())
