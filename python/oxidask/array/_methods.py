"""The methods of arrays: functions whose first argument is the array."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxidask.array import blocks, cumulative, delayed, overlap, products, reductions, routines, shaping, ufunc
from oxidask.array.core import Array


def _reshape(self: Array, *shape: Any, merge_chunks: bool = True, limit: Any = None, order: str = "C") -> Array:
    """The same elements in C order in another shape; see :func:`oxidask.array.reshape`."""
    if len(shape) == 1 and not isinstance(shape[0], int):
        (shape,) = shape
    return shaping.reshape(self, shape, merge_chunks=merge_chunks, limit=limit, order=order)


def _transpose(self: Array, *axes: Any) -> Array:
    """The array with its axes in another order; reversed without arguments."""
    if len(axes) == 1 and (axes[0] is None or isinstance(axes[0], tuple | list)):
        (axes,) = axes
    return shaping.transpose(self, axes or None)


def _map_blocks(self: Array, func: Callable[..., Any], *args: Any, **kwargs: Any) -> Array:
    """A function of NumPy arrays on every block; see :func:`oxidask.array.map_blocks`."""
    return blocks.map_blocks(func, self, *args, **kwargs)


def _map_overlap(
    self: Array, func: Callable[..., Any], depth: Any, boundary: Any = None, trim: bool = True, **kwargs: Any
) -> Array:
    """A function of overlapping blocks; see :func:`oxidask.array.map_overlap`."""
    return overlap.map_overlap(func, self, depth=depth, boundary=boundary, trim=trim, **kwargs)


def _clip(self: Array, min: Any = None, max: Any = None) -> Array:
    """Elements beyond a bound replaced by it."""
    return ufunc.clip(self, min, max)


def _choose(self: Array, choices: Any) -> Array:
    """For every element, that of the choice with its number."""
    return routines.choose(self, choices)


def _dot(self: Array, other: Any) -> Array:
    """The product with another array; see :func:`oxidask.array.dot`."""
    return products.dot(self, other)


def _conj(self: Array) -> Array:
    """The complex conjugate."""
    return ufunc.conjugate(self)  # type: ignore[attr-defined, no-any-return]


def _to_dask_array(self: Array) -> Array:
    """The array itself."""
    return self


def _to_svg(self: Array, size: float = 500) -> str:
    """A picture of the chunks as SVG text.

    >>> import oxidask.array as da
    >>> da.ones((4, 4), chunks=2).to_svg().startswith("<svg")
    True
    """
    from oxidask._oxidask import ArrayCore
    from oxidask.array.core import native
    from oxidask.array.creation import zeros

    if any(n != n for n in self.shape):
        raise NotImplementedError(
            f"a picture needs chunks of known sizes: shape {self.shape}\nhint: call compute_chunk_sizes() first"
        )
    if not all(self.shape):
        raise NotImplementedError(f"no picture of an array without elements: shape {self.shape}")
    if not self.shape:
        raise NotImplementedError("no picture of an array without axes")
    # Only the chunks matter to a picture.
    core = self._core if native(self) else zeros(self.shape, dtype=bool, chunks=self.chunks)._core
    assert isinstance(core, ArrayCore)
    return core.svg(float(size))


def _explain(self: Array) -> str:
    """The plan as text, after optimising.

    >>> import oxidask.array as da
    >>> print((da.ones(4, chunks=2) + 1).sum().explain().strip())
    sum axes [0] of add(1.0, 1.0)
    """
    return self._core.expr().plan(True)  # type: ignore[no-any-return]


def _store(self: Array, target: Any, **kwargs: Any) -> Any:
    """Writes the blocks into something that can be sliced; see :func:`oxidask.array.store`."""
    from oxidask.array.io import store

    return store([self], [target], **kwargs)


def _to_zarr(self: Array, *args: Any, **kwargs: Any) -> Any:
    """Writes a Zarr array; see :func:`oxidask.array.to_zarr`."""
    from oxidask.array.io_zarr import to_zarr

    return to_zarr(self, *args, **kwargs)


def _to_hdf5(self: Array, filename: Any, datapath: str, **kwargs: Any) -> Any:
    """Writes a dataset of an HDF5 file; see :func:`oxidask.array.to_hdf5`."""
    from oxidask.array.io import to_hdf5

    return to_hdf5(filename, datapath, self, **kwargs)


def _to_tiledb(self: Array, uri: str, *args: Any, **kwargs: Any) -> Any:
    """Not offered: no maintained library of Rust or of this project's writes TileDB."""
    from oxidask.array.io import to_tiledb

    return to_tiledb(self, uri, *args, **kwargs)


def _to_dask_dataframe(self: Array, columns: Any = None, index: Any = None, meta: Any = None) -> Any:
    """A frame of the rows; see :func:`oxidask.dataframe.from_dask_array`."""
    from oxidask.array.frames import to_dataframe

    return to_dataframe(self, columns=columns, index=index, meta=meta)


def _to_backend(self: Array, backend: str | None = None, **kwargs: Any) -> Array:
    """The array itself; the only backend is NumPy."""
    del kwargs
    if backend not in (None, "numpy"):
        raise ValueError(f"there is no backend {backend!r}\nhint: the only one is 'numpy'")
    return self


METHODS: dict[str, Callable[..., Any]] = {
    **{
        name: getattr(reductions, name)
        for name in reductions.REDUCTIONS
        if not name.startswith("nan") and name != "count_nonzero"
    },
    "argtopk": cumulative.argtopk,
    "astype": shaping.astype,
    "choose": _choose,
    "clip": _clip,
    "conj": _conj,
    "conjugate": _conj,
    "copy": shaping.copy,
    "cumprod": cumulative.cumprod,
    "cumsum": cumulative.cumsum,
    "dot": _dot,
    "explain": _explain,
    "flatten": shaping.ravel,
    "map_blocks": _map_blocks,
    "map_overlap": _map_overlap,
    "moment": reductions.moment,
    "nonzero": routines.nonzero,
    "ravel": shaping.ravel,
    "rechunk": shaping.rechunk,
    "repeat": shaping.repeat,
    "reshape": _reshape,
    "round": routines.round,
    "shuffle": shaping.shuffle,
    "squeeze": shaping.squeeze,
    "store": _store,
    "swapaxes": shaping.swapaxes,
    "to_backend": _to_backend,
    "to_dask_array": _to_dask_array,
    "to_dask_dataframe": _to_dask_dataframe,
    "to_delayed": delayed.to_delayed,
    "to_hdf5": _to_hdf5,
    "to_svg": _to_svg,
    "to_tiledb": _to_tiledb,
    "to_zarr": _to_zarr,
    "topk": cumulative.topk,
    "trace": routines.trace,
    "transpose": _transpose,
    "view": shaping.view,
}

for _name, _function in METHODS.items():
    setattr(Array, _name, _function)
Array.mT = property(shaping.matrix_transpose)  # type: ignore[attr-defined]
