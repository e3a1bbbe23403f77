#!/usr/bin/env bash
# aiormq: a vhost that does not exist is told as a frame out of place, without the broker's words.
#
# Version:  aiormq 7.2.4, pamqp 4.0.1 (Python 3.11)
# Guess:    connecting to a vhost that the broker does not have raises ConnectionClosed with "NOT_ALLOWED - vhost … not
#           found", as a refused login raises ProbableAuthenticationError with the broker's text: both are a
#           connection.close in the handshake.
# Seen:     the refused login is told with its text; the vhost raises InvalidFrameError "Expected one of
#           ['Connection.OpenOk'], got <Connection.Close object …>". The reply code and text are lost: the response is
#           checked against the names of valid answers before it is looked at as a close.
#
# The server here speaks just the handshake, as RabbitMQ 3.10.8, 4.0.5 and 4.3.6 do. Exits 0 while it is as told.
set -euo pipefail
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
python3 -m venv "$place/venv"
"$place/venv/bin/pip" install --quiet --disable-pip-version-check aiormq==7.2.4 pamqp==4.0.1
cat >"$place/try.py" <<'PYTHON'
import asyncio
import logging

import aiormq
from pamqp import commands, frame

logging.disable(logging.CRITICAL)


async def read(reader):
    head = await reader.readexactly(7)
    return frame.unmarshal(head + await reader.readexactly(int.from_bytes(head[3:7], "big") + 1))[2]


async def serve(reader, writer):
    def say(method):
        writer.write(frame.marshal(method, 0))

    await reader.readexactly(8)  # the protocol header
    say(commands.Connection.Start(mechanisms="PLAIN", locales="en_US", server_properties={"version": "4.3.6"}))
    login = await read(reader)
    if "wrong" in str(login.response):
        say(commands.Connection.Close(403, "ACCESS_REFUSED - Login was refused", 0, 0))
    else:
        say(commands.Connection.Tune(2047, 131072, 60))
        await read(reader)  # tune-ok
        opened = await read(reader)
        say(commands.Connection.Close(530, f"NOT_ALLOWED - vhost {opened.virtual_host} not found", 10, 40))
    await writer.drain()
    await reader.read()


async def told(url):
    try:
        await aiormq.connect(url)
    except Exception as error:
        return type(error).__name__, str(error)
    return "connected", ""


async def main():
    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    login = await told(f"amqp://me:wrong@127.0.0.1:{port}/orders")
    vhost = await told(f"amqp://me:right@127.0.0.1:{port}/orders")
    print("refused login:", *login)
    print("missing vhost:", *vhost)
    assert login == ("ProbableAuthenticationError", "ACCESS_REFUSED - Login was refused"), login
    assert vhost[0] == "InvalidFrameError", vhost
    assert "not found" not in vhost[1], vhost


asyncio.run(main())
PYTHON
"$place/venv/bin/python" "$place/try.py"
echo "As told: the words with which a vhost is refused are lost."
