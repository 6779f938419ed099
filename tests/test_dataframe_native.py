"""The native engine of dataframes against pandas: sorting, joining, grouping and reading, as partitions and as one query.

`sync` runs plans on partitions; `threads` may run a whole plan as one query. Both must answer what pandas answers.
"""

from pathlib import Path

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest

SCHEDULERS = ["sync", "threads"]
PARTITIONS = [1, 2, 7, 40]


def rows(n: int = 400, seed: int = 0) -> pd.DataFrame:
    """Keys with repeats and gaps, numbers, strings and times."""
    random = np.random.default_rng(seed)
    frame = pd.DataFrame(
        {
            "k": random.integers(0, 20, n),
            "f": np.round(random.normal(size=n), 3),
            "s": random.choice(["a", "bb", "ccc", "é"], n),
            "t": pd.Timestamp("2020-01-01") + pd.to_timedelta(random.integers(0, 10_000, n), unit="min"),
        }
    )
    frame.loc[random.integers(0, n, n // 10), "f"] = np.nan
    return frame


def same(ours: pd.DataFrame | pd.Series, expected: pd.DataFrame | pd.Series) -> None:
    """Equal up to the last digits of floats and the resolution of times."""
    check = pd.testing.assert_frame_equal if isinstance(expected, pd.DataFrame) else pd.testing.assert_series_equal
    check(ours, expected, check_dtype=False, check_index_type=False, check_freq=False)


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("n", PARTITIONS)
def test_rows_are_sorted_across_partitions(n: int, scheduler: str) -> None:
    frame = rows()
    lazy = dd.from_pandas(frame, npartitions=n)
    for by, ascending in [(["f"], True), (["s", "f"], [False, True]), (["t"], False)]:
        ours = lazy.sort_values(by, ascending=ascending).compute(scheduler=scheduler)
        expected = frame.sort_values(by, ascending=ascending, kind="stable")
        assert ours[by].equals(expected[by])
        # Rows with equal keys may come in any order.
        same(ours.sort_index(), expected.sort_index())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
@pytest.mark.parametrize("n", [1, 7])
def test_joins_answer_what_pandas_answers(n: int, how: str, scheduler: str) -> None:
    left, right = rows(300, 1), rows(60, 2)[["k", "s", "f"]].iloc[::2]
    expected = left.merge(right, on=["k", "s"], how=how, suffixes=("_l", "_r"))
    for m in [1, 5]:
        a, b = dd.from_pandas(left, npartitions=n), dd.from_pandas(right, npartitions=m, sort=False)
        ours = a.merge(b, on=["k", "s"], how=how, suffixes=("_l", "_r")).compute(scheduler=scheduler)
        assert list(ours.columns) == list(expected.columns)
        order = list(expected.columns)
        same(
            ours.sort_values(order).reset_index(drop=True),
            expected.sort_values(order).reset_index(drop=True),
        )


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("n", PARTITIONS)
def test_groups_of_joined_and_filtered_rows(n: int, scheduler: str) -> None:
    left, right = rows(300, 3), rows(50, 4).drop_duplicates("k")[["k", "s"]]
    a, b = dd.from_pandas(left, npartitions=n), dd.from_pandas(right, npartitions=2, sort=False)

    def query(x: pd.DataFrame, y: pd.DataFrame) -> pd.DataFrame:
        joined = x.merge(y, on="k", suffixes=("", "_other"))
        joined = joined[(joined.s_other != "a") & (joined.f > -1)]
        joined = joined.assign(twice=joined.f * 2)
        return joined.groupby(["s_other", "s"]).agg({"twice": ["sum", "mean", "std"], "k": ["count", "max"]})

    same(query(a, b).compute(scheduler=scheduler), query(left, right))


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("n", PARTITIONS)
def test_reductions_and_distinct_values(n: int, scheduler: str) -> None:
    frame = rows()
    lazy = dd.from_pandas(frame, npartitions=n)
    assert lazy.k.nunique().compute(scheduler=scheduler) == frame.k.nunique()
    assert lazy.f.mean().compute(scheduler=scheduler) == pytest.approx(frame.f.mean())
    assert lazy.f.std().compute(scheduler=scheduler) == pytest.approx(frame.f.std())
    ours = lazy[["k", "s"]].drop_duplicates().compute(scheduler=scheduler)
    same(ours.sort_index(), frame[["k", "s"]].drop_duplicates())
    counts = lazy.s.value_counts().compute(scheduler=scheduler)
    assert counts.sort_index().to_dict() == frame.s.value_counts().sort_index().to_dict()
    same(lazy.groupby("s").f.median().compute(scheduler=scheduler), frame.groupby("s").f.median())


@pytest.mark.parametrize("scheduler", SCHEDULERS)
def test_parquet_files_with_filters(tmp_path: Path, scheduler: str) -> None:
    frame = rows(1000, 5).sort_values("t").reset_index(drop=True)
    for number in range(4):
        part = frame.iloc[number * 250 : (number + 1) * 250]
        part.to_parquet(tmp_path / f"{number}.parquet", index=False, row_group_size=50)
    lazy = dd.read_parquet(f"{tmp_path}/*.parquet")

    def query(x: pd.DataFrame) -> pd.DataFrame:
        x = x[(x.t >= pd.Timestamp("2020-01-03")) & (x.f < 0.5)]
        return x.groupby("s")[["f", "k"]].sum()

    same(query(lazy).compute(scheduler=scheduler), query(frame))
    assert len(lazy[lazy.t < pd.Timestamp("1999-01-01")].compute(scheduler=scheduler)) == 0


def test_one_query_leaves_no_trace_in_the_partitions_of_the_plan() -> None:
    lazy = dd.from_pandas(rows(), npartitions=5).sort_values("f")
    assert lazy.npartitions == 5
    parts = [part.compute(scheduler="threads") for part in lazy.partitions]
    same(pd.concat(parts), lazy.compute(scheduler="sync"))


@pytest.mark.parametrize("dtype", ["int64", "uint8", "Int64", "bool", "float32", "str"])
@pytest.mark.parametrize("values", [[1.0, None, 3.0], [1.0, 2.0], [-1, 300], [True, False]])
def test_a_column_is_converted_as_pandas_converts_it(dtype: str, values: list[object]) -> None:
    ours, theirs = dd.from_pandas(pd.DataFrame({"a": values}), npartitions=2), pd.DataFrame({"a": values})
    try:
        expected = theirs.astype({"a": dtype})
    except ValueError:
        with pytest.raises(ValueError, match="column 'a' has missing values, which cannot be converted to "):
            ours.astype({"a": dtype}).compute()
        with pytest.raises(ValueError, match="fillna"):
            ours.a.astype(dtype).sum().compute()
        return
    pd.testing.assert_frame_equal(ours.astype({"a": dtype}).compute(), expected)
    pd.testing.assert_series_equal(ours.a.astype(dtype).compute(), expected.a)
    assert ours.a.astype(dtype).dtype == expected.a.dtype


def test_a_fraction_that_no_whole_number_of_the_type_is_near_is_an_error() -> None:
    for value in (300.0, np.inf):
        with pytest.raises(ValueError, match="'a'"):
            dd.from_pandas(pd.DataFrame({"a": [value]}), npartitions=1).a.astype("uint8").compute()
