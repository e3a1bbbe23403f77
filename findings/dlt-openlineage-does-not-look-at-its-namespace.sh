#!/usr/bin/env bash
# dlt-openlineage: OPENLINEAGE_NAMESPACE, which its page names, is never looked at.
#
# Version:  dlt-openlineage 0.1.1, dlt 1.31.0, dlt's DuckDB destination (Python 3.11)
# Guess:    with OPENLINEAGE_URL and OPENLINEAGE_NAMESPACE set, `install()` without arguments sends there, in that namespace.
# Seen:     it sends there, and every job is in the namespace `dlt`: the parameter's default, which is never empty, comes
#           before the variable. `install(namespace=…)` works.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    'dlt[duckdb]==1.31.0' dlt-openlineage==0.1.1 openlineage-python==1.54.0
cat >"$place/try.py" <<'PYTHON'
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

told = []


class Backend(BaseHTTPRequestHandler):
    def do_POST(self):
        told.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(201)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Backend)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["OPENLINEAGE_URL"] = f"http://127.0.0.1:{server.server_port}"
os.environ["OPENLINEAGE_NAMESPACE"] = "shop"
os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

import dlt
import dlt_openlineage

dlt_openlineage.install()
dlt.pipeline("load", destination="duckdb", dataset_name="raw").run([{"id": 1}], table_name="orders")
namespaces = {event["job"]["namespace"] for event in told}
print(len(told), "events, in the namespaces", sorted(namespaces), "- asked for: shop")
assert told and namespaces == {"dlt"}, namespaces
PYTHON
cd "$place" && HOME=$place "$place/venv/bin/python" try.py
echo "As told: the variable is not looked at."
