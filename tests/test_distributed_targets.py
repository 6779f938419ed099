"""Targets of ``store`` that live in the memory of one process, on the schedulers of others."""

from __future__ import annotations

import contextlib

import pytest
from oxidask.distributed import Client


@pytest.mark.parametrize("where", ["processes", "workers", "threads of this process"])
def test_targets_in_memory_are_refused_where_a_copy_would_be_written(where):
    import oxidask
    import oxidask.array as da

    np, zarr = pytest.importorskip("numpy"), pytest.importorskip("zarr")
    x = da.arange(10, chunks=5)
    target = np.zeros(10)
    da.store(x, target, lock=False, scheduler="threads")
    assert target.tolist() == list(range(10))
    with contextlib.ExitStack() as stack:
        if where == "processes":
            stack.enter_context(oxidask.config.set(scheduler="processes"))
        else:
            stack.enter_context(Client(n_workers=1, threads_per_worker=1, processes=where == "workers"))
        for write in (
            lambda: x.to_zarr(zarr.storage.MemoryStore()),
            lambda: x.to_zarr(zarr.zeros(10, chunks=5)),
            lambda: da.store(x, np.zeros(10), lock=False),
        ):
            with pytest.raises(TypeError, match="in the memory of this process"):
                write()
