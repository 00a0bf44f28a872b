"""What the environment says of the network, as `requests` knows it: proxies, and hosts without one."""

from __future__ import annotations

import pytest

from tests.support import PATIENCE, collecting
from tracer.export.http import Http

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
