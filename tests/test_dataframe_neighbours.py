"""Functions of neighbouring rows, and rows moved between partitions, natively and as pandas has it."""

from __future__ import annotations

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest

PARTITIONS = [1, 2, 7, 60]


@pytest.fixture
def pdf():
    random = np.random.default_rng(5)
    frame = pd.DataFrame(
        {
            "k": random.integers(0, 9, 60),
            "x": np.round(random.normal(size=60), 2),
            "s": random.choice(["a", "b", None], 60),
            "t": pd.Timestamp("2024-01-01") + pd.to_timedelta(random.permutation(60), unit="h"),
        }
    )
    frame.loc[::4, "x"] = np.nan
    frame.loc[20:30, "x"] = np.nan
    return frame


def native(rows):
    assert rows._native is not None
    return rows.compute()


def same(ours, expected):
    check = pd.testing.assert_frame_equal if isinstance(expected, pd.DataFrame) else pd.testing.assert_series_equal
    check(ours, expected, check_dtype=False, check_index_type=False, check_freq=False)


@pytest.mark.parametrize("n", PARTITIONS)
def test_values_move_and_differ(n, pdf):
    df = dd.from_pandas(pdf, npartitions=n)
    for periods in [1, -1, 5, -20, 100]:
        same(native(df.shift(periods)), pdf.shift(periods))
        same(native(df[["k", "x", "t"]].diff(periods)), pdf[["k", "x", "t"]].diff(periods))
        same(native(df.k.shift(periods)), pdf.k.shift(periods))


@pytest.mark.parametrize("n", PARTITIONS)
def test_gaps_are_filled_and_totals_run(n, pdf):
    df, numbers = dd.from_pandas(pdf, npartitions=n), ["k", "x"]
    same(native(df.ffill()), pdf.ffill())
    same(native(df.bfill()), pdf.bfill())
    for name in ["cumsum", "cumprod", "cummin", "cummax"]:
        same(native(getattr(df[numbers], name)()), getattr(pdf[numbers], name)())
        same(getattr(df.x, name)(skipna=False).compute(), getattr(pdf.x, name)(skipna=False))


@pytest.mark.parametrize("n", PARTITIONS)
@pytest.mark.parametrize("name", ["sum", "mean", "min", "max", "median", "std", "var", "count"])
def test_windows_of_rows(n, name, pdf):
    df, numbers = dd.from_pandas(pdf, npartitions=n), ["k", "x"]
    for window in [{"window": 3}, {"window": 4, "min_periods": 1}, {"window": 5, "min_periods": 2, "center": True}]:
        ours, expected = df[numbers].rolling(**window), pdf[numbers].rolling(**window)
        same(getattr(ours, name)().compute(), getattr(expected, name)())
    assert (df.x.rolling(3).mean()._native is None) is False


@pytest.mark.parametrize("n", PARTITIONS)
@pytest.mark.parametrize("key", ["k", "t", "s"])
def test_an_index_divides_rows(n, key, pdf):
    rows = pdf.dropna(subset=["s"]) if key == "s" else pdf
    ours = dd.from_pandas(rows, npartitions=n).set_index(key)
    assert ours._native is not None and ours.known_divisions
    expected = rows.set_index(key).sort_index(kind="stable")
    computed = ours.compute()
    assert computed.index.tolist() == expected.index.tolist()
    order = ["x", "k"] if key != "k" else ["x", "t"]
    same(
        computed.reset_index().sort_values([key, *order], ignore_index=True),
        expected.reset_index().sort_values([key, *order], ignore_index=True),
    )
    for number, part in enumerate(ours.partitions):
        labels = part.compute().index
        last = number == ours.npartitions - 1
        assert all(label >= ours.divisions[number] for label in labels)
        assert all(
            label <= ours.divisions[number + 1] if last else label < ours.divisions[number + 1] for label in labels
        )


def test_given_divisions_are_kept(pdf):
    ours = dd.from_pandas(pdf, npartitions=3).set_index("k", divisions=[0, 4, 8])
    assert ours._native is not None and ours.divisions == (0, 4, 8)
    assert ours.partitions[0].compute().index.max() < 4


def test_a_label_range_is_cut_out(pdf):
    df = dd.from_pandas(pdf, npartitions=5)
    for low, high in [(10, 20), (None, 7), (50, None), (13, 13)]:
        same(native(df.loc[low:high]), pdf.loc[low:high])
        same(native(df.loc[low:high, ["x"]]), pdf.loc[low:high, ["x"]])
    times = df.set_index("t")
    same(
        native(times.loc["2024-01-02":"2024-01-02 12:00"]),
        pdf.set_index("t").sort_index().loc["2024-01-02":"2024-01-02 12:00"],
    )


def test_divisions_change(pdf):
    df = dd.from_pandas(pdf, npartitions=5)
    ours = df.repartition(divisions=[0, 7, 30, 59])
    assert ours.divisions == (0, 7, 30, 59)
    same(native(ours), pdf)
    assert [len(part.compute()) for part in ours.partitions] == [7, 23, 30]


@pytest.mark.parametrize("n", [2, 7])
def test_groups_and_kinds_come_in_several_partitions(n, pdf):
    df = dd.from_pandas(pdf, npartitions=n)
    ours = df.groupby("k").agg({"x": "sum", "t": "max"}, split_out=3)
    assert ours.npartitions == 3
    same(native(ours).sort_index(), pdf.groupby("k").agg({"x": "sum", "t": "max"}))
    distinct = df.drop_duplicates(["k"], split_out=2)
    assert sorted(native(distinct).k) == sorted(pdf.k.unique())
    lonely = df.drop_duplicates(["k", "s"], keep=False)
    expected = pdf.drop_duplicates(["k", "s"], keep=False)
    same(lonely.compute().sort_index(), expected.sort_index())


def test_equal_keys_meet(pdf):
    ours = dd.from_pandas(pdf, npartitions=4).shuffle("k", npartitions=3)
    assert ours._native is not None and ours.npartitions == 3
    places = [set(part.compute().k) for part in ours.partitions]
    assert not (places[0] & places[1] or places[0] & places[2] or places[1] & places[2])
    same(ours.compute().sort_index(), pdf)


@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
def test_a_merge_says_where_rows_come_from(how, pdf):
    right = pd.DataFrame({"k": [1, 2, 3, 40], "z": [1.0, 2.0, 3.0, 4.0]})
    expected = pdf.merge(right, on="k", how=how, indicator=True)
    for n, m in [(1, 1), (4, 2)]:
        a, b = dd.from_pandas(pdf, npartitions=n), dd.from_pandas(right, npartitions=m)
        ours = a.merge(b, on="k", how=how, indicator=True)
        assert str(ours.dtypes["_merge"]) == "category"
        computed = ours.compute()
        order = ["k", "t", "z"]
        same(
            computed.astype({"_merge": str}).sort_values(order, ignore_index=True),
            expected.astype({"_merge": str}).sort_values(order, ignore_index=True),
        )
