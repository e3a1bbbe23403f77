#!/usr/bin/env bash
# RabbitMQ: who was told that a queue is deleted may still find it, and a declaration may then make another one.
#
# Version:  RabbitMQ 4.3.6 of Debian unstable (Erlang 29), amqp by pika 1.3.2
# Guess:    a consumer is cancelled (`basic.cancel`) when its quorum queue has been deleted: a passive declaration after that
#           is answered by 404, as it always was with RabbitMQ 3.10.8 (0 of 60).
# Seen:     some of 60 such declarations still found the queue; a moment later it was gone. So a client that looks whether
#           its queue is there, and then declares it, makes a new one without knowing that the old one, with its messages
#           and bindings, is lost.
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
deleting = pika.BlockingConnection(pika.ConnectionParameters("127.0.0.1", port))
found = 0
for number in range(60):
    queue = f"queue-{number}"
    channel = connection.channel()
    channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
    cancelled = []
    channel.add_on_cancel_callback(cancelled.append)
    channel.basic_consume(queue, lambda *delivery: None)
    looking = connection.channel()
    with_delete = deleting.channel()
    # Without waiting for the answer: who deletes it knows when it is gone, the consumer is told by itself.
    with_delete._impl.queue_delete(queue, callback=lambda answer: None)
    deleting.process_data_events(time_limit=0)
    while not cancelled:
        connection.process_data_events(time_limit=0.01)
    try:
        looking.queue_declare(queue, passive=True)
        found += 1
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
    deleting.process_data_events(time_limit=0.2)
    try:
        connection.channel().queue_declare(queue, passive=True)
        raise AssertionError("it is not gone at all")
    except pika.exceptions.ChannelClosedByBroker as error:
        assert error.reply_code == 404, error
print(f"found after its consumer was told that it is gone: {found} of 60; a moment later: 0 of 60")
assert found > 0
PYTHON
"$place/venv/bin/python" "$place/try.py" "$port" "$root$home/log/seen@localhost.log" 
echo "As told: a queue is found although its consumer was told that it is gone."
