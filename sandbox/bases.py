"""Says when the bases of the image are old: `python -m sandbox.bases`. It warns, and fails for no passage of time.

A base is pinned by digest, so it gets no security fix by itself. Its registry is asked whether the tag leads to another
image by now; where it cannot be reached, the date beside the pins still tells how long ago somebody looked.
"""

from __future__ import annotations

import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from pathlib import Path

DOCKERFILE = Path(__file__).parents[1] / "Dockerfile"
#: Days after which somebody should look again.
OLD_DAYS = 60
_PIN = re.compile(
    r"^ARG \w+_IMAGE=docker\.io/(?P<name>[\w./-]+):(?P<tag>[\w.-]+)@(?P<digest>sha256:[0-9a-f]{64})$", re.M
)
_LOOKED = re.compile(r"^# Pinned on (\d{4}-\d\d-\d\d)", re.M)
#: How Docker Hub is asked (https://distribution.github.io/distribution/spec/api/, and its own token for everybody).
_TOKEN = "https://auth.docker.io/token?service=registry.docker.io&scope=repository:{name}:pull"
_MANIFEST = "https://registry-1.docker.io/v2/{name}/manifests/{tag}"
_KINDS = "application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.list.v2+json"
_TIMEOUT_S = 10

#: The digest that a tag of a repository leads to now.
Ask = Callable[[str, str], str]


def digest_now(name: str, tag: str) -> str:
    """What the registry says.

    Raises:
        OSError: it cannot be reached, or does not answer so.
    """
    try:
        with urllib.request.urlopen(_TOKEN.format(name=name), timeout=_TIMEOUT_S) as said:
            token = json.load(said)["token"]
        headers = {"Authorization": f"Bearer {token}", "Accept": _KINDS}
        request = urllib.request.Request(_MANIFEST.format(name=name, tag=tag), headers=headers, method="HEAD")
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as said:
            return str(said.headers["Docker-Content-Digest"])
    except (ValueError, KeyError) as error:
        raise OSError(f"it answers otherwise: {error}") from None


def notes(dockerfile: str, today: date, ask: Ask = digest_now) -> Iterator[str]:
    """What somebody should know of the bases, a line each."""
    looked = date.fromisoformat(_LOOKED.findall(dockerfile)[0])
    if (age := (today - looked).days) > OLD_DAYS:
        yield f"the bases were pinned {age} days ago: look for newer tags, take their digests, and write the day down"
    for pin in _PIN.finditer(dockerfile):
        try:
            now = ask(pin["name"], pin["tag"])
        except OSError as error:
            yield f"{pin['name']}:{pin['tag']} was not compared, its registry cannot be reached from here ({error})"
            continue
        if now != pin["digest"]:
            yield f"{pin['name']}:{pin['tag']} was built anew, most likely with security fixes: pin {now}"


if __name__ == "__main__":
    for note in notes(DOCKERFILE.read_text(encoding="utf-8"), datetime.now(UTC).date()):
        print(f"Note: {note}.", file=sys.stderr)
