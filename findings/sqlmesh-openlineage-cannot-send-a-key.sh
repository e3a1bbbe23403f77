#!/usr/bin/env bash
# sqlmesh-openlineage: with an API key, as its page says, no client can be made, and SQLMesh does not load its project.
#
# Version:  sqlmesh-openlineage 0.1.0, openlineage-python 1.54.0 (Python 3.11)
# Guess:    the key of `install(url=…, api_key=…)`, or of OPENLINEAGE_API_KEY, goes out as `Authorization: Bearer …`.
# Seen:     it hands `options={"api_key": …}` to OpenLineageClient, which wants OpenLineageClientOptions: AttributeError,
#           "'dict' object has no attribute 'timeout'". Within config.py that is "Failed to load config file". Without a
#           key it works.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openlineage-python==1.54.0
"$place/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps sqlmesh-openlineage==0.1.0
cat >"$place/try.py" <<'PYTHON'
from openlineage.client.client import OpenLineageClientOptions
from openlineage.client import OpenLineageClient
from sqlmesh_openlineage.emitter import OpenLineageEmitter

print("without a key:", type(OpenLineageEmitter("http://127.0.0.1:9").client.transport).__name__)
right = OpenLineageClient(url="http://127.0.0.1:9", options=OpenLineageClientOptions(api_key="key"))
print("the client, asked as it wants:", right.transport.config.auth.get_bearer())
try:
    OpenLineageEmitter("http://127.0.0.1:9", api_key="key")
except AttributeError as error:
    print("with a key:", error)
    assert "timeout" in str(error)
else:
    raise SystemExit("with a key: it works")
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: with a key no client can be made."
