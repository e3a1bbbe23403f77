"""The few words of RabbitMQ's management API that the parts need: quicker by far than its command line."""

import base64
import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import quote, unquote, urlsplit, urlunsplit

#: Seconds that one answer may take.
ANSWER_TIMEOUT_S = 10.0


class ManagementApi:
    """Makes and removes vhosts; `url` is http://user:password@host:port."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        user, password = unquote(parts.username or "guest"), unquote(parts.password or "guest")
        host = f"{parts.hostname}:{parts.port}" if parts.port else str(parts.hostname)
        self._base = urlunsplit((parts.scheme, host, parts.path.rstrip("/"), "", ""))
        self._user = user
        self._authorization = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()

    def answers(self) -> bool:
        """Whether the API is up and takes our name and password."""
        try:
            self.call("GET", "/api/overview")
        except OSError:
            return False
        return True

    def add_vhost(self, name: str) -> None:
        """Make a vhost on which our user may do everything."""
        self.call("PUT", f"/api/vhosts/{_part(name)}", {})
        self.set_permissions(name, self._user)

    def delete_vhost(self, name: str) -> None:
        """Remove a vhost and all that is in it; one that is gone already is well."""
        try:
            self.call("DELETE", f"/api/vhosts/{_part(name)}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise

    def add_user(self, name: str, password: str) -> None:
        """Make a user without any right."""
        self.call("PUT", f"/api/users/{_part(name)}", {"password": password, "tags": ""})

    def delete_user(self, name: str) -> None:
        """Remove a user."""
        self.call("DELETE", f"/api/users/{_part(name)}")

    def set_permissions(self, vhost: str, user: str) -> None:
        """Let a user do everything on a vhost."""
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        self.call("PUT", f"/api/permissions/{_part(vhost)}/{_part(user)}", everything)

    def set_topic_permissions(self, vhost: str, user: str, exchange: str, *, write: str, read: str) -> None:
        """Let a user publish to, and bind with, the topics that these patterns match."""
        body = {"exchange": exchange, "write": write, "read": read}
        self.call("PUT", f"/api/topic-permissions/{_part(vhost)}/{_part(user)}", body)

    def set_policy(self, vhost: str, name: str, pattern: str, **definition: object) -> None:
        """Put a policy on queues; `_` in the names of its definition stands for `-`."""
        body = {
            "pattern": pattern,
            "apply-to": "queues",
            "definition": {key.replace("_", "-"): value for key, value in definition.items()},
        }
        self.call("PUT", f"/api/policies/{_part(vhost)}/{_part(name)}", body)

    def delete_policy(self, vhost: str, name: str) -> None:
        """Take a policy away."""
        self.call("DELETE", f"/api/policies/{_part(vhost)}/{_part(name)}")

    def call(self, method: str, path: str, body: object = None) -> Any:
        """Ask and return the parsed answer; raises `OSError` (`HTTPError` among them)."""
        request = urllib.request.Request(
            self._base + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": self._authorization, "Content-Type": "application/json"},
        )
        # An opener without proxies: the broker is on this machine, or a test environment names it itself.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=ANSWER_TIMEOUT_S) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def _part(name: str) -> str:
    """A name as one part of a path."""
    return quote(name, safe="")
