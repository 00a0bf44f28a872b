"""The calls that a test makes, as objects: without a destination, a network, a thread or an environment variable.

    from tracer.testing import capture

    with capture() as calls:
        answer("How high is the Eiffel tower?")
    call = calls.only()
    assert call.model == "gpt-4o-mini"

With pytest the fixture `traced_calls` does the same around a test.
"""

from tracer.testing.calls import CapturedCall, CapturedMessage
from tracer.testing.capturing import Capture, capture

__all__ = ["Capture", "CapturedCall", "CapturedMessage", "capture"]
