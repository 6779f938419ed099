"""Arrays beside Dask's threads and NumPy: the first lesson's workloads, graphs and memory."""

import re
import subprocess
import sys
import time
from pathlib import Path

import dask.array as dda
import numpy as np
import oxidask.array as da
from harness import compare, format_time

N = 10_000
CHUNKS = (1000, 1000)


def build_time(module: object) -> float:
    """Seconds from an expression over 10,000 chunks to a graph that is ready to run."""
    best = float("inf")
    for _ in range(3):
        start = time.perf_counter()
        x = module.random.random((N, N), chunks=(100, 100))
        y = (x + x.T).mean(axis=0)
        if module is da:
            y._core.n_tasks()
        else:
            import dask
            import dask.order

            (optimized,) = dask.optimize(y)
            dask.order.order(dict(optimized.__dask_graph__()))
        best = min(best, time.perf_counter() - start)
    return best


def large_mean() -> None:
    """The mean of a 40 GB random array, in a process of its own."""
    start = time.perf_counter()
    mean = da.random.random((100_000, 50_000), chunks=(1000, 1000)).mean().compute()
    seconds = time.perf_counter() - start
    # The maximum that getrusage tells is inherited from the process that started this one.
    status = Path("/proc/self/status").read_text()
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024
    assert abs(mean - 0.5) < 1e-4
    print(
        f"the mean of a 40 GB random array\n    oxidask: {format_time(seconds)}, peak memory {peak:.0f} MiB\n",
        flush=True,
    )


def main() -> None:
    """Prints all comparisons."""
    data = np.random.default_rng(0).random((N, N))
    x, dx = da.from_array(data, chunks=CHUNKS, name="x"), dda.from_array(data, chunks=CHUNKS, name="x")

    def waves(m, v):
        return (m.sin(v) ** 2 + m.cos(v) ** 2).sum()

    compare(
        "random((10000, 10000)).mean()",
        {
            "oxidask": lambda: da.random.random((N, N), chunks=CHUNKS).mean().compute(),
            "dask threads": lambda: dda.random.random((N, N), chunks=CHUNKS).mean().compute(),
            "numpy": lambda: np.random.default_rng().random((N, N)).mean(),
        },
        rounds=3,
    )
    compare(
        "normal((10000, 10000)).std(axis=0)",
        {
            "oxidask": lambda: da.random.normal(size=(N, N), chunks=CHUNKS).std(axis=0).compute(),
            "dask threads": lambda: dda.random.normal(size=(N, N), chunks=CHUNKS).std(axis=0).compute(),
        },
        rounds=3,
    )
    workloads = {
        "x.mean()": lambda m, v: v.mean(),
        "x.std(axis=0)": lambda m, v: v.std(axis=0),
        "(x + x.T)[::2, 5000:].mean(axis=1)": lambda m, v: (v + v.T)[::2, 5000:].mean(axis=1),
        "(sin(x)**2 + cos(x)**2).sum()": waves,
        "x.max()": lambda m, v: v.max(),
        "rechunk rows to columns, sum(axis=0)": lambda m, v: (
            (v + 1).rechunk((100, -1)).rechunk((-1, 100)).sum(axis=0) if m is not np else (v + 1).sum(axis=0)
        ),
    }
    for title, work in workloads.items():
        compare(
            title,
            {
                "oxidask": lambda work=work: work(da, x).compute(),
                "dask threads": lambda work=work: work(dda, dx).compute(),
                "numpy": lambda work=work: work(np, data),
            },
            rounds=3,
        )
    a = data[:4000, :4000].copy()
    la, ld = da.from_array(a, chunks=1000), dda.from_array(a, chunks=1000)
    compare(
        "matmul of 4000 x 4000",
        {
            "oxidask": lambda: (la @ la).compute(),
            "dask threads": lambda: (ld @ ld).compute(),
            "numpy": lambda: a @ a,
        },
        rounds=3,
    )
    ours, theirs = build_time(da), build_time(dda)
    print("(x + x.T).mean(axis=0) over 10,000 chunks, expression to ordered graph")
    print(
        f"    oxidask: {format_time(ours)}\n    dask: {format_time(theirs)}, {theirs / ours:.0f} times ours\n",
        flush=True,
    )
    subprocess.run([sys.executable, __file__, "large_mean"], check=True)


if __name__ == "__main__":
    if sys.argv[1:] == ["large_mean"]:
        large_mean()
    else:
        main()
