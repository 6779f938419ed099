"""Functions that answer a value for every row keep its place, and other answers that programs depend on."""

from __future__ import annotations

import numpy as np
import oxidask.array as da
import oxidask.dataframe as dd
import pandas as pd
import pytest


@pytest.fixture
def rows():
    rng = np.random.default_rng(3)
    n = 211
    made = pd.DataFrame({"k": rng.choice(list("abc"), n), "x": rng.integers(0, 9, n), "y": rng.normal(size=n)})
    made.loc[::13, "y"] = np.nan
    made.loc[::29, "k"] = None
    return made


def same(answer, wanted):
    check = pd.testing.assert_series_equal if isinstance(wanted, pd.Series) else pd.testing.assert_frame_equal
    check(answer.compute(), wanted)


ROWS = {
    "cumsum": lambda df: df.groupby("k").y.cumsum(),
    "cumsum of a frame": lambda df: df.groupby("k").cumsum(),
    "cumsum by two": lambda df: df.groupby(["k", "x"]).y.cumsum(),
    "cumcount": lambda df: df.groupby("x").cumcount(),
    "cumprod": lambda df: df.groupby("x").x.cumprod(),
    "cummax": lambda df: df.groupby("k").y.cummax(),
    "shift": lambda df: df.groupby("k").y.shift(2),
    "ffill": lambda df: df.groupby("k").y.ffill(),
    "diff": lambda df: df.groupby("k").y.diff(),
    "rank": lambda df: df.groupby("k").y.rank(),
    "head": lambda df: df.groupby("k").head(2),
    "tail": lambda df: df.groupby("k").tail(1),
    "by a Series": lambda df: df.groupby(df.x % 2).y.cumsum(),
}


@pytest.mark.parametrize("case", ROWS)
@pytest.mark.parametrize("npartitions", [1, 2, 7])
def test_rows_of_groups_keep_their_order(rows, case, npartitions):
    lazy = dd.from_pandas(rows, npartitions=npartitions)
    same(ROWS[case](lazy), ROWS[case](rows))


def test_transform_keeps_order_and_divisions(rows):
    lazy = dd.from_pandas(rows, npartitions=5)
    made = lazy.groupby("k").y.transform(lambda one: one - one.mean(), meta=("y", "f8"))
    assert made.divisions == lazy.divisions
    same(made, rows.groupby("k").y.transform(lambda one: one - one.mean()))


def test_apply_of_groups_has_the_name_of_its_meta(rows):
    lazy = dd.from_pandas(rows, npartitions=3)
    made = lazy.groupby("x").y.apply(lambda one: one.max(), meta=("top", "f8")).compute()
    pd.testing.assert_series_equal(made.sort_index(), rows.groupby("x").y.max().rename("top"))


@pytest.mark.parametrize("ddof", [0, 1, 2])
def test_degrees_of_freedom_of_groups(rows, ddof):
    lazy = dd.from_pandas(rows, npartitions=4)
    same(lazy.groupby("k").y.var(ddof=ddof), rows.groupby("k").y.var(ddof=ddof))
    same(lazy.groupby("k").std(ddof=ddof), rows.groupby("k").std(ddof=ddof))


def test_quantiles_and_correlations_of_groups(rows):
    lazy = dd.from_pandas(rows, npartitions=4)
    same(lazy.groupby("k").y.quantile([0.2, 0.9]), rows.groupby("k").y.quantile([0.2, 0.9]))
    same(lazy.groupby("k")[["y", "x"]].corr(), rows.groupby("k")[["y", "x"]].corr())


@pytest.mark.parametrize("keep", ["first", "last", False])
def test_duplicated(rows, keep):
    lazy = dd.from_pandas(rows, npartitions=6)
    same(lazy.duplicated(["k", "x"], keep=keep), rows.duplicated(["k", "x"], keep=keep))
    same(lazy.x.duplicated(keep=keep), rows.x.duplicated(keep=keep))
    with pytest.raises(KeyError, match="did you mean"):
        lazy.duplicated("xx")


def test_rank_and_change(rows):
    lazy = dd.from_pandas(rows, npartitions=6)
    same(lazy.rank(numeric_only=True), rows.rank(numeric_only=True))
    same(lazy.x.rank(method="dense", pct=True), rows.x.rank(method="dense", pct=True))
    same(lazy.y.pct_change(), rows.y.pct_change())


@pytest.mark.parametrize("ascending", [True, False])
def test_sort_index(rows, ascending):
    mixed = rows.sample(frac=1.0, random_state=1)
    lazy = dd.from_pandas(mixed, npartitions=4, sort=False)
    made = lazy.sort_index(ascending=ascending)
    assert made.known_divisions is ascending
    same(made, mixed.sort_index(ascending=ascending))
    same(lazy.y.sort_index(ascending=ascending), mixed.y.sort_index(ascending=ascending))


def test_pivot():
    rows = pd.DataFrame({"k": [1, 2, 2, 3], "c": pd.Categorical(list("aabb")), "v": [1.0, 2.0, 3.0, 4.0]})
    lazy = dd.from_pandas(rows, npartitions=3)
    made = lazy.pivot(index="k", columns="c", values="v").compute()
    wanted = rows.pivot(index="k", columns="c", values="v")
    np.testing.assert_array_equal(made.values, wanted.values)
    assert list(made.columns) == ["a", "b"]
    twice = dd.from_pandas(pd.concat([rows, rows]), npartitions=2)
    with pytest.raises(ValueError, match="duplicate"):
        twice.pivot(index="k", columns="c", values="v").compute()


def test_categories_are_sorted_in_their_own_order():
    values = pd.Categorical(["lo", "hi", "mid"] * 20, categories=["lo", "mid", "hi"], ordered=True)
    rows = pd.DataFrame({"c": values, "x": range(60)})
    lazy = dd.from_pandas(rows, npartitions=5)
    assert lazy.sort_values("c").head(3).c.tolist() == ["lo"] * 3
    same(lazy.sort_values("c").x, rows.sort_values("c", kind="stable").x)


def test_running_totals_of_a_constant():
    """The engine takes a constant for a single value, whose running total is that of one row."""
    rows = pd.DataFrame({"x": range(6)})
    lazy = dd.from_pandas(rows, npartitions=2)
    assert lazy.assign(one=1).one.cumsum().compute().tolist() == [1, 2, 3, 4, 5, 6]


def test_slices_by_position_are_refused():
    lazy = dd.from_pandas(pd.DataFrame({"x": range(6)}), npartitions=2)
    with pytest.raises(NotImplementedError, match=r"rows \[1:3\] would be chosen by position"):
        lazy[1:3]
    with pytest.raises(NotImplementedError, match="loc"):
        lazy.x[2:]


def test_divisions_of_an_index_follow_its_labels():
    rows = pd.DataFrame({"x": [1, 2, 3, 4, 5]})
    lazy = dd.from_pandas(rows, npartitions=2)
    assert (lazy.index + 1).divisions == (1, 4, 5)
    assert not (-lazy.index).known_divisions
    lazy.index = lazy.index * 10
    assert lazy.divisions == (0, 30, 40)
    assert lazy.loc[10:30].x.compute().tolist() == [2, 3, 4]


def test_arrays_meet_rows_block_by_block():
    rows = pd.DataFrame({"x": [1, 2, 3]}, index=[4, 5, 6])
    lazy = dd.from_pandas(rows, npartitions=2)
    same(lazy.x + lazy.x.values, rows.x + rows.x.values)
    with pytest.raises(ValueError, match="different numbers"):
        lazy.x + da.arange(3, chunks=1)


def test_the_labels_as_a_column():
    times = pd.date_range("2024-01-01", periods=6, freq="9h", name="t")
    rows = pd.DataFrame({"v": range(6)}, index=times)
    lazy = dd.from_pandas(rows, npartitions=3)
    same(lazy.assign(day=lazy.index.day), rows.assign(day=rows.index.day))


@pytest.mark.parametrize("rule", ["W", "ME", "2h", "1D"])
def test_spans_across_partitions(rule):
    times = pd.date_range("2024-01-01", periods=400, freq="5h", name="t")
    rows = pd.DataFrame({"v": range(400)}, index=times)
    made = dd.from_pandas(rows, npartitions=9).v.resample(rule).sum().compute()
    pd.testing.assert_series_equal(made, rows.v.resample(rule).sum(), check_freq=False)


def test_dot_has_what_is_missing():
    one, other = pd.Series([1.0, None, 3.0]), pd.Series([1.0, 2.0, 3.0])
    a, b = dd.from_pandas(one, npartitions=2), dd.from_pandas(other, npartitions=2)
    assert np.isnan(a.dot(b).compute())
    assert b.dot(b).compute() == other.dot(other)


def test_steps_of_a_reduction_share_their_arguments():
    x = dd.from_pandas(pd.Series([1] * 60), npartitions=15)

    def chunk(values, more=0):
        return values.sum() + more

    def combine(values, more=0):
        return values.sum() + more + 1

    def last(values, more=0):
        return values.sum() + more + 2

    made = x.reduction(chunk, combine=combine, aggregate=last, more=3, split_every=3).compute()
    n_chunks, n_combines = 15, 7
    assert made == 60 + n_chunks * 3 + n_combines * (3 + 1) + (3 + 2)


def test_a_folder_that_is_read_is_not_overwritten(tmp_path):
    rows = pd.DataFrame({"x": [1, 2, 3, 4]})
    dd.from_pandas(rows, npartitions=2).to_parquet(tmp_path)
    read = dd.read_parquet(tmp_path, calculate_divisions=True)
    for lazy in (read, read.assign(y=read.x + 1), dd.read_parquet(tmp_path)):
        with pytest.raises(ValueError, match="Cannot overwrite"):
            lazy.to_parquet(tmp_path, overwrite=True)
    assert dd.read_parquet(tmp_path).x.compute().tolist() == [1, 2, 3, 4]


def test_filters_of_missing_values(tmp_path):
    rows = pd.DataFrame({"a": [1, 2, 3], "b": ["x", None, "z"]})
    dd.from_pandas(rows, npartitions=1).to_parquet(tmp_path)
    read = dd.read_parquet(tmp_path, filters=[("b", "is not", None)])
    assert read.a.compute().tolist() == [1, 3]
    with pytest.raises(TypeError, match="Value of 'in' filter"):
        dd.read_parquet(tmp_path, filters=[("a", "in", 3)])


def test_a_measured_plan_names_its_steps(capsys):
    lazy = dd.from_pandas(pd.DataFrame({"k": [1, 2, 1], "x": [1, 2, 3]}), npartitions=2)
    lazy.groupby("k").x.sum().explain(analyze=True)
    printed = capsys.readouterr().out
    assert "seconds" in printed and "merge" in printed


def test_current_divisions():
    lazy = dd.from_pandas(pd.DataFrame({"x": [1, 4, 4, 6]}), npartitions=2)
    with pytest.warns(UserWarning, match="overlapping"):
        assert lazy.compute_current_divisions("x") == (1, 4, 6)
    unknown = lazy.clear_divisions()
    assert unknown.compute_current_divisions(set_divisions=True).divisions == lazy.divisions


def test_functions_without_meta_warn():
    lazy = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=1)
    for call in (lambda: lazy.x.map(abs), lambda: lazy.apply(lambda row: row.x, axis=1), lambda: lazy.map(abs)):
        with pytest.warns(UserWarning, match="`meta` is not specified"):
            call()


def test_a_product_of_all_values_is_of_one_type():
    """Whole numbers beside floats become floats, which do not overflow."""
    rows = pd.DataFrame({"a": [2**40, 2**40], "b": [0.5, 4.0]})
    lazy = dd.from_pandas(rows, npartitions=2)
    assert lazy.prod(axis=None).compute() == pytest.approx(rows.prod(axis=None))
    assert lazy.sum(axis=None).compute() == rows.sum(axis=None)


@pytest.mark.parametrize("name", ["cumsum", "cumprod", "cummax", "cummin", "cumcount"])
@pytest.mark.parametrize("npartitions", [1, 3, 40])
def test_running_totals_of_groups_go_along_the_partitions(name, npartitions):
    rng = np.random.default_rng(5)
    rows = pd.DataFrame({"k": rng.integers(0, 9, 120), "i": rng.integers(-3, 4, 120), "f": rng.normal(size=120)})
    rows.loc[::7, "f"] = np.nan
    rows.loc[rows.k == 4, "f"] = np.nan
    lazy = dd.from_pandas(rows, npartitions=npartitions)
    for pick in (lambda df: df.groupby("k"), lambda df: df.groupby("k").f, lambda df: df.groupby("k")[["i"]]):
        same(getattr(pick(lazy), name)(), getattr(pick(rows), name)())
    few = lazy[lazy.k > 6]
    same(getattr(few.groupby("k").i, name)(), getattr(rows[rows.k > 6].groupby("k").i, name)())
