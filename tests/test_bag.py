"""Bags against Python's own functions, on each local executor."""

import functools
import gzip
import itertools
import json
import operator
import pickle
import random
import statistics
import threading
from collections import Counter

import oxidask
import oxidask.bag as db
import pytest
from oxidask import config, delayed

NUMBERS = [7, 3, 9, 3, 0, 12, 5, 5, 5, 1, 8]


@pytest.fixture(autouse=True)
def chosen(scheduler):
    with config.set(scheduler=scheduler):
        yield scheduler


@pytest.fixture(params=[1, 3, 20], ids="{} partitions".format)
def numbers(request):
    return db.from_sequence(NUMBERS, npartitions=request.param)


def add(x, y=0, z=0):
    return x + y + z


def is_odd(x):
    return x % 2 == 1


# elementwise


def test_steps_on_elements(numbers):
    assert numbers.compute() == NUMBERS
    assert numbers.map(add, 1).compute() == [x + 1 for x in NUMBERS]
    assert numbers.filter(is_odd).compute() == [x for x in NUMBERS if is_odd(x)]
    assert numbers.filter(None).compute() == [x for x in NUMBERS if x]
    assert numbers.remove(is_odd).compute() == [x for x in NUMBERS if not is_odd(x)]
    assert numbers.map(range).flatten().compute() == [y for x in NUMBERS for y in range(x)]
    assert numbers.map(lambda x: (x, 1)).starmap(add, z=5).compute() == [x + 6 for x in NUMBERS]
    assert list(numbers) == NUMBERS


def test_map_with_several_bags_and_values(numbers):
    squares = numbers.map(lambda x: x * x)
    largest = max(NUMBERS)
    assert numbers.map(add, squares).compute() == [x + x * x for x in NUMBERS]
    assert numbers.map(add, squares, z=numbers).compute() == [2 * x + x * x for x in NUMBERS]
    assert numbers.map(add, numbers.max(), z=delayed(10)).compute() == [x + largest + 10 for x in NUMBERS]
    assert db.map(add, 5, numbers, z=numbers).compute() == [5 + 2 * x for x in NUMBERS]
    assert db.map(add, [1], [2], z=numbers.map(lambda x: [x])).compute() == [[1, 2, x] for x in NUMBERS]
    assert db.map(add, z=numbers, x=1).compute() == [1 + x for x in NUMBERS]


def test_bags_of_unequal_partitions_are_an_error():
    two, three = db.from_sequence(range(6), npartitions=2), db.from_sequence(range(6), npartitions=3)
    for make in (lambda: two.map(add, three), lambda: db.zip(two, three), lambda: two.map_partitions(add, three)):
        with pytest.raises(ValueError, match="2 and 3 partitions"):
            make()
    for length in (7, 8):
        longer = db.from_sequence(range(length), npartitions=2)
        for pair in ((two, longer), (longer, two)):
            with pytest.raises(ValueError):
                db.map(add, *pair).compute()
            with pytest.raises(ValueError):
                db.map(add, *pair, z=1).compute()
    with pytest.raises(ValueError, match="must be a bag"):
        db.map(add, 1)


def test_pluck_and_unzip():
    people = [{"name": "Ann", "age": 3}, {"name": "Bob"}, {"name": "Cid", "age": 5}]
    bag = db.from_sequence(people, npartitions=2)
    assert bag.pluck("name").compute() == ["Ann", "Bob", "Cid"]
    assert bag.pluck("age", 0).compute() == [3, 0, 5]
    assert bag.pluck(["name", "age"], None).compute() == [("Ann", 3), ("Bob", None), ("Cid", 5)]
    assert bag.pluck(["name"]).compute() == [("Ann",), ("Bob",), ("Cid",)]
    with pytest.raises(KeyError, match="age"):
        bag.pluck("age").compute()
    firsts, seconds = db.from_sequence([(1, 2), (3, 4)]).unzip(2)
    assert (firsts.compute(), seconds.compute()) == ([1, 3], [2, 4])
    assert db.from_sequence(["ab", "", "c"]).pluck(0, "?").compute() == ["a", "?", "c"]
    with pytest.raises(TypeError):
        db.from_sequence([{"a": 1}, None]).pluck("a", 0).compute()


def test_flatten_names_what_cannot_be_iterated():
    with pytest.raises(TypeError, match=r"flatten.*'int'.*5 at position 1"):
        db.from_sequence([[1], 5], npartitions=1).flatten().compute()


def n_tasks(bag):
    return sum(map(len, bag._expr.layers(True)[0].values()))


def test_steps_fuse_into_one_task_a_partition(numbers):
    chained = numbers.map(add, 1).filter(is_odd).map(str)
    assert n_tasks(chained) == 2 * numbers.npartitions
    assert chained.compute() == chained.compute(optimize_graph=False)


def test_steps_below_a_tree_and_a_shuffle_fuse():
    chained = db.from_sequence(NUMBERS, npartitions=4).map(add, 1).filter(is_odd).map(str)
    assert n_tasks(chained.map(len).sum()) == 4 + 4 + 1
    assert n_tasks(chained.frequencies(split_every=4)) == 4 + 4 + 1
    # Keys are cut into as many shards as there are partitions, up to eight.
    assert n_tasks(chained.frequencies()) == 4 + 4 + 4 + 1
    # The task that makes a partition cuts it into pieces too.
    assert n_tasks(chained.groupby(len)) == 4 + 4 + 4


def test_shared_steps_run_once(numbers, chosen):
    if chosen == "processes":
        pytest.skip("calls are counted in this process")
    calls = []
    shared = numbers.map(lambda x: calls.append(x) or x)
    one, two = oxidask.compute(shared.map(add, 1), shared.map(add, 2))
    assert [x + 1 for x in one] == two
    assert sorted(calls) == sorted(NUMBERS)


def test_map_partitions_gets_lists(numbers):
    assert sum(numbers.map(str).map_partitions(len).compute()) == len(NUMBERS)
    assert numbers.map_partitions(iter).compute() == NUMBERS
    assert numbers.map_partitions(lambda part, n: [x * n for x in part], 3).compute() == [3 * x for x in NUMBERS]


def test_string_methods():
    names = db.from_sequence(["Ann Lee", "bob"], npartitions=2)
    assert names.str.upper().compute() == ["ANN LEE", "BOB"]
    assert names.str.split(" ").compute() == [["Ann", "Lee"], ["bob"]]
    assert names.str.match("*b").compute() == ["bob"]
    with pytest.raises(AttributeError):
        _ = names.str.nothing


# reductions


@pytest.mark.parametrize("split_every", [None, False, 2, 3])
def test_reductions(numbers, split_every):
    for name, function in (("sum", sum), ("max", max), ("min", min), ("any", any), ("all", all), ("count", len)):
        result = getattr(numbers, name)(split_every=split_every)
        assert result.compute() == function(NUMBERS), name
    assert dict(numbers.frequencies(split_every=split_every)) == Counter(NUMBERS)
    assert numbers.topk(4, split_every=split_every).compute() == sorted(NUMBERS, reverse=True)[:4]
    assert numbers.fold(operator.add, split_every=split_every).compute() == sum(NUMBERS)


def test_statistics(numbers):
    assert numbers.mean().compute() == pytest.approx(statistics.mean(NUMBERS), rel=1e-15)
    assert numbers.var().compute() == pytest.approx(statistics.pvariance(NUMBERS), rel=1e-14)
    assert numbers.std(ddof=1).compute() == pytest.approx(statistics.stdev(NUMBERS), rel=1e-14)


def test_variance_of_numbers_far_from_zero():
    values = [1e9 + x for x in (4, 7, 13, 16)]
    assert db.from_sequence(values, npartitions=2).var(ddof=1).compute() == pytest.approx(30)


def test_fold_starts_each_partition_afresh(numbers):
    def collect(seen, x):
        seen.add(x)
        return seen

    start = set()
    assert numbers.fold(collect, set.union, initial=start).compute() == set(NUMBERS)
    assert start == set()
    total = sum(NUMBERS) + 10 * numbers.npartitions
    assert numbers.fold(operator.add, initial=10).compute() == total


def test_foldby(numbers):
    expected = {odd: sum(x for x in NUMBERS if is_odd(x) == odd) for odd in (False, True)}
    for split_every in (None, False, 2):
        assert dict(numbers.foldby(is_odd, add, split_every=split_every)) == expected
        assert dict(numbers.foldby(is_odd, add, 0, add, 0, split_every=split_every)) == expected
    counts = numbers.foldby(is_odd, lambda n, x: n + 1, 0, operator.add)
    assert dict(counts) == Counter(map(is_odd, NUMBERS))


def test_topk_with_keys(numbers):
    pairs = numbers.map(lambda x: (x, -x))
    expected = sorted([(x, -x) for x in NUMBERS], key=lambda pair: pair[1], reverse=True)[:3]
    assert pairs.topk(3, key=1).compute() == expected
    assert pairs.topk(3, key=lambda x, y: y).compute() == expected
    assert numbers.topk(100).compute() == sorted(NUMBERS, reverse=True)


def test_distinct(numbers):
    assert numbers.distinct().compute() == list(dict.fromkeys(NUMBERS))
    by_parity = numbers.distinct(key=is_odd).compute()
    assert by_parity == [7, 0]


def test_groupby(numbers):
    groups = dict(numbers.groupby(is_odd))
    assert groups == {odd: [x for x in NUMBERS if is_odd(x) == odd] for odd in (False, True)}
    for npartitions in (1, 5):
        grouped = numbers.groupby(lambda x: f"key {x}", npartitions=npartitions)
        assert grouped.npartitions == npartitions
        assert {key: len(group) for key, group in grouped} == {f"key {x}": n for x, n in Counter(NUMBERS).items()}


@pytest.mark.parametrize("key", ["text", b"bytes", None, 1.5, ("a", (None, 2)), frozenset("abc")], ids=repr)
def test_equal_keys_of_different_processes_meet(key):
    bag = db.from_sequence(range(12), npartitions=4).map(lambda x: (key, x)).groupby(0, npartitions=3)
    assert bag.compute() == [(key, [(key, x) for x in range(12)])]


def test_keys_that_are_equal_but_of_different_types_meet():
    bag = db.from_sequence([1, 1.0, True, 2], npartitions=4)
    assert sorted(len(group) for _, group in bag.groupby(lambda x: x)) == [1, 3]


def test_accumulate(numbers):
    assert numbers.accumulate(add).compute() == list(itertools.accumulate(NUMBERS))
    assert numbers.accumulate(add, 100).compute() == list(itertools.accumulate(NUMBERS, initial=100))
    sparse = numbers.filter(lambda x: x > 8)
    assert sparse.accumulate(add).compute() == list(itertools.accumulate(x for x in NUMBERS if x > 8))


def test_join_and_product(numbers):
    others = ["", "a", "bbb", "ccc"]
    expected = [(other, x) for x in NUMBERS for other in others if len(other) == x]
    for other in (others, delayed(others), db.from_sequence(others, npartitions=1)):
        assert numbers.join(other, lambda x: x, len).compute() == expected
    few = db.from_sequence("ab", npartitions=2)
    assert sorted(numbers.product(few)) == sorted(itertools.product(NUMBERS, "ab"))
    assert numbers.product(few).npartitions == 2 * numbers.npartitions


# structure


def test_partitions():
    assert db.from_sequence(range(10), partition_size=4).map_partitions(len).compute() == [4, 4, 2]
    assert db.from_sequence([]).npartitions == 1
    assert db.range(10, npartitions=3).compute() == list(range(10))
    with pytest.raises(ValueError, match="npartitions"):
        db.from_sequence([1], npartitions=0)
    both = db.concat([db.range(3, 2), db.range(2, 1)])
    assert (both.compute(), both.npartitions) == ([0, 1, 2, 0, 1], 3)
    assert db.zip(db.range(4, 2), db.range(4, 2).map(str)).compute() == list(zip(range(4), "0123", strict=True))


@pytest.mark.parametrize("n", [1, 2, 3, 7, 10, 23])
def test_repartition(numbers, n):
    again = numbers.map(str).repartition(n)
    assert (again.npartitions, again.compute()) == (n, list(map(str, NUMBERS)))


def test_repartition_by_size():
    bag = db.from_sequence(["x" * 1000] * 40, npartitions=2).repartition(partition_size="8kB")
    assert bag.npartitions > 4
    assert bag.count().compute() == 40
    assert bag.repartition(partition_size="1GB").npartitions == 1


def test_take(numbers):
    assert numbers.take(4, npartitions=-1) == tuple(NUMBERS[:4])
    assert numbers.take(4, npartitions=-1, compute=False).compute() == NUMBERS[:4]
    with pytest.warns(UserWarning, match="100 elements"):
        numbers.take(100, npartitions=-1)
    with pytest.raises(ValueError, match="partitions exist"):
        numbers.take(1, npartitions=50)


def test_take_computes_only_the_first_partitions():
    def refuse(x):
        if x > 5:
            raise AssertionError("a partition was computed in vain")
        return x

    assert db.range(100, npartitions=20).map(refuse).take(3) == (0, 1, 2)


def test_random_sample():
    bag = db.range(1000, npartitions=5)
    sample = bag.random_sample(0.3, 42)
    assert sample.compute() == bag.random_sample(0.3, random.Random(42)).compute() == sample.compute()
    assert 200 < len(sample.compute()) < 400
    assert set(sample) < set(range(1000))
    assert bag.random_sample(0.5).compute() != bag.random_sample(0.5).compute()
    assert (bag.random_sample(0).compute(), bag.random_sample(1).count().compute()) == ([], 1000)
    with pytest.raises(ValueError, match="prob"):
        bag.random_sample(1.1)


def test_random_elements(numbers):
    assert sorted(db.random.sample(numbers, len(NUMBERS)).compute()) == sorted(NUMBERS)
    some = db.random.sample(numbers, 5).compute()
    assert len(some) == 5
    assert not Counter(some) - Counter(NUMBERS)
    many = db.random.choices(numbers, 500).compute()
    assert (len(many), set(many)) == (500, set(NUMBERS))
    with pytest.raises(ValueError, match="12 elements"):
        db.random.sample(numbers, 12).compute()
    with pytest.raises(IndexError):
        db.random.choices(numbers.filter(lambda x: x > 99)).compute()


def test_empty_partitions():
    sparse = db.from_sequence([1, 2, 3], npartitions=3).filter(lambda x: x == 2)
    assert (sparse.sum().compute(), sparse.max().compute(), sparse.count().compute()) == (2, 2, 1)
    assert (sparse.mean().compute(), sparse.var().compute()) == (2, 0)
    empty = sparse.filter(lambda x: x > 5)
    assert (empty.compute(), empty.sum().compute(), empty.count().compute()) == ([], 0, 0)
    assert empty.frequencies().compute() == empty.topk(3).compute() == empty.distinct().compute() == []
    assert empty.fold(add, initial=4).compute() == 4
    for reduce in (empty.max, empty.min):
        with pytest.raises(ValueError):
            reduce().compute()
    with pytest.raises(TypeError):
        empty.fold(add).compute()


@pytest.mark.parametrize("npartitions", [1, 3])
def test_no_element_has_no_mean_and_no_extreme(npartitions):
    none = db.range(10, npartitions=npartitions).filter(lambda x: x > 10)
    for name in ("mean", "var", "std"):
        with pytest.raises(ZeroDivisionError, match="no elements"):
            getattr(none, name)().compute()
    for name in ("min", "max"):
        with pytest.raises(ValueError, match="empty"):
            getattr(none, name)().compute()
    assert (none.sum().compute(), none.count().compute()) == (0, 0)


def test_a_single_element():
    one = db.from_sequence([5])
    assert (one.sum().compute(), one.fold(add).compute(), one.accumulate(add).compute()) == (5, 5, [5])
    assert one.groupby(is_odd).compute() == [(True, [5])]


def test_unhashable_elements():
    bag = db.from_sequence([[1], [2], [1]], npartitions=2)
    for make in (bag.frequencies, bag.distinct, lambda: bag.groupby(lambda x: x)):
        with pytest.raises(TypeError, match="unhashable"):
            make().compute()
    assert bag.distinct(key=0).compute() == [[1], [2]]
    assert bag.fold(operator.add).compute() == [1, 2, 1]


# values that are not bags


def test_items():
    bag = db.from_sequence([1, 2, 3], npartitions=2)
    total = bag.sum()
    assert (int(total), float(total), bool(total)) == (6, 6.0, True)
    assert ((total + 1) * 2 - total).compute() == 8
    assert (10 // total).compute() == 1
    assert total.apply(str).compute() == "6"
    assert (total > bag.max()).compute() is True
    assert db.Item.from_delayed(delayed(3)).compute() == 3
    assert (total.to_delayed() + 1).compute() == 7
    assert oxidask.compute(total, {"largest": bag.max()}) == (6, {"largest": 3})


def test_delayed_values_and_bags():
    parts = [delayed(list)("ab"), delayed(iter)("c"), delayed(list)("")]
    bag = db.from_delayed(parts)
    assert bag.compute() == ["a", "b", "c"]
    assert [part.compute() for part in bag.map(str.upper).to_delayed()] == [["A", "B"], ["C"], []]
    assert delayed(len)(bag).compute() == 3


def test_persist(numbers):
    held = numbers.map(add, 1).persist()
    assert held.map(add, 1).compute() == [x + 2 for x in NUMBERS]
    assert numbers.sum().persist().compute() == sum(NUMBERS)


def test_pickled_bags_are_bags(numbers):
    bag = pickle.loads(pickle.dumps(numbers.map(add, 1)))
    assert bag.npartitions == numbers.npartitions
    assert bag.map(add, 1).compute() == [x + 2 for x in NUMBERS]
    assert pickle.loads(pickle.dumps(numbers.sum())).compute() == sum(NUMBERS)


def test_names_say_what_and_how(numbers):
    assert repr(numbers) == f"oxidask.bag<from_sequence, npartitions={numbers.npartitions}>"
    assert numbers.map(add, 1).name == numbers.map(add, 1).name != numbers.map(add, 2).name
    assert numbers.map(add).name.startswith("add-")


# errors


def add_strictly(total, element):
    """Adds numbers, and raises for all else."""
    if not isinstance(element, int):
        raise ValueError("no number")
    return total + element


@pytest.mark.parametrize("fold", ["fold", "foldby", "combine", "accumulate"])
def test_a_binop_that_raises_names_its_two_values(fold):
    bag = db.from_sequence([1, 2, 4, "five"], npartitions=1)
    folded = {
        "fold": lambda: bag.fold(add_strictly, initial=0),
        "foldby": lambda: bag.foldby(lambda element: 0, add_strictly, 0),
        "combine": lambda: bag.map(str).foldby(lambda element: 0, max, combine=add_strictly, combine_initial=7),
        "accumulate": lambda: bag.accumulate(add_strictly),
    }[fold]()
    with pytest.raises(ValueError, match="no number") as caught:
        folded.compute()
    notes = "\n".join(caught.value.__notes__)
    assert "while combining 7 with 'five'" in notes, notes


def test_an_error_of_a_function_is_raised_as_itself(numbers):
    with pytest.raises(ZeroDivisionError):
        numbers.map(lambda x: 1 / x).compute()
    with pytest.raises(TypeError, match="unsupported operand"):
        numbers.fold(lambda x, y: x + "text").compute()


def local_function(lock):
    """A function that holds what cannot be pickled."""
    return lambda element: (element, lock)


def make_lock(element):
    """Something that cannot be pickled."""
    return threading.Lock()


def test_what_cannot_be_pickled_is_named(chosen):
    lock = threading.Lock()
    bag = db.from_sequence([1, 2], npartitions=2).map(functools.partial(add, lock))
    if chosen == "processes":
        with pytest.raises(TypeError, match=r"cannot pickle.*lock"):
            bag.compute()
        with pytest.raises(TypeError, match=r"(?s)'map' cannot be sent.*local_function.*cannot pickle.*lock"):
            db.from_sequence([1, 2]).map(local_function(lock)).compute()
        for bag in (db.from_sequence([1, lock, 3]).map(str), db.from_sequence([1, 2]).map(make_lock)):
            with pytest.raises(TypeError, match=r"<unlocked _thread.lock.*cannot be pickled"):
                bag.compute()


# text


def test_clicks(data):
    path = data / "usagov_clicks.jsonl"
    for blocksize in (None, "100kB", 333_333):
        records = db.read_text(path, blocksize=blocksize).map(json.loads)
        zones = records.filter(lambda record: "tz" in record).pluck("tz")
        with path.open() as file:
            expected = Counter(record["tz"] for record in map(json.loads, file) if "tz" in record)
        assert dict(zones.frequencies()) == expected
        assert zones.frequencies().topk(5, key=1).compute() == expected.most_common(5)


def test_read_text(tmp_path):
    contents = ["a\nb\n", "c\r\nd", "", "e\n\nf\n"]
    for number, content in enumerate(contents):
        (tmp_path / f"{number}.txt").write_bytes(content.encode())
    expected = ["a\n", "b\n", "c\n", "d", "e\n", "\n", "f\n"]
    glob = str(tmp_path / "*.txt")
    assert db.read_text(glob).npartitions == 4
    for blocksize in (None, 1, 2, 5, "1kB"):
        assert db.read_text(glob, blocksize=blocksize).compute() == expected
    joined = db.read_text(glob, files_per_partition=3)
    assert (joined.npartitions, joined.compute()) == (2, expected)
    paths = [str(tmp_path / "3.txt"), str(tmp_path / "0.txt")]
    pairs = db.read_text(paths, include_path=True).compute()
    assert pairs[0] == ("e\n", paths[0])
    assert pairs[-1] == ("b\n", paths[1])
    parts = db.read_text(glob, collection=False)
    assert [line for part in oxidask.compute(*parts) for line in part] == expected


def test_relative_and_hidden_paths(tmp_path, monkeypatch):
    # Child processes were started in another folder.
    monkeypatch.chdir(tmp_path)
    for name in (".hidden.txt", "a.txt"):
        (tmp_path / name).write_text(name)
    assert db.read_text("*.txt").compute() == ["a.txt"]
    assert db.read_text(".*.txt").compute() == [".hidden.txt"]
    assert db.from_sequence(["x"]).to_textfiles("out") == [str(tmp_path / "out" / "0.part")]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "gb18030", "latin-1"])
def test_encodings(tmp_path, encoding):
    text = "äöü\n" * 50 if encoding == "latin-1" else "你好\nß\n" * 50
    (tmp_path / "a").write_bytes(text.encode(encoding))
    assert "".join(db.read_text(tmp_path / "a", encoding=encoding)) == text


def test_bytes_that_cannot_be_decoded(tmp_path):
    path = tmp_path / "a"
    path.write_bytes(b"good\nbad \xff\n")
    with pytest.raises(ValueError, match=r"0xff .* at offset 9"):
        db.read_text(path).compute()
    assert db.read_text(path, errors="replace").compute() == ["good\n", "bad \ufffd\n"]
    with pytest.raises(UnicodeDecodeError):
        db.read_text(path, encoding="ascii").compute()


def test_delimiters_and_gzip(tmp_path):
    with gzip.open(tmp_path / "a.gz", "wt") as file:
        file.write("1;2;\n3")
    assert db.read_text(tmp_path / "a.gz", linedelimiter=";").compute() == ["1;", "2;", "\n3"]
    with pytest.raises(ValueError, match="blocks"):
        db.read_text(tmp_path / "a.gz", blocksize=2)
    with pytest.raises(OSError, match="a.gz"):
        db.read_text(tmp_path / "a.gz", compression="xz").compute()


def test_files_that_do_not_exist(tmp_path):
    for name in ("*.csv", "none.txt"):
        with pytest.raises(FileNotFoundError, match=name.replace("*", r"\*")):
            db.read_text(str(tmp_path / name))


def test_write_text(tmp_path):
    bag = db.from_sequence(["a", "ü", "c"], npartitions=2)
    paths = bag.to_textfiles(tmp_path / "out")
    assert db.read_text(paths).str.strip().compute() == ["a", "ü", "c"]
    zipped = bag.to_textfiles(str(tmp_path / "*.gz"), last_endline=True)
    with gzip.open(zipped[0]) as file:
        assert file.read().decode() == "a\nü\n"
    with pytest.raises(ValueError, match="2 partitions need 2 paths"):
        bag.to_textfiles([tmp_path / "one"])
