#!/usr/bin/env bash
# Schemathesis: under pytest 9.2 all operations of a schema have the same node id, and pytest-xdist that distributes by file
# runs the first alone.
#
# Versions: schemathesis 4.32.5, pytest 9.2.0, pytest-xdist 3.8.0 (Python 3.11)
# Guess:    `@schema.parametrize()` makes one test of each operation, named after it (`test_api[GET /one]`), and xdist runs
#           as many of them as pytest does, on whichever worker.
# Seen:     three tests are collected, all with the node id `test_api.py::test_api`. pytest runs the three, and so does
#           `-n 2`; with `--dist loadfile` it says "1 passed" and ends with 0: there what is to be run is kept by node id.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check schemathesis==4.32.5 pytest==9.2.0 pytest-xdist==3.8.0
cat >"$place/test_api.py" <<'PYTHON'
from pathlib import Path

import schemathesis

OPERATION = {"responses": {"200": {"description": "Done."}}}
schema = schemathesis.openapi.from_dict({
    "openapi": "3.1.0",
    "info": {"title": "Three", "version": "1"},
    "paths": {path: {"get": OPERATION} for path in ("/one", "/two", "/three")},
})


@schema.parametrize()
def test_api(case):
    with Path(__file__).with_name("ran").open("a", encoding="utf-8") as ran:
        ran.write(f"{case.path}\n")
PYTHON
cd "$place"
run() {
    rm -f ran
    venv/bin/python -m pytest -q -p no:cacheprovider test_api.py "$@" | tail -1 | sed 's/ in .*//'
    sort -u ran | paste -sd' '
}
{
    echo "pytest:" && run
    echo "xdist:" && run -n 2
    echo "xdist by file:" && run -n 2 --dist loadfile
    echo "node ids:" && venv/bin/python -m pytest -q -p no:cacheprovider --collect-only test_api.py | grep :: | sort | uniq -c | tr -s ' '
} | tee seen
diff - seen <<'SEEN'
pytest:
3 passed
/one /three /two
xdist:
3 passed
/one /three /two
xdist by file:
1 passed
/one
node ids:
 3 test_api.py::test_api
SEEN
echo "As told."
