#!/usr/bin/env bash
# RabbitMQ: `list_deprecated_features --used` lists nothing while a feature that is deprecated is in use.
#
# Version:  RabbitMQ 4.3.6 of Debian unstable (Erlang 29), amqp by pika 1.3.2
# Guess:    with a queue that is neither durable nor exclusive, `rabbitmqctl list_deprecated_features --used` names
#           `transient_nonexcl_queues`: the node's log warns of it when the queue is declared.
# Seen:     the list is empty, while the queue is there and the log has the warning. Whoever asks before an upgrade what has
#           to change is told: nothing.
#
# Needs root and some 650 MB: the broker runs in a root made by debootstrap, or in the one that RABBITMQ_ROOT names.
# Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
node=
cleanup() {
    [ -z "$node" ] || { kill -KILL -- "-$node" && wait "$node"; } 2>/dev/null || true
    rm -rf "${root:?}/var/tmp/$(basename "$place")" "$place"
}
trap cleanup EXIT
root=${RABBITMQ_ROOT:-$place/root}
if [ "$root" = "$place/root" ]; then
    command -v debootstrap >/dev/null || apt-get install -y --no-install-recommends debootstrap
    debootstrap --variant=minbase --include=rabbitmq-server sid "$root" >"$place/debootstrap.log"
fi
cp /etc/hosts "$root/etc/hosts"
version=$(chroot "$root" dpkg-query --show --showformat '${Version}' rabbitmq-server)
echo "RabbitMQ $version"
case $version in 4.3.6-*) ;; *) echo "This was seen with 4.3.6; look anew." >&2; exit 1 ;; esac

# A node of its own: name, ports and files are this script's, and its name server is, too.
home=/var/tmp/$(basename "$place")
mkdir -p "$root$home"
port=$((20000 + RANDOM % 9000))
cat >"$place/start" <<SH
mount -t proc proc "$root/proc"
chroot "$root" env -i PATH=/usr/bin:/bin epmd -port $((port + 1)) -address 127.0.0.1 &
exec chroot "$root" env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 HOME=$home ERL_EPMD_PORT=$((port + 1)) \
    RABBITMQ_NODENAME=seen@localhost RABBITMQ_NODE_IP_ADDRESS=127.0.0.1 RABBITMQ_NODE_PORT=$port \
    RABBITMQ_DIST_PORT=$((port + 2)) RABBITMQ_MNESIA_BASE=$home/data RABBITMQ_LOG_BASE=$home/log \
    RABBITMQ_PID_FILE=$home/pid RABBITMQ_ENABLED_PLUGINS_FILE=$home/plugins RABBITMQ_CONF_ENV_FILE=/none \
    /usr/lib/rabbitmq/bin/rabbitmq-server
SH
setsid unshare --mount --propagation slave sh -e "$place/start" >"$place/node.log" 2>&1 &
node=$!
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check pika==1.3.2
cat >"$place/try.py" <<'PYTHON'
import json
import subprocess
import sys
import time

import pika

port, log, ctl = int(sys.argv[1]), sys.argv[2], sys.argv[3:]
for _ in range(120):
    try:
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        break
    except pika.exceptions.AMQPConnectionError:
        time.sleep(0.5)
connection.channel().queue_declare("passing", durable=False, exclusive=False)
for _ in range(20):  # it is written a moment later
    said = open(log, encoding="utf-8").read()
    if "`transient_nonexcl_queues`" in said:
        break
    time.sleep(0.5)


def asked(*words):
    told = subprocess.run([*ctl, *words, "--formatter", "json"], check=True, capture_output=True, text=True).stdout
    return json.loads(told)


queues = asked("list_queues", "name", "durable", "exclusive")
used = asked("list_deprecated_features", "--used")
known = {one["name"]: one["state"] for one in asked("list_deprecated_features")}
print("queues:", queues)
print("the log warns:", "`transient_nonexcl_queues`" in said)
print("known:", known)
print("used:", used)
assert queues == [{"name": "passing", "durable": False, "exclusive": False}], queues
assert "`transient_nonexcl_queues`" in said
assert known["transient_nonexcl_queues"] == "permitted"
assert used == [], used
PYTHON
"$place/venv/bin/python" "$place/try.py" "$port" "$root$home/log/seen@localhost.log" \
    chroot "$root" env -i PATH=/usr/bin:/bin LC_ALL=C.UTF-8 "HOME=$home" ERL_EPMD_PORT=$((port + 1)) \
    /usr/lib/rabbitmq/bin/rabbitmqctl -q -n seen@localhost
echo "As told: a deprecated feature in use is not listed as used."
