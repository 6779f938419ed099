"""Programs of xarray over our arrays, by the entry point of chunk managers."""

import numpy as np
import pytest

xr = pytest.importorskip("xarray")
parallelcompat = pytest.importorskip("xarray.namedarray.parallelcompat")

import oxidask.array as da  # noqa: E402
from oxidask.array.xarray import OxidaskManager  # noqa: E402


@pytest.fixture(autouse=True)
def manager(monkeypatch):
    """Ours among xarray's chunk managers, whether or not the package is installed with its entry points."""
    managers = {**parallelcompat.list_chunkmanagers(), "oxidask": OxidaskManager()}
    monkeypatch.setattr(parallelcompat, "list_chunkmanagers", lambda: managers)


X = np.random.default_rng(0).normal(size=(12, 5))


@pytest.fixture
def pair():
    time = np.arange("2020-01", "2021-01", dtype="M8[M]").astype("M8[ns]")
    plain = xr.DataArray(X, dims=("time", "x"), coords={"time": time, "x": np.arange(5)}, name="v")
    return plain, plain.chunk({"time": 4, "x": 2}, chunked_array_type="oxidask", from_array_kwargs={})


@pytest.mark.parametrize(
    "program",
    [
        lambda a: a.mean("time"),
        lambda a: (a - a.mean("time")) / a.std("time"),
        lambda a: a.groupby("time.season").mean(),
        lambda a: a.groupby("time.month") - a.groupby("time.month").mean(),
        lambda a: a.rolling(time=3).mean(),
        lambda a: a.rolling(time=3, center=True).max(),
        lambda a: a.sel(x=[1, 3]).isel(time=slice(None, None, 2)),
        lambda a: a.where(a > 0),
        lambda a: a.cumsum("time"),
        lambda a: a.resample(time="QS").sum(),
        lambda a: a.coarsen(time=3).mean(),
        lambda a: a.shift(time=1).fillna(0),
        lambda a: xr.concat([a, a], "time"),
        lambda a: a.stack(z=("time", "x")).unstack("z"),
        lambda a: a.T @ a,
        lambda a: a.argmax("time"),
        lambda a: a.clip(-1, 1),
        lambda a: a.diff("time"),
        lambda a: xr.apply_ufunc(np.exp, a, dask="allowed"),
        lambda a: xr.apply_ufunc(
            lambda v: v.mean(-1),
            a.chunk(time=-1) if a.chunks else a,
            input_core_dims=[["time"]],
            dask="parallelized",
            output_dtypes=[float],
        ),
    ],
)
def test_programs(pair, program):
    plain, lazy = pair
    result = program(lazy)
    xr.testing.assert_allclose(result.compute(), program(plain))


def test_stays_lazy(pair):
    _, lazy = pair
    assert isinstance(lazy.data, da.Array)
    assert isinstance((lazy + 1).mean("x").data, da.Array)
    assert lazy.chunks == ((4, 4, 4), (2, 2, 1))


def test_zarr(pair, tmp_path):
    pytest.importorskip("zarr")
    plain, lazy = pair
    lazy.to_dataset().to_zarr(str(tmp_path / "store"), zarr_format=2, consolidated=True)
    back = xr.open_zarr(str(tmp_path / "store"), chunked_array_type="oxidask")
    assert isinstance(back.v.data, da.Array)
    xr.testing.assert_allclose(back.v.compute(), plain)
