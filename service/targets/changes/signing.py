"""Signs what is posted as Standard Webhooks says (https://www.standardwebhooks.com), with secrets of a file.

Every secret of the file signs, so that a new one can be told to the receiver before the old one goes: two are valid at
once. The id names the event, or the array of events, so a receiver knows what it was sent before. It refuses what was
signed minutes ago or ahead by its own clock, so that clock counts where ours is another one.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
from standardwebhooks import Webhook

from service.catalog.answer import date_of
from service.errors import SettingInvalid
from service.settings.files import Watched
from service.targets.options import setting_of

log = structlog.get_logger(__name__)

_PREFIX = "whsec_"
#: Bytes of a secret: the specification's own bounds ("Signature scheme"); and secrets that are valid at once.
_LEAST, _MOST, _AT_ONCE = 24, 64, 2
#: How far clocks may differ before a refusal is put down to it; the official libraries bear five minutes.
_BORNE = timedelta(minutes=1)


class Signer:
    """Signs with the secrets that a file holds now.

    Raises:
        SettingInvalid: it cannot be read, or holds no such secrets; never shows one.
    """

    def __init__(self, target: str, file: Path) -> None:
        self._target = target
        #: What the receiver's clock is ahead of ours, as far as it matters.
        self._ahead = timedelta()
        try:
            self._secrets = Watched.text(file, _secrets)
        except (OSError, ValueError) as error:
            raise SettingInvalid(setting=setting_of(target, "SECRET_FILE"), problem=str(error)) from None

    def headers(self, message_id: str, body: bytes, ahead: timedelta | None = None) -> Mapping[str, str]:
        """The three headers of a message that is signed now.

        Args:
            ahead: what the receiver's clock is ahead of ours; None: what was found before.
        """
        now, text = datetime.now(UTC) + (self._ahead if ahead is None else ahead), body.decode()
        return {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": " ".join(secret.sign(message_id, now, text) for secret in self._secrets.value),
        }

    def otherwise(self, answered: Mapping[str, str]) -> timedelta | None:
        """What the receiver's clock is ahead of ours by a refusal's `Date`; None where we signed by that already."""
        theirs = date_of(answered)
        if theirs is None:
            return None
        ahead = theirs - datetime.now(UTC)
        return ahead if abs(ahead - self._ahead) > _BORNE else None

    def adopt(self, ahead: timedelta) -> None:
        """Sign by that clock from now on: the receiver took what was."""
        self._ahead = ahead
        log.warning("clocks_differ", target=self._target, receiver_ahead_s=round(ahead.total_seconds()))


def _secrets(text: str) -> tuple[Webhook, ...]:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if not 1 <= len(lines) <= _AT_ONCE:
        raise ValueError(f"it holds {len(lines)} secrets: one a line, the new one and at most the one before it")
    return tuple(Webhook(_bytes(line, number)) for number, line in enumerate(lines, 1))


def _bytes(line: str, number: int) -> bytes:
    try:
        secret = base64.b64decode(line.removeprefix(_PREFIX), validate=True)
    except binascii.Error:
        raise ValueError(f"line {number} is no secret: `{_PREFIX}` and base64") from None
    if not _LEAST <= len(secret) <= _MOST:
        raise ValueError(f"the secret in line {number} has {len(secret)} bytes, not {_LEAST} to {_MOST}")
    return secret
