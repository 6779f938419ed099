"""Plans alone: how long it takes to optimise a thousand expressions, and to open and plan a hundred thousand partitions.

The aims are 50 ms and 1 s. Nothing is computed and nothing read but the beginning of a file.
"""

import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import oxidask
import oxidask.dataframe as dd
from harness import format_time

EXPRESSIONS = 1_000
PARTITIONS = 100_000
BLOCK = 64


def median_time(run: Callable[[], object], rounds: int = 5) -> float:
    """The median time of a call in seconds, after one that is not counted."""
    run()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def long_plan(path: Path) -> dd.DataFrame:
    """A plan in which every expression needs the one before it; a tenth of them are filters."""
    frame = dd.read_csv(path)
    for number in range(EXPRESSIONS):
        column = f"c{number % 20}"
        frame = frame[frame.x > number] if number % 10 == 0 else frame.assign(**{column: frame.x + number})
    return frame


def main() -> None:
    """Runs both measurements."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "lines.csv"
        path.write_text("x,y\n" + "1,2\n" * (PARTITIONS * BLOCK // 4))
        plan = long_plan(path)
        seconds = median_time(lambda: oxidask.optimize(plan))
        print(f"optimise {EXPRESSIONS} expressions\n    oxidask: {format_time(seconds)}, of 50 ms\n")

        def open_and_plan() -> None:
            frame = dd.read_csv(path, blocksize=BLOCK)
            assert frame.npartitions >= PARTITIONS
            oxidask.optimize((frame.x + frame.y).sum())

        seconds = median_time(open_and_plan)
        print(f"open and plan {PARTITIONS} partitions\n    oxidask: {format_time(seconds)}, of 1 s\n", flush=True)


if __name__ == "__main__":
    main()
