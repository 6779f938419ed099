"""Quantiles of all elements are those of NumPy, however the elements are chunked."""

from __future__ import annotations

import numpy as np
import oxidask.array as da
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oxidask.array.percentiles import METHODS

POINTS = [0, 0.1, 7, 25, 50, 66.6, 99, 100]
RNG = np.random.default_rng(3)
DATA = {
    "floats": RNG.normal(size=997),
    "float32": RNG.normal(size=500).astype("f4"),
    "integers": RNG.integers(-5, 5, 997),
    "bytes": RNG.integers(0, 255, 300).astype("u1"),
    "equal": np.full(100, 7),
    "mostly equal": np.where(RNG.random(2000) < 0.9, 1.5, RNG.random(2000)),
    "sorted": np.arange(1000.0),
    "infinite": np.array([np.inf, -np.inf, 0.0, 1.0] * 20),
    "one": np.array([3.0]),
}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", DATA)
@pytest.mark.parametrize("chunks", [1, 7, 128, -1])
def test_percentiles_are_numpys(name, method, chunks):
    data = DATA[name]
    if chunks == 1:
        data = data[:60]
    with np.errstate(invalid="ignore"):
        expected = np.percentile(data, POINTS, method=method)
    made = da.percentile(da.from_array(data, chunks=chunks), POINTS, method=method)
    answer = made.compute()
    assert made.dtype == answer.dtype == expected.dtype
    # NumPy takes what is between two equal infinities for NaN.
    known = ~np.isnan(expected)
    assert known.all() or name == "infinite"
    np.testing.assert_allclose(answer[known], expected[known], rtol=1e-6 if data.dtype == "f4" else 1e-13)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(-20, 20), min_size=1, max_size=300),
    st.integers(1, 40),
    st.lists(st.floats(0, 100), min_size=1, max_size=4),
    st.sampled_from(METHODS),
)
def test_any_elements(values, chunk, points, method):
    data = np.array(values, float)
    answer = da.percentile(da.from_array(data, chunks=chunk), points, method=method).compute(scheduler="sync")
    np.testing.assert_allclose(answer, np.percentile(data, points, method=method), rtol=1e-12, atol=1e-12)


def test_blocks_hand_over_few_elements():
    from oxidask.array.percentiles import Between, Bounds, Sample, Sort

    blocks = [Sort(False)(RNG.normal(i, 3, 100_000)) for i in range(8)]
    bounds = Bounds(np.array([0.5, 0.9]), "linear", False)(*map(Sample(1024), blocks))
    handed = sum(len(values) for block in blocks for values, _ in Between()(block, bounds)[1])
    assert handed < 0.01 * 800_000


def test_what_is_not_a_number():
    data = np.where(RNG.random(200) < 0.2, np.nan, RNG.random(200))
    x = da.from_array(data, chunks=30)
    assert np.isnan(da.percentile(x, [50, 90]).compute()).all()
    np.testing.assert_allclose(da.nanpercentile(x, POINTS).compute(), np.nanpercentile(data, POINTS))
    np.testing.assert_allclose(da.nanmedian(x).compute(), np.nanmedian(data))
    nothing = da.full(6, np.nan, chunks=2)
    for function in (da.percentile, da.nanpercentile):
        assert np.isnan(function(nothing, [50, 90]).compute()).all()
    with pytest.raises(ValueError, match="percentiles of nothing"):
        da.percentile(da.ones(4, chunks=2)[da.ones(4, chunks=2) > 1], 50).compute()


@pytest.mark.parametrize("points", [[50.0], 50, np.array([50.0], "f4"), np.array([50.0], "f8"), np.array([50])])
@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", "i2", "u4"])
def test_dtypes_are_numpys(dtype, points):
    data = np.array([10, 20, 30], dtype)
    x = da.from_array(data, chunks=2)
    for name in ("percentile", "nanpercentile"):
        made = getattr(da, name)(x, points)
        assert made.dtype == made.compute().dtype == getattr(np, name)(data, points).dtype


def test_times():
    data = np.datetime64("2020-01-01", "s") + RNG.integers(0, 10**6, 100).astype("m8[s]")
    made = da.percentile(da.from_array(data, chunks=9), [0, 50, 100])
    expected = np.percentile(data.view("i8"), [0, 50, 100]).astype("i8").view(data.dtype)
    assert made.dtype == data.dtype
    np.testing.assert_array_equal(made.compute(), expected)
    holes = data.copy()
    holes[5] = "NaT"
    assert np.isnat(da.percentile(da.from_array(holes, chunks=9), 50).compute()).all()


@pytest.mark.parametrize("keepdims", [False, True])
@pytest.mark.parametrize("chunks", [(2, 3, 4), (5, 1, 7)])
def test_all_elements_of_many_axes(chunks, keepdims):
    data = RNG.normal(size=(5, 6, 7))
    x = da.from_array(data, chunks=chunks)
    q = [[0.1, 0.5], [0.9, 1.0]]
    np.testing.assert_allclose(da.quantile(x, q, keepdims=keepdims).compute(), np.quantile(data, q, keepdims=keepdims))
    np.testing.assert_allclose(da.median(x, keepdims=keepdims).compute(), np.median(data, keepdims=keepdims))
    np.testing.assert_allclose(
        da.percentile(x, 30, keepdims=keepdims).compute(), np.percentile(data, 30, keepdims=keepdims)
    )
    assert da.median(x).shape == ()


def test_unknown_sizes():
    data = RNG.normal(size=300)
    x = da.from_array(data, chunks=40)
    np.testing.assert_allclose(da.percentile(x[x > 0], [10, 50]).compute(), np.percentile(data[data > 0], [10, 50]))


def test_refusals():
    x = da.arange(10.0, chunks=3)
    with pytest.raises(ValueError, match=r"range \[0, 100\]"):
        da.percentile(x, 101)
    with pytest.raises(ValueError, match=r"range \[0, 1\]"):
        da.quantile(x, 1.5)
    with pytest.raises(ValueError, match="there is no method 'sideways'"):
        da.percentile(x, 50, method="sideways")
    with pytest.raises(TypeError, match="complex128 have no order"):
        da.percentile(x + 1j, 50)
