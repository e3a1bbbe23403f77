"""What of people is kept: who they are, and what their tables hold, as the settings say."""

from __future__ import annotations

from typing import Any, NamedTuple

from service.errors import DataError
from service.text import documents
from service.text.forgotten import NOBODY, Forgotten
from service.text.principals import Principals, principals_in_bytes, without_principals
from service.text.profile_values import ProfileValues, profile_values_in_bytes, without_profile_values
from service.text.redaction import may_hold_secrets, redact, redact_bytes


class Privacy(NamedTuple):
    """What is hidden before anything is written, besides secrets, which always are."""

    principals: Principals = Principals.KEEP
    profile_values: ProfileValues = ProfileValues.NUMBERS
    #: Who was forgotten in the mirror that is written to.
    forgotten: Forgotten = NOBODY

    @property
    def hides_people(self) -> bool:
        """Whether anything may have to be taken out for people's sake."""
        return self.principals is not Principals.KEEP or bool(self.forgotten)

    def hidden(self, value: Any, *, everywhere: bool = False) -> Any:
        """A body, card or answer as it may be written; the same object where nothing of it is hidden.

        Args:
            everywhere: values of tables are looked for in all of it, not only where a profile is documented to stand.
        """
        value = self.forgotten.hidden(without_profile_values(value, self.profile_values, everywhere=everywhere))
        return value if self.principals is Principals.KEEP else without_principals(value, self.principals)

    def hidden_in_bytes(self, body: bytes) -> bytes:
        """The same for bytes that do not parse."""
        body = self.forgotten.hidden_in_bytes(profile_values_in_bytes(body, self.profile_values))
        return principals_in_bytes(body, self.principals)


def clean_body(body: bytes, max_depth: int, privacy: Privacy) -> tuple[bytes, bool]:
    """A whole body as it may be written: parsed where it parses, else by pattern; and whether any was taken out."""
    try:
        value = documents.read(body, max_depth)
    except DataError:
        clean, _ = redact_bytes(body)
        clean = privacy.hidden_in_bytes(clean)
        return clean, clean != body
    clean_value, blanked = redact(value) if may_hold_secrets(body) else (value, False)
    hidden = privacy.hidden(clean_value, everywhere=True)
    return (documents.canonical(hidden), True) if blanked or hidden is not clean_value else (body, False)
