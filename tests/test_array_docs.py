"""The table of functions in docs/array.md says what is true.

`UPDATE_DOCS=1 pytest tests/test_array_docs.py` writes the table anew.
"""

import inspect
import os
import pathlib
import warnings

import numpy as np
import oxidask.array as da
import pytest
from oxidask.array.core import Array

PAGE = pathlib.Path(__file__).resolve().parent.parent / "docs" / "array.md"
BEGIN, END = "<!-- table: begin -->\n", "<!-- table: end -->\n"
NATIVE, NUMPY, HELPER, MISSING = "native", "NumPy per block", "not run here", "not offered"

#: Why what Dask documents is not offered.
REASONS = {
    "from_tiledb": "no library for TileDB is kept well enough; use Zarr",
    "to_tiledb": "no library for TileDB is kept well enough; use Zarr",
}


def samples():
    """Arguments to try a function with, the plainest first."""
    x, v = da.ones((4, 4), chunks=2), da.ones(4, chunks=2)
    i, b = da.arange(1, 5, chunks=2), da.arange(4, chunks=2) > 1
    whole = da.ones((4, 4), chunks=4)
    return [
        (x,), (x, x), (v,), (v, v), (i,), (i, i), (b,), ([x, x],), (x, 1), (v, 2), (x, (16,)), (whole,), (whole, whole),
        (4,), ((4,),), ((4, 4), 1), (0, 1), (2, v), (i, [v, v, v, v, v]), ([b], [v]), (v, [b], [1, 0]), (v, [0, 1, 2]),
        (b, v), (v, [[3, 0], [1, 2]], 0), (v, None, 0), (np.sum, x, {0: 2}), (np.sum, 0, x), (da.sum, x, [0]), ("ij->i", x),
        (lambda y: y, "ij", x, "ij"), (lambda y: y, x), (x, 1, 0), (x, np.sum, np.sum), (np.cumsum, np.add, 0, v),
        (v, [0, 2]), (np.sum, "(i)->()", whole), (lambda r, c: r + c, (4, 4)), (i, (3, 3)), ([i, i], (9, 9)), (x, (4, 4)),
        (v, 1, 0, 0), (v, 1, 0), (x, 2, 1), (da.from_array(np.zeros(2, "M8[s]")),), (v, [0.5, 1.0]), ((v, v), [[0, 1], [0, 1]]),
        (np.ones(2), 1), (x, 2, (0, 1)), (da.ones(3, chunks=3), np.ones(3)),
    ]  # fmt: skip


#: What reads and writes files is not called with made-up names.
FILES = {"from_npy", "from_npy_stack", "from_npz", "from_zarr", "to_hdf5", "to_npy_stack", "to_zarr"}


def state_of(function):
    """How a function makes its result."""
    if function.__name__ in FILES:
        return HELPER
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for args in samples():
            try:
                made = function(*args)
            except Exception:
                continue
            made = made[0] if isinstance(made, tuple | list) and made else made
            if not isinstance(made, Array):
                continue
            layers, _ = made._core.expr().layers(False)
            kinds = {
                form[0].__reduce__()[1][0]
                for layer in layers.values()
                for form in layer.values()
                if hasattr(form[0], "__reduce__") and type(form[0]).__name__ == "Task"
            }
            return NUMPY if any(kind.startswith("python.") for kind in kinds) else NATIVE
    return HELPER


def topics():
    """The functions of each module, by topic."""
    spaces = {"array": da, "linalg": da.linalg, "fft": da.fft, "ma": da.ma, "stats": da.stats}
    for topic, module in spaces.items():
        for name in sorted(set(module.__all__)):
            function = getattr(module, name)
            if callable(function) and not inspect.isclass(function) and not inspect.ismodule(function):
                yield topic, name, function
    for name in sorted(da.random.DISTRIBUTIONS):
        yield (
            "random",
            name,
            lambda *args, name=name: getattr(da.random.default_rng(0), name)(*_parameters(name), size=4, chunks=2),
        )


def _parameters(name):
    known = da.random._SAMPLES
    return [known.get(p, 2.0) for p, default in da.random.DISTRIBUTIONS[name].items() if default is None]


def table():
    """The table as Markdown."""
    rows = ["| module | function | state |\n|---|---|---|\n"]
    for topic, name, function in topics():
        state = f"{MISSING}: {REASONS[name]}" if name in REASONS else state_of(function)
        rows.append(f"| {topic} | `{name}` | {state} |\n")
    return "".join(rows)


def test_the_table_is_true(tmp_path, monkeypatch):
    # Some functions write files where they are called: visualize, for one.
    monkeypatch.chdir(tmp_path)
    page = PAGE.read_text()
    head, rest = page.split(BEGIN)
    written, tail = rest.split(END)
    found = table()
    if os.environ.get("UPDATE_DOCS"):
        PAGE.write_text(head + BEGIN + found + END + tail)
        return
    assert written.splitlines() == found.splitlines(), "run UPDATE_DOCS=1 pytest tests/test_array_docs.py"


@pytest.mark.parametrize("name", sorted(REASONS))
def test_what_is_not_offered_says_what_to_do(name):
    with pytest.raises(NotImplementedError, match="hint"):
        getattr(da, name)(None, "x") if name.startswith("to") else getattr(da, name)("x")
