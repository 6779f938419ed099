"""Folds, counts and groups by key: exchanges of trees, whatever the keys are and however little memory there is."""

import functools
import json
import operator
import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction

import numpy as np
import oxidask.bag as db
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oxidask import config
from oxidask.distributed import Client, LocalCluster

N_PARTITIONS = 20


@dataclass(frozen=True)
class Point:
    """A key whose hash comes from text, which each process hashes in its own way."""

    name: str
    x: int = 0


#: Keys of which those in one row are equal to each other.
EQUAL_KEYS = [
    [1, 1.0, True, np.int64(1), np.float32(1), np.bool_(True), Decimal(1), Fraction(1)],
    [2.5, np.float64(2.5), Decimal("2.5"), Fraction(5, 2)],
    [-1, -1.0],
    [2**70, float(2**70)],
    [float("inf"), Decimal("inf")],
    ["text", np.str_("text")],
    ["é\ud800"],
    [b"text"],
    [None],
    [(1, "a"), (1.0, "a")],
    [(None, (Point("p"),))],
    [Point("p"), Point("p")],
    [frozenset("abc"), frozenset("cba")],
    [0, 0.0, -0.0, False],
]


@pytest.fixture
def chosen(scheduler):
    with config.set(scheduler=scheduler):
        yield scheduler


def first_seen(elements):
    return list(Counter(elements).items())


@pytest.mark.usefixtures("chosen")
@pytest.mark.parametrize("npartitions", [1, 2, 9, 70])
def test_counts_and_folds_keep_the_order_of_first_sight(npartitions):
    words = [f"word {n * n % 83}" for n in range(700)]
    bag = db.from_sequence(words, npartitions=npartitions)
    want = first_seen(words)
    assert bag.frequencies().compute() == want
    assert bag.frequencies(split_every=2).compute() == want
    assert bag.frequencies(sort=True).compute() == sorted(want, key=operator.itemgetter(1), reverse=True)
    assert bag.distinct().compute() == list(dict.fromkeys(words))
    assert bag.distinct(len).compute() == ["word 0", "word 16"]
    lengths = bag.foldby(len, lambda total, word: total + int(word[5:]), 0, operator.add)
    assert lengths.compute() == [(n, sum(int(w[5:]) for w in words if len(w) == n)) for n in (6, 7)]


@pytest.mark.usefixtures("chosen")
def test_equal_keys_meet_whatever_their_types_and_processes():
    elements = [key for row in EQUAL_KEYS for key in row]
    bag = db.from_sequence(elements, npartitions=len(elements))
    # One key of each row, since rows are equal to each other: 1 and -1 differ.
    assert bag.frequencies().compute() == first_seen(elements)
    assert len(bag.distinct().compute()) == len(EQUAL_KEYS)
    assert bag.foldby(lambda key: key, lambda n, _: n + 1, 0, operator.add).compute() == first_seen(elements)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(st.one_of(st.integers(), st.floats(allow_nan=False), st.text(), st.booleans(), st.none()), max_size=40),
    st.integers(1, 12),
)
def test_any_keys_are_counted_as_python_counts(elements, npartitions):
    elements += elements[::2]
    bag = db.from_sequence(elements, npartitions=npartitions)
    counted = bag.frequencies().compute(scheduler="sync")
    assert counted == first_seen(elements)
    assert [type(key) for key, _ in counted] == [type(key) for key in Counter(elements)]


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.floats(), st.integers(-5, 5), st.text(max_size=2)), max_size=40), st.integers(1, 9))
def test_any_keys_of_lines_are_folded_as_python_folds(tmp_path_factory, keys, npartitions):
    keys = [key for key in keys if key == key]
    path = tmp_path_factory.mktemp("lines") / "lines"
    path.write_text("".join(json.dumps({"k": key, "n": n}) + "\n" for n, key in enumerate(keys)))
    want = {}
    for n, key in enumerate(keys):
        want[key] = want.get(key, 0) + n
    records = db.read_text(path, blocksize=max(1, path.stat().st_size // npartitions)).map(json.loads)
    folded = records.foldby("k", lambda total, record: total + record["n"], 0, operator.add)
    assert folded.compute(scheduler="sync") == list(want.items())


def test_a_combine_that_starts_anew():
    bag = db.from_sequence(range(30), npartitions=5)
    lists = bag.foldby(lambda x: x % 3, lambda some, x: [*some, x], [], operator.add, [])
    assert lists.compute(scheduler="sync") == [(k, list(range(k, 30, 3))) for k in range(3)]


def opaque(key):
    """The key, by a function that only Python can run."""
    return functools.reduce(lambda text, _: text, [key])


class Watch:
    """The most bytes that were seen in files below a folder."""

    def __init__(self, folder):
        self.folder, self.most, self.ended = folder, 0, threading.Event()
        self.thread = threading.Thread(target=self.look)

    def look(self):
        while not self.ended.wait(0.002):
            sizes = []
            for path in self.folder.rglob("*"):
                try:
                    sizes.append(path.stat().st_size if path.is_file() else 0)
                except FileNotFoundError:
                    continue
            self.most = max(self.most, sum(sizes))

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.ended.set()
        self.thread.join()


CASES = {
    "foldby": lambda records, key: records.foldby(key, lambda n, record: n + record["n"], 0, operator.add),
    "frequencies": lambda records, key: records.map(key).frequencies(),
    "distinct": lambda records, key: records.map(key).distinct(),
    "groupby": lambda records, key: records.groupby(key).map(lambda group: (group[0], len(group[1]))),
}


@pytest.fixture(scope="module")
def spilled(tmp_path_factory):
    """A folder for all tests, since executors keep the one that they started with."""
    return tmp_path_factory.mktemp("spilled")


def written(path, keys):
    """Partitions each of which has all keys."""
    path.write_text("".join([json.dumps({"k": key, "n": k}) + "\n" for k, key in enumerate(keys)] * N_PARTITIONS))
    return db.read_text(path, blocksize=path.stat().st_size // N_PARTITIONS).map(json.loads)


def check(case, found, keys):
    want = {
        "foldby": [(key, N_PARTITIONS * k) for k, key in enumerate(keys)],
        "frequencies": [(key, N_PARTITIONS) for key in keys],
        "distinct": keys,
        "groupby": [(key, N_PARTITIONS) for key in keys],
    }[case]
    assert sorted(found) == sorted(want) if case == "groupby" else found == want


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "key", [operator.itemgetter("k"), lambda record: opaque(record["k"])], ids=["native", "python"]
)
def test_many_keys_in_little_memory(tmp_path, spilled, chosen, case, key):
    # The memory of child processes counts too, and Python itself is much of that.
    limit, n_keys = ("120 MB", 9_000) if chosen == "processes" else ("4 MB", 1_500)
    keys = [f"{k:x<600}" for k in range(n_keys)]
    records = written(tmp_path / "records.jsonl", keys)
    with config.set({"memory-limit": limit, "temporary-directory": str(spilled)}), Watch(spilled) as watch:
        found = CASES[case](records, key).compute()
    check(case, found, keys)
    assert watch.most > 1e6


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize(
    "key", [operator.itemgetter("k"), lambda record: opaque(record["k"])], ids=["native", "python"]
)
def test_many_keys_on_a_cluster_of_little_memory(tmp_path, case, key):
    keys, folder = [f"{k:x<1500}" for k in range(3_000)], tmp_path / "workers"
    folder.mkdir()
    records = written(tmp_path / "records.jsonl", keys)
    workers = {"n_workers": 1, "threads_per_worker": 1, "memory_limit": "60 MB", "local_directory": str(folder)}
    with LocalCluster(**workers) as cluster, Client(cluster), Watch(folder) as watch:
        found = CASES[case](records, key).compute()
    check(case, found, keys)
    assert watch.most > 10e6
