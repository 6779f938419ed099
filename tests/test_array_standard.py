"""The array API standard: what it adds to Dask's functions, and its own test suite where that can be had.

The suite (data-apis/array-api-tests with its submodule) is not part of this
project. `ARRAY_API_TESTS=/path/to/checkout pytest tests/test_array_standard.py`
runs it, with `ARRAY_API_EXAMPLES` examples a test (5 by default) and without
the tests that tests/array_api/skips.txt gives reasons against.
"""

from __future__ import annotations

import os
import pathlib
import subprocess
import sys

import numpy as np
import oxidask.array as da
import pytest

SKIPS = pathlib.Path(__file__).parent / "array_api" / "skips.txt"


@pytest.fixture
def pair():
    x = np.random.default_rng(0).normal(size=(4, 5, 6))
    return x, da.from_array(x, chunks=(2, 3, 4))


def test_the_suite_of_the_standard():
    suite = os.environ.get("ARRAY_API_TESTS")
    if suite is None:
        pytest.skip("ARRAY_API_TESTS does not name a checkout of data-apis/array-api-tests")
    variables = {"ARRAY_API_TESTS_MODULE": "oxidask.array", "ARRAY_API_TESTS_VERSION": da.__array_api_version__}
    options = ["--max-examples", os.environ.get("ARRAY_API_EXAMPLES", "5"), "--disable-deadline", "--derandomize"]
    options += ["--skips-file", str(SKIPS)]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", "array_api_tests", "-q", "--tb=short", "-p", "no:cacheprovider", *options],
        cwd=suite,
        env={**os.environ, **variables, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout[-6000:]


def test_every_skip_has_a_reason():
    reason = ""
    for line in SKIPS.read_text().splitlines():
        assert not line or line.startswith("#") or (reason and line.startswith("array_api_tests/"))
        reason = line if line.startswith("#") else reason


def test_the_namespace_tells_what_it_can():
    xp = da.ones(2, chunks=1).__array_namespace__(api_version="2024.12")
    assert xp is da
    info = xp.__array_namespace_info__()
    assert info.default_dtypes()["real floating"] == np.float64
    assert set(info.dtypes()) == set(np.__array_namespace_info__().dtypes())
    with pytest.raises(ValueError, match="only one is 'cpu'"):
        da.zeros(3, device="gpu")


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_take_along_axis(pair, axis):
    x, lazy = pair
    order = np.argsort(x, axis=axis)
    found = da.take_along_axis(lazy, da.from_array(order, chunks=2), axis=axis)
    np.testing.assert_array_equal(found.compute(), np.sort(x, axis=axis))
    with pytest.raises(ValueError, match=r"\(4, 5, 6\) and \(4,\)"):
        da.take_along_axis(lazy, [0, 1, 2, 3], axis=axis)


@pytest.mark.parametrize("ord", [1, -1, 2, -2, np.inf, -np.inf, "fro", "nuc"])
def test_matrix_norms(pair, ord):
    x, lazy = pair
    np.testing.assert_allclose(da.linalg.matrix_norm(lazy, ord=ord).compute(), np.linalg.matrix_norm(x, ord=ord))
    for axes in [(0, 2), (2, 1)]:
        ours = da.linalg.norm(lazy, ord=ord, axis=axes, keepdims=True)
        np.testing.assert_allclose(ours.compute(), np.linalg.norm(x, ord=ord, axis=axes, keepdims=True))


@pytest.mark.parametrize("ord", [0, 1, 2, 3.5, -1, np.inf, -np.inf])
def test_vector_norms(pair, ord):
    x, lazy = pair
    for axis in (None, 1, (0, 2)):
        ours = da.linalg.vector_norm(lazy, axis=axis, ord=ord)
        np.testing.assert_allclose(ours.compute(), np.linalg.vector_norm(x, axis=axis, ord=ord))


def test_stacks_of_matrices(pair):
    x, lazy = pair
    square, rows = lazy[:, :, :5] + da.eye(5, chunks=5) * 9, np.ones((4, 5, 1))
    plain = square.compute()
    for name in ("inv", "det", "svdvals"):
        np.testing.assert_allclose(getattr(da.linalg, name)(square).compute(), getattr(np.linalg, name)(plain))
    np.testing.assert_allclose(da.linalg.solve(square, rows).compute(), np.linalg.solve(plain, rows))
    q, r = da.linalg.qr(lazy)
    np.testing.assert_allclose((q @ r).compute(), x)
    u, s, v = da.linalg.svd(lazy, full_matrices=False)
    np.testing.assert_allclose(((u * s[:, None, :]) @ v).compute(), x)
    sign, logdet = da.linalg.slogdet(square)
    np.testing.assert_allclose((sign * da.exp(logdet)).compute(), np.linalg.det(plain))
    assert da.linalg.slogdet(square).logabsdet.shape == (4,)
    with pytest.raises(ValueError, match=r"square matrices.*\(4, 5, 6\)"):
        da.linalg.inv(lazy)


def test_cross_products(pair):
    x, lazy = pair
    np.testing.assert_allclose(
        da.linalg.cross(lazy[..., :3], lazy[..., 3:]).compute(), np.linalg.cross(x[..., :3], x[..., 3:])
    )
    with pytest.raises(ValueError, match="3 elements along axis -1"):
        da.linalg.cross(lazy, lazy)


@pytest.mark.parametrize("lazy_first", [True, False])
def test_several_arrays_of_indices_of_which_some_are_lazy(pair, lazy_first):
    x, lazy = pair
    i, j = np.array([0, 3, -1, 2]), np.array([[1], [4]])
    li = da.from_array(i, chunks=3)
    lj = da.from_array(j, chunks=1) if lazy_first else j
    for index, own in [
        ((i, j), (li, lj)),
        ((i, 1), (li, 1)),
        ((slice(None), i, j), (slice(None), li, lj)),
        ((i, slice(1, 4), j), (li, slice(1, 4), lj)),
        ((0, slice(None), i), (0, slice(None), li)),
        ((i, None, 2), (li, None, 2)),
    ]:
        found = lazy[own]
        assert found.shape == x[index].shape
        np.testing.assert_array_equal(found.compute(), x[index])
    with pytest.raises(IndexError, match="out of bounds"):
        lazy[da.from_array(np.array([9]), chunks=1), 0].compute()


def test_dlpack_goes_in_and_out(pair):
    x, lazy = pair
    np.testing.assert_array_equal(np.from_dlpack(lazy), x)
    assert da.from_dlpack(lazy) is lazy
    np.testing.assert_array_equal(da.from_dlpack(x, chunks=2).compute(), x)
    table = pytest.importorskip("pyarrow").array([1.5, 2.5])
    np.testing.assert_array_equal(da.from_dlpack(table).compute(), [1.5, 2.5])


def test_repeats_of_each_element(pair):
    x, lazy = pair
    counts = [0, 2, 1, 0, 3]
    for repeats in (counts, np.array(counts), da.from_array(np.array(counts), chunks=2), 3, 0):
        ours = da.repeat(lazy, repeats, axis=1)
        np.testing.assert_array_equal(ours.compute(), np.repeat(x, np.asarray(repeats), axis=1))
    np.testing.assert_array_equal(da.repeat(lazy, 2).compute(), np.repeat(x, 2))
    with pytest.raises(ValueError, match="5 elements along axis 1 need as many repeats"):
        da.repeat(lazy, [1, 2], axis=1)


@pytest.mark.parametrize("odd", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("chunks", [1, 3, 40])
def test_variances_of_what_is_not_finite(odd, chunks):
    for x in (np.array([odd]), np.r_[np.ones(30), odd], np.full((40, 3), odd)):
        lazy = da.from_array(x, chunks=chunks)
        for axis in range(x.ndim):
            assert np.isnan(lazy.var(axis=axis).compute()).all()
            assert np.isnan(lazy.std(axis=axis).compute()).all()


def test_other_arguments_of_the_standard():
    x = da.asarray([3.0, 1.0, 2.0])
    assert da.searchsorted(x, [1.5], sorter=da.asarray([1, 2, 0])).compute().tolist() == [1]
    assert da.clip(x).compute().tolist() == [3, 1, 2]
    assert da.clip(x, min=1.5, max=2.5).compute().tolist() == da.clip(x, a_min=1.5, a_max=2.5).compute().tolist()
    assert da.can_cast(x, "f4") is False
    assert [part.compute() for part in da.unstack(x)] == [3, 1, 2]
    small = np.array([[100, 100]], "i1")
    np.testing.assert_array_equal(da.vecdot(small, small).compute(), np.vecdot(small, small))
    with pytest.raises(ValueError, match="always a copy"):
        da.asarray([1, 2], copy=False)


def test_ranges_of_integers_that_floats_cannot_hold():
    start, stop = -72057594037927945, -72057594037927938
    for step in (1.0, 1.5):
        np.testing.assert_array_equal(da.arange(start, stop, step, chunks=2).compute(), np.arange(start, stop, step))


def test_shards_are_written_whole(tmp_path):
    zarr = pytest.importorskip("zarr", minversion="3")
    for region in (None, (slice(3, 93),)):
        z = zarr.create_array(str(tmp_path / f"{region is None}"), shape=(100,), chunks=(1,), shards=(8,), dtype="i8")
        z[:] = 0
        x = da.arange(100 if region is None else 90, chunks=10)
        done = da.to_zarr(x, z, region=region, compute=True)
        assert done is None
        wanted = np.arange(100) if region is None else np.r_[0, 0, 0, np.arange(90), [0] * 7]
        np.testing.assert_array_equal(z[:], wanted)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: da.ones((4, 4), chunks=((2, 3), (4,))), ValueError, ["(2, 3)", "length 4"]),
        (lambda x: x.sum(axis=3), np.exceptions.AxisError, ["axis 3", "dimension 2"]),
        (lambda x: x + da.ones((3, 5), chunks=2), ValueError, ["(4, 6)", "(3, 5)"]),
        (lambda x: da.sin(da.from_array(np.array(["a"]))), TypeError, ["sin"]),
        (lambda x: x[7], IndexError, ["7", "axis 0"]),
        (lambda x: x[[0, 9]], IndexError, ["9", "axis 0", "size 4"]),
        (lambda x: x.reshape(5, 5), ValueError, ["(4, 6)", "(5, 5)"]),
        (lambda x: da.concatenate([x, x[:, :2]]), ValueError, ["(4, 6)", "(4, 2)"]),
        (lambda x: x @ da.ones((5, 2), chunks=2), ValueError, ["6", "5"]),
        (lambda x: x.map_blocks(lambda b: b[:1], dtype=float).compute(), ValueError, ["(1, 3)", "(2, 3)"]),
        (lambda x: da.from_zarr("no such folder.zarr"), FileNotFoundError, ["no such folder.zarr"]),
        (lambda x: da.from_npy_stack("no such folder"), FileNotFoundError, ["no such folder"]),
    ],
)
def test_mistakes_are_named_in_the_line_where_they_are_made(call, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error) as raised:
        call(da.ones((4, 6), chunks=(2, 3)))
    assert all(word in str(raised.value) for word in words), raised.value


def test_factors_have_names():
    data = np.arange(12.0, dtype="f4").reshape(4, 3)
    x = da.from_array(data, chunks=(2, 3))
    factors = da.linalg.qr(x)
    np.testing.assert_allclose((factors.Q @ factors.R).compute(), data, atol=1e-5)
    parts = da.linalg.svd(x)
    np.testing.assert_allclose((parts.U * parts.S @ parts.Vh).compute(), data, atol=1e-5)


@pytest.mark.parametrize("dtype", ["f4", "f8", "c8", "i4"])
def test_inverses_keep_the_dtype(dtype):
    data = np.array([[2, 1], [1, 3]], dtype)
    inverse = da.linalg.inv(da.from_array(data, chunks=1))
    assert inverse.dtype == inverse.compute().dtype == np.linalg.inv(data).dtype


def test_dtypes_are_classes_too():
    assert da.can_cast(np.bool, np.int8)
    assert da.can_cast(da.ones(2, dtype="i4"), np.float64)
    assert not da.can_cast(np.float64, np.int8)


@pytest.mark.parametrize("name", ["sinh", "cosh", "expm1", "log1p"])
def test_special_complex_numbers_have_numpys_answers(name):
    parts = [0.0, -0.0, 1.0, -1.0, np.inf, -np.inf, np.nan]
    data = np.array([complex(re, im) for re in parts for im in parts])
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(
            getattr(da, name)(da.from_array(data, chunks=9)).compute(), getattr(np, name)(data)
        )
