"""Sending what earlier processes have left in the spool, without recording anything."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from tracer.export.destination import Delivery
from tracer.pipeline.destinations import make_destinations
from tracer.pipeline.ledger import Account
from tracer.pipeline.sender import Sender
from tracer.settings import Settings


@dataclass(slots=True)
class Recovery:
    """What became of records of earlier processes: how many arrived, and what keeps a destination from taking the rest, in sentences."""

    sent: int = 0
    troubles: list[str] = field(default_factory=list[str])


def recover(settings: Settings, timeout: float) -> Recovery:
    """Send what waits in the spool for the destinations of the settings, for at most `timeout` seconds.

    What other processes are sending themselves is left to them.
    """
    deadline = time.monotonic() + timeout
    account = Account()
    found = Recovery()
    runs = [destination for destination in make_destinations(settings) if isinstance(destination, Sender)]
    senders = [*runs, *(sender.feedback for sender in runs if sender.feedback is not None)]
    for sender in senders:
        sender.settle = _into(account)
        sender.start()
    for sender in senders:
        sender.drain(max(0.0, deadline - time.monotonic()))
        if sender.trouble:
            found.troubles.append(sender.trouble)
    for sender in senders:
        sender.close(max(0.0, deadline - time.monotonic()))
    found.sent = account.recovered
    if account.stopped:
        found.troubles.append(account.stopped)
    return found


def _into(account: Account) -> Callable[[str, Delivery], None]:
    return lambda _, delivery: account.add(delivery)
