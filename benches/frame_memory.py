"""Ten times the memory limit: groupby with as many groups as rows, sort, join and set_index, each within the limit.

Each operation runs in a process of its own, on Parquet files whose rows take ten times the limit, and writes its
result as Parquet. What is compared with the limit is by how much the process grew beyond what it took once all was
imported. Peers have no such limit and are not measured.

    python benches/frame_memory.py [--limit 256] [--only sort]
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
import pandas as pd

TIMES = 10
FILES = 160
ROW_BYTES = 32


def write(folder: Path, rows: int) -> None:
    """Writes two tables of four columns: `left` with keys in any order, `right` with each key once."""
    per_file = rows // FILES
    keys = np.random.default_rng(1).permutation(rows)
    for number in range(FILES):
        own = keys[number * per_file : (number + 1) * per_file]
        other = np.arange(number * per_file, (number + 1) * per_file)
        values = np.random.default_rng(number + 2).uniform(size=(2, per_file))
        left = pd.DataFrame({"k": own, "g": own // 2, "x": values[0], "y": values[1]})
        left.to_parquet(folder / f"left-{number:03}.parquet", index=False)
        if number % 4 == 0:
            right = pd.DataFrame({"k": other, "z": values[0]})
            right.to_parquet(folder / f"right-{number:03}.parquet", index=False)


def resident() -> int:
    """The bytes that this process has in memory and that are no pages of files, which the system may take back."""
    status = Path("/proc/self/status").read_text()
    return sum(int(re.search(rf"{name}:\s+(\d+) kB", status)[1]) << 10 for name in ["RssAnon", "RssShmem"])


class Peak(threading.Thread):
    """Looks at the memory of the process a hundred times a second and keeps the most."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.bytes = resident()

    def run(self) -> None:
        """Looks until the process ends."""
        while True:
            self.bytes = max(self.bytes, resident())
            time.sleep(0.01)


def work(name: str, folder: Path) -> None:
    """One operation, in this process."""
    import oxidask.dataframe as dd

    left = dd.read_parquet(f"{folder}/left-*.parquet")
    # Reads a little of a file, so that all that is loaded once is loaded.
    left.head()
    if name == "groupby":
        made = left.groupby("g", sort=False).agg({"x": "sum", "y": "mean"}, split_out=FILES)
    elif name == "sort":
        made = left.sort_values("x")
    elif name == "join":
        made = left.merge(dd.read_parquet(f"{folder}/right-*.parquet"), on="k")
    else:
        made = left.set_index("k")
    before = resident()
    peak = Peak()
    peak.start()
    start = time.perf_counter()
    made.to_parquet(f"{folder}/out-{name}")
    seconds = time.perf_counter() - start
    rows = len(dd.read_parquet(f"{folder}/out-{name}"))
    print(rows, seconds, peak.bytes - before)


def main() -> None:
    """Writes the tables and runs every operation."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--limit", type=int, default=256, help="the limit in MiB")
    parser.add_argument("--only", default="")
    parser.add_argument("--work", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.work:
        return work(arguments.work[0], Path(arguments.work[1]))
    limit = arguments.limit << 20
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder), TIMES * limit // ROW_BYTES)
        for name in ["groupby", "sort", "join", "set_index"]:
            if arguments.only not in name:
                continue
            command = [sys.executable, __file__, "--work", name, folder]
            environment = {**os.environ, "OXIDASK_MEMORY_LIMIT": str(limit)}
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                print(f"{name}\n    oxidask: failed: {done.stderr[-2000:]}\n", flush=True)
                continue
            rows, seconds, grown = done.stdout.split()
            share = int(grown) / limit
            print(
                f"{name}, {rows} rows\n    oxidask: {float(seconds):.1f} s, at most {share:.2f} of the limit\n",
                flush=True,
            )


if __name__ == "__main__":
    main()
