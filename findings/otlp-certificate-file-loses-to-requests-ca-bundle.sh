#!/usr/bin/env bash
# opentelemetry-exporter-otlp-proto-http: `certificate_file` is not believed where REQUESTS_CA_BUNDLE is set.
#
# Version:  opentelemetry-exporter-otlp-proto-http 1.45.2, opentelemetry-exporter-http-transport 0.66b2, requests 2.34.2
#           (Python 3.11)
# Guess:    OTLPSpanExporter(certificate_file=…) checks the collector's certificate with that file, whatever the environment
#           says: an argument is nearer than a variable.
# Seen:     without the variable spans are taken. With it, as many companies' images have it, the same exporter fails with
#           CERTIFICATE_VERIFY_FAILED: the file is put into `Session.verify`, over which requests lets the variable win
#           (psf/requests, issue 3829); given to each call as `verify=…` it would count.
#
# Needs openssl. Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
  opentelemetry-exporter-otlp-proto-http==1.45.2 opentelemetry-exporter-http-transport==0.66b2 requests==2.34.2
for who in collector stranger; do
  openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$who" -addext subjectAltName=IP:127.0.0.1 \
    -keyout "$place/$who.key" -out "$place/$who.crt" 2>/dev/null
done
cat >"$place/try.py" <<'PYTHON'
import logging
import os
import ssl
import sys
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

logging.disable(logging.CRITICAL)
place = sys.argv[1]


class Collector(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_):
        pass


server = HTTPServer(("127.0.0.1", 0), Collector)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(f"{place}/collector.crt", f"{place}/collector.key")
server.socket = context.wrap_socket(server.socket, server_side=True)
threading.Thread(target=server.serve_forever, daemon=True).start()


def told():
    url = f"https://127.0.0.1:{server.server_port}/v1/traces"
    return OTLPSpanExporter(endpoint=url, certificate_file=f"{place}/collector.crt", timeout=2).export([]).name


for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
    os.environ.pop(name, None)
without = told()
os.environ["REQUESTS_CA_BUNDLE"] = f"{place}/stranger.crt"
beside = told()
print("without the variable:", without)
print("with the variable:   ", beside)
assert (without, beside) == ("SUCCESS", "FAILURE"), (without, beside)
PYTHON
"$place/venv/bin/python" "$place/try.py" "$place"
echo "As told: REQUESTS_CA_BUNDLE wins over certificate_file."
