"""Factories for the fields of dataclasses that are made for each call.

`list[Part]` would be one too, but each time it raises and swallows an error over the type that it is to remember, which takes ten times as
long as making the list.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

new_list: Callable[[], list[Any]] = list
new_dict: Callable[[], dict[str, Any]] = dict
