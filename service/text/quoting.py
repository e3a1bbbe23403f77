"""Words of somebody else that we show: one line of bounded length, without secrets."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from service.text.redaction import BLANK, redact_text


def without(text: str, secrets: Iterable[str]) -> str:
    """A text in which none of these stands, as it is or as JSON has it; before it is cut, so that no part is left."""
    forms = {form for secret in secrets for form in (secret, json.dumps(secret)[1:-1]) if form}
    for form in sorted(forms, key=len, reverse=True):
        text = text.replace(form, BLANK)
    return text


def quoted(words: Any, secrets: Iterable[str], limit: int) -> str:
    """What somebody says, in this many characters at most: without our own secrets, and what looks like one."""
    if words is None:
        return ""
    line = redact_text(" ".join(without(str(words), secrets).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"
