"""Bags of text beside Dask on processes, ``multiprocessing.Pool`` and a plain loop, on the same files.

``python benches/bag_text.py 300`` takes files of 300 MB; 24 MB by default.
"""

import json
import multiprocessing
import operator
import sys
import tempfile
from collections import Counter
from functools import partial
from pathlib import Path

import bag_first
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


CASES = [
    ("word count", "words", words, _count_words),
    ("JSON, well-known functions", "records", zones, _count_zones),
    ("JSON, a lambda", "records", zones_lambda, _count_even),
    ("JSON, a lambda for Python only", "records", zones_opaque, _count_even),
    ("foldby, a key for each record", "records", totals, _totals),
    ("take(1)", "words", first, None),
]


def main() -> None:
    """Checks that the results are equal, and measures."""
    import dask.bag
    import oxidask.bag

    bag_first.MEGABYTES = int(sys.argv[1]) if len(sys.argv) > 1 else 24
    with tempfile.TemporaryDirectory() as folder:
        files = {"words": Path(folder) / "words", "records": Path(folder) / "records.jsonl"}
        bag_first.write_words(files["words"])
        bag_first.write_records(files["records"])
        for title, file, lazy, plain in CASES:
            path = files[file]
            peers = {"oxidask": partial(lazy, oxidask.bag, path), "dask": partial(lazy, dask.bag, str(path))}
            if plain is not None:
                peers |= {"pool": partial(pool, plain, path), "loop": partial(loop, plain, path)}
            results = [peer() for peer in peers.values()]
            assert all(result == results[0] for result in results), title
            compare(f"{title}, {bag_first.MEGABYTES} MB", peers, rounds=3)


if __name__ == "__main__":
    main()
