"""The workloads of benches/array_memory.py, smaller: they end within the limit, or are refused before they start."""

from __future__ import annotations

import pathlib
import sys

import numpy as np
import oxidask.array as da
import pytest
from oxidask import config

sys.path.insert(0, str(pathlib.Path(__file__).parent.parent / "benches"))
import array_memory

#: Mebibytes of data; the limit is a quarter.
SIZE = 256

linux = pytest.mark.skipif(not pathlib.Path("/proc/self/clear_refs").exists(), reason="peaks are read from /proc")


@linux
@pytest.mark.parametrize("name", sorted(array_memory.WORKLOADS))
def test_a_workload_ends_within_its_limit(name):
    kind, _, rest = array_memory.measure(name, SIZE)
    assert kind == "peak", rest
    limit = SIZE * array_memory.MIB // array_memory.RATIO
    assert int(rest) <= limit + array_memory.ALLOWANCE, f"{int(rest) >> 20} MiB with a limit of {limit >> 20} MiB"


@linux
@pytest.mark.parametrize("name", sorted(array_memory.REFUSED))
def test_what_cannot_fit_is_refused_with_its_estimate(name):
    kind, _, rest = array_memory.measure(name, SIZE)
    assert kind == "refused"
    assert f"the memory limit is {SIZE / array_memory.RATIO:.1f} MiB" in rest
    assert "hint:" in rest


@pytest.mark.parametrize("name", sorted(set(array_memory.WORKLOADS) - {"zarr_round_trip"}))
def test_a_workload_has_the_same_result_in_few_and_in_many_chunks(name, monkeypatch):
    work = array_memory.WORKLOADS[name]
    monkeypatch.setattr(array_memory, "MIB", 1 << 14)
    many = work(32).compute()
    monkeypatch.setattr(
        array_memory, "made", lambda shape, chunks, speed=0.001: da.from_array(_whole(shape, speed), chunks=shape)
    )
    few = work(32).compute()
    if name == "svd_compressed":
        # A few steps of iteration find the first values well.
        many, few = many[:2], few[:2]
    np.testing.assert_allclose(many, few, rtol=1e-6, atol=1e-8)


def _whole(shape, speed):
    return array_memory.wave(speed, {None: {"array-location": [(0, n) for n in shape]}})


def test_nothing_of_a_refused_plan_runs():
    ran = []

    def note(block):
        ran.append(block.shape)
        return block

    x = da.ones((1000, 1000), chunks=100).map_blocks(note, dtype=float)
    ran.clear()
    with config.set({"memory-limit": "4MiB"}), pytest.raises(MemoryError, match=r"7\.6 MiB .*limit is 4\.0 MiB"):
        x.rechunk(-1).map_blocks(note, dtype=float).sum().compute()
    assert not [shape for shape in ran if shape[0] > 10]
