#!/usr/bin/env bash
# cloudevents: an event whose JSON data is an array, a text or a boolean goes out in binary mode as Python writes it,
# under `content-type: application/json`.
#
# Version:  cloudevents 2.2.0 (Python 3.11)
# Guess:    an event that was read in structured mode, and is passed on in binary mode, carries the same data: the body
#           is the JSON of `data`, and attributes are texts as the specification's type system writes them (`true`,
#           `false`).
# Seen:     an object is JSON. An array is `[{'id': 1}]`, a boolean `True`, a text has no quotes: Python's str(), for
#           whatever is no dict, through HTTP, Kafka and RabbitMQ alike, and no error. Who reads them with this SDK
#           again gets a text instead of array and boolean, also without an error; other receivers find no JSON. A
#           boolean extension goes out as `True`. In structured mode all of it is right.
#
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check cloudevents==2.2.0
cat >"$place/try.py" <<'PYTHON'
import json

from cloudevents.core.bindings import http, kafka, rabbitmq
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

FORMAT = JSONFormat()


def event(data):
    head = {"specversion": "1.0", "id": "1", "source": "/shop", "type": "saved", "datacontenttype": "application/json"}
    return FORMAT.read(CloudEvent, json.dumps({**head, "last": True, "data": data}))


for data, body, again in (
    ({"id": 1, "open": True}, b'{"id": 1, "open": true}', {"id": 1, "open": True}),
    ([{"id": 1, "open": True}], b"[{'id': 1, 'open': True}]", "[{'id': 1, 'open': True}]"),
    (True, b"True", "True"),
    ("paid", b"paid", "paid"),
):
    sent = http.to_binary(event(data), FORMAT)
    assert sent.headers["content-type"] == "application/json"
    print(json.dumps(data), "goes out as", sent.body.decode(), "and comes back as", repr(again))
    assert sent.body == kafka.to_binary(event(data), FORMAT).value == body
    assert rabbitmq.to_binary(event(data), FORMAT).body == body
    assert http.from_binary(sent, FORMAT, CloudEvent).get_data() == again
    whole = json.loads(http.to_structured(event(data), FORMAT).body)
    assert whole["data"] == data and whole["last"] is True
print("a boolean extension:", sent.headers["ce-last"])
assert sent.headers["ce-last"] == "True"
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: what is no object goes out as Python writes it."
