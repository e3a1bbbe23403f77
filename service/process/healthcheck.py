"""Asks the service in the same container whether it lives: `python -m service.process.healthcheck`, exit 0 or 1.

For the image's HEALTHCHECK and for the supervisor. It imports nothing of the service, so that asking costs little, and
therefore knows `HTTP__HOST` and `HTTP__PORT` from the environment only.
"""

from __future__ import annotations

import os
import sys
from http.client import HTTPConnection, HTTPException

#: Seconds after which no answer is an answer.
TIMEOUT_S = 3.0
#: Addresses that mean "all of them": compared with, not listened on.
_ANY = {"", "0.0.0.0", "::"}


def is_alive() -> bool:
    """Whether `/livez` answers 200."""
    host = os.environ.get("CATALOG_MIRROR_HTTP__HOST", "")
    port = int(os.environ.get("CATALOG_MIRROR_HTTP__PORT", "8080"))
    connection = HTTPConnection("127.0.0.1" if host in _ANY else host, port, timeout=TIMEOUT_S)
    try:
        connection.request("GET", "/livez")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(0 if is_alive() else 1)
