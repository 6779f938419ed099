"""Rows that pandas made go back to the engine, where that gains and nothing is lost."""

from __future__ import annotations

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest


@pytest.fixture
def rows():
    rng = np.random.default_rng(0)
    n = 500
    made = pd.DataFrame({"k": rng.choice(list("abcd"), n), "x": rng.integers(0, 50, n), "y": rng.normal(size=n)})
    made.loc[::17, "y"] = np.nan
    made.loc[::31, "k"] = None
    return made


def titled(rows):
    """With a column of a method that only pandas has."""
    return rows.assign(c=rows.k.str.title())


CASES = {
    "sort_values": lambda df: df.sort_values(
        ["x", "y"], **({} if isinstance(df, dd.DataFrame) else {"kind": "stable"})
    ),
    "groupby": lambda df: df.groupby("c").agg({"x": "sum", "y": "mean"}),
    "two keys": lambda df: df.groupby(["c", "x"]).y.std(),
    "missing keys": lambda df: df.groupby("c", dropna=False).x.max(),
    "value_counts": lambda df: df.c.value_counts(),
    "nlargest": lambda df: df.nlargest(7, "x"),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("npartitions", [1, 5])
def test_answers_are_native_and_those_of_pandas(rows, case, npartitions):
    answer = CASES[case](titled(dd.from_pandas(rows, npartitions=npartitions)))
    wanted = CASES[case](titled(rows))
    assert answer._native is not None
    same = pd.testing.assert_series_equal if isinstance(wanted, pd.Series) else pd.testing.assert_frame_equal
    same(answer.compute(), wanted)


def test_both_sides_of_a_merge_are_adopted(rows):
    lazy = titled(dd.from_pandas(rows, npartitions=4))
    few = rows.assign(c=rows.k.str.title())[["x", "c"]].drop_duplicates()
    made = lazy.merge(lazy[["x", "c"]].drop_duplicates(), on=["x", "c"])
    assert made._native is not None
    keys = ["x", "y", "k", "c"]
    wanted = titled(rows).merge(few, on=["x", "c"]).sort_values(keys).reset_index(drop=True)
    pd.testing.assert_frame_equal(made.compute().sort_values(keys).reset_index(drop=True), wanted)


def test_a_promised_meta_brings_the_rows_of_a_function_back(rows):
    lazy = dd.from_pandas(rows, npartitions=4)
    doubled = lazy.map_partitions(lambda part: part.assign(z=part.x * 0.5), meta=lazy._meta.assign(z=1.0))
    answer = doubled.groupby("k").z.sum()
    assert answer._native is not None
    pd.testing.assert_series_equal(answer.compute(), rows.assign(z=rows.x * 0.5).groupby("k").z.sum())


def test_a_guessed_meta_leaves_them_with_pandas(rows):
    lazy = dd.from_pandas(rows, npartitions=4)
    # For the made-up rows it answers whole numbers, for those of the user others.
    guessed = lazy.map_partitions(lambda part: part.assign(z=part.x / 2 if len(part) > 2 else part.x))
    answer = guessed.groupby("k").z.sum()
    assert answer._native is None
    pd.testing.assert_series_equal(answer.compute(), rows.assign(z=rows.x / 2).groupby("k").z.sum())


def test_a_broken_promise_is_named(rows):
    lazy = dd.from_pandas(rows, npartitions=4)
    wrong = lazy.map_partitions(lambda part: part.assign(z=part.x + 0.5), meta=lazy._meta.assign(z=1))
    with pytest.raises(ValueError, match="column 'z' of a partition is float64, where its meta has int64") as error:
        wrong.sort_values("z").compute()
    assert "hint: pass meta=" in str(error.value)


def test_whole_numbers_with_missing_values_come_back_as_pandas_has_them():
    rows = pd.DataFrame({"x": [1, 2, 3, 4], "s": ["a", None, "b", "b"]})
    lazy = dd.from_pandas(rows, npartitions=2)
    # Where a text is missing there is no place, so that pandas answers floats; the made-up rows show whole numbers.
    answer = lazy.assign(p=lazy.s.str.find("b")).sort_values("x", ascending=False)
    assert answer._native is not None
    wanted = rows.assign(p=rows.s.str.find("b")).sort_values("x", ascending=False)
    pd.testing.assert_frame_equal(answer.compute(), wanted)


@pytest.mark.parametrize("dtype", ["Int64", "category", "datetime64[ns, UTC]", "object"])
def test_types_that_the_engine_has_not_stay_with_pandas(dtype):
    values = pd.Series([3, 1, 2]) if dtype != "object" else pd.Series([(3,), (1,), (2,)])
    rows = pd.DataFrame({"k": [2, 1, 1], "v": values.astype(dtype)})
    answer = dd.from_pandas(rows, npartitions=2).sort_values("k")
    assert answer._native is None
    pd.testing.assert_frame_equal(answer.compute(), rows.sort_values("k", kind="stable"))


def test_partitions_of_the_engine_cost_one_plan():
    """Ten thousand partitions pass to pandas at once; the first is computed alone."""
    rows = pd.DataFrame({"s": ["a", "b"] * 10_000})
    upper = dd.from_pandas(rows, npartitions=10_000).s.str.title()
    assert upper.npartitions == 10_000
    assert upper.head(1).tolist() == ["A"]


def test_the_first_rows_in_order_need_no_order_of_all():
    rows = pd.DataFrame({"k": list("dbac") * 25, "v": pd.array(range(100), dtype="Int64")})
    lazy = dd.from_pandas(rows, npartitions=5)
    ordered = lazy.sort_values(["k", "v"], ascending=[True, False])
    wanted = rows.sort_values(["k", "v"], ascending=[True, False])
    pd.testing.assert_frame_equal(ordered.head(30), wanted.head(30))
    assert ordered._own_plan is None, "the plan of a whole sort was not made"
    pd.testing.assert_frame_equal(ordered.compute(), wanted)
    lazy["w"] = 1
    copied = ordered.copy()
    assert copied.npartitions == ordered.npartitions and copied.divisions == ordered.divisions


@pytest.mark.parametrize("ascending", [True, False])
@pytest.mark.parametrize("n", [0, 3, 40, 99])
def test_the_first_rows_in_order_with_ties_and_missing_values(ascending, n):
    rng = np.random.default_rng(2)
    rows = pd.DataFrame({"v": rng.integers(0, 5, 100).astype(float), "c": pd.Categorical(list("ab") * 50)})
    rows.loc[::4, "v"] = np.nan
    lazy = dd.from_pandas(rows, npartitions=6).sort_values("v", ascending=ascending)
    assert lazy._native is None
    wanted = rows.sort_values("v", ascending=ascending, kind="stable").head(n)
    pd.testing.assert_frame_equal(lazy.head(n), wanted)
