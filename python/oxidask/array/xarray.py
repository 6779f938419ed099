"""Lazy arrays within xarray, by its entry point ``xarray.chunkmanagers``.

Once oxidask is installed, ``chunked_array_type="oxidask"`` chooses it where
xarray makes lazy arrays, and ``xarray.set_options(chunk_manager="oxidask")``
for all. What holds lazy arrays of oxidask already is recognised without either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xarray.namedarray.parallelcompat import ChunkManagerEntrypoint

from oxidask.array.core import Array

__all__ = ["OxidaskManager"]


def _tell_apart() -> None:
    """Has Dask's manager leave our arrays to ours.

    It takes everything that follows Dask's protocol for its own, and xarray
    refuses arrays that two managers claim.
    """
    try:
        from xarray.namedarray.daskmanager import DaskManager
    except ImportError:
        return
    original = DaskManager.is_chunked_array
    if getattr(original, "leaves_oxidask", False):
        return

    def is_chunked_array(self: Any, data: Any) -> bool:
        return not isinstance(data, Array) and bool(original(self, data))

    is_chunked_array.leaves_oxidask = True  # type: ignore[attr-defined]
    DaskManager.is_chunked_array = is_chunked_array


class OxidaskManager(ChunkManagerEntrypoint):  # type: ignore[type-arg, misc]
    """What xarray asks of lazy arrays, answered by oxidask.

    >>> import oxidask.array as da
    >>> OxidaskManager().is_chunked_array(da.ones(2, chunks=1))
    True
    """

    array_cls: type[Array]
    available = True

    def __init__(self) -> None:
        self.array_cls = Array
        _tell_apart()

    def is_chunked_array(self, data: Any) -> bool:
        """Whether it is a lazy array of ours."""
        return isinstance(data, Array)

    def chunks(self, data: Any) -> Any:
        """The sizes of chunks."""
        return data.chunks

    def normalize_chunks(
        self, chunks: Any, shape: Any = None, limit: Any = None, dtype: Any = None, previous_chunks: Any = None
    ) -> Any:
        """The sizes of all chunks that a wish means."""
        from oxidask.array import normalize_chunks

        return normalize_chunks(chunks, shape=shape, limit=limit, dtype=dtype, previous_chunks=previous_chunks)

    def from_array(self, data: Any, chunks: Any, **kwargs: Any) -> Array:
        """A lazy array over a source, which may be one of xarray's own lazy indexers."""
        from oxidask.array import from_array

        kwargs.pop("meta", None)
        name = kwargs.pop("name", None)
        options = {k: v for k, v in kwargs.items() if k in ("lock", "inline_array")}
        return from_array(data, chunks=chunks, name=name, asarray=True, **options)

    def rechunk(self, data: Any, chunks: Any, **kwargs: Any) -> Any:
        """The same elements in other chunks."""
        return data.rechunk(chunks, **kwargs)

    def compute(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """The results of lazy arrays."""
        import oxidask

        return oxidask.compute(*data, **kwargs)

    def persist(self, *data: Any, **kwargs: Any) -> tuple[Any, ...]:
        """Lazy arrays over held results."""
        import oxidask

        return oxidask.persist(*data, **kwargs)

    @property
    def array_api(self) -> Any:
        """The module of functions."""
        import oxidask.array as da

        return da

    def reduction(
        self,
        arr: Any,
        func: Callable[..., Any],
        combine_func: Callable[..., Any] | None = None,
        aggregate_func: Callable[..., Any] | None = None,
        axis: Any = None,
        dtype: Any = None,
        keepdims: bool = False,
    ) -> Any:
        """A reduction by functions of blocks."""
        from oxidask.array import reduction

        return reduction(
            arr,
            chunk=func,
            combine=combine_func,
            aggregate=aggregate_func or func,
            axis=axis,
            dtype=dtype,
            keepdims=keepdims,
        )

    def scan(
        self,
        func: Callable[..., Any],
        binop: Callable[..., Any],
        ident: float,
        arr: Any,
        axis: int | None = None,
        dtype: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A running function by functions of blocks."""
        from oxidask.array import cumreduction

        return cumreduction(func, binop, ident, arr, axis=axis, dtype=dtype, **kwargs)

    def apply_gufunc(
        self,
        func: Callable[..., Any],
        signature: str,
        *args: Any,
        axes: Any = None,
        axis: int | None = None,
        keepdims: bool = False,
        output_dtypes: Any = None,
        output_sizes: Any = None,
        vectorize: bool | None = None,
        allow_rechunk: bool = False,
        meta: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A function of vectors or matrices, mapped over all other axes."""
        from oxidask.array import apply_gufunc

        return apply_gufunc(
            func,
            signature,
            *args,
            axes=axes,
            axis=axis,
            keepdims=keepdims,
            output_dtypes=output_dtypes,
            output_sizes=output_sizes,
            vectorize=vectorize,
            allow_rechunk=allow_rechunk,
            meta=meta,
            **kwargs,
        )

    def map_blocks(
        self,
        func: Callable[..., Any],
        *args: Any,
        dtype: Any = None,
        chunks: Any = None,
        drop_axis: Any = None,
        new_axis: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A function of every block."""
        from oxidask.array import map_blocks

        return map_blocks(func, *args, dtype=dtype, chunks=chunks, drop_axis=drop_axis, new_axis=new_axis, **kwargs)

    def blockwise(
        self,
        func: Callable[..., Any],
        out_ind: Any,
        *args: Any,
        name: Any = None,
        token: Any = None,
        dtype: Any = None,
        adjust_chunks: Any = None,
        new_axes: Any = None,
        align_arrays: bool = True,
        concatenate: bool | None = None,
        meta: Any = None,
        **kwargs: Any,
    ) -> Any:
        """A function of blocks that are lined up by names of axes."""
        from oxidask.array import blockwise

        return blockwise(
            func,
            out_ind,
            *args,
            name=name,
            token=token,
            dtype=dtype,
            adjust_chunks=adjust_chunks,
            new_axes=new_axes,
            align_arrays=align_arrays,
            concatenate=concatenate,
            meta=meta,
            **kwargs,
        )

    def unify_chunks(self, *args: Any, **kwargs: Any) -> Any:
        """Arrays with the same chunks along axes of the same name."""
        from oxidask.array import unify_chunks

        return unify_chunks(*args, **kwargs)

    def store(self, sources: Any, targets: Any, **kwargs: Any) -> Any:
        """Writes arrays into targets."""
        from oxidask.array import store

        kwargs.pop("flush", None)
        regions = kwargs.pop("regions", None)
        return store(sources, targets, regions=regions, **kwargs)

    def shuffle(self, x: Any, indexer: Sequence[Sequence[int]], axis: int, chunks: Any) -> Any:
        """Positions in another order, groups of them kept together."""
        from oxidask.array import shuffle

        return shuffle(x, [list(group) for group in indexer], axis, chunks or "auto")

    def get_auto_chunk_size(self) -> int:
        """Bytes of a block where the wish says ``"auto"``."""
        from oxidask import config
        from oxidask.utils import parse_bytes

        size = config.get("array.chunk-size", "128MiB")
        return parse_bytes(size) if isinstance(size, str) else int(size)
