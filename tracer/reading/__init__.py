"""Readers: raw bytes of a call to one neutral `Generation`. By shape, tolerant, without any client SDK."""

from tracer.reading.read import read_call

__all__ = ["read_call"]
