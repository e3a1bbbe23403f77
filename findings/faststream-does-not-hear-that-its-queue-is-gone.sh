#!/usr/bin/env bash
# faststream: when the broker cancels a consumer, as it does where a queue is deleted, the subscriber consumes nothing
# from then on, while the broker object answers every ping and the subscriber calls itself running.
#
# Version:  faststream 0.7.8, aio-pika 10.2.1, aiormq 7.2.4, pamqp 4.0.1 (Python 3.11); also with RabbitMQ 3.10.8
# Guess:    aiormq calls back for a `basic.cancel` of the broker, so FastStream declares the queue and consumes again,
#           or at least `ping`, which its health checks (`make_ping_asgi`) ask, answers False; and an iterator over an
#           aio-pika queue ends.
# Seen:     neither: no frame is sent in answer, `ping` is True, `running` is True, and `async for` waits for ever. With
#           a real broker, a queue of the same name that is declared anew gets messages that nobody takes. A warning of
#           the logger `aiormq.channel` is all that tells; who adds to `on_consumer_cancel_callbacks` of aiormq's
#           channel hears it.
#
# The server here speaks just the frames that are needed, as RabbitMQ does. Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check \
    "faststream[rabbit]==0.7.8" aio-pika==10.2.1 aiormq==7.2.4 pamqp==4.0.1
cat >"$place/try.py" <<'PYTHON'
import asyncio
import logging

import aio_pika
from faststream.rabbit import RabbitBroker
from pamqp import commands, frame

logging.disable(logging.CRITICAL)
ABLE = {"capabilities": {"consumer_cancel_notify": True, "publisher_confirms": True, "basic.nack": True}}
#: What the clients said, and where their consumers are.
HEARD, CONSUMERS = [], []

ANSWERS = {
    "Connection.StartOk": lambda said: commands.Connection.Tune(2047, 131072, 60),
    "Connection.Open": lambda said: commands.Connection.OpenOk(),
    "Connection.Close": lambda said: commands.Connection.CloseOk(),
    "Channel.Open": lambda said: commands.Channel.OpenOk(),
    "Channel.Close": lambda said: commands.Channel.CloseOk(),
    "Confirm.Select": lambda said: commands.Confirm.SelectOk(),
    "Queue.Declare": lambda said: commands.Queue.DeclareOk(said.queue, 0, 0),
    "Basic.Qos": lambda said: commands.Basic.QosOk(),
    "Basic.Consume": lambda said: commands.Basic.ConsumeOk(said.consumer_tag),
    "Basic.Cancel": lambda said: commands.Basic.CancelOk(said.consumer_tag),
}


async def serve(reader, writer):
    await reader.readexactly(8)  # the protocol header
    start = commands.Connection.Start(mechanisms="PLAIN", locales="en_US", server_properties=ABLE)
    writer.write(frame.marshal(start, 0))
    try:
        while True:
            head = await reader.readexactly(7)
            rest = await reader.readexactly(int.from_bytes(head[3:7], "big") + 1)
            _, channel, said = frame.unmarshal(head + rest)
            HEARD.append(said.name)
            if said.name in ANSWERS:
                writer.write(frame.marshal(ANSWERS[said.name](said), channel))
            if said.name == "Basic.Consume":
                CONSUMERS.append((writer, channel, said.consumer_tag))
    except (asyncio.IncompleteReadError, ConnectionError):
        writer.close()


async def cancelled():
    """The broker cancels the newest consumer; what is heard of its client within three seconds."""
    writer, channel, tag = CONSUMERS[-1]
    HEARD.clear()
    writer.write(frame.marshal(commands.Basic.Cancel(tag, True), channel))
    await asyncio.sleep(3)
    return list(HEARD)


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    url = f"amqp://guest:guest@127.0.0.1:{server.sockets[0].getsockname()[1]}/"

    broker = RabbitBroker(url, logger=None)

    @broker.subscriber("orders")
    async def taken(message: str) -> None:
        pass

    await broker.start()
    (subscriber,) = broker.subscribers
    heard = await cancelled()
    alive = await broker.ping(timeout=5)
    print(f"faststream: answered {heard}, ping {alive}, running {subscriber.running}")
    assert (heard, alive, subscriber.running) == ([], True, True)
    await broker.stop()

    connection = await aio_pika.connect_robust(url)
    channel = await connection.channel()
    queue = await channel.declare_queue("orders")
    told = []

    async def consume():
        async with queue.iterator() as messages:
            async for message in messages:
                await message.ack()

    consuming = asyncio.create_task(consume())
    while len(CONSUMERS) < 2:
        await asyncio.sleep(0.01)
    underlay = await channel.get_underlay_channel()
    underlay.on_consumer_cancel_callbacks.add(lambda said: told.append(said.name))
    heard = await cancelled()
    print(f"aio-pika: answered {heard}, iterator ended {consuming.done()}, aiormq called back {told}")
    assert (heard, consuming.done(), told) == ([], False, ["Basic.Cancel"])
    consuming.cancel()
    await connection.close()


asyncio.run(main())
PYTHON
timeout 60 "$place/venv/bin/python" "$place/try.py"
echo "As told: nobody consumes, and all looks well."
