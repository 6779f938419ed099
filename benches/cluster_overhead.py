"""What a task costs on a local cluster: starting it, a round trip, and many small calls, against Dask.

Both clusters have two workers of one thread each, and the functions do nothing, so what is measured is the way there
and back.
"""

import statistics
import time
from collections.abc import Callable
from typing import Any

import dask
import distributed
import oxidask.distributed
from harness import compare

WORKERS = {"n_workers": 2, "threads_per_worker": 1}
ROUND_TRIPS = 50
CALLS = 500
MANY_CALLS = 20_000

_fresh = iter(range(1 << 60))


def no_op(x: int) -> int:
    """Answers its argument."""
    return x


def start(client: Callable[..., Any], **kwargs: Any) -> None:
    """Starts a cluster, waits for a first result, and ends it."""
    with client(**WORKERS, **kwargs) as started:
        assert started.submit(no_op, 1).result() == 1


def round_trips(client: Any) -> None:
    """Submits a call and waits for its result, one after another."""
    for _ in range(ROUND_TRIPS):
        number = next(_fresh)
        assert client.submit(no_op, number).result() == number


def calls(client: Any, n_calls: int = CALLS) -> None:
    """Maps a function over fresh numbers and gathers the results."""
    numbers = [next(_fresh) for _ in range(n_calls)]
    assert client.gather(client.map(no_op, numbers)) == numbers


def many(client: Any) -> None:
    """Prints the rate of many small calls, of which Dask would not see the end."""
    rates = []
    for _ in range(5):
        begin = time.perf_counter()
        calls(client, MANY_CALLS)
        rates.append(MANY_CALLS / (time.perf_counter() - begin))
    print(f"map of {MANY_CALLS:,} no-op functions, gathered: {statistics.median(rates):,.0f} a second")
    times = []
    for _ in range(1_000):
        number = next(_fresh)
        begin = time.perf_counter()
        client.submit(no_op, number).result()
        times.append(time.perf_counter() - begin)
    print(f"submit to result: median {statistics.median(times) * 1e6:,.0f} µs")


def main() -> None:
    """Runs the comparison."""
    dask.config.set({"distributed.admin.tick.limit": "1h", "logging.distributed": "error"})
    compare(
        "local cluster of two workers, first result, end",
        {
            "oxidask": lambda: start(oxidask.distributed.Client),
            "Dask": lambda: start(distributed.Client, dashboard_address=None),
        },
        rounds=3,
    )
    with (
        oxidask.distributed.Client(**WORKERS, set_as_default=False) as ours,
        distributed.Client(**WORKERS, dashboard_address=None, set_as_default=False) as theirs,
    ):
        compare(
            f"{ROUND_TRIPS} times submit and result",
            {"oxidask": lambda: round_trips(ours), "Dask": lambda: round_trips(theirs)},
        )
        compare(
            f"map of {CALLS:,} no-op functions, gathered",
            {"oxidask": lambda: calls(ours), "Dask": lambda: calls(theirs)},
        )
        many(ours)


if __name__ == "__main__":
    main()
