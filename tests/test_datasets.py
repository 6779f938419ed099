"""Random frames: their shape, their divisions, and that seeds say all."""

from __future__ import annotations

import oxidask
import oxidask.dataframe as dd
import pandas as pd
import pytest
from oxidask.dataframe.io.demo import ColumnSpec, DatasetSpec, DatetimeIndexSpec, RangeIndexSpec, with_spec


def small(**kwargs):
    arguments = {"start": "2000", "end": "2001", "freq": "1D", "partition_freq": "3ME", "seed": 1} | kwargs
    return dd.demo.make_timeseries(**arguments)


def test_divisions_hold_and_rows_do_not_repeat():
    frame = small()
    assert frame.divisions == tuple(pd.date_range("2000", "2001", freq="3ME"))
    index = frame.compute().index
    assert index.is_monotonic_increasing
    assert index.is_unique
    assert index.name == "timestamp"
    for part, (low, high) in enumerate(zip(frame.divisions, frame.divisions[1:], strict=False)):
        rows = frame.get_partition(part).compute().index
        assert low <= rows[0] <= rows[-1] < high


def test_seeds_say_all():
    assert small().compute().equals(small().compute(scheduler="sync"))
    assert not small().compute().equals(small(seed=2).compute())
    columns = small(dtypes={"x": float, "y": float}).compute()
    assert not (columns.x == columns.y).any()


def test_arguments_go_to_the_longest_column():
    frame = small(dtypes={"a": int, "a_b": int}, a_lam=2, a_b_lam=1_000_000).compute()
    assert frame.a.mean() < 10
    assert frame["a_b"].mean() > 100_000
    with pytest.raises(ValueError, match="belongs to no column"):
        small(dtypes={"a": int}, b_lam=1)


def test_the_default_has_several_types():
    frame = oxidask.datasets.timeseries(end="2000-01-03", freq="1h")
    assert frame.columns.tolist() == ["name", "id", "x", "y"]
    assert frame.npartitions == 2
    assert len(frame.compute()) == 48


def test_a_span_without_a_partition_is_refused():
    with pytest.raises(ValueError, match="no whole partition"):
        small(end="2000-01-02")


def test_a_specification():
    spec = DatasetSpec(
        npartitions=3,
        nrecords=10,
        index_spec=RangeIndexSpec(dtype="int32", step=2),
        column_specs=[
            ColumnSpec(prefix="i", dtype="int32", low=1, high=3, random=True, number=2),
            ColumnSpec(prefix="c", dtype="category", nunique=10),
            ColumnSpec(dtype=str, length=7),
            ColumnSpec(dtype=int, method="binomial", args=(100, 0.4)),
            ColumnSpec(dtype=int),
        ],
    )
    frame = with_spec(spec, seed=3)
    whole = frame.compute()
    assert whole.columns.tolist() == ["i1", "i2", "c1", "str1", "int1", "int2"]
    assert whole.index.tolist() == list(range(0, 20, 2))
    assert whole.index.dtype == "int32"
    assert whole[["i1", "i2"]].isin([1, 2, 3]).all().all()
    assert whole.c1.cat.categories.tolist() == [f"{i:02}" for i in range(1, 11)]
    assert (whole.str1.str.len() == 7).all()
    assert whole.int1.between(15, 65).all()
    assert frame.npartitions == 3
    assert list(frame.dtypes) == list(whole.dtypes)


def test_times_cut_by_frequency():
    index = DatetimeIndexSpec(start="2020-01-01", freq="1h", partition_freq="5h")
    frame = with_spec(DatasetSpec(nrecords=12, index_spec=index), seed=1)
    assert [len(frame.get_partition(part).compute()) for part in range(frame.npartitions)] == [5, 5, 2]
    assert frame.known_divisions


def test_more_partitions_than_rows_are_refused():
    with pytest.raises(ValueError, match="do not fill"):
        with_spec(DatasetSpec(nrecords=2, npartitions=3))


def test_people_need_their_package():
    try:
        import mimesis  # noqa: F401
    except ImportError:
        with pytest.raises(ImportError, match="pip install mimesis"):
            oxidask.datasets.make_people()
    else:
        people = oxidask.datasets.make_people(npartitions=2, records_per_partition=3, seed=1)
        assert people.count().compute() == 6
        assert people.take(1) == people.take(1)
