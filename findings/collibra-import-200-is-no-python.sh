#!/usr/bin/env bash
# collibra-import-200: Collibra's client for its import API cannot be imported; a file of it is no Python.
#
# Version:  collibra-import-200 2.0.0 (Python 3.11)
# Guess:    `import collibra_import` works after `pip install`, as `import collibra_core` does for collibra-core-200 2.0.6.
# Seen:     SyntaxError: unterminated string literal, in models/batch_csvjob_body.py: `escape='\'` is the default of a
#           parameter. It was generated from a description of the API, without escaping the backslash.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-compile \
    collibra-import-200==2.0.0 collibra-core-200==2.0.6
import() { "$place/venv/bin/python" -B -W ignore -c "import $1" 2>&1 || true; }

core=$(import collibra_core)
into=$(import collibra_import)
echo "collibra_core: ${core:-imported}"
printf 'collibra_import: %s\n' "$(printf '%s' "$into" | tail -n 1)"
[ -z "$core" ]
case $into in *"batch_csvjob_body.py"*"escape='\\'"*"SyntaxError: unterminated string literal"*) ;; *) exit 1;; esac
echo "As told: it is no Python."
