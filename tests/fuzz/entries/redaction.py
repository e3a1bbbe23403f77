"""Bytes in which secrets are looked for, as a text, as a name and as they are; what was blanked stays as it is."""

from __future__ import annotations

from service.text.principals import Principals
from service.text.privacy import Privacy
from service.text.redaction import may_hold_secrets, redact_bytes, redact_identity, redact_text
from tests.fuzz.harness import Entry

PRIVACY = Privacy(Principals.HASH)


def take(raw: bytes) -> None:
    text = raw.decode("utf-8", "replace")
    clean = redact_text(text)
    assert may_hold_secrets(text.encode()) or clean == text
    redact_identity(text)
    redact_bytes(raw)
    PRIVACY.hidden_in_bytes(raw)


ENTRY = Entry(take, ())
