#!/usr/bin/env bash
# marquez-python: installed as its page says it cannot be imported, as it does not ask for a package that it imports.
#
# Version:  marquez-python 0.50.0, pyrfc3339 2.1.0 (Python 3.11)
# Guess:    `pip install marquez-python` in a fresh environment, then `from marquez_client import MarquezClient`, works.
# Seen:     ModuleNotFoundError: No module named 'pytz' (marquez_client/utils.py). Its metadata asks for requests, six,
#           pyrfc3339 and deprecation. pyrfc3339 1.1 brought pytz along; 2.1 does not. With pytz beside it the import works.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
pip() { "$place/venv/bin/pip" install --quiet --disable-pip-version-check "$@"; }
import() { "$place/venv/bin/python" -c 'from marquez_client import MarquezClient' 2>&1 | tail -n 1 || true; }

pip marquez-python==0.50.0 pyrfc3339==2.1.0
alone=$(import)
pip pyrfc3339==1.1
older=$(import)
echo "alone: $alone"
echo "with pyrfc3339 1.1: ${older:-imported}"
[ "$alone" = "ModuleNotFoundError: No module named 'pytz'" ]
[ -z "$older" ]
echo "As told: a package is imported that nobody asked for."
