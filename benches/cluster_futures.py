"""A local cluster of two workers beside Dask's and Ray's: starting it, calls, chains, scatter and gather.

The functions do nothing, so what is measured is the way there and back. Ray brings its own process tree and its own
pins, so it is measured in an interpreter of its own, named by the variable
`RAY_PYTHON`; without, it is left out. Contenders take turns in each round. `--short` measures fewer calls. What the
peers would take too long for is measured alone in the end.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

WORKERS = {"n_workers": 2, "threads_per_worker": 1}
MEGABYTE = 1_000_000

_fresh = iter(range(1, 1 << 60))


def no_op(x: int) -> int:
    """Answers its argument."""
    return x


def plus_one(x: int) -> int:
    """One link of a chain."""
    return x + 1


class Futures:
    """The workloads on a client of Dask's kind."""

    def __init__(self, client: Any) -> None:
        self.client = client

    def submit(self, n: int) -> None:
        """Round trips, one after another."""
        for _ in range(n):
            number = next(_fresh)
            assert self.client.submit(no_op, number).result() == number

    def map(self, n: int) -> None:
        """Many calls at once."""
        numbers = [next(_fresh) for _ in range(n)]
        assert self.client.gather(self.client.map(no_op, numbers)) == numbers

    def chain(self, n: int) -> None:
        """Calls of which each needs the one before."""
        first = number = next(_fresh) * n
        future = self.client.submit(plus_one, number)
        for _ in range(n - 1):
            future = self.client.submit(plus_one, future)
        assert future.result() == first + n

    def scatter_gather(self, n_bytes: int) -> None:
        """An array there and back."""
        import numpy

        array = numpy.full(n_bytes // 8, float(next(_fresh)))
        (back,) = self.client.gather(self.client.scatter([array], hash=False))
        assert back[-1] == array[0]


class RayFutures:
    """The same workloads on Ray."""

    def __init__(self) -> None:
        import ray

        ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
        self.ray = ray
        self.no_op, self.plus_one = ray.remote(no_op), ray.remote(plus_one)

    def submit(self, n: int) -> None:
        """Round trips, one after another."""
        for _ in range(n):
            number = next(_fresh)
            assert self.ray.get(self.no_op.remote(number)) == number

    def map(self, n: int) -> None:
        """Many calls at once."""
        numbers = [next(_fresh) for _ in range(n)]
        assert self.ray.get([self.no_op.remote(number) for number in numbers]) == numbers

    def chain(self, n: int) -> None:
        """Calls of which each needs the one before."""
        first = next(_fresh) * n
        future = self.plus_one.remote(first)
        for _ in range(n - 1):
            future = self.plus_one.remote(future)
        assert self.ray.get(future) == first + n

    def scatter_gather(self, n_bytes: int) -> None:
        """An array there and back."""
        import numpy

        array = numpy.full(n_bytes // 8, float(next(_fresh)))
        assert self.ray.get(self.ray.put(array))[-1] == array[0]


class Elsewhere:
    """The workloads of another interpreter, which is told what to run line by line."""

    def __init__(self, python: str) -> None:
        command = [python, str(Path(__file__).resolve()), "--serve-ray"]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self._wait()

    def _wait(self) -> None:
        assert self.process.stdout is not None
        while (line := self.process.stdout.readline()) != "ready\n":
            if not line:
                raise RuntimeError("the other interpreter ended")

    def __getattr__(self, name: str) -> Callable[[int], None]:
        def run(size: int) -> None:
            assert self.process.stdin is not None
            print(name, size, file=self.process.stdin, flush=True)
            self._wait()

        return run

    def close(self) -> None:
        """Ends it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(60)


def serve_ray() -> None:
    """Runs what standard input names, on Ray."""
    peer = RayFutures()
    print("ready", flush=True)
    for line in sys.stdin:
        name, size = line.split()
        getattr(peer, name)(int(size))
        print("ready", flush=True)


def start(client: Callable[..., Any], **kwargs: Any) -> None:
    """Starts a cluster, waits for a first result, and ends it."""
    with client(**WORKERS, **kwargs) as started:
        assert started.submit(no_op, 1).result() == 1


def alone(client: Any, n_calls: int) -> None:
    """Prints the rate of many calls and the time of one."""
    work = Futures(client)
    rates = []
    for _ in range(3):
        begin = time.perf_counter()
        work.map(n_calls)
        rates.append(n_calls / (time.perf_counter() - begin))
    print(f"map of {n_calls:,} no-op functions, gathered: {statistics.median(rates):,.0f} a second")
    times = []
    for _ in range(1_000):
        begin = time.perf_counter()
        work.submit(1)
        times.append(time.perf_counter() - begin)
    print(f"submit to result: median {statistics.median(times) * 1e6:,.0f} µs")


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer calls")
    parser.add_argument("--serve-ray", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve_ray:
        serve_ray()
        return
    import dask
    import distributed
    import oxidask.distributed
    from harness import compare

    dask.config.set({"distributed.admin.tick.limit": "1h", "logging.distributed": "error"})
    scale = 1 if options.short else 5
    compare(
        "local cluster of two workers, first result, end",
        {
            "oxidask": lambda: start(oxidask.distributed.Client),
            "Dask": lambda: start(distributed.Client, dashboard_address=None),
        },
        rounds=3,
    )
    ray_python = os.environ.get("RAY_PYTHON")
    ray = Elsewhere(ray_python) if ray_python else None
    with (
        oxidask.distributed.Client(**WORKERS, set_as_default=False) as ours,
        distributed.Client(**WORKERS, dashboard_address=None, set_as_default=False) as theirs,
    ):
        contenders: dict[str, Any] = {"oxidask": Futures(ours), "Dask": Futures(theirs)}
        if ray is not None:
            contenders["Ray"] = ray
        for name, size, title in (
            ("submit", 50 * scale, "{:,} times submit and result"),
            ("map", 500 * scale, "map of {:,} no-op functions, gathered"),
            ("chain", 100 * scale, "a chain of {:,} calls"),
            ("scatter_gather", 40 * MEGABYTE * scale, "an array of {:,} bytes there and back"),
        ):
            runs = {peer: partial(getattr(work, name), size) for peer, work in contenders.items()}
            compare(title.format(size), runs, rounds=3 if options.short else 5)
    if ray is not None:
        ray.close()
    with oxidask.distributed.Client(**WORKERS) as ours:
        for n_calls in (10_000, 100_000) if options.short else (10_000, 100_000, 1_000_000):
            alone(ours, n_calls)


if __name__ == "__main__":
    main()
