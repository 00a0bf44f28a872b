"""The wire seam: a stand-in for an SDK client's HTTP client, so that each attempt of a call is seen."""

from __future__ import annotations

from operator import attrgetter
from typing import Any

from tracer.capture.streams import ByteTap
from tracer.scope import within


class TracedHttp:
    """Stands for the HTTP client, so that each attempt is seen. Passes isinstance checks and forwards everything else."""

    __slots__ = ("_tracer_http",)

    _tracer_http: Any

    def __init__(self, http: Any) -> None:
        object.__setattr__(self, "_tracer_http", http)

    @property
    def __class__(self) -> type[Any]:  # pyright: ignore[reportIncompatibleMethodOverride]
        return type(self._tracer_http)  # pyright: ignore[reportUnknownVariableType]  # asked for often

    build_request: Any = property(attrgetter("_tracer_http.build_request"))
    """Asked for at each call: what is missing in a class is found by way of an error, which takes ten times as long."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tracer_http, name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(self._tracer_http, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._tracer_http, name)

    def __repr__(self) -> str:
        return repr(self._tracer_http)

    def __eq__(self, other: object) -> bool:
        return self is other or self._tracer_http is other

    def __hash__(self) -> int:
        return hash(self._tracer_http)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self._tracer_http.__reduce_ex__(protocol)

    def __enter__(self) -> Any:
        return self._tracer_http.__enter__()

    def __exit__(self, *details: object) -> Any:
        return self._tracer_http.__exit__(*details)


class TracedSyncHttp(TracedHttp):
    """The same for a sync HTTP client."""

    __slots__ = ()

    def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send as the HTTP client does; the attempt is kept with the call that is under way."""
        watch: Any = within()
        if watch is None:
            return self._tracer_http.send(request, *args, **kwargs)
        attempt = watch.attempt_begins(request)
        try:
            response = self._tracer_http.send(request, *args, **kwargs)
        except BaseException as error:
            watch.attempt_fails(attempt, error)
            raise
        watch.attempt_answers(attempt, response, ByteTap)
        return response


class TracedAsyncHttp(TracedHttp):
    """The same for an async HTTP client."""

    __slots__ = ()

    async def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
        """Send as the HTTP client does; the attempt is kept with the call that is under way."""
        watch: Any = within()
        if watch is None:
            return await self._tracer_http.send(request, *args, **kwargs)
        attempt = watch.attempt_begins(request)
        try:
            response = await self._tracer_http.send(request, *args, **kwargs)
        except BaseException as error:
            watch.attempt_fails(attempt, error)
            raise
        watch.attempt_answers(attempt, response, ByteTap)
        return response

    async def __aenter__(self) -> Any:
        return await self._tracer_http.__aenter__()

    async def __aexit__(self, *details: object) -> Any:
        return await self._tracer_http.__aexit__(*details)


def traced_http(http: Any) -> Any:
    """The stand-in for `http`, sync or async; itself if it is one already."""
    if type(http) in (TracedSyncHttp, TracedAsyncHttp):
        return http
    return TracedAsyncHttp(http) if hasattr(http, "aclose") else TracedSyncHttp(http)
