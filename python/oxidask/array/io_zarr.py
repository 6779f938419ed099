"""Zarr arrays, versions 2 and 3, through the zarr package."""

from __future__ import annotations

import itertools
import os
from typing import Any

from oxidask.array.convert import from_array
from oxidask.array.core import Array
from oxidask.array.io import store

__all__ = ["from_zarr", "to_zarr"]


def _store_of(url: Any, storage_options: Any, *, read_only: bool) -> Any:
    """What zarr opens: a path, or a store over a remote file system."""
    import zarr

    if not isinstance(url, str | os.PathLike):
        return url
    url = os.fspath(url)
    if "://" in url or "::" in url:
        return zarr.storage.FsspecStore.from_url(url, storage_options=dict(storage_options or {}), read_only=read_only)
    if storage_options:
        raise ValueError(f"storage_options are for remote stores, and {url!r} is a local path")
    return url


def from_zarr(
    url: Any,
    component: str | None = None,
    storage_options: Any = None,
    chunks: Any = None,
    name: str | None = None,
    inline_array: bool = False,
    **kwargs: Any,
) -> Array:
    """An array over a Zarr array.

    Parameters
    ----------
    url : str, zarr.Array or store
    component : str, optional
        The path within a group.
    storage_options : dict, optional
        For remote stores.
    chunks : int, tuple, dict or str, optional
        Those of the stored array by default.
    name : str, optional
    **kwargs
        For ``zarr.open_array``.

    Raises
    ------
    FileNotFoundError
        If there is no such array.

    Examples
    --------
    >>> import tempfile
    >>> import oxidask.array as da
    >>> folder = tempfile.mkdtemp()
    >>> _ = to_zarr(da.arange(4, chunks=2), folder, overwrite=True)
    >>> from_zarr(folder).chunks
    ((2, 2),)
    """
    import zarr

    if isinstance(url, zarr.Array):
        z = url
        if component is not None:
            raise ValueError("a zarr.Array has no components")
    else:
        kwargs.setdefault("mode", "r")
        z = zarr.open_array(store=_store_of(url, storage_options, read_only=True), path=component, **kwargs)
    if chunks is None:
        chunks = getattr(z, "shards", None) or z.chunks
    return from_array(z, chunks=chunks, name=False if name is None else name, inline_array=inline_array, asarray=True)


def to_zarr(
    arr: Any,
    url: Any,
    component: str | None = None,
    storage_options: Any = None,
    region: Any = None,
    compute: bool = True,
    return_stored: bool = False,
    zarr_array_kwargs: Any = None,
    zarr_read_kwargs: Any = None,
    overwrite: bool = False,
    **kwargs: Any,
) -> Any:
    """Writes a Zarr array, one stored chunk for each block.

    Parameters
    ----------
    arr : Array
        Chunks along an axis are of one size, the last may be smaller.
    url : str, zarr.Array or store
    component : str, optional
        The path within a group.
    storage_options : dict, optional
        For remote stores.
    overwrite : bool
        Whether an array that is there may be replaced.
    region : tuple of slices, optional
        Where in an existing array.
    compute : bool
        Whether to write now; a Delayed is answered otherwise.
    return_stored : bool
        Whether to answer an array over what was written.
    zarr_array_kwargs, **kwargs
        For ``zarr.create_array``, such as ``compressors`` and ``zarr_format``.
    zarr_read_kwargs : dict, optional
        Accepted for compatibility.

    Raises
    ------
    ValueError
        If chunks are irregular or unknown, or a region does not lie on stored chunks.

    Examples
    --------
    >>> import tempfile, zarr
    >>> import oxidask.array as da
    >>> folder = tempfile.mkdtemp()
    >>> _ = to_zarr(da.arange(4, chunks=2), folder, overwrite=True)
    >>> zarr.open_array(folder, mode="r")[:].tolist()
    [0, 1, 2, 3]
    """
    import zarr

    del zarr_read_kwargs
    if any(n != n for sizes in arr.chunks for n in sizes):
        raise ValueError(
            f"a Zarr array needs its shape, and unknown chunk sizes leave it open: shape {arr.shape}\n"
            "hint: call compute_chunk_sizes() first"
        )
    if isinstance(url, zarr.Array):
        return _into_array(arr, url, region, compute, return_stored)
    if region is not None:
        raise ValueError(f"region is for an open zarr.Array, not for {url!r}")
    if not _regular(arr):
        raise ValueError(
            f"a Zarr array has chunks of one size, and these are irregular: {arr.chunks}\n"
            "hint: rechunk to one size first"
        )
    options = {**(zarr_array_kwargs or {}), **kwargs}
    if component is None:
        component = options.pop("name", None)
    options.setdefault("chunks", tuple(c[0] for c in arr.chunks) if arr.ndim else None)
    if not arr.ndim:
        options.pop("chunks")
    z = zarr.create_array(
        store=_store_of(url, storage_options, read_only=False),
        name=component,
        shape=arr.shape,
        dtype=arr.dtype,
        overwrite=overwrite,
        **options,
    )
    done = store(arr, z, lock=False, compute=compute, return_stored=return_stored)
    return done[0] if return_stored else done


def _regular(x: Array) -> bool:
    return all(len(set(sizes[:-1])) <= 1 and (len(sizes) == 1 or sizes[-1] <= sizes[0]) for sizes in x.chunks)


def _into_array(arr: Array, z: Any, region: Any, compute: bool, return_stored: bool) -> Any:
    """Writes into an array that is there; no two blocks write the same stored chunk."""
    if region is None:
        if tuple(z.shape) != arr.shape:
            raise ValueError(f"an array of shape {arr.shape} does not fit a stored one of shape {tuple(z.shape)}")
        arr = _on_borders(arr, _unit(z), (0,) * arr.ndim)
        done = store(arr, z, lock=False, compute=compute, return_stored=return_stored)
        return done[0] if return_stored else done
    region = region if isinstance(region, tuple) else (region,)
    starts = tuple((s.indices(n)[0] if isinstance(s, slice) else 0) for s, n in zip(region, z.shape, strict=False))
    arr = _on_borders(arr, _unit(z), starts)
    done = store(arr, z, lock=False, regions=region, compute=compute, return_stored=return_stored)
    return done[0] if return_stored else done


def _unit(z: Any) -> tuple[int, ...]:
    """The shape of what is written at once: a shard, where stored chunks lie together in one."""
    return tuple(getattr(z, "shards", None) or z.chunks)


def _on_borders(x: Array, stored: Any, starts: Any) -> Array:
    """The array with borders of chunks only where stored chunks have some."""
    import numpy as np

    wanted = []
    for sizes, size, start in zip(x.chunks, stored, starts, strict=False):
        n = sum(sizes)
        allowed = [b for b in range(size - start % size, n, size)]
        natural = np.cumsum(sizes)[:-1].tolist()
        cuts = sorted({min(allowed, key=lambda a, b=b: abs(a - b)) for b in natural}) if allowed else []
        ends = [0, *cuts, n]
        wanted.append(tuple(b - a for a, b in itertools.pairwise(ends)))
    return x if tuple(wanted) == x.chunks else x.rechunk(tuple(wanted))
