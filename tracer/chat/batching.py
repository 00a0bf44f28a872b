"""Many inputs at once: in threads or in tasks, results in the order of the inputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar, cast

Item = TypeVar("Item")
Result = TypeVar("Result")


def run_all(
    call: Callable[[Item], Result], items: Sequence[Item], *, max_concurrency: int | None = None, return_exceptions: bool = False
) -> list[Result]:
    """`call` for each item, in threads that see the caller's context. Results in the order of the items.

    Without `return_exceptions` the first exception, in that order, is raised; what has not begun by then is not begun.
    """

    def guarded(item: Item) -> Result:
        try:
            return call(item)
        except Exception as error:
            if return_exceptions:
                return cast("Result", error)
            raise

    if len(items) < 2 or max_concurrency == 1:
        return [guarded(item) for item in items]
    from concurrent.futures import ThreadPoolExecutor
    from contextvars import copy_context

    with ThreadPoolExecutor(max_workers=max_concurrency, thread_name_prefix="tracer-batch") as pool:
        futures = [pool.submit(copy_context().run, guarded, item) for item in items]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


async def run_all_async(
    call: Callable[[Item], Awaitable[Result]], items: Sequence[Item], *, max_concurrency: int | None = None, return_exceptions: bool = False
) -> list[Result]:
    """The same in tasks. Cancelling it, or an exception that is raised, cancels all that run and waits for their end."""
    import asyncio

    gate: Any = asyncio.Semaphore(max_concurrency) if max_concurrency else None

    async def guarded(item: Item) -> Result:
        try:
            if gate is None:
                return await call(item)
            async with gate:
                return await call(item)
        except Exception as error:
            if return_exceptions:
                return cast("Result", error)
            raise

    tasks = [asyncio.ensure_future(guarded(item)) for item in items]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
