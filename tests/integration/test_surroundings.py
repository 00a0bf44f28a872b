"""Requests of destinations: proxies that the environment names, and what is kept from one request to the next."""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.support import PATIENCE, collecting, running_server
from tracer.export.http import Answer, Http, Pieces, judge
from tracer.export.transport import REFUSED

NOWHERE = "http://destination.invalid:4318/v1/traces"
NO_PROXY_AT_ALL = "http://127.0.0.1:9"


def post(http: Http, url: str, body: bytes) -> int:
    return http.request("POST", url, PATIENCE, body).status


def test_a_proxy_of_the_environment_is_used_and_hosts_without_one_are_reached_directly(no_variables: pytest.MonkeyPatch) -> None:
    with collecting() as proxy, collecting() as direct:
        no_variables.setenv("http_proxy", proxy.url)
        no_variables.setenv("no_proxy", "127.0.0.1")
        assert post(Http({}), NOWHERE, b"through the proxy") == 200
        assert post(Http({}), direct.url, b"directly") == 200
    assert (proxy.bodies, direct.bodies) == ([b"through the proxy"], [b"directly"])


def test_the_environment_is_asked_once_for_a_session(no_variables: pytest.MonkeyPatch) -> None:
    with collecting() as proxy:
        no_variables.setenv("http_proxy", proxy.url)
        no_variables.setenv("no_proxy", "")
        http = Http({})
        assert post(http, NOWHERE, b"1") == 200
        no_variables.setenv("http_proxy", NO_PROXY_AT_ALL)
        assert post(http, NOWHERE, b"2") == 200
        assert proxy.bodies == [b"1", b"2"]
        http.renew()
        with pytest.raises(OSError, match="proxy"):
            post(http, NOWHERE, b"3")
        http.close()


def test_each_request_is_its_own_and_cookies_go_on() -> None:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            told = {name.lower(): value for name, value in self.headers.items()}
            seen.append((self.command, self.path, {name: told[name] for name in ("x-own", "x-once", "cookie") if name in told}, body))
            self.send_response(200)
            if self.path == "/sticky":
                self.send_header("set-cookie", "node=7")
            self.send_header("content-length", "0")
            self.end_headers()

        do_GET = do_PATCH = do_POST  # noqa: N815  # the names are http.server's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        http = Http({"x-own": "1"})
        http.request("POST", f"{url}/a", PATIENCE, b"first", {"x-once": "2"})
        http.request("POST", f"{url}/a", PATIENCE, Pieces([b"sec", b"ond"]))
        http.request("PATCH", f"{url}/a", PATIENCE, b"")
        http.request("GET", f"{url}/b", PATIENCE)
        http.request("POST", f"{url}/sticky", PATIENCE, b"third")
        http.request("POST", f"{url}/sticky", PATIENCE, b"fourth")
        http.close()
    own = {"x-own": "1"}
    assert seen == [
        ("POST", "/a", {**own, "x-once": "2"}, b"first"),
        ("POST", "/a", own, b"second"),
        ("PATCH", "/a", own, b""),
        ("GET", "/b", own, b""),
        ("POST", "/sticky", own, b"third"),
        ("POST", "/sticky", {**own, "cookie": "node=7"}, b"fourth"),
    ]


def test_a_server_that_drips_its_answer_is_left() -> None:
    left = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            self.send_response(200)
            self.send_header("content-length", "5000")
            self.end_headers()
            try:
                for _ in range(5000):
                    self.wfile.write(b"x")
                    left.wait(0.01)
            except OSError:
                left.set()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            pass

    with running_server(ThreadingHTTPServer(("127.0.0.1", 0), Handler)) as url:
        answer = Http({}).request("POST", url, 0.1, b"records")
        assert (answer.status, answer.body.strip(b"x")) == (200, b"")
        assert left.wait(PATIENCE)


@pytest.mark.parametrize("location", ["https://user:word@new.example/api?key=secret", "/v2/traces"])
def test_a_redirect_is_said_without_what_may_be_private_in_it(location: str) -> None:
    verdict = judge(Answer(308, "Permanent Redirect", {"location": location}), "the spans", {})
    assert verdict.outcome == REFUSED
    assert location.replace("user:word@", "").partition("?")[0] in verdict.advice
    assert not any(private in f"{verdict}" for private in ("word", "secret"))
