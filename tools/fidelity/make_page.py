"""Write `docs/fidelity.md`: make the environments, run the programs in each, two at a time. Run by `make fidelity`."""

from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

from tools.fidelity.environments import ENVIRONMENTS, CannotMakeError, Environment
from tools.fidelity.page import COLUMNS, PAGE, Column, differing, run, written


def column_of(environment: Environment) -> dict[str, Column]:
    """Its columns, by family."""
    environment.make()
    print(f"{environment.name}: running", flush=True)
    return run(environment)


def main() -> int:
    """Make the page; the exit status is 1 if a column could not be filled or if something differs."""
    with ThreadPoolExecutor(2) as pool:
        running = {environment.name: pool.submit(column_of, environment) for environment in ENVIRONMENTS}
    try:
        found = {name: future.result() for name, future in running.items()}
    except (CannotMakeError, RuntimeError) as error:
        print(f"The page was not written. {error}", flush=True)
        return 1
    PAGE.write_text(written({family: [found[name][family] for name in names] for family, names in COLUMNS.items()}), "utf-8")
    differences = [f"{name}: {row}" for name, columns in found.items() for column in columns.values() for row in differing(column.cells)]
    print("\n".join(differences) or f"{PAGE.name}: nothing differs that is not known.", flush=True)
    return 1 if differences else 0


if __name__ == "__main__":
    sys.exit(main())
