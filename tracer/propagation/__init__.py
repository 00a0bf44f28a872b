"""The place of the running code in a trace, in and out of a process."""

from tracer.propagation.crossing import Continued, Headers, continue_from, headers

__all__ = ["Continued", "Headers", "continue_from", "headers"]
