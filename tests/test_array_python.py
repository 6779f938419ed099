"""Arrays and Python: protocols, memory, user functions, every executor."""

import math
import threading

import numpy as np
import oxidask
import oxidask.array as da
import pytest


def test_every_executor_has_the_same_results(scheduler):
    x = da.random.default_rng(1).normal(size=(300, 200), chunks=(70, 60))
    y = ((da.sin(x) ** 2 + x.T[:200, :].T) @ da.ones((200, 3), chunks=50)).rechunk((100, 1)).std(axis=0)
    got = y.compute(scheduler=scheduler)
    whole = x.compute(scheduler="sync")
    expected = ((np.sin(whole) ** 2 + whole.T.T) @ np.ones((200, 3))).std(axis=0)
    np.testing.assert_allclose(got, expected, rtol=1e-10)


def test_map_blocks_on_every_executor(scheduler):
    data = np.arange(12.0).reshape(3, 4)
    x = da.from_array(data, chunks=(2, 2))

    def shifted(block, by):
        assert isinstance(block, np.ndarray)
        return block + by

    np.testing.assert_array_equal(x.map_blocks(shifted, 3).compute(scheduler=scheduler), data + 3)


def test_an_error_in_a_block_arrives_as_itself(scheduler):
    def fails(block):
        raise ZeroDivisionError("in the block")

    x = da.ones(4, chunks=2).map_blocks(fails, dtype=float)
    with pytest.raises(ZeroDivisionError, match="in the block"):
        x.compute(scheduler=scheduler)


def test_numpys_memory_is_used_in_place():
    data = np.arange(1000.0)
    x = da.from_array(data, chunks=500)
    seen = []
    y = x.map_blocks(lambda block: seen.append(block.__array_interface__["data"]) or block, dtype=float)
    # The function was called with an empty block.
    seen.clear()
    y.compute(scheduler="sync")
    start = data.__array_interface__["data"][0]
    assert sorted(address for address, _ in seen) == [start, start + 500 * 8]
    assert all(readonly for _, readonly in seen)


def test_results_are_the_users_own():
    data = np.arange(10.0)
    result = da.from_array(data, chunks=-1).compute()
    result[:] = 7
    assert data[3] == 3.0
    result = (da.from_array(data, chunks=-1) + 1).compute()
    result += 1
    assert result[0] == 2.0
    whole = da.ones((4, 4), chunks=2).compute()
    whole[0, 0] = 5


def test_strided_and_foreign_memory():
    data = np.arange(24, dtype=">i4").reshape(4, 6)
    for view in (data, data[::-2, ::3], data.T, np.broadcast_to(data[:1], (3, 6)), data.view()[1:, 1:]):
        np.testing.assert_array_equal(da.from_array(view, chunks=2).compute(), view)
    packed = np.zeros(5, dtype=[("a", "i1"), ("b", "f8")])
    packed["b"] = range(5)
    np.testing.assert_array_equal(da.from_array(packed["b"], chunks=2).compute(), range(5))


class Lazily:
    """Something with a shape, a dtype and slices that counts what is read."""

    def __init__(self, data):
        self.data, self.shape, self.dtype, self.ndim = data, data.shape, data.dtype, data.ndim
        self.chunks = (2, 3)
        self.reads = []
        self.lock = threading.Lock()

    def __getitem__(self, index):
        with self.lock:
            self.reads.append(index)
        return self.data[index]

    def __dask_tokenize__(self):
        return ("Lazily", self.data.tobytes())


def test_reading_on_demand():
    source = Lazily(np.arange(24.0).reshape(4, 6))
    x = da.from_array(source, chunks=(2, 3))
    assert x.chunks == ((2, 2), (3, 3))
    assert source.reads == []
    assert x[:2, :3].sum().compute(scheduler="sync") == source.data[:2, :3].sum()
    assert source.reads == [(slice(0, 2), slice(0, 3))]
    np.testing.assert_array_equal((x + 1).compute(), source.data + 1)


def test_numpys_functions_answer_lazy_arrays():
    data = np.arange(6.0).reshape(2, 3)
    x = da.from_array(data, chunks=2)
    for lazy, expected in [
        (np.sin(x), np.sin(data)),
        (np.add(data, x), data + data),
        (data + x, data + data),
        (np.float64(2) * x, 2 * data),
        (np.sum(x, axis=0), data.sum(axis=0)),
        (np.concatenate([x, data]), np.concatenate([data, data])),
        (np.add.reduce(x), data.sum(axis=0)),
        (np.where(x > 2, x, 0), np.where(data > 2, data, 0)),
        (np.spacing(x), np.spacing(data)),
        (np.tensordot(x, x.T, axes=1), np.tensordot(data, data.T, axes=1)),
        (divmod(x, 2)[1], data % 2),
        (np.ones_like(x), np.ones_like(data)),
    ]:
        assert isinstance(lazy, da.Array)
        np.testing.assert_allclose(lazy.compute(), expected)
    np.testing.assert_array_equal(np.asarray(x), data)
    assert np.array(x, dtype="i4").dtype == np.int32
    assert math.isclose(float(x.sum()), 15.0) and int(x.max()) == 5 and bool((x >= 0).all())
    out = da.zeros((2, 3), chunks=2)
    np.add(x, 1, out=out)
    np.testing.assert_array_equal(out.compute(), data + 1)


def test_what_it_is():
    x = da.ones((10, 20), chunks=(3, 20), dtype="f4")
    assert (x.shape, x.ndim, x.size, x.nbytes, x.itemsize) == ((10, 20), 2, 200, 800, 4)
    assert (x.numblocks, x.npartitions, x.chunksize, len(x)) == ((4, 1), 4, (3, 20), 10)
    assert repr(x).startswith("oxidask.array<full, shape=(10, 20), dtype=float32, chunksize=(3, 20)")
    html = x._repr_html_()
    assert "<svg" in html and "800 B" in html and "(3, 20)" in html and "4 chunks" in html
    assert [row.compute().shape for row in x[:2]] == [(20,), (20,)]


def test_equal_work_has_equal_names():
    def build():
        return (da.from_array(np.arange(10), chunks=3) + 1).sum()

    assert build().name == build().name
    assert build().name != (da.from_array(np.arange(11), chunks=3) + 1).sum().name
    assert da.random.random(3).name != da.random.random(3).name
    assert oxidask.base.tokenize(build()) == oxidask.base.tokenize(build())


def test_block_id_and_block_info():
    x = da.zeros((4, 6), chunks=(2, 3))

    def place(block, block_id=None, block_info=None):
        assert block_info[None]["chunk-location"] == block_id
        assert block_info[0]["array-location"] == [
            (2 * block_id[0], 2 * block_id[0] + 2),
            (3 * block_id[1], 3 * block_id[1] + 3),
        ]
        return block + 10 * block_id[0] + block_id[1]

    got = x.map_blocks(place, dtype=float).compute()
    np.testing.assert_array_equal(got[::2, ::3], [[0, 1], [10, 11]])


def test_map_blocks_changes_shapes():
    data = np.arange(24.0).reshape(4, 6)
    x = da.from_array(data, chunks=(2, 3))
    np.testing.assert_array_equal(x.map_blocks(lambda b: b.sum(axis=1), drop_axis=1).compute(), data.sum(axis=1))
    np.testing.assert_array_equal(x.map_blocks(lambda b: b.sum(axis=0), drop_axis=0).compute(), data.sum(axis=0))
    assert x.map_blocks(lambda b: b[:, None], new_axis=1).compute().shape == (4, 1, 6)
    doubled = x.map_blocks(lambda b: np.repeat(b, 2, axis=0), chunks=(4, 3))
    np.testing.assert_array_equal(doubled.compute(), np.repeat(data, 2, axis=0))
    with pytest.raises(ValueError, match=r"\(1, 3\).*\(2, 3\)"):
        x.map_blocks(lambda b: b[:1], dtype=float).compute(scheduler="sync")
    with pytest.raises(ValueError, match="dtype="):
        x.map_blocks(lambda b: b[5])


def test_blocks_and_delayed():
    data = np.arange(20).reshape(4, 5)
    x = da.from_array(data, chunks=2)
    np.testing.assert_array_equal(x.blocks[1, -1].compute(), data[2:, 4:])
    np.testing.assert_array_equal(x.blocks[:, [0, 2]].compute(), data[:, [0, 1, 4]])
    assert x.blocks.shape == (2, 3)
    with pytest.raises(IndexError):
        x.blocks[2]
    parts = x.to_delayed()
    assert parts.shape == (2, 3)
    np.testing.assert_array_equal(parts[1, 0].compute(), data[2:, :2])
    total = oxidask.delayed(np.sum)(x)
    assert total.compute() == data.sum()


def test_several_at_once_and_persisted(scheduler):
    x = da.random.default_rng(2).random((50, 50), chunks=20)
    mean, (low, high) = oxidask.compute(x.mean(), [x.min(), x.max()], scheduler=scheduler)
    assert low <= mean <= high
    kept = (x + 1).persist(scheduler=scheduler)
    np.testing.assert_array_equal(
        (kept - 1).sum(axis=0).compute(scheduler=scheduler), ((x + 1) - 1).sum(axis=0).compute(scheduler=scheduler)
    )


def test_chunks_in_all_spellings():
    normal = da.core.normalize_chunks
    assert normal(4, (10,)) == ((4, 4, 2),)
    assert normal((5, 5), (10,)) == ((5, 5),)
    assert normal(((5, 5), -1), (10, 3)) == ((5, 5), (3,))
    assert normal({0: 5}, (10, 3)) == ((5, 5), (3,))
    assert normal("24 B", (10,), dtype="f8") == ((3, 3, 3, 1),)
    assert normal("auto", (100, 100), dtype="f8") == ((100,), (100,))
    (sizes, _) = normal(("auto", -1), (1_000_000, 1000), dtype="f8")
    assert max(sizes) * 1000 * 8 <= 128 * 2**20
    with pytest.raises(ValueError, match="are for [0-9]+ axes"):
        normal((5, 5, 5), (10, 10))
    with oxidask.config.set({"array.chunk-size": "1MiB"}):
        assert da.ones((1000, 1000)).chunksize[0] < 1000


def test_rechunk_beside_an_axis_of_unknown_lengths():
    data = np.arange(40.0).reshape(4, 10)
    x = da.from_array(data, chunks=(2, 2))
    unknown = x[x[:, 0] >= 0]
    both = da.concatenate([x, unknown])
    np.testing.assert_array_equal(both.rechunk((None, 5)).compute(), np.concatenate([data, data]))
    assert both.rechunk((None, 5)).chunks[1] == (5, 5)
    with pytest.raises(ValueError, match="do not add up to its length, 10"):
        unknown.rechunk((None, (5, 5, 5)))


def test_tuples_are_operands():
    data = np.arange(12).reshape(4, 3)
    x = da.from_array(data, chunks=2)
    np.testing.assert_array_equal((x * (0, 0, 1)).compute(), data * (0, 0, 1))
    np.testing.assert_array_equal((x - (1, 2, 3)).compute(), data - (1, 2, 3))


def test_outer_is_a_method_of_functions_of_two():
    data = np.arange(6).reshape(2, 3)
    x = da.from_array(data, chunks=2)
    for one, other, plain in [(x, x, (data, data)), (x, 1.5, (data, 1.5)), ([1, 2], x, ([1, 2], data))]:
        made = da.add.outer(one, other)
        assert isinstance(made, da.Array)
        np.testing.assert_array_equal(made.compute(), np.add.outer(*plain))
    assert type(da.add.outer(data, data)) is np.ndarray
    with pytest.raises(ValueError, match="binary"):
        da.sin.outer(x, x)


def test_covariance_with_too_many_degrees_of_freedom():
    data = np.arange(56.0).reshape(7, 8)
    with pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        made = da.cov(da.from_array(data, chunks=4), ddof=10)
    with np.errstate(all="ignore"), pytest.warns(RuntimeWarning, match="Degrees of freedom"):
        np.testing.assert_array_equal(made.compute(), np.cov(data, ddof=10))


@pytest.mark.parametrize("method", ["sequential", "blelloch"])
@pytest.mark.parametrize("name", ["cumsum", "cumprod"])
@pytest.mark.parametrize("axis", [0, 1])
def test_running_functions_skip_masked_elements_of_earlier_blocks(name, axis, method):
    numbers = np.random.default_rng(0).uniform(0.5, 1.5, (9, 8))
    masked = np.ma.masked_greater(numbers, 1.0)
    masked[:3] = np.ma.masked
    masked[3:6, 2:4] = np.ma.masked
    lazy = da.from_array(masked, chunks=(3, 2), asarray=False)
    expected = getattr(masked, name)(axis=axis)
    answer = getattr(da, name)(lazy, axis=axis, method=method).compute()
    np.testing.assert_array_equal(np.ma.getmaskarray(answer), np.ma.getmaskarray(expected))
    np.testing.assert_allclose(answer.compressed(), expected.compressed())


def test_masked_arrays_that_differ_have_different_names():
    mask = [True, True, False]
    arrays = [
        np.ma.masked_array([1, 2, 3], mask=mask, fill_value=10),
        np.ma.masked_array([1, 2, 3], mask=mask, fill_value=0),
        np.ma.masked_array([1, 9, 3], mask=mask, fill_value=10),
        np.ma.masked_array([1, 2, 3], mask=False, fill_value=10),
        np.ma.masked_array([1, 2, 3], mask=mask, fill_value=10, hard_mask=True),
        np.ma.masked_array(np.array([1, None, 3], object), mask=mask),
        np.ma.masked_array(np.array([1, None, 3], object), mask=[True, False, False]),
        np.ma.masked_array(5, mask=True),
        np.ma.masked_array(5, mask=False),
        np.array([1, 2, 3]),
    ]
    tokens = [oxidask.base.tokenize(array) for array in arrays]
    assert len(set(tokens)) == len(arrays)
    assert tokens == [oxidask.base.tokenize(array.copy()) for array in arrays]
