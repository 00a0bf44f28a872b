"""The real arize-phoenix from PyPI, in an environment of its own in the cache folder outside of the checkout.

    python -m tools.backends.phoenix

Makes it where it is missing (one CPU minute, 0.9 GB) and prints where it is. Locked by `requirements/phoenix.txt`. Needs uv.
"""

from __future__ import annotations

import sys

from tools.fidelity.environments import CannotMakeError, Environment

COMMAND = "python -m tools.backends.phoenix"
PHOENIX = Environment("phoenix", "phoenix")


def main() -> int:
    """Make it; the exit status is 1 where that fails."""
    try:
        PHOENIX.make()
    except CannotMakeError as error:
        print(f"phoenix: not made: {error}", flush=True)
        return 1
    print(f"phoenix: {PHOENIX.folder}", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
