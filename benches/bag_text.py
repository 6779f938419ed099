"""Bags of text beside Dask (on processes and on its distributed scheduler), ``multiprocessing.Pool`` and a plain loop.

All read the same files. ``python benches/bag_text.py 300`` takes files of 300 MB; 24 MB by default. ``--memory`` measures
peak memory instead: each contender runs in a process of its own, and the memory of that process and all its children is
looked at while it runs. ``--only words,groupby`` takes these cases, ``--peers dask,pool`` these
contenders beside us, ``--rounds`` says how often each runs, and ``--folder`` keeps the files for the next time.
"""

import argparse
import contextlib
import json
import multiprocessing
import operator
import tempfile
from collections import Counter, defaultdict
from functools import partial
from pathlib import Path

import bag_first
import psutil
from harness import compare

BLOCK = 16_000_000


def words(db, path):
    """How often each word occurs."""
    return dict(db.read_text(path, blocksize=BLOCK).map(str.split).flatten().frequencies().compute())


def zones(db, path):
    """How often each zone occurs, with functions that are well known."""
    records = db.read_text(path, blocksize=BLOCK).map(json.loads).filter(operator.itemgetter("tz"))
    return dict(records.pluck("tz").frequencies().compute())


def zones_lambda(db, path):
    """The same with a lambda."""
    records = db.read_text(path, blocksize=BLOCK).map(json.loads).filter(lambda record: record["id"] % 2 == 0)
    return dict(records.pluck("tz").frequencies().compute())


def zones_opaque(db, path):
    """The same with a lambda that only Python can run."""
    records = db.read_text(path, blocksize=BLOCK).map(json.loads).filter(lambda record: hash(record["id"]) % 2 == 0)
    return dict(records.pluck("tz").frequencies().compute())


def totals(db, path):
    """A fold with a key for each record."""
    records = db.read_text(path, blocksize=BLOCK).map(json.loads)
    return dict(records.foldby("name", lambda total, record: total + record["x"], 0.0, operator.add, 0.0).compute())


def groups(db, path):
    """How many records each zone has, by moving all of them."""
    records = db.read_text(path, blocksize=BLOCK).map(json.loads)
    return dict(records.groupby(operator.itemgetter("tz")).map(lambda group: (group[0], len(group[1]))).compute())


def first(db, path):
    """The first line."""
    return db.read_text(path).take(1)


def _lines(path):
    with open(path) as file:
        yield from file


def _count_words(lines):
    counts = Counter()
    for line in lines:
        counts.update(line.split())
    return counts


def _count_zones(lines):
    return Counter(record["tz"] for record in map(json.loads, lines) if record["tz"])


def _count_even(lines):
    return Counter(record["tz"] for record in map(json.loads, lines) if record["id"] % 2 == 0)


def _group(lines):
    found = defaultdict(list)
    for record in map(json.loads, lines):
        found[record["tz"]].append(record)
    return {zone: len(records) for zone, records in found.items()}


def _totals(lines):
    found = {}
    for record in map(json.loads, lines):
        found[record["name"]] = found.get(record["name"], 0.0) + record["x"]
    return found


def loop(function, path):
    """One thread of Python."""
    return dict(function(_lines(path)))


def _chunk(function, path, start):
    with open(path, "rb") as file:
        if start:
            file.seek(start - 1)
            file.readline()
        lines = []
        while file.tell() < start + BLOCK and (line := file.readline()):
            lines.append(line)
    return function(map(bytes.decode, lines))


def pool(function, path):
    """``multiprocessing.Pool`` over pieces of the file."""
    starts = range(0, path.stat().st_size, BLOCK)
    with multiprocessing.Pool() as workers:
        total = Counter()
        for part in workers.imap(partial(_chunk, function, path), starts):
            total.update(part)
        return dict(total)


#: By name: the title, the file, the lazy way, and what a plain loop does.
CASES = {
    "words": ("word count", "words", words, _count_words),
    "json": ("JSON, well-known functions", "records", zones, _count_zones),
    "lambda": ("JSON, a lambda", "records", zones_lambda, _count_even),
    "python": ("JSON, a lambda for Python only", "records", zones_opaque, _count_even),
    "foldby": ("foldby, a key for each record", "records", totals, _totals),
    "groupby": ("groupby", "records", groups, _group),
    "take": ("take(1)", "words", first, None),
}


def on_cluster(client, lazy, path):
    """Dask on its distributed scheduler."""
    import dask

    with dask.config.set(scheduler=client):
        return lazy(dask.bag, str(path))


def contenders(case, path, client):
    """The functions that do the same, by name; ours first."""
    import dask.bag
    import oxidask.bag

    _, _, lazy, plain = case
    peers = {"oxidask": partial(lazy, oxidask.bag, path), "dask": partial(lazy, dask.bag, str(path))}
    if client is not None:
        peers["distributed"] = partial(on_cluster, client, lazy, path)
    if plain is not None:
        peers |= {"pool": partial(pool, plain, path), "loop": partial(loop, plain, path)}
    return peers


def compare_times(cases, files, rounds, names) -> None:
    """Checks that the results are equal, and measures time."""
    from distributed import Client

    with Client(n_workers=multiprocessing.cpu_count(), threads_per_worker=1, dashboard_address=None) as client:
        for case in cases:
            peers = contenders(case, files[case[1]], client)
            peers = {name: peer for name, peer in peers.items() if name in ("oxidask", *names)}
            results = {}

            def run(name, peers=peers, results=results):
                results[name] = peers[name]()

            compare(
                f"{case[0]}, {bag_first.MEGABYTES} MB", {name: partial(run, name) for name in peers}, rounds, warm=False
            )
            assert all(result == results["oxidask"] for result in results.values()), case[0]


def _peak(case, name, path, sender) -> None:
    peer = contenders(case, path, None)[name]
    sender.send(None)
    peer()
    sender.send(None)


def _held(process) -> int:
    """Bytes that a process and its children hold, pages that they share counted once."""
    total = 0
    for each in [process, *process.children(recursive=True)]:
        with contextlib.suppress(psutil.Error):
            total += each.memory_full_info().pss
    return total


def compare_memory(cases, files) -> None:
    """Measures by how much memory grows while each contender runs."""
    spawning = multiprocessing.get_context("spawn")
    for case in cases:
        grown = {}
        for name in ("oxidask", "dask"):
            receiver, sender = spawning.Pipe()
            process = spawning.Process(target=_peak, args=(case, name, files[case[1]], sender))
            process.start()
            receiver.recv()
            seen = [_held(psutil.Process(process.pid))]
            while not receiver.poll(0.02):
                seen.append(_held(psutil.Process(process.pid)))
            process.join()
            grown[name] = max(seen) - seen[0]
        ours, theirs = grown["oxidask"] / 1e6, grown["dask"] / 1e6
        print(
            f"{case[0]}: oxidask grows by {ours:.0f} MB, dask by {theirs:.0f} MB, {theirs / ours:.1f} times ours",
            flush=True,
        )


def main() -> None:
    """Makes the files, and compares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("megabytes", nargs="?", type=int, default=24)
    parser.add_argument("--memory", action="store_true")
    parser.add_argument("--only", default=",".join(CASES))
    parser.add_argument("--peers", default="dask,distributed,pool,loop")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path)
    given = parser.parse_args()
    bag_first.MEGABYTES = given.megabytes
    cases = [CASES[name] for name in given.only.split(",")]
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        files = {"words": folder / f"words-{given.megabytes}", "records": folder / f"records-{given.megabytes}.jsonl"}
        for name, write in (("words", bag_first.write_words), ("records", bag_first.write_records)):
            if not files[name].exists():
                write(files[name])
        if given.memory:
            compare_memory(cases, files)
        else:
            compare_times(cases, files, given.rounds, given.peers.split(","))


if __name__ == "__main__":
    main()
