#!/usr/bin/env bash
# openlineage-python: a composite transport that should go on to the next one on failure never does after `async_http`,
# and what that one could not send is lost without an error.
#
# Version:  openlineage-python 1.54.0 (Python 3.11)
# Guess:    `composite` with `continue_on_success: false`, which stops at the first transport that succeeds, sends to
#           the server or else to the file, whichever of the two HTTP transports stands first: `async_http` retries and
#           counts failures, too.
# Seen:     with `http` and a server that answers 503 the event is in the file. With `async_http` it is in neither:
#           `emit` has succeeded as soon as the event is in the queue, so the composite stops there. Nothing is raised,
#           `close` answers True; the log and the transport's own count of failures are all that tells. With
#           `continue_on_failure: false` an error should end it; there is none, either.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check openlineage-python==1.54.0
cat >"$place/try.py" <<'PYTHON'
import http.server
import logging
import sys
import threading
from pathlib import Path

from openlineage.client import OpenLineageClient
from openlineage.client.event_v2 import Job, Run, RunEvent, RunState
from openlineage.client.uuid import generate_new_uuid

logging.disable(logging.CRITICAL)
ASKED = []
TIME = "2026-01-01T00:00:00Z"


class Unavailable(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        ASKED.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unavailable)
threading.Thread(target=server.serve_forever, daemon=True).start()


def told(kind, **options):
    file = Path(sys.argv[1], f"{kind}-{len(options)}")
    url = f"http://127.0.0.1:{server.server_port}"
    first = {"type": kind, "url": url, "retry": {"total": 1, "backoff_factor": 0.01}}
    second = {"type": "file", "log_file_path": str(file), "append": True}
    composite = {"type": "composite", "transports": [first, second], "continue_on_success": False, **options}
    client = OpenLineageClient(config={"transport": composite})
    run, job = Run(runId=str(generate_new_uuid())), Job(namespace="shop", name="load")
    ASKED.clear()
    try:
        client.emit(RunEvent(eventType=RunState.START, eventTime=TIME, run=run, job=job, producer="urn:load"))
        raised = False
    except RuntimeError:
        raised = True
    closed = client.close(timeout=10)
    in_file = len(file.read_text().splitlines()) if file.exists() else 0
    print(f"{kind} {options}: {len(ASKED)} requests, in the file: {in_file}, raised: {raised}, closed: {closed}")
    return len(ASKED), in_file, raised, closed


assert told("http") == (2, 1, False, True)
assert told("async_http") == (2, 0, False, True)
assert told("http", continue_on_failure=False)[1:3] == (0, True)
assert told("async_http", continue_on_failure=False) == (2, 0, False, True)
PYTHON
"$place/venv/bin/python" "$place/try.py" "$place"
echo "As told: after async_http there is no second way."
