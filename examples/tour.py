"""The flows of a first lesson, on real data: `make demo` runs them.

Each step is a function; its body is printed as the code, then run and timed.
"""

import inspect
import os
import signal
import tempfile
import textwrap
import time
from pathlib import Path

DATA = Path(__file__).resolve().parent.parent / "tests" / "data"
DRAWINGS = Path(tempfile.gettempdir()) / "oxidask-tour"


def step(title):
    """Marks a function as a step of the tour, with the title to print."""

    def mark(function):
        STEPS.append((title, function))
        return function

    return mark


STEPS = []


@step("The mean of 100 million random numbers, in 100 chunks that are never all in memory")
def random_mean():
    import oxidask.array as da

    x = da.random.random((10_000, 10_000), chunks=(1_000, 1_000))
    return x.mean().compute()


@step("A slide's worth of NumPy, lazily: only the rows and columns that are asked for are made")
def sliced_mean():
    import oxidask.array as da

    x = da.random.random((10_000, 10_000), chunks=(1_000, 1_000))
    y = (x + x.T)[::2, 5_000:].mean(axis=1)
    return y.compute()


@step("Sums over a generated array larger than this machine's memory: 40 GB, with a progress bar")
def larger_than_memory():
    import oxidask.array as da
    from oxidask.diagnostics import ProgressBar

    x = da.random.normal(size=(50_000, 100_000), chunks=(1_000, 2_000))
    with ProgressBar():
        return x.std().compute()


@step("Names per decade: 350,000 rows in 27 CSV files, the top name of each decade and its share")
def names_per_decade():
    import oxidask.dataframe as dd

    names = dd.read_csv(
        f"{DATA}/babynames/yob*.txt",
        names=["name", "sex", "births"],
        header=None,
        include_path_column=True,
    )
    names["decade"] = names.path.astype(str).str.slice(-8, -5) + "0s"
    births = names.groupby(["decade", "sex", "name"]).births.sum().compute()
    total = births.groupby(["decade", "sex"]).sum()
    top = births.groupby(["decade", "sex"]).idxmax().str[2]
    share = births.groupby(["decade", "sex"]).max() / total
    table = top.to_frame("top name").assign(share=(100 * share).round(2).astype(str) + " %")
    return table.unstack("sex")


@step("Clicks end to end: 3,560 JSON records read, filtered, counted, made a frame, written and read again")
def clicks_end_to_end():
    import json

    import oxidask.bag as db

    clicks = db.read_text(f"{DATA}/usagov_clicks.jsonl", blocksize="200 kB").map(json.loads)
    zoned = clicks.filter(lambda click: click.get("tz"))
    zones = zoned.pluck("tz").frequencies()
    agents = zoned.pluck(["c", "a"], "").to_dataframe(columns=["country", "agent"])
    windows = agents[agents.agent.str.contains("Windows")].country.value_counts().head(3)
    with tempfile.TemporaryDirectory() as folder:
        written = zones.map(json.dumps).to_textfiles(f"{folder}/zones-*.jsonl.gz")
        again = db.read_text(written).map(json.loads).topk(5, key=1).compute()
    return zoned.groupby("c").map(lambda group: len(group[1])).max().compute(), windows.to_dict(), again


@step("Any Python function, lazily: a graph, drawn, then run")
def delayed_graph():
    from oxidask import delayed

    @delayed
    def inc(x):
        return x + 1

    @delayed
    def double(x):
        return 2 * x

    @delayed
    def add(x, y):
        return x + y

    total = delayed(sum)([add(inc(x), double(x)) for x in range(4)])
    total.visualize(filename=f"{DRAWINGS}/total.svg")
    total.visualize(filename=f"{DRAWINGS}/total.png")
    return total.compute()


@step("Futures on a cluster of this machine's own; one worker is killed on the way")
def futures():
    from oxidask.distributed import Client, LocalCluster

    def slow_square(x):
        time.sleep(0.01)
        return x * x

    with LocalCluster(n_workers=2, threads_per_worker=1) as cluster, Client(cluster) as client:
        squares = client.map(slow_square, range(200))
        client.gather(squares[:20])
        victim = next(iter(cluster.worker_pids.values()))
        os.kill(victim, signal.SIGKILL)
        return sum(client.gather(squares))


def show(number, title, function):
    """Prints a step's title and code, runs it, prints its result and time."""
    print(f"\n\033[1m{number}. {title}\033[0m\n" if os.isatty(1) else f"\n{number}. {title}\n")
    body = inspect.getsource(function).split(":\n", 1)[1]
    print(textwrap.indent(textwrap.dedent(body).rstrip(), "    "))
    start = time.perf_counter()
    result = function()
    seconds = time.perf_counter() - start
    print(f"\n{textwrap.indent(str(result), '    ')}\n\n    took {seconds:.2f} s", flush=True)


def main():
    DRAWINGS.mkdir(exist_ok=True)
    for number, (title, function) in enumerate(STEPS, start=1):
        show(number, title, function)
    print(f"\nThe graph of step 6 is drawn in {DRAWINGS}/total.svg and total.png.")


if __name__ == "__main__":
    main()
