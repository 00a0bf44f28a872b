"""Every environment variable the library reads, declared once, and the frozen `Settings` made from them.

`core`, `langsmith`, `traces`, `events` and `measurements` declare them: each with its names, type, default and documentation.
Nobody else gives variables a meaning (`tracer.environment` hands them over).
"""

from tracer.settings.langsmith import DEFAULT_LANGSMITH
from tracer.settings.measurements import V01, V141
from tracer.settings.resolve import Origin, Problem, environment_value, read
from tracer.settings.values import VARIABLES, Settings
from tracer.settings.variable import Variable

__all__ = ["DEFAULT_LANGSMITH", "V01", "V141", "VARIABLES", "Origin", "Problem", "Settings", "Variable", "environment_value", "read"]
