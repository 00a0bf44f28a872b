"""Where settings, capture, the application's own telemetry and the pipeline are put together."""

from __future__ import annotations

import atexit
import itertools
import os
import sys
import threading
from collections.abc import Mapping
from typing import Any

from tracer import settings as settings_module
from tracer.capture.langchain_joining import trace_every_run
from tracer.capture.langsmith_joining import join_langsmith
from tracer.host.hook import HostHook
from tracer.host.loggers import logger_provider
from tracer.host.meters import HostMeters
from tracer.pipeline.destinations import wanted
from tracer.runtime import has_host, has_meters, logger, nowhere, report_fault, runtime
from tracer.sampling import SAMPLERS
from tracer.settings import Settings
from tracer.start_line import say_start

_configuring = threading.RLock()


def _new_lock() -> None:
    global _configuring
    _configuring = threading.RLock()


if hasattr(os, "register_at_fork"):
    # A thread that does not exist in the child may have held it.
    os.register_at_fork(after_in_child=_new_lock)


def configuring() -> threading.RLock:
    """The lock that is held while settings are applied."""
    return _configuring


def configure(arguments: Mapping[str, Any]) -> None:
    """Replace the settings in force; what was recorded until then is sent first."""
    resolved, problems, _ = settings_module.read(arguments=arguments)
    with _configuring:
        try:
            shut_down(resolved.exit_timeout)
            _report(problems)
            _apply(resolved)
        except Exception as fault:
            _not_configured(fault)


def ensure_configured() -> None:
    """Read the settings; happens once for each process, at the first `wrap`, `context` or traced span.

    Threads that come while the first is at it wait for it: what they record must not be lost.
    """
    with _configuring:
        if not runtime.configured:
            try:
                resolved, problems, _ = settings_module.read()
                _report(problems)
                _apply(resolved)
            except Exception as fault:
                _not_configured(fault)


def start_locally() -> None:
    """Record to the local store where nothing is recorded by default, for whoever switches recording on for a while."""
    with _configuring:
        try:
            if runtime.pipeline is None:
                _start(runtime.settings.replaced(local=True), on=False)
        except Exception as fault:
            _not_configured(fault)


def _not_configured(fault: Exception) -> None:
    runtime.configured = True  # Trying again at each call would not help.
    if not report_fault("setting up", fault):
        raise fault


def flush(timeout: float = 5.0) -> bool:
    """Wait until everything recorded so far was handed to its destinations; False when `timeout` (seconds) went by first."""
    pipeline, host = running_pipeline(), running_host()
    ended = host.flush(timeout) if host is not None else True
    return pipeline.flush(timeout) and ended if pipeline is not None else ended


def shut_down(timeout: float) -> bool:
    """Send what is left, within `timeout` (seconds), and record nothing more; False when not all arrived."""
    pipeline, host = running_pipeline(), running_host()
    done = host.shutdown(timeout) if host is not None else True
    if pipeline is not None:
        done = pipeline.shutdown(timeout) and done
        runtime.on = runtime.can_record = runtime.running = False
    runtime.meters = runtime.loggers = None
    return done


def _report(problems: list[settings_module.Problem]) -> None:
    for problem in problems:
        warn_once(str(problem))


def warn_once(text: str, about: str = "") -> None:
    """Say something, once about the same thing."""
    if (about or text) not in runtime.reported:
        runtime.reported.add(about or text)
        logger.warning("tracer: %s", text)


def _apply(resolved: Settings) -> None:
    runtime.forbidden = resolved.forbidden
    host = runtime.host = None if resolved.forbidden else HostHook(resolved, resolved.content_beside_host)
    if has_host():
        resolved = resolved.beside_host()
    meters = runtime.meters = None if resolved.metrics_names is None else HostMeters(_at_exit)
    runtime.loggers = logger_provider if resolved.events else None
    if (resolved.any_destination and wanted(resolved)) or resolved.own_metrics or has_meters() or _host_takes_events(resolved):
        _start(resolved, on=True)
    else:
        _use(resolved)
        runtime.pipeline = None
        runtime.submit = nowhere
        runtime.started = itertools.count(len(runtime.open_calls))
        runtime.on = runtime.can_record = False
        if has_host():
            _host_appears()
    if host is not None:
        host.noticed = _host_appears
    _follow_sigterm(resolved)
    if meters is not None:
        meters.noticed = _destinations_appear
    runtime.configured = True
    if runtime.set_up is not None:
        runtime.set_up()


_terminations: list[Any] = []


def _follow_sigterm(resolved: Settings) -> None:
    while _terminations:
        _terminations.pop().remove()
    if resolved.sigterm == "flush" and not resolved.forbidden:
        from tracer.pipeline.termination import Termination

        termination = Termination(flush, shut_down, resolved.exit_timeout)
        if termination.install():
            _terminations.append(termination)


def _destinations_appear() -> None:
    """The application has set a provider of its own that takes what is told of calls: from now on they are recorded for it."""
    # Whoever holds the lock is about to look for it. Waiting could take long: it may be waiting for this thread.
    if _configuring.acquire(blocking=False):
        try:
            if runtime.pipeline is None:
                _start(runtime.settings.beside_host() if has_host() else runtime.settings, on=True)
        finally:
            _configuring.release()


def _at_exit() -> None:
    pipeline = sys.modules.get("tracer.pipeline.pipeline")
    if pipeline is not None:
        pipeline.at_exit()


def _host_takes_events(resolved: Settings) -> bool:
    return resolved.events and (has_host() or logger_provider() is not None)


def _host_appears() -> None:
    if runtime.settings.events and runtime.pipeline is None:
        _destinations_appear()  # Says where records go.
    else:
        trace_langchain()
        say_start()


def _start(resolved: Settings, on: bool) -> None:
    from tracer.pipeline.destinations import make_destinations
    from tracer.pipeline.pipeline import Pipeline, at_exit

    _use(resolved)
    runtime.sampler = SAMPLERS[resolved.sampler](resolved.sampler_argument)
    pipeline = Pipeline(resolved, make_destinations)
    # The new accounts begin here, with the calls that are open and will be handed to them.
    runtime.started = itertools.count(len(runtime.open_calls))
    runtime.pipeline = pipeline
    runtime.submit = pipeline.submit
    runtime.running = False
    runtime.on = on
    runtime.can_record = True
    if "prometheus" in resolved.own_metrics:
        pipeline.start()  # There is something to fetch before the first call.
    trace_langchain()
    if resolved.langsmith_on:
        join_langsmith()
    atexit.unregister(at_exit)
    atexit.register(at_exit)
    if resolved.local_by_default:
        nothing = "neither LANGSMITH_API_KEY nor LANGSMITH_ENDPOINT nor another destination is set"
        unusable = "its endpoint cannot be used and no other destination is set"
        missing = unusable if resolved.langsmith_unusable else nothing
        warn_once(f"LangSmith tracing is on, but {missing}; records are kept in the local store (read them with `tracer show`).")
    if resolved.langsmith_runs_endpoints and resolved.langsmith_endpoint:
        warn_once("LANGSMITH_RUNS_ENDPOINTS and LANGSMITH_ENDPOINT are both set; runs go to the former only. Unset one of them.")
    say_start()


def _use(resolved: Settings) -> None:
    runtime.settings = resolved
    runtime.content = (resolved.content_inputs, resolved.content_outputs)


def trace_langchain() -> None:
    """Record LangChain's runs where calls are recorded, wrapped or not, unless `uninstrument` has ruled it out."""
    if runtime.every_run is None:
        trace_every_run()


def running_pipeline() -> Any:
    """The pipeline in force, or None."""
    return runtime.pipeline


def running_host() -> Any:
    """The application's own telemetry, if it is looked for, or None."""
    return runtime.host


runtime.configure = ensure_configured
