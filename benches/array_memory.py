"""Twenty workloads on arrays, each within a quarter of the memory of its data.

``python benches/array_memory.py [MIB] [NAME ...]`` runs each in a process of its
own, over MIB mebibytes of data (1024 by default), and prints the peak of the
process's memory beyond what it had before, beside the limit. What lies beyond the
limit spills to the folder for temporary files. Plans with a task that does not fit even alone are
refused before they start: the last rows show what is said.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np

MIB = 1 << 20
#: Data of a workload, in memory limits.
RATIO = 4
#: What a process takes besides results: what kernels need while they run, what is on its way to and from disk,
#: threads, modules imported late, tables of tasks. It does not grow with the data.
ALLOWANCE = 128 * MIB


def own_memory(name: str) -> int:
    """A figure of this process in bytes: ``VmRSS`` now, or ``VmHWM``, its peak."""
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(name))


def wave(speed: float, block_info: Any = None) -> np.ndarray:
    """A block of numbers told by its place alone."""
    place = block_info[None]["array-location"]
    parts = [np.arange(*span, dtype=float) * (speed / (axis + 1)) for axis, span in enumerate(place)]
    return np.sin(sum(np.ix_(*parts)))


def made(shape: tuple[int, ...], chunks: Any, speed: float = 0.001) -> Any:
    """An array whose blocks Python code makes, so that no rewriting can avoid or reshape one."""
    import oxidask.array as da

    return da.map_blocks(wave, speed, chunks=da.normalize_chunks(chunks, shape, dtype=float), dtype=float)


def square(mib: int, parts: int = 16) -> Any:
    """A square matrix of so many mebibytes, in parts x parts chunks."""
    side = int(np.sqrt(mib * MIB / 8)) // (4 * parts) * (4 * parts)
    return made((side, side), side // parts)


def tall(mib: int, columns: int = 64, parts: int = 256) -> Any:
    """A matrix of few columns in chunks of rows."""
    rows = mib * MIB // 8 // columns // parts * parts
    return made((rows, columns), (rows // parts, columns))


def climate(mib: int) -> Any:
    """Years of daily maps: (time, latitude, longitude)."""
    days = mib * MIB // 8 // (64 * 128) // 64 * 64
    return made((days, 64, 128), (days // 64, 64, 128))


def line(mib: int, parts: int = 64) -> Any:
    """A vector."""
    size = mib * MIB // 8 // parts * parts
    return made((size,), size // parts)


def rechunk(mib: int) -> Any:
    x = square(mib).rechunk((square(mib).shape[0] // 16, -1))
    return (x * 2).rechunk((-1, x.shape[1] // 16)).sum(axis=0)


def reshape(mib: int) -> Any:
    x = square(mib)
    return x.reshape(-1, x.shape[0] // 4).sum(axis=0)


def anomaly(mib: int) -> Any:
    x = climate(mib)
    days = x.shape[0] // 64
    yearly = x.reshape(64, days, *x.shape[1:])
    return (yearly - yearly.mean(axis=0)).std(axis=(0, 1))


def vorticity(mib: int) -> Any:
    import oxidask.array as da

    u, v = climate(mib // 2), climate(mib // 2) ** 2
    return (da.gradient(v, axis=2) - da.gradient(u, axis=1)).mean(axis=(1, 2))


def transposed_sum(mib: int) -> Any:
    x = square(mib)
    return (x + x.T).sum()


def svd_compressed(mib: int) -> Any:
    import oxidask.array as da

    return da.linalg.svd_compressed(tall(mib, columns=256), k=5, seed=0)[1]


def masked_mean(mib: int) -> Any:
    import oxidask.array as da

    return da.ma.masked_greater(square(mib), 0.5).mean(axis=0)


def cumsum(mib: int) -> Any:
    return square(mib).cumsum(axis=0).max()


def smooth(mib: int) -> Any:
    def mean(block: np.ndarray) -> np.ndarray:
        return (block + np.roll(block, 1, axis=0) + np.roll(block, -1, axis=0)) / 3

    return square(mib).map_overlap(mean, depth=1, boundary="reflect", dtype=float).sum()


def percentile(mib: int) -> Any:
    import oxidask.array as da

    return da.percentile(line(mib), [1, 50, 99])


def tensordot(mib: int) -> Any:
    import oxidask.array as da

    x = tall(mib, columns=128)
    return da.tensordot(x, x, axes=(0, 0))


def zarr_round_trip(mib: int) -> Any:
    import oxidask.array as da

    folder = os.path.join(os.environ["BENCH_FOLDER"], "x.zarr")
    da.to_zarr(square(mib), folder)
    return da.from_zarr(folder).sum()


def matmul(mib: int) -> Any:
    x = square(mib)
    return (x @ x[:, : x.shape[0] // 8]).sum()


def boolean_index(mib: int) -> Any:
    x = square(mib)
    return x[x > 0.5].sum()


def fancy_index(mib: int) -> Any:
    x = square(mib)
    order = np.random.default_rng(0).permutation(x.shape[0])
    return (x[order] * np.arange(x.shape[0])[:, None]).sum(axis=0)


def standardise(mib: int) -> Any:
    x = square(mib)
    return (((x - x.mean(axis=0)) / x.std(axis=0)) ** 2).sum()


def histogram(mib: int) -> Any:
    import oxidask.array as da

    return da.histogram(square(mib), bins=100, range=(-1, 1))[0]


def topk(mib: int) -> Any:
    import oxidask.array as da

    return da.topk(square(mib), 10, axis=1).sum()


def least_squares(mib: int) -> Any:
    import oxidask.array as da

    x = tall(mib, columns=32)
    noise = da.random.default_rng(0).normal(size=x.shape, chunks=x.chunks)
    return da.linalg.lstsq(x + noise, x[:, 0])[0]


def fourier(mib: int) -> Any:
    import oxidask.array as da

    return abs(da.fft.fft(square(mib // 2).rechunk({0: -1, 1: "auto"}, block_size_limit=MIB), axis=0)).max(axis=0)


WORKLOADS: dict[str, Callable[[int], Any]] = {
    work.__name__: work
    for work in (
        rechunk, reshape, anomaly, vorticity, transposed_sum, svd_compressed, masked_mean, cumsum, smooth, percentile,
        tensordot, zarr_round_trip, matmul, boolean_index, fancy_index, standardise, histogram, topk, least_squares,
        fourier,
    )
}  # fmt: skip


def doubled(block: np.ndarray) -> np.ndarray:
    """What the engine cannot look into, and so cannot move."""
    return block * 2


#: Plans that no order of work makes fit, and so are refused.
REFUSED: dict[str, Callable[[int], Any]] = {
    "one chunk of all": lambda mib: square(mib).rechunk(-1).map_blocks(doubled).sum(),
    "one chunk of columns": lambda mib: tall(mib, columns=2).rechunk((-1, 1)).map_blocks(doubled).sum(),
    "all in memory": lambda mib: square(mib).map_blocks(doubled),
}


def here(name: str, mib: int) -> None:
    """Runs one workload in this process and prints its peak and seconds."""
    import oxidask.array as da

    # The pool, its threads and all modules are there before memory is looked at.
    da.ones((8, 8), chunks=4).sum().compute()
    with open("/proc/self/clear_refs", "w") as file:
        file.write("5")
    before, start = own_memory("VmRSS"), time.perf_counter()
    try:
        {**WORKLOADS, **REFUSED}[name](mib).compute()
    except MemoryError as error:
        print(f"refused {time.perf_counter() - start:.3f} {error}".replace("\n", " "))
        return
    print(f"peak {time.perf_counter() - start:.3f} {own_memory('VmHWM') - before}")


def measure(name: str, mib: int) -> tuple[str, float, str]:
    """Runs one workload in a process of its own: ``"peak"`` or ``"refused"``, seconds, and bytes or what was said."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "OXIDASK_MEMORY_LIMIT": str(mib * MIB // RATIO), "BENCH_FOLDER": folder}
        answer = subprocess.run(
            [sys.executable, __file__, "--here", name, str(mib)],
            env={**environment, "OXIDASK_TEMPORARY_DIRECTORY": folder},
            capture_output=True,
            text=True,
        )
    if answer.returncode:
        raise RuntimeError(f"{name}: {answer.stderr}")
    kind, seconds, rest = answer.stdout.strip().split(" ", 2)
    return kind, float(seconds), rest


def main(mib: int, names: list[str]) -> int:
    """Prints a row for each workload; answers how many went beyond the limit."""
    limit = mib * MIB // RATIO
    print(f"data {mib} MiB, limit {limit // MIB} MiB\n{'workload':20} {'seconds':>8} {'peak MiB':>9}  of the limit")
    failed = 0
    for name in names or [*WORKLOADS, *REFUSED]:
        kind, seconds, rest = measure(name, mib)
        if kind == "refused":
            print(f"{name:20} {seconds:8.2f}   refused: {rest}")
            failed += name in WORKLOADS
            continue
        peak = int(rest)
        failed += peak > limit + ALLOWANCE or name in REFUSED
        print(f"{name:20} {seconds:8.2f} {peak / MIB:9.0f}  {peak / limit:.2f}", flush=True)
    return failed


if __name__ == "__main__":
    arguments = sys.argv[1:]
    if arguments[:1] == ["--here"]:
        here(arguments[1], int(arguments[2]))
    else:
        mib = int(arguments.pop(0)) if arguments and arguments[0].isdigit() else 1024
        sys.exit(main(mib, arguments) > 0)
