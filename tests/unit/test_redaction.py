"""No secret survives, wherever and however it is written; and what is no secret stays."""

import base64
import json
import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.text.documents import read
from service.text.principals import Principals, principals_in_bytes, without_principals
from service.text.privacy import Privacy, clean_body
from service.text.redaction import BLANK, is_secret_key, may_hold_secrets, redact, redact_bytes, redact_text

SECRET = "hunter2SWORDFISH"
DEPTH = 64
#: Words that the contract names, in the spellings that people and systems give them.
KEYS = [
    "password", "Password", "PASSWORD", "pass_word", "db.password", "user-password", "passwordHash", "passwd", "pwd",
    "PWD", "passphrase", "secret", "secret_key", "client_secret", "clientSecret", "api_key", "apiKey", "API-KEY",
    "x-api-key", "access_key", "accessKeyId", "access_token", "refreshToken", "id_token", "token", "private_key",
    "session_key", "credentials", "temporary_credentials", "Authorization", "proxy-authorization", "signed_url",
    "create_object_url", "session token",
]  # fmt: skip
keys = st.sampled_from(KEYS)
planted = st.sampled_from(
    [SECRET, f"{SECRET}!", f'a"{SECRET}', f"a\\{SECRET}", f"{{{SECRET}}}", f"é{SECRET}", f"<{SECRET}>"]
)


def below(value: Any) -> st.SearchStrategy[Any]:
    """The value itself, or deep inside of something."""
    return st.sampled_from(
        [
            value,
            [value],
            {"a": value},
            {"user": "u", "deep": [{"x": [1, value]}], "z": "end"},
            [[{"columns": {"c": value}}]],
        ]
    )


@st.composite
def with_secret(draw: st.DrawFn) -> Any:
    """An object with a secret under a secret key, somewhere in other objects, lists and texts of JSON."""
    value: Any = {"name": "n", draw(keys): draw(planted.flatmap(below)), "other": 1}
    for _ in range(draw(st.integers(0, 4))):
        value = draw(
            st.sampled_from([{"state": value}, [1, value], {"text": json.dumps(value)}, {"a": {"b": value}, "c": "d"}])
        )
    return {"body": value}


def spell(value: Any, how: str) -> bytes:
    """JSON with its letters escaped, or its slashes, or in another encoding."""
    text = json.dumps(value, ensure_ascii=how != "utf-8")
    if how == "escaped":
        text = "".join(f"\\u{ord(char):04x}" if char.isalpha() and ord(char) < 128 else char for char in text)
        text = text.replace("\\\\u", "\\u")
    return text.encode(how if how.startswith("utf") else "utf-8")


@given(with_secret(), st.sampled_from([None, 2]))
def test_no_secret_of_a_body_that_parses_survives(body: Any, indent: int | None) -> None:
    raw = json.dumps(body, indent=indent).encode()
    clean, blanked = clean_body(raw, DEPTH, Privacy())

    assert blanked
    assert may_hold_secrets(raw)
    assert SECRET.encode() not in clean
    assert SECRET not in str(redact(body)[0])


@given(
    with_secret(),
    st.sampled_from(["utf-8", "ascii", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]),
    st.sampled_from([b"", b"\xff", b"{", b"]", b"// x\n"]),
    st.sampled_from([b"", b"}", b",", b"\xff"]),
)
def test_no_secret_of_a_body_that_does_not_parse_survives(body: Any, how: str, before: bytes, after: bytes) -> None:
    raw = before + spell(body, how) + (after or b"}")
    clean, blanked = redact_bytes(raw)

    assert blanked
    assert SECRET.encode() not in clean.replace(b"\x00", b"")
    assert redact_bytes(clean)[0] == clean


@given(with_secret(), st.data())
def test_no_secret_of_a_cut_body_survives(body: Any, data: st.DataObject) -> None:
    raw = json.dumps(body).encode()
    cut = raw[: data.draw(st.integers(0, len(raw)))]

    assert SECRET.encode() not in redact_bytes(cut)[0]


@pytest.mark.parametrize("key", KEYS)
def test_a_secret_key_is_known_in_every_spelling(key: str) -> None:
    assert is_secret_key(key)
    assert may_hold_secrets(json.dumps({key: SECRET}).encode())
    assert redact({key: SECRET}) == ({key: BLANK}, True)


def test_a_secret_key_that_is_written_in_escapes_is_known() -> None:
    raw = rb'{"\u0070\u0061ssword":"' + SECRET.encode() + rb'"}'

    assert SECRET.encode() not in clean_body(raw, DEPTH, Privacy())[0]
    assert SECRET.encode() not in redact_bytes(b"{" + raw)[0]


@pytest.mark.parametrize(
    "text",
    [
        f"jdbc:db2://user:{SECRET}@host:50000/db",
        f"https://user:a@{SECRET}@host/x",
        f"jdbc:db2://host:50000/db:user=me;password={SECRET};ssl=true",
        f"Server=h;UID=sa;PWD={SECRET}",
        f"PWD={{{SECRET};x}};UID=sa",
        f"postgresql://h/db?user=u&password={SECRET}",
        f"https://s3/b/k?X-Amz-Credential=AKIA&X-Amz-Signature={SECRET}",
        f"https://storage/b/k?x=1&X-Goog-Signature={SECRET}",
        f"https://blob/b/k?sv=1&sig={SECRET}%3D",
        f"Authorization: Bearer {SECRET}",
        f"authorization: ApiKey {SECRET}",
        f"curl -H 'Authorization: Basic {base64.b64encode(SECRET.encode()).decode()}'",
        f"bearer {SECRET}",
        f"{{wdpaes}}{SECRET}",
        f"eyJhbGciOiJIUzI1NiJ9.{SECRET}.{SECRET}",
        f"jwt-eyJhbGciOiJIUzI1NiJ9.{SECRET}",
        f'{{"password": "{SECRET}"}}',
        f'  {{"password": "a\\"{SECRET}"}}',
        f'x={{\\"password\\":\\"a\\\\\\"{SECRET}\\"}}',
        f"<db><password>{SECRET}</password></db>",
        f"password = '{SECRET}'",
        f"-----BEGIN RSA PRIVATE KEY-----\n{SECRET}\n-----END RSA PRIVATE KEY-----",
        f"-----BEGIN PGP PRIVATE KEY BLOCK-----\n{SECRET}\n-----END PGP PRIVATE KEY BLOCK-----",
        f"-----BEGIN SSH2 ENCRYPTED PRIVATE KEY-----\n{SECRET}\n-----END SSH2 ENCRYPTED PRIVATE KEY-----",
    ],
)
@pytest.mark.parametrize(
    "wrap", [lambda t: t, lambda t: {"a": t}, lambda t: [{"x": json.dumps({"y": t})}], lambda t: {t: 1}]
)
def test_no_secret_of_a_text_survives_under_a_harmless_key(text: str, wrap: Any) -> None:
    value = wrap(text)
    hidden = [SECRET, base64.b64encode(SECRET.encode()).decode()]
    forms = [json.dumps(value), json.dumps(value).replace("/", "\\/"), "{" + json.dumps(value)]

    for form in forms:
        clean, _ = clean_body(form.encode(), DEPTH, Privacy())
        assert not any(secret in clean.decode() for secret in hidden), clean
    assert not any(secret in redact_text(text) for secret in hidden)


@pytest.mark.parametrize(
    "pair",
    [
        {"name": "password", "value": SECRET},
        {"Key": "ApiKey", "Value": SECRET},
        {"key": "client_secret", "values": [SECRET]},
        {"name": "Authorization", "value": {"x": SECRET}},
        {"property": "password", "value": SECRET},
    ],
)
def test_the_value_of_a_pair_whose_name_is_secret_is_blanked(pair: dict[str, Any]) -> None:
    assert SECRET not in str(redact({"headers": [pair]}))


@pytest.mark.parametrize("name", ["password", '"db.password"', "client_secret"])
def test_the_value_of_such_a_pair_is_blanked_in_yaml_too(name: str) -> None:
    text = (
        f"customProperties:\n  - property: {name}\n    value: {SECRET} and more\n  - property: schema\n    value: S1\n"
    )
    clean = redact_text(text)
    assert SECRET not in clean
    assert clean.endswith("    value: [redacted]\n  - property: schema\n    value: S1\n")


def test_numbers_are_secrets_too_and_truth_values_are_not() -> None:
    body = {"pwd": 1234, "token": [1.5, True, None], "password_needed": True, "secret": ""}

    assert redact(body)[0] == {"pwd": BLANK, "token": [BLANK, True, None], "password_needed": True, "secret": ""}


@pytest.mark.parametrize("field", ["column_info", "columns", "data_profile"])
def test_a_column_called_password_is_no_secret(field: str) -> None:
    body = {field: {"password": {"type": "text", "password": SECRET}, "api_key": ["x"]}}

    clean, blanked = redact(body)

    assert clean == {field: {"password": {"type": "text", "password": BLANK}, "api_key": ["x"]}}
    assert blanked


def test_text_under_a_secret_name_is_blanked_also_in_a_map_of_names() -> None:
    assert redact({"columns": {"password": SECRET}})[0] == {"columns": {"password": BLANK}}


def test_a_map_of_names_below_a_secret_key_hides_nothing_less() -> None:
    assert SECRET not in str(redact({"credentials": {"columns": {"a": {"b": SECRET}}}}))


@pytest.mark.parametrize("key", ["fields", "columnMetrics"])
def test_columns_of_openlineages_facets_keep_what_stands_below_their_names(key: str) -> None:
    columns = {
        "password_hash": {"inputFields": [{"namespace": "n", "name": "t", "field": "reset_token"}]},
        "reset_token": {"nullCount": 3},
    }
    assert redact({"columnLineage": {key: columns}}) == ({"columnLineage": {key: columns}}, False)


@pytest.mark.parametrize(
    "text",
    [
        "events/token_type=refresh/day=1",
        "events/token_type=access/day=1",
        "s3://lake/secret=true/part-0",
        "db.password: history",
        "basic customers",
        "Bearer securities",
        "projects/p/secrets/api_key=public",
    ],
)
@pytest.mark.parametrize("key", ["name", "namespace", "id", "path", "asset_id", "job_name", "connection_path", "field"])
def test_names_ids_and_paths_stay_apart_whatever_words_are_in_them(key: str, text: str) -> None:
    assert redact({"inputs": [{key: text}]}) == ({"inputs": [{key: text}]}, False)
    assert redact({f"{key}s": [text, "x"]}) == ({f"{key}s": [text, "x"]}, False)


@pytest.mark.parametrize("key", ["names", "ids", "tags", "connection_paths", "term_ids", "uri", "source_asset"])
def test_lists_of_names_and_ids_are_no_free_text(key: str) -> None:
    value = {key: ["lake/token_type=refresh", "lake/token_type=access", f"s3://a:{SECRET}@lake"]}

    clean, blanked = redact(value)

    assert blanked
    assert clean[key][:2] == value[key][:2]
    assert SECRET not in clean[key][2]


def test_maps_by_path_keep_every_member() -> None:
    rows = {"lake/token_type=refresh/day=1": {"rows": 5}, "lake/token_type=access/day=1": {"rows": 7}}

    assert redact({"rowsOf": rows}) == ({"rowsOf": rows}, False)


def test_keys_that_become_alike_without_their_secrets_stay_two() -> None:
    urls = {f"https://h/o?sig={SECRET}": 1, f"https://h/o?sig={SECRET}2": 2, f"https://h/o?sig={BLANK} (2)": 3}

    clean, _ = redact({"urls": urls})

    assert SECRET not in str(clean)
    assert sorted(clean["urls"].values()) == [1, 2, 3]


@pytest.mark.parametrize(
    ("text", "left"),
    [
        (f"postgres://me:{SECRET}@db/shop", f"postgres://me:{BLANK}@db/shop"),
        (f"https://h/o?X-Amz-Signature={SECRET}", f"https://h/o?X-Amz-Signature={BLANK}"),
        (f"https://h/o?sig={SECRET}&x=1", f"https://h/o?sig={BLANK}&x=1"),
        (f"jdbc:sqlserver://h;user=me;password={SECRET}", f"jdbc:sqlserver://h;user=me;password={BLANK}"),
        (f"PWD={{{SECRET};x}};UID=sa", f"PWD={BLANK};UID=sa"),
        (f"https://h/o?access_token={SECRET}&token_type=a", f"https://h/o?access_token={BLANK}&token_type=a"),
    ],
)
def test_a_secret_by_its_form_is_blanked_in_a_name_too(text: str, left: str) -> None:
    (found,) = redact({"name": text})[0].values()
    assert SECRET not in found
    assert found in (left, left.replace(f"me:{BLANK}", BLANK))


def test_a_column_named_password_in_a_list_keeps_its_name_and_statistics() -> None:
    body = {"columns": [{"name": "password", "distinct": 7}]}

    assert redact(body) == (body, False)


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=15,
)


@given(json_values)
def test_what_is_clean_stays_clean(value: Any) -> None:
    clean, _ = redact(value)

    assert redact(clean) == (clean, False)


@given(json_values)
def test_a_body_without_tell_tale_words_holds_nothing_to_blank(value: Any) -> None:
    raw = json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogatepass")
    if not may_hold_secrets(raw):
        assert redact(read(raw, DEPTH) if _readable(raw) else None)[1] is False


def _readable(raw: bytes) -> bool:
    try:
        return read(raw, DEPTH) is not None
    except ValueError:
        return False
    except Exception:  # noqa: BLE001
        return False


@given(st.binary(), st.sampled_from(list(Principals)))
@example(b'"\xed\xa0\x80"', Principals.HASH)
def test_any_bytes_can_be_cleaned(body: bytes, mode: Principals) -> None:
    clean, blanked = clean_body(body, DEPTH, Privacy(mode))

    assert isinstance(clean, bytes)
    assert blanked or clean == body


HOSTILE = [
    b"eyJ-", b"token", b"token:", b'token:"', b"token:\\", b"token:{", b"token:[", b'token:\\"', b"password=", b"://",
    b"://a:", b"://:@", b":\\/\\/", b"?sig=", b"bearer ", b"basic ", b"{wdpaes}", b"-----BEGIN PRIVATE KEY-----",
    b"-----BEGIN", b"<token", b"<token ", b"<a<password", b"x-amz-", b"&x-aaaa-", b"\\u0070", b"\\", b'"', b"a@",
    b"eyJaaaaaaaa.",    b"authorization", b"authorization: a ", b"token-", b"a",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_bytes_take_time_in_proportion(piece: bytes) -> None:
    body = b"token " + piece * (400_000 // len(piece))
    started = time.thread_time()
    redact_bytes(body)
    principals_in_bytes(body, Principals.HASH)

    assert time.thread_time() - started < 4  # quadratic: hours


PEOPLE = {
    "actor": {"user_name": "john@acme.com"},
    "metadata": {"owner_id": "IBMid-270", "collaborator_ids": {"IBMid-1": {"role": "x"}}, "steward_ids": ["jane"]},
    "roles": [{"principal_id": "jane", "role": "owner"}],
    "note": "ask john@acme.com, not the Doe",
    "user_id": 1000330999,
    "name": "T1",
}


def test_principals_are_kept_by_default() -> None:
    assert without_principals(PEOPLE, Principals.KEEP) == PEOPLE


@pytest.mark.parametrize("mode", [Principals.HASH, Principals.DROP])
@pytest.mark.parametrize("form", [PEOPLE, {"actor": "IBMid-270"}])
def test_principals_are_hidden_where_so_set(mode: Principals, form: dict[str, Any]) -> None:
    clean, blanked = clean_body(json.dumps(form).encode(), DEPTH, Privacy(mode))

    assert blanked
    for name in (b"john", b"acme", b"IBMid", b"jane", b"1000330999"):
        assert name not in clean
    assert form is not PEOPLE or b"T1" in clean


def test_a_hashed_principal_is_the_same_everywhere() -> None:
    hidden = without_principals({"email": "a@b.de", "text": "to a@b.de", "owner": "a@b.de"}, Principals.HASH)

    assert hidden["email"] == hidden["owner"] == hidden["text"].removeprefix("to ")
    assert hidden["email"].startswith("sha256:")


def test_addresses_are_hidden_in_bytes_that_do_not_parse() -> None:
    assert principals_in_bytes(b"\xff mail john@acme.com now", Principals.DROP) == b"\xff mail  now"


def test_a_word_that_begins_like_a_token_asks_for_no_closer_look() -> None:
    token = "pat" + "A1b2C3d4E5f6G7" + "." + "0a" * 32
    assert not may_hold_secrets(b'{"connection_path": "/SALES/patients"}')
    assert may_hold_secrets(f'{{"connection_path": "{token}"}}'.encode())
    said = {"description": f"of\n{token}"}
    assert may_hold_secrets(json.dumps(said).encode())
    assert may_hold_secrets(rb'{"connection_path": "S:\\patients"}'), "an escape could stand within a token"
    assert token not in json.dumps(redact(said)[0])
