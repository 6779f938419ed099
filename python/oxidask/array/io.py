"""Arrays into and out of files and stores: ``store``, HDF5, npy stacks, npy and npz files."""

from __future__ import annotations

import glob
import os
import threading
from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from oxidask.array._generic import block_numbers, table
from oxidask.array.convert import asanyarray, from_array
from oxidask.array.core import Array

__all__ = ["from_npy", "from_npy_stack", "from_npz", "from_tiledb", "store", "to_hdf5", "to_npy_stack", "to_tiledb"]


class Write:
    """Writes blocks into something that can be sliced."""

    __name__ = "store"

    def __init__(self, borders: Any, region: Any, lock: Any, returns: bool, load: bool) -> None:
        self.borders, self.region, self.lock, self.returns, self.load = borders, region, lock, returns, load
        self.numblocks = [len(b) - 1 for b in borders]

    def __call__(self, block: Any, target: Any, number: int) -> Any:
        from oxidask.array._generic import position_of

        at = position_of(number, self.numblocks)
        index = tuple(slice(b[i], b[i + 1]) for b, i in zip(self.borders, at, strict=True))
        if self.region is not None:
            index = fuse(self.region, index)
        if not self.lock:
            return self._write(block, target, index)
        # Some locks have these two methods and are no context managers.
        self.lock.acquire()
        try:
            return self._write(block, target, index)
        finally:
            self.lock.release()

    def _write(self, block: Any, target: Any, index: Any) -> Any:
        if getattr(block, "size", 1):
            target[index] = block
        if self.load:
            return target[index]
        return np.zeros((1,) * len(self.borders), bool)


class InMemory:
    """A target in this process's memory. It refuses to travel: what is written to a copy is lost."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def __setitem__(self, index: Any, value: Any) -> None:
        self.target[index] = value

    def __getitem__(self, index: Any) -> Any:
        return self.target[index]

    def __repr__(self) -> str:
        return f"a target of store, {type(self.target).__name__},"

    def __reduce__(self) -> Any:
        raise RuntimeError(
            "it is in the memory of this process, which the workers of a "
            "distributed scheduler and other processes cannot write to\n"
            "hint: store into files, or compute with scheduler='threads'"
        )


def _holder(target: Any) -> Any:
    from oxidask import delayed

    if _is_delayed(target):
        return target
    return delayed(InMemory(target) if _is_in_memory(target) else target, traverse=False)


def _is_in_memory(target: Any) -> bool:
    """Whether a copy that another process gets is another thing."""
    if isinstance(target, np.ndarray):
        return True
    # Only who has zarr has its arrays. Stores of its second version are dicts, too.
    store = getattr(target, "store", None)
    return isinstance(store, dict) or type(store).__name__ in ("MemoryStore", "GpuMemoryStore", "KVStore")


def fuse(outer: Any, inner: Any) -> tuple[Any, ...]:
    """The slices of slices.

    >>> fuse((slice(10, 20), 3), (slice(2, 4),))
    (slice(12, 14, 1), 3)
    """
    outer = outer if isinstance(outer, tuple) else (outer,)
    made: list[Any] = []
    rest = iter(inner)
    for own in outer:
        if not isinstance(own, slice):
            made.append(own)
            continue
        sub = next(rest, slice(None))
        step, start = own.step or 1, own.start or 0
        first = start + (sub.start or 0) * step
        stop = own.stop if sub.stop is None else start + sub.stop * step
        made.append(slice(first, stop, step))
    return (*made, *rest)


def store(
    sources: Any,
    targets: Any,
    lock: Any = True,
    regions: Any = None,
    compute: bool = True,
    return_stored: bool = False,
    load_stored: bool | None = None,
    **kwargs: Any,
) -> Any:
    """Writes arrays into things that can be sliced, block by block.

    Parameters
    ----------
    sources : Array or sequence of Array
    targets : array_like, Delayed, or sequence of them
        Anything with ``__setitem__``.
    lock : bool or lock
        Held while writing; ``True`` makes a new one.
    regions : tuple of slices, or list of such, optional
        Where in the targets.
    compute : bool
        Whether to write now; a Delayed is answered otherwise.
    return_stored : bool
        Whether to answer arrays over what was written.
    load_stored : bool, optional
        Whether those hold the data already.
    **kwargs
        For the scheduler.

    Raises
    ------
    ValueError
        If there are not as many targets and regions as sources, or a source is no array.
    TypeError
        If a target lives in the memory of this process, and the work is done elsewhere.

    Examples
    --------
    >>> import oxidask.array as da
    >>> target = np.zeros(4, int)
    >>> store(da.arange(4, chunks=2), target)
    >>> target
    array([0, 1, 2, 3])
    """
    import oxidask
    from oxidask import delayed

    if isinstance(sources, Array):
        sources, targets = [sources], [targets]
    sources, targets = list(sources), list(targets)
    if any(not isinstance(s, Array) for s in sources):
        raise ValueError("store takes lazy arrays as sources\nhint: make them with from_array")
    if len(sources) != len(targets):
        raise ValueError(f"there are {len(sources)} sources and {len(targets)} targets")
    if isinstance(regions, tuple) or regions is None:
        regions = [regions] * len(sources)
    regions = list(regions)
    if len(regions) > 1 and len(sources) != len(regions):
        raise ValueError(f"there are {len(regions)} regions for {len(sources)} sources and {len(targets)} targets")
    regions = regions * len(sources) if len(regions) == 1 else regions
    if lock is True:
        lock = threading.Lock()
    load = bool(load_stored) if load_stored is not None else bool(return_stored and not compute)
    written = [
        _written(s, t, r, lock, load and return_stored) for s, t, r in zip(sources, targets, regions, strict=True)
    ]
    if return_stored and load:
        if compute:
            written = list(oxidask.persist(*written, **kwargs))
        return tuple(written)
    if not return_stored:
        if compute:
            _run(written, kwargs)
            return None
        return delayed(_nothing_left)([delayed(_done)(w) for w in written])
    if compute:
        _run(written, kwargs)
        return tuple(_over(t, s, r) for s, t, r in zip(sources, targets, regions, strict=True))
    return tuple(_after(w, t, s, r) for w, s, t, r in zip(written, sources, targets, regions, strict=True))


def _run(written: list[Array], kwargs: dict[str, Any]) -> None:
    import oxidask

    oxidask.compute(*written, **kwargs)


def _done(written: Any) -> None:
    del written


def _nothing_left(done: Any) -> None:
    del done


def _is_delayed(target: Any) -> bool:
    from oxidask._oxidask import Delayed

    return isinstance(target, Delayed)


def _written(source: Array, target: Any, region: Any, lock: Any, load: bool) -> Array:
    """Marks of written blocks, or what was written."""
    import uuid

    if any(n != n for sizes in source.chunks for n in sizes):
        raise ValueError(
            f"chunks of unknown sizes have no place in the target: shape {source.shape}\nhint: call compute_chunk_sizes() first"
        )
    borders = [np.cumsum([0, *sizes]).tolist() for sizes in source.chunks]
    shape = getattr(target, "shape", None) if not _is_delayed(target) else None
    if shape is not None and region is None and tuple(shape) != source.shape and len(shape) == source.ndim:
        if any(own > theirs for own, theirs in zip(source.shape, shape, strict=True)):
            raise ValueError(f"an array of shape {source.shape} does not fit a target of shape {tuple(shape)}")
    holder = _holder(target)
    numbers = block_numbers(source.numblocks).ravel()
    reads = np.stack(
        [
            np.stack([np.zeros_like(numbers), numbers], -1),
            np.stack([np.ones_like(numbers), np.zeros_like(numbers)], -1),
        ],
        axis=1,
    )
    write = Write(borders, region, lock, load, load)
    chunks = source.chunks if load else tuple((1,) * n for n in source.numblocks)
    meta = source._meta if load else np.empty((0,) * source.ndim, bool)
    # Writing is not pure: each call is its own.
    return table(write, "store", uuid.uuid4().hex, [source, holder], reads, chunks, meta, passes_block=True)  # type: ignore[no-any-return]


class Load:
    """Reads a block that was written."""

    __name__ = "load"

    def __init__(self, borders: Any, region: Any) -> None:
        self.borders, self.region = borders, region

    def __call__(self, done: Any, target: Any, number: int) -> Any:
        from oxidask.array._generic import position_of

        at = position_of(number, [len(b) - 1 for b in self.borders])
        index = tuple(slice(b[i], b[i + 1]) for b, i in zip(self.borders, at, strict=True))
        return target[index if self.region is None else fuse(self.region, index)]


def _after(written: Array, target: Any, source: Array, region: Any) -> Array:
    """An array over a target, whose blocks are read after they are written."""
    import uuid

    holder = _holder(target)
    borders = [np.cumsum([0, *sizes]).tolist() for sizes in source.chunks]
    numbers = block_numbers(source.numblocks).ravel()
    reads = np.stack(
        [
            np.stack([np.zeros_like(numbers), numbers], -1),
            np.stack([np.ones_like(numbers), np.zeros_like(numbers)], -1),
        ],
        axis=1,
    )
    return table(
        Load(borders, region),
        "load",
        uuid.uuid4().hex,
        [written, holder],
        reads,
        source.chunks,
        source._meta,
        passes_block=True,
    )  # type: ignore[no-any-return]


def _over(target: Any, source: Array, region: Any) -> Array:
    if _is_delayed(target):
        target = target.compute()
    whole = target if region is None else target[region]
    return from_array(whole, chunks=source.chunks, name=False)


def to_hdf5(filename: Any, *args: Any, chunks: Any = True, **kwargs: Any) -> None:
    """Writes arrays into datasets of an HDF5 file.

    Parameters
    ----------
    filename : str
    *args : str, Array, or dict
        A path within the file and an array, or a dict of them.
    chunks : tuple, bool or None
        Of the dataset; those of the array by default, none for None.
    **kwargs
        For ``h5py``'s ``require_dataset``, such as ``compression``.

    Examples
    --------
    >>> import tempfile, os, h5py
    >>> import oxidask.array as da
    >>> path = os.path.join(tempfile.mkdtemp(), "x.hdf5")
    >>> to_hdf5(path, "/x", da.arange(4, chunks=2))
    >>> with h5py.File(path) as file:
    ...     file["/x"][:].tolist()
    [0, 1, 2, 3]
    """
    import h5py

    if len(args) == 1 and isinstance(args[0], dict):
        data = args[0]
    elif len(args) == 2 and isinstance(args[0], str) and isinstance(args[1], Array):
        data = {args[0]: args[1]}
    else:
        raise ValueError("to_hdf5 takes a path and an array, or a dict of them\nhint: as in {'/x': x}")
    data = {path: asanyarray(x) for path, x in data.items()}
    with h5py.File(filename, mode="a") as file:
        targets = [
            file.require_dataset(
                path,
                shape=x.shape,
                dtype=x.dtype,
                chunks=tuple(c[0] for c in x.chunks)
                if chunks is True and x.ndim and x.size
                else (None if chunks is True else chunks),
                **kwargs,
            )
            for path, x in data.items()
        ]
        # The file is open in this process only.
        store(list(data.values()), targets, scheduler="threads")


class NpyBlock:
    """Reads a file of a stack of npy files."""

    __name__ = "from_npy_stack"

    def __init__(self, files: Sequence[str], mmap_mode: Any) -> None:
        self.files, self.mmap_mode = list(files), mmap_mode

    def __call__(self, number: int) -> Any:
        path = self.files[number]
        try:
            return np.load(path, mmap_mode=self.mmap_mode)
        except (OSError, ValueError, EOFError) as error:
            raise type(error)(f"block {number} could not be read from {path!r}: {error}") from error


class NpyWrite:
    """Writes a block as an npy file."""

    __name__ = "to_npy_stack"

    def __init__(self, dirname: str) -> None:
        self.dirname = dirname

    def __call__(self, block: Any, number: int) -> Any:
        np.save(os.path.join(self.dirname, f"{number}.npy"), block)
        return np.zeros((1,) * block.ndim, bool)


def to_npy_stack(dirname: str, x: Any, axis: int = 0) -> None:
    """Writes an array as npy files, one for each chunk along an axis.

    Parameters
    ----------
    dirname : str
        Made if it is not there; beside the files it gets ``info`` with chunks and dtype.
    x : array_like
    axis : int

    Examples
    --------
    >>> import tempfile
    >>> import oxidask.array as da
    >>> folder = tempfile.mkdtemp()
    >>> to_npy_stack(folder, da.arange(4, chunks=2))
    >>> from_npy_stack(folder).compute()
    array([0, 1, 2, 3])
    """
    import pickle
    import uuid

    x = asanyarray(x)
    chunks = tuple((c if i == axis else (sum(c),)) for i, c in enumerate(x.chunks))
    x = x.rechunk(chunks)
    os.makedirs(dirname, exist_ok=True)
    with open(os.path.join(dirname, "info"), "wb") as file:
        pickle.dump({"chunks": chunks, "dtype": x.dtype, "axis": axis}, file)
    numbers = block_numbers(x.numblocks).ravel()
    reads = np.stack([np.zeros_like(numbers), numbers], -1)[:, None, :]
    done = tuple((1,) * n for n in x.numblocks)
    table(
        NpyWrite(os.path.abspath(dirname)),
        "to_npy_stack",
        uuid.uuid4().hex,
        [x],
        reads,
        done,
        np.empty((0,) * x.ndim, bool),
        passes_block=True,
    ).compute()


class _PlainUnpickler:
    """Reads ``info`` without letting it call anything but what it needs."""

    ALLOWED: ClassVar = {
        ("numpy", "dtype"),
        ("numpy._core.multiarray", "scalar"),
        ("numpy.core.multiarray", "scalar"),
        ("_codecs", "encode"),
    }

    @classmethod
    def load(cls, path: str) -> Any:
        """The content of the file."""
        import pickle

        class Unpickler(pickle.Unpickler):
            def find_class(self, module: str, name: str) -> Any:
                if (module, name) in cls.ALLOWED:
                    return super().find_class(module, name)
                if module.startswith("numpy.dtypes"):
                    return super().find_class(module, name)
                raise pickle.UnpicklingError(f"{path!r} is not the info of an npy stack: it names {module}.{name}")

        with open(path, "rb") as file:
            return Unpickler(file).load()


def from_npy_stack(dirname: str, mmap_mode: str | None = "r") -> Array:
    """An array over a folder of npy files that :func:`to_npy_stack` wrote.

    Parameters
    ----------
    dirname : str
    mmap_mode : str or None
        How files are mapped; None reads them.

    Raises
    ------
    FileNotFoundError
        If there is no such stack.
    """
    info = _PlainUnpickler.load(os.path.join(dirname, "info"))
    dtype, chunks, axis = info["dtype"], info["chunks"], info["axis"]
    files = [os.path.join(os.path.abspath(dirname), f"{i}.npy") for i in range(len(chunks[axis]))]
    stamp = [(f, os.stat(f).st_mtime_ns, os.stat(f).st_size) for f in files if os.path.exists(f)]
    reads = np.empty((len(files), 0, 2), int)
    return table(
        NpyBlock(files, mmap_mode),
        "from_npy_stack",
        f"npy-{stamp}",
        [],
        reads,
        chunks,
        np.empty((0,) * len(chunks), dtype),
        passes_block=True,
    )  # type: ignore[no-any-return]


def from_npy(path: Any, chunks: Any = "auto", mmap_mode: str | None = "r") -> Array:
    """An array over an npy file, or over all that a pattern names, one after another.

    Parameters
    ----------
    path : str or sequence of str
        Several files are joined along the first axis.
    chunks : int, tuple or str
        Of a single file; several files are one chunk each along the first axis.

    Raises
    ------
    FileNotFoundError
        If no file has such a name.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "x.npy")
    >>> np.save(path, np.arange(3))
    >>> from_npy(path).sum().compute()
    np.int64(3)
    """
    from oxidask.array.stacking import concatenate

    paths = (
        sorted(glob.glob(path))
        if isinstance(path, str) and glob.has_magic(path)
        else [path]
        if isinstance(path, str | os.PathLike)
        else list(path)
    )
    if not paths:
        raise FileNotFoundError(f"no file matches {path!r}")
    arrays = []
    for one in paths:
        try:
            mapped = np.load(one, mmap_mode=mmap_mode)
        except ValueError as error:
            raise ValueError(f"{os.fspath(one)!r} is not an npy file: {error}") from error
        stat = os.stat(one)
        arrays.append(
            from_array(
                mapped,
                chunks=chunks if len(paths) == 1 else -1,
                name=f"npy-{os.path.abspath(one)}-{stat.st_mtime_ns}-{stat.st_size}",
            )
        )
    return arrays[0] if len(arrays) == 1 else concatenate(arrays)


def from_npz(path: Any, chunks: Any = "auto") -> dict[str, Array]:
    """The arrays of an npz file, by their names.

    Examples
    --------
    >>> import tempfile, os
    >>> path = os.path.join(tempfile.mkdtemp(), "x.npz")
    >>> np.savez(path, a=np.arange(3))
    >>> from_npz(path)["a"].sum().compute()
    np.int64(3)
    """
    with np.load(path) as archive:
        return {name: from_array(archive[name], chunks=chunks) for name in archive.files}


_NO_TILEDB = (
    "TileDB is not offered: there is no library for it that this project could keep\n"
    "hint: use to_zarr and from_zarr, or store and from_array with the tiledb package"
)


def to_tiledb(
    darray: Any,
    uri: str,
    compute: bool = True,
    return_stored: bool = False,
    storage_options: Any = None,
    key: Any = None,
    **kwargs: Any,
) -> Any:
    """Not offered; says what to use instead.

    >>> to_tiledb(None, "x")
    Traceback (most recent call last):
    ...
    NotImplementedError: TileDB is not offered: there is no library for it that this project could keep
    hint: use to_zarr and from_zarr, or store and from_array with the tiledb package
    """
    raise NotImplementedError(_NO_TILEDB)


def from_tiledb(uri: str, attribute: Any = None, chunks: Any = None, storage_options: Any = None, **kwargs: Any) -> Any:
    """Not offered; says what to use instead.

    >>> from_tiledb("x")
    Traceback (most recent call last):
    ...
    NotImplementedError: TileDB is not offered: there is no library for it that this project could keep
    hint: use to_zarr and from_zarr, or store and from_array with the tiledb package
    """
    raise NotImplementedError(_NO_TILEDB)
