"""Which destinations the settings ask for. Each is imported only when it is on, and only in the worker thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tracer.export.destination import Delivery, Destination
from tracer.export.notices import no_place_for_events
from tracer.export.transport import Transport
from tracer.pipeline.ledger import Books
from tracer.pipeline.metering import Metrics
from tracer.pipeline.sender import Gather, Sender
from tracer.pipeline.spooled import Shelves
from tracer.runtime import Runtime, has_host, logger, runtime
from tracer.settings import Settings

if TYPE_CHECKING:
    from tracer.reading.record import Record

LANGSMITH = "langsmith"
OTLP_LOGS = "otlp-logs"
HOST_LOGS = "host-logs"
LANGSMITH_GATHER = Gather(0.25, 100)
"""As for OTLP; the number is what LangSmith's own client sends at once."""
_TAKE_FEEDBACK = ("local", LANGSMITH, OTLP_LOGS, HOST_LOGS)

Balance = Callable[[], tuple[int, dict[str, dict[str, Any]]]]
"""Gives the number of calls on their way, and the account of each destination."""


def wanted(settings: Settings) -> list[str]:
    """Names of the destinations that are on, in the order they are served: the quick ones first.

    >>> wanted(Settings(console=True, local=True))
    ['local', 'console']
    """
    names: list[str] = []
    if settings.local or settings.local_by_default:
        names.append("local")
    if settings.console_on:
        names.append("console")
    if settings.otlp_on:
        names.append("otlp")
    if settings.langsmith_on:
        names.append(LANGSMITH)
    if settings.events:
        names += _events_to(settings)
    return names


def wanted_for_feedback(settings: Settings) -> list[str]:
    """Names of those that are on and take feedback.

    >>> wanted_for_feedback(Settings(console=True, local=True))
    ['local']
    """
    return [name for name in wanted(settings) if name in _TAKE_FEEDBACK]


def _events_to(settings: Settings) -> list[str]:
    """Events go to the application's logger provider if it has one, and by OTLP otherwise."""
    if _host_loggers() is not None:
        return [HOST_LOGS]
    if settings.events_by_otlp:
        return [OTLP_LOGS]
    # Whoever has a tracer provider may set a logger provider yet.
    return [HOST_LOGS] if has_host() else []


def make_destinations(settings: Settings) -> list[Destination]:
    """Make what `wanted` names; LangSmith may be several. One that cannot be made is reported in one line and left out."""
    made: list[Destination] = []
    spool = _spool(settings)
    names = wanted(settings)
    if settings.events and not {HOST_LOGS, OTLP_LOGS}.intersection(names):
        logger.warning("tracer: %s", no_place_for_events(settings))
    for name in names:
        try:
            made += _make(name, settings, spool)
        except Exception as error:
            logger.warning("tracer: cannot record to %s: %s", name, error)
            made.append(_Unavailable(name))
    return made


def _make(name: str, settings: Settings, spool: Shelves | None) -> list[Destination]:
    # The marked place of lazy imports: exporters and sqlite3 cost time and memory that only their users should pay.
    if name == "local":
        from tracer.store.store import LocalStore

        return [LocalStore.from_settings(settings)]
    if name == "console":
        from tracer.export.console import ConsoleDestination

        return [ConsoleDestination(settings)]
    if name == LANGSMITH:
        from tracer.export.langsmith.destination import feedback_transports_of, transports_of

        pairs = zip(transports_of(settings), feedback_transports_of(settings), strict=True)
        return [_with_feedback(runs, feedback, settings, spool, LANGSMITH_GATHER) for runs, feedback in pairs]
    if name == HOST_LOGS:
        from tracer.export.host_logs import HostLogs

        return [HostLogs(settings, _host_loggers)]
    gather = Gather(settings.otlp_schedule_delay / 1000, settings.otlp_batch)
    if name == OTLP_LOGS:
        from tracer.export.otlp_logs import OtlpEvaluationTransport, OtlpLogTransport

        return [_with_feedback(OtlpLogTransport(settings), OtlpEvaluationTransport(settings), settings, spool, gather)]
    from tracer.export.otlp import OtlpTransport

    return [_sender(OtlpTransport(settings), settings, spool, gather)]


def _with_feedback(
    records: Transport, feedback: Transport, settings: Settings, spool: Shelves | None, gather: Gather | None = None
) -> Sender:
    sender = _sender(records, settings, spool, gather)
    # A sender of its own: feedback that a backend refuses or does not know yet keeps no record waiting.
    sender.feedback = _sender(feedback, settings, spool)
    return sender


def _sender(transport: Transport, settings: Settings, spool: Shelves | None, gather: Gather | None = None) -> Sender:
    # Items go only where they were meant to go: to the same kind of destination at the same address.
    shelf = spool.shelf(f"{transport.name} {transport.place}", lambda: transport.frame) if spool is not None else None
    return Sender(transport, settings.queue_records, settings.queue_bytes, gather=gather, shelf=shelf)


def _spool(settings: Settings) -> Shelves | None:
    if not settings.spool:
        return None
    # As above.
    try:
        from tracer.spool.spool import Spool
    except ImportError as error:  # Python may be built without SQLite.
        logger.warning("tracer: cannot keep records in TRACER_SPOOL=%s: %s; recording goes on in memory", settings.spool, error)
        return None
    return Spool(Path(settings.spool), settings.spool_bytes, settings.spool_age)


def make_metrics(settings: Settings, balance: Balance) -> Metrics:
    """The metrics of a pipeline with these settings. `balance` is that of the pipeline."""
    # A marked place of lazy imports: the metrics SDK only where there are metrics.
    from tracer.metrics.hub import Metrics

    return Metrics(settings, _host_meters, _books_of(runtime, balance), linked=bool(wanted(settings)))


def _host_loggers() -> object:
    return runtime.loggers() if runtime.loggers is not None else None


def _host_meters() -> object:
    return runtime.meters.provider() if runtime.meters is not None else None


def _books_of(state: Runtime, balance: Balance) -> Callable[[], Books]:
    def read() -> Books:
        _, accounts = balance()
        host = state.host.balance() if state.host is not None else None
        return Books(
            state.started_count(),
            len(state.open_calls),
            accounts if host is None else {"host": host, **accounts},
            dict(state.faults),
        )

    return read


class _Unavailable:
    """Stands for a destination that could not be made, so that the ledger says where its records went."""

    def __init__(self, name: str) -> None:
        self.name = name

    def export(self, records: Sequence[Record]) -> Delivery:
        """Nothing arrives."""
        return Delivery(0, {"unavailable": len(records)})

    def close(self, timeout: float) -> None:
        """Nothing was opened."""
