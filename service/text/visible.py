"""Text from outside, shown to people: what a terminal would obey, and what would reorder a line, is made visible.

Whoever may name a thing in the catalog may put an escape sequence into the name, which a terminal obeys: it moves the
cursor, rewrites what stands above, sets the title or the clipboard. So no control character of ECMA-48 (C0, C1, DEL)
and none of Unicode's for direction (UAX #9) reaches a screen as itself; each is shown by its number.
"""

from __future__ import annotations

import re
from typing import Any

#: All but the line feed, with which texts of several lines are written.
_HIDDEN = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069]")


def visible(text: str) -> str:
    r"""The text with control characters as `\x1b` or `\u202e`; line feeds stay, tabs become spaces."""
    return _HIDDEN.sub(_shown, text)


def visible_line(text: str) -> str:
    r"""The same for what has to stay one line: line feeds are shown, too, as `\n`."""
    return visible(text).replace("\n", "\\n")


def visible_json(text: str) -> str:
    """A JSON text that says the same, with nothing in it that a terminal would obey."""
    return _HIDDEN.sub(_escaped, text)


def visible_fields(fields: dict[str, Any]) -> dict[str, Any]:
    """The fields of a log line; what is no text is written by `repr`, which shows control characters itself."""
    return {name: visible(value) if isinstance(value, str) else value for name, value in fields.items()}


def _shown(found: re.Match[str]) -> str:
    char = found[0]
    if char == "\t":
        return "    "
    return f"\\x{ord(char):02x}" if ord(char) < 0x100 else f"\\u{ord(char):04x}"


def _escaped(found: re.Match[str]) -> str:
    """In JSON these stand in texts alone, but for white space, which C0 has in it."""
    return found[0] if found[0] in "\t\r" else f"\\u{ord(found[0]):04x}"
