#!/usr/bin/env bash
# RabbitMQ: a global prefetch that is not permitted any more is answered as if it were, and then counts per consumer.
#
# Version:  RabbitMQ 4.3.6 of Debian unstable (Erlang 29), amqp by pika 1.3.2
# Guess:    `basic.qos` with `global` is refused by an error that closes the channel: the feature is denied by default, and
#           the node's log says "[error] … this feature is not permitted anymore".
# Seen:     the answer is `basic.qos-ok`, the channel stays open, and the limit of 5 for the channel became one of 5 for each
#           consumer: two consumers of the channel hold 10 of 20 messages (5 with RabbitMQ 3.10.8). Only the node's log tells.
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
import sys
import time

import pika

port, log = int(sys.argv[1]), sys.argv[2]
for _ in range(120):
    try:
        connection = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
        break
    except pika.exceptions.AMQPConnectionError:
        time.sleep(0.5)
channel = connection.channel()
for name in ("one", "two"):
    channel.queue_declare(name, durable=True, arguments={"x-queue-type": "classic"})
    for _ in range(10):
        channel.basic_publish("", name, b"x")
limited = connection.channel()
limited.basic_qos(prefetch_count=5, global_qos=True)
held = []
for name in ("one", "two"):
    limited.basic_consume(name, lambda *delivery: held.append(delivery))
connection.process_data_events(time_limit=3)
for _ in range(20):  # it is written a moment later
    said = open(log, encoding="utf-8").read()
    if "not permitted anymore" in said:
        break
    time.sleep(0.5)
print("channel is open:", limited.is_open)
print("held at once, with a limit of 5 for the channel:", len(held))
print("the log says that it is not permitted:", "`global_qos`" in said and "not permitted anymore" in said)
assert limited.is_open
assert len(held) == 10, len(held)
assert "`global_qos`" in said and "not permitted anymore" in said
PYTHON
"$place/venv/bin/python" "$place/try.py" "$port" "$root$home/log/seen@localhost.log"
echo "As told: a global prefetch is answered as if it were permitted, and counts per consumer."
