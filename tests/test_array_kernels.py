"""The engine's functions of arrays give NumPy's answers, whatever the chunks and dtypes."""

import numpy as np
import oxidask.array as da
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

DTYPES = ["bool", "int8", "uint16", "int32", "int64", "uint64", "float32", "float64"]
SHAPES = [(0,), (1,), (7,), (23,), (4, 6), (1, 5), (5, 0, 2), (3, 4, 5)]
many = settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))


def numbers(shape, dtype, seed, *, nan=False):
    rng = np.random.default_rng(seed)
    x = rng.integers(-50, 50, size=shape) if np.dtype(dtype).kind == "i" else rng.integers(0, 90, size=shape)
    x = x.astype(dtype)
    if x.dtype.kind == "f":
        x = x / np.asarray(8, dtype)
        if nan and x.size:
            x.ravel()[rng.integers(0, x.size, size=max(1, x.size // 5))] = np.nan
    return x


@st.composite
def arrays(draw, dtypes=DTYPES, shapes=SHAPES, nan=False):
    """A NumPy array, and a lazy one in odd chunks."""
    x = numbers(draw(st.sampled_from(shapes)), draw(st.sampled_from(dtypes)), draw(st.integers(0, 99)), nan=nan)
    chunks = []
    for n in x.shape:
        cuts = sorted(draw(st.lists(st.integers(0, n), max_size=3)))
        chunks.append(tuple(int(s) for s in np.diff([0, *cuts, n]))) if n else chunks.append((0,))
    return x, da.from_array(x, chunks=tuple(chunks))


def same(lazy, expected, *, exact=False):
    got = np.asarray(lazy.compute() if hasattr(lazy, "compute") else lazy)
    expected = np.asarray(expected)
    assert got.dtype == expected.dtype, (got.dtype, expected.dtype)
    assert got.shape == expected.shape, (got.shape, expected.shape)
    if exact or expected.dtype.kind not in "fc":
        np.testing.assert_array_equal(got, expected)
    else:
        eps = np.finfo(expected.dtype).eps
        scale = float(np.abs(np.nan_to_num(expected)).max()) if expected.size else 0.0
        np.testing.assert_allclose(got, expected, rtol=64 * eps, atol=64 * eps * max(scale, 1.0))


@many
@given(arrays(), st.data())
def test_positions_along_an_axis(pair, data):
    x, lazy = pair
    axis = data.draw(st.integers(0, x.ndim - 1))
    n = x.shape[axis]
    index = np.array(data.draw(st.lists(st.integers(-n, n - 1), max_size=30)) if n else [], dtype=np.int64)
    entry = (slice(None),) * axis + (index,)
    same(lazy[entry], x[entry], exact=True)
    same(da.take(lazy, index, axis=axis), np.take(x, index, axis=axis), exact=True)


@many
@given(arrays(), st.integers(0, 99))
def test_masks_and_points(pair, seed):
    x, lazy = pair
    rng = np.random.default_rng(seed)
    mask = rng.random(x.shape) < rng.random()
    same(lazy[da.from_array(mask, chunks=3)], x[mask], exact=True)
    same(lazy[mask], x[mask], exact=True)
    along = rng.random(x.shape[0]) < 0.5
    same(lazy[da.from_array(along, chunks=2)], x[along], exact=True)
    if x.size:
        points = tuple(rng.integers(-n, n, size=11) for n in x.shape)
        same(lazy.vindex[points], x[points], exact=True)


@many
@given(arrays())
def test_unknown_sizes_flow_on(pair):
    x, lazy = pair
    kept, expected = lazy[lazy > 3], x[x > 3]
    assert all(np.isnan(n) for n in kept.shape)
    same(kept.sum(), expected.sum())
    same((kept + 1) * 2, (expected + 1) * 2)
    same(kept.astype("f8").cumsum(axis=0), expected.astype("f8").cumsum())
    known = kept.compute_chunk_sizes()
    assert known.shape == expected.shape
    same(known[::-1], expected[::-1], exact=True)


@many
@given(arrays(nan=True), st.data())
@pytest.mark.parametrize("name", ["cumsum", "cumprod", "nancumsum", "nancumprod"])
def test_running(name, pair, data):
    x, lazy = pair
    axis = data.draw(st.sampled_from([None, *range(-x.ndim, x.ndim)]))
    with np.errstate(all="ignore"):
        same(getattr(da, name)(lazy, axis=axis), getattr(np, name)(x, axis=axis))


@many
@given(arrays(nan=True), st.data())
def test_order(pair, data):
    x, lazy = pair
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    same(da.sort(lazy, axis=axis), np.sort(x, axis=axis), exact=True)
    same(da.argsort(lazy, axis=axis), np.argsort(x, axis=axis, kind="stable"), exact=True)
    same(da.sort(lazy, axis=axis, descending=True), np.flip(np.sort(x, axis=axis), axis), exact=True)
    k = data.draw(st.integers(1, 4))
    largest = np.flip(np.sort(x, axis=axis), axis)[(slice(None),) * (axis % x.ndim) + (slice(k),)]
    same(da.topk(lazy, k, axis=axis), largest, exact=True)


@many
@given(arrays(dtypes=["int8", "int32", "uint16", "float32", "float64"], nan=True), st.data())
def test_quantiles(pair, data):
    x, lazy = pair
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    if not x.shape[axis] or (x.ndim == 1 and not (x == x).any()):
        return
    keepdims = data.draw(st.booleans())
    with np.errstate(all="ignore"):
        same(da.median(lazy, axis=axis, keepdims=keepdims), np.median(x, axis=axis, keepdims=keepdims))
        same(da.nanmedian(lazy, axis=axis), np.nanmedian(x, axis=axis))
        for method in ("linear", "lower", "hazen", "midpoint"):
            for q in (0.3, [0.0, 0.25, 1.0]):
                expected = np.quantile(x, q, axis=axis, method=method, keepdims=keepdims)
                same(da.quantile(lazy, q, axis=axis, method=method, keepdims=keepdims), expected)


def test_medians_of_infinities():
    x = np.array([[np.inf, np.inf], [-np.inf, np.inf], [1.0, np.inf]])
    with np.errstate(all="ignore"):
        same(da.median(da.from_array(x, chunks=2), axis=1), np.median(x, axis=1))


@many
@given(arrays(), st.data())
def test_counting(pair, data):
    x, lazy = pair
    edges = data.draw(st.sampled_from([[0, 1, 5.5, 9], np.linspace(-3, 8, 23), [2, 2, 3]]))
    same(da.histogram(lazy, bins=edges)[0], np.histogram(x, bins=edges)[0])
    same(da.histogram(lazy, bins=7, range=(-4, 9))[0], np.histogram(x, bins=7, range=(-4, 9))[0])
    weights = np.arange(x.size, dtype=float).reshape(x.shape)
    heavy = da.from_array(weights, chunks=lazy.chunks)
    same(da.histogram(lazy, bins=edges, weights=heavy)[0], np.histogram(x, bins=edges, weights=weights)[0])
    same(da.unique(lazy), np.unique(x), exact=True)
    bins = np.sort(numbers((5,), "float64", 3))
    for side in ("left", "right"):
        found = da.searchsorted(da.from_array(bins, chunks=2), lazy, side=side)
        same(found, np.searchsorted(bins, x, side=side))


@many
@given(arrays(nan=True), st.data())
@pytest.mark.parametrize("name", ["nanvar", "nanstd", "var", "std", "nansum", "nanmean", "nanmax"])
def test_reductions(name, pair, data):
    x, lazy = pair
    axis = data.draw(st.sampled_from([None, *range(x.ndim)]))
    if name == "nanmax" and (not x.size or x.dtype == bool):
        return
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(x, axis=axis)
        got = np.asarray(getattr(da, name)(lazy, axis=axis).compute())
    wide = x.astype("f8")
    scale = float(np.nan_to_num(np.abs(wide)).max()) ** 2 if x.size else 1.0
    rtol = 1e-5 if x.dtype == np.float32 else 1e-12
    np.testing.assert_allclose(got, expected, rtol=rtol, atol=rtol * max(scale, 1.0))


@many
@given(st.sampled_from([(8,), (9,), (3, 10), (4, 5, 6)]), st.data())
@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "irfft", "hfft", "ihfft"])
def test_transforms(name, shape, data):
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    dtype = data.draw(st.sampled_from(["int16", "float32", "float64"]))
    x = (rng.normal(size=shape) * 9).astype(dtype)
    axis = data.draw(st.integers(-x.ndim, x.ndim - 1))
    n = data.draw(st.sampled_from([None, 1, 4, 5, 12]))
    norm = data.draw(st.sampled_from([None, "ortho", "forward"]))
    chunks = tuple(m if a == axis % x.ndim else 2 for a, m in enumerate(shape))
    lazy = da.from_array(x, chunks=chunks)
    same(getattr(da.fft, name)(lazy, n=n, axis=axis, norm=norm), getattr(np.fft, name)(x, n=n, axis=axis, norm=norm))


@pytest.mark.parametrize("name", ["fft2", "ifft2", "rfft2", "irfft2", "fftn", "ifftn", "rfftn", "irfftn"])
def test_transforms_along_several_axes(name):
    x = np.random.default_rng(0).normal(size=(3, 4, 6))
    lazy = da.from_array(x, chunks=(3, 4, 6))
    same(getattr(da.fft, name)(lazy), getattr(np.fft, name)(x))
    same(getattr(da.fft, name)(lazy, s=(5, 4), axes=(0, 1)), getattr(np.fft, name)(x, s=(5, 4), axes=(0, 1)))


@pytest.mark.parametrize(
    "subscripts",
    [
        "ij,jk->ik",
        "ij,jk",
        "ij,ij->",
        "ij,ij->ij",
        "ij,ij->i",
        "ij,k->kji",
        "ij,jk,kl->il",
        "bij,bjk->bik",
        "bij,bjk->kib",
        "ij->ji",
        "ij->j",
        "ij->",
        "i,j->ij",
        "ij,jk,ik->k",
        "ii->i",
        "...j,jk->...k",
    ],
)
@pytest.mark.parametrize("dtype", ["int16", "float32", "float64"])
def test_einsum(subscripts, dtype):
    lengths = {"i": 5, "j": 7, "k": 6, "l": 4, "b": 3}
    inputs = subscripts.split("->")[0].split(",")
    shapes = [[lengths[name] for name in own.replace("...", "b")] for own in inputs]
    values = [numbers(shape, dtype, seed) for seed, shape in enumerate(shapes)]
    lazy = [da.from_array(x, chunks=tuple(3 for _ in x.shape)) for x in values]
    same(da.einsum(subscripts, *lazy), np.einsum(subscripts, *values))


@pytest.mark.parametrize("dtype", ["float32", "float64", "int32"])
@pytest.mark.parametrize("rows", [(40,), (13, 13, 14), (3, 30, 7)])
def test_tall_factors(dtype, rows):
    x = numbers((40, 6), dtype, 5) + np.eye(40, 6).astype(dtype) * 99
    q, r = da.linalg.qr(da.from_array(x, chunks=(rows, 6)))
    assert q.chunks[0] == rows
    tolerance = 1e-4 if dtype == "float32" else 1e-11
    q, r = q.compute(), r.compute()
    np.testing.assert_allclose(q @ r, x, rtol=tolerance, atol=tolerance * 99)
    np.testing.assert_allclose(q.T @ q, np.eye(6), atol=tolerance)
    np.testing.assert_array_equal(np.triu(r), r)
    u, s, v = da.linalg.svd(da.from_array(x, chunks=(rows, 6)))
    np.testing.assert_allclose(s.compute(), np.linalg.svd(x, compute_uv=False), rtol=tolerance * 10)
    np.testing.assert_allclose(((u * s) @ v).compute(), x, rtol=tolerance * 10, atol=tolerance * 99)


@pytest.mark.parametrize("scheduler", ["threads", "sync"])
def test_large_results_are_written_in_place(scheduler):
    x = np.random.default_rng(0).normal(size=(700, 500))
    lazy = da.from_array(x, chunks=(130, 170))
    cases = [
        (lazy * 2 + 1, x * 2 + 1),
        (lazy + lazy.T[:1].T, x + x.T[:1].T),
        (lazy.T * 2, x.T * 2),
        ((lazy + 1).rechunk((700, 50)), x + 1),
        (lazy[::-1, ::2], x[::-1, ::2]),
        (lazy.cumsum(axis=0), x.cumsum(axis=0)),
        (lazy[:, None] + da.ones((1, 3, 1), chunks=1), x[:, None] + np.ones((1, 3, 1))),
        (da.from_array(x.ravel(), chunks=9999)[:, None] * 2, x.ravel()[:, None] * 2),
        (lazy.map_blocks(np.negative), -x),
        (lazy, x),
    ]
    for mine, expected in cases:
        got = mine.compute(scheduler=scheduler)
        np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-10)
        assert got.flags.owndata or got.flags.writeable
        got[...] = 0
    np.testing.assert_array_equal(lazy.compute(scheduler=scheduler), x)
    both = da.compute(lazy + 1, (lazy + 1).sum(), lazy + 1, scheduler=scheduler)
    np.testing.assert_array_equal(both[0], x + 1)
    np.testing.assert_array_equal(both[2], x + 1)


@pytest.mark.parametrize("boundary", ["none", "reflect", "periodic", "nearest", 7])
@pytest.mark.parametrize("depth", [1, {0: 2, 1: 0}, {0: (2, 0), 1: (1, 1)}])
def test_overlaps_are_exchanged_and_trimmed(boundary, depth):
    if isinstance(depth, dict) and isinstance(depth[0], tuple) and boundary != "none":
        return
    x = numbers((11, 9), "float64", 4)
    lazy = da.from_array(x, chunks=((5, 3, 3), (4, 5)))
    shared = da.overlap.overlap(lazy, depth, boundary)
    same(da.overlap.trim_overlap(shared, depth, boundary), x, exact=True)
    same(da.map_overlap(lambda b: b * 2, lazy, depth=depth, boundary=boundary), x * 2, exact=True)


@pytest.mark.parametrize("dtype", ["complex64", "complex128", "float16", "M8[ns]", "m8[s]"])
def test_other_dtypes(dtype):
    x = np.random.default_rng(0).integers(-9, 9, size=(5, 7))
    x = (x + 1j * x[::-1]).astype(dtype) if dtype.startswith("complex") else x.astype(dtype)
    lazy = da.from_array(x, chunks=(2, 3))
    assert lazy.dtype == x.dtype
    same(lazy[::-1, 1:].T, x[::-1, 1:].T, exact=True)
    same(lazy[:, [3, 0, 3]], x[:, [3, 0, 3]], exact=True)
    same(lazy.max(axis=0), x.max(axis=0), exact=True)
    same(lazy == lazy[0], x == x[0], exact=True)
    same(da.where(lazy == lazy[0], lazy, lazy[::-1]), np.where(x == x[0], x, x[::-1]), exact=True)
    same(da.concatenate([lazy, lazy], axis=1).rechunk(4), np.concatenate([x, x], axis=1), exact=True)
    same(lazy.reshape(-1).argmin(), x.reshape(-1).argmin(), exact=True)
    if dtype != "M8[ns]":
        same(lazy + lazy, x + x)
        same(lazy.sum(axis=1), x.sum(axis=1))
    if x.dtype.kind in "cf":
        same(lazy.mean(), x.mean())
        same(da.exp(lazy / 9), np.exp(x / 9))
        same(lazy @ lazy.T, x @ x.T)
    else:
        same(lazy - lazy[0], x - x[0], exact=True)
        same(da.sort(lazy, axis=0), np.sort(x, axis=0), exact=True)
    if x.dtype.kind == "c":
        for name in ("sqrt", "arctan", "tanh"):
            with np.errstate(all="ignore"):
                same(getattr(da, name)(lazy), getattr(np, name)(x))
    if x.dtype.kind == "m":
        with pytest.raises(TypeError):
            lazy.prod().compute()


@pytest.mark.parametrize("name", ["min", "max", "argmax"])
def test_extremes_of_what_may_be_nothing(name):
    x = np.arange(6.0)
    lazy = da.from_array(x, chunks=2)
    assert lazy[lazy > 2].max().compute() == 5
    with pytest.raises(ValueError):
        getattr(lazy[lazy > 9], name)().compute()
