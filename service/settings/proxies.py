"""The proxy that a call over HTTP goes through, as the environment says: HTTPS_PROXY, HTTP_PROXY, NO_PROXY.

aiohttp's `trust_env` would do so too, and take credentials from ~/.netrc beside.
"""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from yarl import URL

from service.errors import SettingInvalid


def proxy_for(url: str) -> URL | None:
    """The proxy before this address, with the credentials to give it; None: none. Loopback never has one.

    Raises:
        SettingInvalid: the environment names something that is no HTTP proxy.
    """
    parts = urlsplit(url)
    told = getproxies().get(parts.scheme)
    if not told or _is_loopback(parts.hostname or "") or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    try:
        proxy = URL(told if "://" in told else f"http://{told}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        problem = "it names no proxy of the form http://host:port"
        raise SettingInvalid(setting=f"{parts.scheme.upper()}_PROXY", problem=problem)
    return proxy


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
