"""What the engine recognises answers exactly what Python does, errors and all."""

import builtins
import contextlib
import functools
import json
import math
import operator
import string

import hypothesis.strategies as st
import numpy
import oxidask.bag as db
import pytest
from hypothesis import HealthCheck, given, settings
from oxidask import config
from oxidask.bag import _native

AWKWARD = [
    "",
    " ",
    "\x1c a\x85b\u2003c\x0b",
    "plain words in a line",
    "ÄÖÜ ß ŉ İ ſ Σς",
    "1",
    " -007 ",
    "1_000",
    "9223372036854775807",
    "9223372036854775808",
    "٣",
    "1e400",
    "nan",
    "-inf",
    "1.5e-07",
    "0.1",
    "true",
    "null",
    "NaN",
    "-Infinity",
    '"text"',
    '"\\ud800"',
    '"\\ud83d\\ude00"',
    '"a\\u0000b"',
    "[1, 2.5, null, [true]]",
    "[]",
    "{}",
    '{"a": 1, "a": 2, "b": "x"}',
    '{"a": "x", "b": {"c": [1]}}',
    '{"a": 1e5, "b": null}',
    '{"a": 123456789012345678901234567890}',
    '{"a": true, "b": ""}',
    '{"b": 1}',
    "[" * 150 + "]" * 150,
    '{"a": 01}',
    '{"a": 1,}',
    "{'a': 1}",
    '{"a": 1} x',
    '\ufeff{"a": 1}',
    '{"a": "\t"}',
]


def outcome(function, value):
    """What a call answers: its repr and type, or its error."""
    try:
        answer = function(value)
    except Exception as error:
        return type(error), getattr(error, "msg", None) or error.args
    return repr(answer), type(answer)


def compared(function, lines, path, step="map"):
    """Compares a step over the lines of a file, one file a line, with the plain call."""
    for number, line in enumerate(lines):
        if "\n" in line or "\r" in line:
            continue
        file = path / f"{number}"
        file.write_bytes(line.encode("utf-8", "surrogatepass"))
        if not line:
            continue
        bag = getattr(db.read_text(file), step)(function)
        ours = outcome(lambda _, bag=bag: bag.compute(), None)
        plain = {"map": lambda f, x: [f(x)], "filter": lambda f, x: [x] if f(x) else []}[step]
        theirs = outcome(functools.partial(plain, function), line)
        if isinstance(theirs[0], type) and issubclass(theirs[0], json.JSONDecodeError):
            # Ours says where, too.
            assert ours[0] is theirs[0] and ours[1].startswith(theirs[1]), (line, ours, theirs)
        else:
            assert ours == theirs, (line, ours, theirs)


@pytest.fixture(autouse=True)
def threads():
    with config.set(scheduler="threads"):
        yield


FUNCTIONS = {
    "json.loads": json.loads,
    "json.dumps": json.dumps,
    "dumps(loads)": lambda line: json.dumps(json.loads(line)),
    "len": len,
    "int": int,
    "float": float,
    "str": str,
    "bool": bool,
    "str of float": lambda line: str(float(line)),
    "int of float": lambda line: int(float(line)),
    "sum of json": lambda line: sum(json.loads(line)),
    "min of words": lambda line: min(line.split()),
    "max of json": lambda line: max(json.loads(line)),
    "len of json": lambda line: len(json.loads(line)),
    "lower": str.lower,
    "upper": str.upper,
    "strip": str.strip,
    "rstrip chars": operator.methodcaller("rstrip", "xX}"),
    "split": str.split,
    "split at": operator.methodcaller("split", " "),
    "split limit": lambda line: line.split(",", 1),
    "startswith": lambda line: line.startswith("{"),
    "replace": lambda line: line.replace("a", "bb"),
    "find": lambda line: line.find("a"),
    "count": lambda line: line.count("1"),
    "isdigit": str.isdigit,
    "first symbol": operator.itemgetter(0),
    "last symbol": lambda line: line[-1],
    "field": lambda line: json.loads(line)["a"],
    "fields": lambda line: (json.loads(line)["a"], json.loads(line).get("b")),
    "get": lambda line: json.loads(line).get("a", 5),
    "in": lambda line: "a" in json.loads(line),
    "not in": lambda line: "1" not in line,
    "compare": lambda line: json.loads(line)["a"] > 1,
    "equal": lambda line: json.loads(line)["a"] == 1,
    "unequal": lambda line: json.loads(line).get("b") != "x",
    "none": lambda line: json.loads(line).get("b") is None,
    "arithmetic": lambda line: float(line) * 2 - 1,
    "integers": lambda line: (int(line) // -7, int(line) % -7, int(line) * 5),
    "division": lambda line: int(line) / 3,
    "negative": lambda line: -float(line),
    "absolute": lambda line: abs(int(line)),
    "ternary": lambda line: len(line) if "a" in line else line.upper(),
    "and": lambda line: line and line.strip(),
    "or": lambda line: line.strip() or "empty",
    "chained": lambda line: 1 < len(line) < 10,
    "not": lambda line: not line.strip(),
    "attribute": lambda line: int(line).real,
    "attributes of json": lambda line: (json.loads(line).imag, json.loads(line)),
    "attribute of a field": lambda line: json.loads(line)["a"].numerator,
    "partial": functools.partial(operator.add, "> "),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_on_awkward_lines(tmp_path, name):
    assert _native.term_of(FUNCTIONS[name]), "the function is recognised"
    compared(FUNCTIONS[name], AWKWARD, tmp_path)


NUMBERS = [0, -7, 2**63 - 1, 2**63, -(2**70), True, False, 0.0, -0.0, 1.5, math.inf, math.nan, None, "1", (1, 2), [1]]


@pytest.mark.parametrize(
    "names",
    [["real"], ["imag"], ["numerator"], ["denominator"], ["real", "imag"], ["real.imag.real"], ["upper"], ["a.b"]],
    ids=", ".join,
)
def test_attributes_of_awkward_values(tmp_path, names):
    getter = operator.attrgetter(*names)
    for number, value in enumerate(NUMBERS):
        want = outcome(lambda value: [getter(value)], value)
        assert outcome(lambda value: db.from_sequence([value]).map(getter).compute(), value) == want, value
        file = tmp_path / str(number)
        file.write_text(json.dumps(value))
        again = json.loads(file.read_text())
        want = outcome(lambda value: [getter(value)], again)
        lines = db.read_text(file).map(json.loads)
        assert outcome(lambda _, lines=lines: lines.map(getter).compute(), None) == want, value


def test_attributes_are_recognised():
    assert _native.term_of(operator.attrgetter("real", "imag")) and _native.term_of(lambda x: x.real.imag)
    with pytest.raises(_native._UnknownError):
        _native.term_of(operator.attrgetter("upper"))


@pytest.mark.parametrize("name", ["isdigit", "strip", "in", "startswith"])
def test_filters_on_awkward_lines(tmp_path, name):
    compared(FUNCTIONS[name], AWKWARD, tmp_path, "filter")


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    value=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
        max_leaves=12,
    )
)
def test_any_json_is_read_and_written_as_python_does(tmp_path, value):
    line = json.dumps(value)
    compared(json.loads, [line, json.dumps(value, ensure_ascii=False)], tmp_path)
    compared(FUNCTIONS["dumps(loads)"], [line], tmp_path)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(line=st.text(alphabet=st.characters(exclude_categories=["Cs"]), min_size=1))
def test_methods_on_any_text(tmp_path, line):
    for name in ("lower", "upper", "strip", "split", "len", "find", "first symbol"):
        compared(FUNCTIONS[name], [line], tmp_path)


def test_the_case_of_all_symbols_that_are_done_natively(tmp_path):
    lines = [f"a{chr(code)}b" for code in range(0x20, 0x250) if chr(code) not in "\x85"]
    path = tmp_path / "all"
    path.write_text("\n".join(lines))
    for function in (str.lower, str.upper):
        assert db.read_text(path).str.strip("\n").map(function).compute() == [function(line) for line in lines]


@pytest.mark.parametrize("function", [float, lambda line: str(float(line))], ids=["float", "repr"])
def test_floats(tmp_path, function):
    numbers = [0.1, 1e16, 123456789012345680.0, 1e22, 5e-324, 1.7976931348623157e308, 0.0001, 0.00001, -0.0, 1 / 3]
    numbers += [math.pi * 10.0**exponent for exponent in range(-30, 30)]
    path = tmp_path / "a"
    path.write_text("\n".join(map(repr, numbers)))
    assert list(map(repr, db.read_text(path).map(function).compute())) == [repr(function(repr(x))) for x in numbers]


def records():
    names = [*string.ascii_lowercase, None, "é", "\ud83d"]
    return [
        {"name": names[n % len(names)], "n": n % 7, "x": n / 4, "tags": ["a", n], "deep": {"flag": n % 3 == 0}}
        for n in range(2_000)
    ]


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "records.jsonl"
    file.write_text("".join(json.dumps(record) + "\n" for record in records()))
    return file


CHAINS = {
    "frequencies": lambda b: b.pluck("name").frequencies(),
    "sorted": lambda b: b.pluck("n").frequencies(sort=True),
    "filter": lambda b: b.filter(lambda r: r["n"] > 3 and r["deep"]["flag"]).pluck("x"),
    "remove": lambda b: b.remove(operator.itemgetter("n")).pluck("n").count(),
    "default": lambda b: b.pluck("nothing", 0).frequencies(),
    "several": lambda b: b.pluck(["name", "n"]).frequencies(),
    "flatten": lambda b: b.pluck("tags").flatten().frequencies(),
    "fold": lambda b: b.foldby("n", lambda total, r: total + r["x"], 0.0, operator.add, 0.0),
    "count by": lambda b: b.foldby(lambda r: r["name"], lambda total, _: total + 1, 0, operator.add),
    "first": lambda b: b.pluck("x").foldby(lambda x: x > 100, max),
    "rows": lambda b: b,
    "map": lambda b: b.map(lambda r: (r["name"], len(r["tags"]))),
    "unknown function": lambda b: b.filter(lambda r: hash(r["n"]) > 3).pluck("name").frequencies(),
    "distinct": lambda b: b.pluck("n").distinct(),
    "distinct names": lambda b: b.pluck("name").distinct(),
    "distinct mixed": lambda b: b.pluck("tags").flatten().distinct(),
    "topk": lambda b: b.pluck("name").filter(None).frequencies().topk(3, key=1),
    "groups": lambda b: b.groupby("n"),
    "groups of text": lambda b: b.groupby("name", npartitions=3).map(lambda group: (group[0], len(group[1]))),
    "groups of pairs": lambda b: b.pluck(["name", "n"]).groupby(lambda pair: pair).pluck(0),
    "groups by fractions": lambda b: b.groupby("x", npartitions=2).map(len),
    "groups, then Python": lambda b: b.groupby("n").map(lambda group: sum(map(hash, [r["x"] for r in group[1]]))),
    "groups by Python": lambda b: b.groupby(lambda r: hash(r["n"]) % 5).pluck(1).map(len),
    "groups of groups": lambda b: b.groupby("n").groupby(lambda group: len(group[1])),
}


@contextlib.contextmanager
def by_python():
    """Makes bags whose functions are not recognised."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_native, "describe", lambda *args: None)
        patch.setattr(_native, "describe_tree", lambda *args: None)
        yield


WORDS = {
    "words": lambda b: b.map(str.split).flatten(),
    "lower first": lambda b: b.map(str.lower).map(str.split).flatten(),
    "upper last": lambda b: b.map(str.split).flatten().map(str.upper),
    "stripped": lambda b: b.map(str.split).flatten().map(lambda word: word.strip(".,!")),
    "long": lambda b: b.map(str.split).flatten().filter(lambda word: len(word) > 15),
    "letters": lambda b: b.flatten(),
}


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.sampled_from("aB. \t\x1c\xa0éß\u2003"), max_size=60), max_size=30))
def test_words_of_any_text(tmp_path, lines):
    path = tmp_path / "words.txt"
    path.write_text("".join(line + "\n" for line in lines), newline="")
    for name, steps in WORDS.items():
        for finish in (lambda words: words.frequencies(), lambda words: words.count()):
            native = finish(steps(db.read_text(path))).compute()
            with by_python():
                want = finish(steps(db.from_sequence([line + "\n" for line in lines] or [""], npartitions=1))).compute()
            assert native == want, name


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("blocksize", [None, 5_000])
def test_chains_answer_what_they_do_on_lists(path, name, blocksize):
    lines = db.read_text(path, blocksize=blocksize)
    native = CHAINS[name](lines.map(json.loads)).compute()
    in_children = CHAINS[name](lines.map(json.loads)).compute(scheduler="processes")
    with by_python():
        plain = CHAINS[name](lines.map(json.loads)).compute()
    assert native == plain == in_children


ELEMENTS = {
    "sum": lambda b: b.map(lambda x: x * 3 + 1).filter(lambda x: x % 2 == 0).sum(),
    "min": lambda b: b.map(operator.neg).min(),
    "max": lambda b: b.remove(lambda x: x == 0).max(),
    "count": lambda b: b.filter(None).count(),
    "product": lambda b: b.filter(None).fold(operator.mul),
    "fold": lambda b: b.fold(lambda total, x: total - x, initial=7),
    "fold floats": lambda b: b.map(lambda x: x / 7).fold(operator.add, initial=0.0),
    "text": lambda b: b.map(str).map(len).frequencies(),
    "longest": lambda b: b.map(str).max(),
    "groups": lambda b: b.groupby(lambda x: x % 5).map(lambda group: (group[0], sum(group[1]))),
    "groups of halves": lambda b: b.groupby(lambda x: x / 2),
    "foldby": lambda b: b.foldby(lambda x: x // 3, operator.add, 0),
    "distinct": lambda b: b.map(lambda x: x % 4).distinct(),
    "topk": lambda b: b.map(lambda x: (x % 4, x)).topk(3),
    "pairs": lambda b: b.map(lambda x: (x, None)).pluck(0).sum(),
    "take": lambda b: b.map(operator.neg).take(2, compute=False),
}

SEQUENCES = {
    "range": lambda: db.range(50, npartitions=4),
    "numbers": lambda: db.from_sequence([3, -1, 4, -1, 5, 9, 2, 6], npartitions=3),
    "large": lambda: db.from_sequence([2**62, 2**62, -5, 2**63 - 1], npartitions=2),
    "larger": lambda: db.from_sequence([2**70, 1, 0], npartitions=2),
    "bools": lambda: db.from_sequence([True, False, 3, True], npartitions=2),
    "floats": lambda: db.from_sequence([0.1, 0.2, 0.3, -0.0, 1e300, 5], npartitions=3),
    "nan": lambda: db.from_sequence([1.0, float("nan"), 0.5], npartitions=1),
    "one": lambda: db.from_sequence([5]),
    "text": lambda: db.from_sequence(["b", "a", "\ud800"], npartitions=2),
    "none": lambda: db.from_sequence([1, None], npartitions=2),
    "nothing": lambda: db.from_sequence([]),
    "classes": lambda: db.from_sequence([numpy.int64(4), numpy.float64(1.5)], npartitions=2),
}


def computed(bag):
    """What computing answers, and of which types; or which error it raises, and how."""
    try:
        result = bag.compute(scheduler="sync")
    except Exception as error:
        return type(error), str(error)
    return repr(result), type(result)


@pytest.mark.parametrize("sequence", SEQUENCES)
@pytest.mark.parametrize("name", ELEMENTS)
def test_elements_that_are_here_are_worked_on_as_python_does(sequence, name):
    native = computed(ELEMENTS[name](SEQUENCES[sequence]()))
    with by_python():
        want = computed(ELEMENTS[name](SEQUENCES[sequence]()))
    assert native == want


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.one_of(st.integers(-(2**63), 2**63), st.floats(), st.booleans()), max_size=30),
    st.sampled_from(sorted(ELEMENTS)),
    st.integers(1, 5),
)
def test_any_numbers_that_are_here_are_worked_on_as_python_does(numbers, name, npartitions):
    native = computed(ELEMENTS[name](db.from_sequence(numbers, npartitions=npartitions)))
    with by_python():
        want = computed(ELEMENTS[name](db.from_sequence(numbers, npartitions=npartitions)))
    assert native == want


def test_errors_are_python_s_own(path):
    bag = db.read_text(path).map(json.loads)
    with pytest.raises(KeyError, match="nothing"):
        bag.pluck("nothing").frequencies().compute()
    with pytest.raises(TypeError):
        bag.pluck("tags").frequencies().compute()
    with pytest.raises(TypeError):
        bag.map(lambda r: r["name"] > 1).compute()


def test_equal_keys_of_different_types_are_one(tmp_path):
    path = tmp_path / "a"
    path.write_text("1\n1.0\ntrue\n0\n-0.0\nfalse\n2\n")
    assert db.read_text(path).map(json.loads).frequencies().compute() == [(1, 3), (0, 3), (2, 1)]


def test_python_functions_that_look_alike_are_not_taken():
    scope = {"len": print}
    function = eval("lambda line: len(line)", scope)
    assert _native.describe(builtins.map, (function, base := object()), None, base) is None
    captured = 3
    for other in (
        lambda line: line[captured:],
        lambda line: print(line),
        lambda *lines: lines,
        lambda line, more=1: more,
    ):
        with pytest.raises(Exception):  # noqa: B017
            _native.term_of(other)


def test_what_is_persisted_stays_what_it_was(path):
    held = db.read_text(path).map(json.loads).persist()
    assert held.compute() == records()
    assert held.pluck("n").sum().compute() == sum(record["n"] for record in records())
    assert held.map_partitions(len).compute() == [2_000]
