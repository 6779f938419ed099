"""Functions of arrays against NumPy, over dtypes, chunkings and whoever computes them."""

import pickle

import numpy as np
import oxidask
import oxidask.array as da
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

X = np.arange(24.0).reshape(4, 6)
CHUNKS = [(2, 3), (4, 6), (1, 4), ((1, 3), (2, 0, 4))]

#: Programs that mean the same to NumPy and to us.
PROGRAMS = """
x + 1 | x * x | -x | x.T | x[1] | x[::2, ::-1] | x[[0, 2]] | x[:, [3, 1, 1]] | x[[0, 2], [1, 3]] | x[x > 3] | x.sum()
x.sum(axis=0) | x.mean(axis=1) | x.std(axis=0) | x.var() | x.min(axis=1) | x.max() | x.reshape(6, 4) | x.ravel()
x.cumsum(axis=1) | x.cumprod(axis=0) | np.concatenate([x, x], axis=1) | np.stack([x, x]) | x @ x.T
np.tensordot(x, x.T, 1) | np.where(x > 3, x, 0) | x.argmax(axis=0) | x.argmin() | np.nanstd(x, axis=0) | np.nansum(x)
np.nonzero(x) | np.roll(x, 2, axis=1) | np.pad(x, 1) | np.pad(x, ((1, 2), (0, 3)), mode="reflect") | np.diff(x, axis=1)
np.repeat(x, 2, axis=1) | np.tile(x, (2, 1)) | np.diagonal(x) | np.trace(x) | np.outer(x, x) | np.isin(x, [1, 2])
np.searchsorted(np.arange(10), x) | np.select([x < 3, x > 8], [x, x * 2]) | np.broadcast_to(x[0], (3, 6))
np.expand_dims(x, 1) | np.squeeze(x[:, :1]) | x.clip(2, 5) | np.average(x, axis=0) | np.cov(x) | np.corrcoef(x)
np.median(x, axis=0) | np.round(x, 1) | np.isclose(x, x) | np.divmod(x, 3) | np.flip(x) | np.rot90(x)
np.take(x, [1, 0], axis=1) | np.compress([True, False, True], x, axis=0) | np.delete(x, [1, 2], axis=1)
np.insert(x, 2, 0, axis=1) | np.append(x, x, axis=0) | x[None, :, 1] | x[..., None] | np.ones_like(x) | np.prod(x, axis=1)
np.any(x > 3, axis=0) | np.all(x) | x[1:3, [1, 2]] | x[1, [2, 3]] | x[[1, 2], :, None]
np.digitize(x, [1, 5, 9]) | np.count_nonzero(x, axis=0) | np.apply_over_axes(np.sum, x, [0, 1])
x.swapaxes(0, 1) | np.moveaxis(x, 0, 1) | np.triu(x) | np.tril(x, 1) | np.diag(x[0]) | np.diag(x) | np.meshgrid(x[0], x[1])
np.indices((3, 4)) | np.ptp(x, axis=0) | np.sort(x, axis=1) | np.argsort(x, axis=0) | np.vdot(x, x) | x.real | x.imag
np.argwhere(x > 3) | np.unravel_index(np.arange(5), (2, 3)) | np.unique(x) | np.bincount(x[0].astype(int))
np.fft.fft(x.sum(axis=0) * np.ones(6), axis=0) | np.union1d(x[0], x[1]) | np.nancumsum(x, axis=0)
""".replace("\n", " | ").strip(" |")
ORDERED = ("<", ">", "min", "max", "clip", "median", "digitize", "searchsorted", "divmod", "cov", "corr", "ptp")


def same(lazy, expected, exact_dtype=True):
    """Asserts that every array is what NumPy says, and what it announced."""
    pairs = zip(lazy, expected, strict=True) if isinstance(expected, tuple | list) else [(lazy, expected)]
    for ours, numpys in pairs:
        computed = ours.compute(scheduler="sync") if hasattr(ours, "compute") else ours
        numpys = np.asarray(numpys)
        if hasattr(ours, "compute"):
            assert all(n != n or n == m for n, m in zip(ours.shape, numpys.shape, strict=True))
            assert ours.dtype == np.asarray(computed).dtype
        if exact_dtype:
            assert np.asarray(computed).dtype == numpys.dtype
        tolerance = 1e-5 if numpys.dtype in ("f4", "c8") else 1e-10
        if numpys.dtype.kind in "fc":
            np.testing.assert_allclose(computed, numpys, rtol=tolerance, atol=tolerance)
        else:
            np.testing.assert_array_equal(computed, numpys)


@pytest.mark.parametrize("dtype", ["f8", "f4", "i8", "c16"])
@pytest.mark.parametrize("program", PROGRAMS.split(" | "))
@pytest.mark.filterwarnings("ignore")
def test_programs(program, dtype):
    if dtype == "c16" and any(part in program for part in ORDERED):
        pytest.skip("complex numbers have no order")
    x = X.astype(dtype)
    expected = eval(program, {"np": np, "x": x})
    for chunks in CHUNKS if dtype == "f8" else CHUNKS[:1]:
        if "fft" in program:
            chunks = -1
        if "gradient" in program and chunks == CHUNKS[3]:
            continue
        same(eval(program, {"np": da, "x": da.from_array(x, chunks=chunks)}), expected, dtype != "f4")


@pytest.mark.parametrize(
    "index",
    [
        (slice(None, None, -2), 3),
        (np.array([3, 0, 0]),),
        (slice(1, 3), np.array([True, False] * 3)),
        (np.array([[0, 1], [2, 3]]),),
        (np.array([0, 1]), np.array([[1], [2]])),
        (Ellipsis, None, -1),
        (X > 5,),
        (slice(3, 3),),
        (-1, slice(None), None),
    ],
)
def test_indices(index):
    for chunks in CHUNKS:
        same(da.from_array(X, chunks=chunks)[index], X[index])


def test_lazy_indices():
    x = da.from_array(X, chunks=(2, 3))
    rows = np.array([3, 1, 1])
    same(x[da.from_array(rows, chunks=2)], X[rows])
    mask = X[:, 0] > 5
    same(x[da.from_array(mask, chunks=2)], X[mask])
    same(x[:, da.from_array(np.array([0, 5]), chunks=1)], X[:, [0, 5]])
    same(x.vindex[[0, 3], [5, 1]], X[[0, 3], [5, 1]])
    with pytest.raises(IndexError, match="out of bounds"):
        x[7]
    with pytest.raises(IndexError, match="out of bounds"):
        x[[0, 9]]
    with pytest.raises(IndexError, match="(?i)too many|indices"):
        x[0, 0, 0]


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_assignment(data):
    shape = (5, 4)
    expected = np.arange(20.0).reshape(shape)
    x = da.from_array(expected.copy(), chunks=data.draw(st.tuples(st.integers(1, 5), st.integers(1, 4))))
    index = tuple(
        data.draw(
            st.one_of(
                st.integers(-n, n - 1),
                st.slices(n),
                st.lists(st.integers(0, n - 1), min_size=1, max_size=n, unique=True)
                if axis == 0
                else st.just(slice(None)),
            )
        )
        for axis, n in enumerate(shape)
    )
    picked = expected[index]
    value = data.draw(st.sampled_from(["scalar", "same", "row"]))
    new = 7.0 if value == "scalar" or not picked.size else -np.arange(picked.size * 1.0).reshape(picked.shape)
    if value == "row" and picked.ndim == 2 and picked.size:
        new = new[:1]
    expected[index] = new
    x[index] = new
    same(x, expected)


def test_assignment_by_masks():
    x, expected = da.from_array(X, chunks=(3, 2)), X.copy()
    x[x > 7] = -1
    expected[expected > 7] = -1
    same(x, expected)
    with pytest.raises(ValueError, match="could not be broadcast"):
        x[0] = np.ones(5)


def test_unknown_chunks():
    x = da.from_array(X, chunks=(2, 3))
    y = x[x > 3]
    assert np.isnan(y.shape[0])
    same(y + 1, X[X > 3] + 1)
    same(y.sum(), X[X > 3].sum())
    with pytest.raises(ValueError, match="unknown"):
        y[3]
    with pytest.raises(ValueError, match="compute_chunk_sizes"):
        len(y)
    assert sum(y.compute_chunk_sizes().chunks[0]) == 20
    same(y[3:5], X[X > 3][3:5])


@pytest.mark.parametrize("dtype", ["M8[ns]", "m8[s]", "U3", "S4", "O", [("a", "f8"), ("b", "i4")], "f2"])
def test_other_dtypes_go_through_numpy(dtype):
    x = np.zeros((4, 3), dtype=dtype)
    if np.dtype(dtype).names is None:
        x[1] = np.asarray([1, 2, 3]).astype(x.dtype)
    lazy = da.from_array(x, chunks=2)
    assert lazy.dtype == x.dtype
    for function in (lambda a: a[1:, ::2], lambda a: a.T, lambda a: a[[2, 0]], lambda a: a.reshape(-1)):
        np.testing.assert_array_equal(function(lazy).compute(), function(x))
    np.testing.assert_array_equal(da.concatenate([lazy, lazy]).compute(), np.concatenate([x, x]))


def test_masked_arrays():
    x = np.ma.masked_greater(X, 15)
    lazy = da.ma.masked_greater(da.from_array(X, chunks=(2, 3)), 15)
    for function in (
        lambda a: a.sum(axis=0),
        lambda a: a.mean(axis=1),
        lambda a: a.max(),
        lambda a: a * 2,
        lambda a: a[1:, 2],
    ):
        ours, numpys = function(lazy).compute(), function(x)
        np.testing.assert_array_equal(np.ma.getmaskarray(ours), np.ma.getmaskarray(numpys))
        np.testing.assert_allclose(np.ma.filled(ours, 0), np.ma.filled(numpys, 0))


def test_pickled_and_protocol():
    x = da.from_array(X, chunks=(2, 3)) + 1
    y = pickle.loads(pickle.dumps(x))
    same(y, X + 1)
    import dask

    assert dask.is_dask_collection(x)
    z = da.from_delayed(oxidask.delayed(np.ones)(3), (3,), dtype=float)
    same(z + 1, np.full(3, 2.0))
    blocks = x.to_delayed()
    assert blocks.shape == (2, 2)
    np.testing.assert_array_equal(blocks[1, 0].compute(), X[2:, :3] + 1)


def test_overlap_and_gufuncs():
    def smooth(block):
        return (np.roll(block, 1, 0) + block + np.roll(block, -1, 0)) / 3

    x = np.arange(20.0)
    padded = np.concatenate([x[-1:], x, x[:1]])
    expected = (padded[:-2] + padded[1:-1] + padded[2:]) / 3
    same(da.from_array(x, chunks=6).map_overlap(smooth, depth=1, boundary="periodic"), expected)
    mean, std = da.apply_gufunc(
        lambda a: (a.mean(-1), a.std(-1)), "(i)->(),()", da.from_array(X, chunks=(2, 6)), output_dtypes=(float, float)
    )
    same(mean, X.mean(1))
    same(std, X.std(1))
    same(
        da.lib.stride_tricks.sliding_window_view(da.from_array(X, chunks=(2, 3)), 3, 1),
        np.lib.stride_tricks.sliding_window_view(X, 3, 1),
    )


def test_linear_algebra():
    rng = np.random.default_rng(0)
    tall = rng.normal(size=(40, 5))
    q, r = da.linalg.qr(da.from_array(tall, chunks=(7, 5)))
    np.testing.assert_allclose((q @ r).compute(), tall)
    np.testing.assert_allclose((q.T @ q).compute(), np.eye(5), atol=1e-12)
    u, s, v = da.linalg.svd(da.from_array(tall, chunks=(7, 5)))
    np.testing.assert_allclose(s.compute(), np.linalg.svd(tall)[1])
    np.testing.assert_allclose((u * s @ v).compute(), tall)
    square = rng.normal(size=(6, 6)) + 6 * np.eye(6)
    lazy, b = da.from_array(square, chunks=2), rng.normal(size=6)
    p, lower, upper = da.linalg.lu(lazy)
    np.testing.assert_allclose((p @ lower @ upper).compute(), square, atol=1e-12)
    np.testing.assert_allclose(da.linalg.solve(lazy, da.from_array(b, chunks=2)).compute(), np.linalg.solve(square, b))
    np.testing.assert_allclose(da.linalg.inv(lazy).compute(), np.linalg.inv(square), atol=1e-12)
    positive = square @ square.T
    np.testing.assert_allclose(
        da.linalg.cholesky(da.from_array(positive, chunks=2), lower=True).compute(), np.linalg.cholesky(positive)
    )
    for name in ("det", "pinv", "eigvalsh", "cond", "matrix_rank"):
        np.testing.assert_allclose(
            getattr(da.linalg, name)(da.from_array(positive, chunks=3)).compute(), getattr(np.linalg, name)(positive)
        )
    x, _residuals, _rank, _ = da.linalg.lstsq(
        da.from_array(tall, chunks=(10, 5)), da.from_array(tall @ np.ones(5), chunks=10)
    )
    np.testing.assert_allclose(x.compute(), np.ones(5))


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("poisson", (4.0,)),
        ("gamma", (2.0, 3.0)),
        ("beta", (2.0, 5.0)),
        ("binomial", (10, 0.3)),
        ("laplace", ()),
        ("weibull", (2.0,)),
    ],
)
def test_distributions(name, parameters):
    from scipy import stats

    draw = getattr(da.random.default_rng(5), name)(*parameters, size=20_000, chunks=3000)
    first, again = draw.compute(), draw.compute(scheduler="sync")
    np.testing.assert_array_equal(first, again)
    numpys = getattr(np.random.default_rng(1), name)(*parameters, size=20_000)
    assert abs(first.mean() - numpys.mean()) < 5 * numpys.std() / 100
    if first.dtype.kind == "f":
        assert stats.ks_2samp(first, numpys).pvalue > 1e-4


def test_files(tmp_path):
    h5py, zarr = pytest.importorskip("h5py"), pytest.importorskip("zarr")
    x = da.from_array(X, chunks=(2, 3))
    da.to_npy_stack(str(tmp_path / "stack"), x)
    same(da.from_npy_stack(str(tmp_path / "stack")), X)
    x.to_hdf5(str(tmp_path / "x.h5"), "/x")
    with h5py.File(tmp_path / "x.h5") as file:
        same(da.from_array(file["/x"], chunks=2), X)
    for version in (2, 3):
        x.to_zarr(str(tmp_path / f"z{version}"), zarr_format=version)
        back = da.from_zarr(str(tmp_path / f"z{version}"))
        assert back.chunks == x.chunks
        same(back, X)
    target = np.zeros((6, 6))
    da.store(x, target, regions=(slice(1, 5), slice(None)))
    np.testing.assert_array_equal(target[1:5], X)
    assert not target[0].any()
    z = zarr.open_array(str(tmp_path / "z3"), mode="r+")
    (x + 1).to_zarr(z)
    same(da.from_zarr(z), X + 1)
    with pytest.raises(ValueError, match="irregular"):
        da.from_array(X, chunks=((1, 3), 6)).to_zarr(str(tmp_path / "bad"))
    np.save(tmp_path / "a.npy", X)
    np.save(tmp_path / "b.npy", X)
    same(da.from_npy(str(tmp_path / "*.npy")), np.concatenate([X, X]))
    (tmp_path / "stack" / "0.npy").write_bytes(b"broken")
    with pytest.raises(Exception, match="block 0"):
        da.from_npy_stack(str(tmp_path / "stack")).compute()


def test_mistakes_are_named():
    x = da.from_array(X, chunks=(2, 3))
    with pytest.raises(ValueError, match=r"(?s)5.*4|4.*5"):
        da.from_array(X, chunks=((2, 3), (6,)))
    with pytest.raises(np.exceptions.AxisError):
        x.sum(axis=5)
    with pytest.raises(ValueError, match=r"\(4, 6\) \(4, 5\)|\(4, 6\).*\(4, 5\)"):
        x + np.ones((4, 5))
    with pytest.raises(TypeError):
        da.from_array(np.array(["a"], dtype=object), chunks=1).sum(axis=0, dtype="M8[ns]").compute()
    with pytest.raises(ValueError, match="expected"):
        x.map_blocks(lambda b: b[:1], dtype=float).compute()


@pytest.mark.parametrize("dtype", ["f2", "f8", "c16", "M8[D]", "m8[s]", "?"])
@pytest.mark.parametrize("axis", [None, 0, 1])
@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax", "nanmin", "nanargmax", "median"])
def test_chunks_without_elements_do_not_count(name, axis, dtype):
    data = np.random.default_rng(1).integers(0, 50, (7, 9)).astype(dtype)
    x = da.from_array(data, chunks=((1, 5, 0, 1), (2, 0, 7)))
    if name == "median" and dtype == "M8[D]":
        pytest.skip("NumPy has no median of days")
    np.testing.assert_array_equal(getattr(da, name)(x, axis=axis).compute(), getattr(np, name)(data, axis=axis))
