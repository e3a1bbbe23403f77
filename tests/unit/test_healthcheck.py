"""The healthcheck: yes only where `/livez` says so."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import pytest

from service.process import healthcheck


@contextmanager
def answering(status: int) -> Iterator[int]:
    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status if self.path == "/livez" else 404)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Answer) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(("status", "alive"), [(200, True), (503, False)])
@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_it_lives_where_the_probe_says_so(status: int, alive: bool, host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(status) as port:
        monkeypatch.setenv("CATALOG_MIRROR_HTTP__PORT", str(port))
        monkeypatch.setenv("CATALOG_MIRROR_HTTP__HOST", host)
        assert healthcheck.is_alive() is alive


def test_nobody_who_answers_is_no_life(monkeypatch: pytest.MonkeyPatch) -> None:
    with answering(200) as port:
        pass
    monkeypatch.setenv("CATALOG_MIRROR_HTTP__PORT", str(port))
    assert healthcheck.is_alive() is False
