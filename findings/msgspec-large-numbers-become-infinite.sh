#!/usr/bin/env bash
# msgspec: a number beyond the largest double is refused as JSON, but becomes infinity where a decimal is converted,
# and null when it is written again.
#
# Version:  msgspec 0.22.0 (Python 3.11)
# Guess:    the way by which a number comes does not matter: json.decode refuses `1e999` for a float ("out of range"),
#           so convert refuses Decimal("1e999") for a float field, too, as it refuses an integer beyond its bounds.
# Seen:     json.decode raises. With float_hook=Decimal, the documented way to lose no digits, the same text decodes, and
#           convert makes `inf` of it without a word; json.encode writes that as null. A bound (le=sys.float_info.max)
#           on the field refuses it.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check msgspec==0.22.0
cat >"$place/try.py" <<'PYTHON'
import math
import sys
from decimal import Decimal
from typing import Annotated

import msgspec


class Column(msgspec.Struct):
    mean: float


class Bounded(msgspec.Struct):
    mean: Annotated[float, msgspec.Meta(le=sys.float_info.max)]


TEXT = b'{"mean": 1e999}'
try:
    msgspec.json.decode(TEXT, type=Column)
except msgspec.ValidationError as error:
    print("decoded as a float:", error)
else:
    raise SystemExit("decoding took it")

exact = msgspec.json.Decoder(float_hook=Decimal).decode(TEXT)
print("decoded with a hook:", exact)
assert exact == {"mean": Decimal("1e999")}

found = msgspec.convert(exact, Column)
print("converted:", found, "- written again:", msgspec.json.encode(found).decode())
assert math.isinf(found.mean)
assert msgspec.json.encode(found) == b'{"mean":null}'

try:
    msgspec.convert(exact, Bounded)
except msgspec.ValidationError as error:
    print("converted with a bound:", error)
else:
    raise SystemExit("the bound let it pass")
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: what is too large for a double is infinite after a conversion, and null after that."
