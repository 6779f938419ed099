"""Methods in their native and their pandas form answer the same: what pandas answers."""

from __future__ import annotations

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest


@pytest.fixture
def pdf():
    random = np.random.default_rng(3)
    frame = pd.DataFrame(
        {
            "k": random.integers(0, 5, 60),
            "x": np.round(random.normal(size=60), 2),
            "y": random.integers(-9, 9, 60),
            "s": random.choice(["a", "b", "c"], 60),
        }
    )
    frame.loc[::7, "x"] = np.nan
    return frame


@pytest.fixture
def df(pdf):
    return dd.from_pandas(pdf, npartitions=4)


def is_native(rows):
    return rows._native is not None


@pytest.mark.parametrize(
    "text",
    [
        "x > 0",
        "x > 0 and y < 3",
        "x > 0 & y < 3 | s == 'a'",
        "~(s == 'a') and not y == 2",
        "-1 < x <= 1",
        "s in ['a', 'c'] and y not in [1, 2]",
        "x + y * 2 > k",
        "y % 2 == 0 and y // 2 < -x",
    ],
)
def test_conditions_as_text_run_natively(text, pdf, df):
    ours = df.query(text)
    assert is_native(ours)
    pd.testing.assert_frame_equal(ours.compute(), pdf.query(text))


@pytest.mark.parametrize("text", ["index > 30", "s.str.upper() == 'A'", "`k` == 1", "x == x", "x > y.mean() + 100"])
def test_other_conditions_go_through_pandas(text, pdf, df):
    if "mean" in text:
        # A condition of whole columns is one of every partition, as in Dask.
        assert len(df.query(text)) == 0
        return
    pd.testing.assert_frame_equal(df.query(text).compute(), pdf.query(text))


def test_a_query_never_runs_code(df):
    with pytest.raises(Exception, match=r"import|supported|name"):
        df.query("__import__('os').getpid() > 0").compute()


def test_frames_of_numbers_are_combined_natively(pdf, df):
    numbers, lazy = pdf[["x", "y"]], df[["x", "y"]]
    for ours, expected in [
        (lazy * 2, numbers * 2),
        (1 - lazy, 1 - numbers),
        (lazy / 4, numbers / 4),
        (lazy + lazy, numbers + numbers),
        (lazy > 0, numbers > 0),
        (lazy**2, numbers**2),
    ]:
        assert is_native(ours)
        pd.testing.assert_frame_equal(ours.compute(), expected)
    pd.testing.assert_frame_equal((df[["s"]] + "!").compute(), pdf[["s"]] + "!", check_dtype=False)


def test_all_values_of_a_frame_reduce_to_one(pdf, df):
    for name in ["sum", "min", "max", "mean", "prod"]:
        ours = getattr(df[["x", "y"]], name)(axis=None).compute()
        assert np.isclose(ours, getattr(pdf[["x", "y"]], name)(axis=None))
    assert np.isclose(np.sum(df[["x", "y"]]).compute(), np.sum(pdf[["x", "y"]]))


def test_numeric_columns_reduce_natively_among_others(pdf, df):
    ours = df.mean(numeric_only=True)
    assert is_native(ours)
    pd.testing.assert_series_equal(ours.compute(), pdf.mean(numeric_only=True))


def test_conditions_choose_rows_and_columns(pdf, df):
    ours = df.loc[df.x > 0, ["y", "s"]]
    assert is_native(ours)
    pd.testing.assert_frame_equal(ours.compute(), pdf.loc[pdf.x > 0, ["y", "s"]], check_dtype=False)
    pd.testing.assert_series_equal(df.loc[df.x > 0, "y"].compute(), pdf.loc[pdf.x > 0, "y"])


def test_observed_matters_for_categories_only(pdf, df):
    ours = df.groupby("k", observed=True).x.sum()
    assert is_native(ours)
    pd.testing.assert_series_equal(ours.compute(), pdf.groupby("k", observed=True).x.sum())


def test_ends_stay_lazy_and_native(pdf, df):
    for ours, expected in [(df.head(3, compute=False), pdf.head(3)), (df.tail(3, compute=False), pdf.tail(3))]:
        assert is_native(ours)
        pd.testing.assert_frame_equal(ours.compute(), expected)


def test_a_frame_joins_totals_of_its_groups(pdf, df):
    totals = df.groupby("k").x.sum().reset_index()
    ours = df.merge(totals, on="k", suffixes=("", "_total"))
    assert is_native(totals) and is_native(ours)
    expected = pdf.merge(pdf.groupby("k").x.sum().reset_index(), on="k", suffixes=("", "_total"))
    order = ["k", "y", "x", "s"]
    pd.testing.assert_frame_equal(
        ours.compute().sort_values(order, ignore_index=True), expected.sort_values(order, ignore_index=True)
    )


def test_frames_come_one_after_another_with_their_divisions(pdf):
    first, second = pdf.iloc[:20], pdf.iloc[20:]
    ours = dd.concat([dd.from_pandas(first, npartitions=2), dd.from_pandas(second, npartitions=3)])
    assert is_native(ours) and ours.known_divisions and ours.divisions[0] == 0 and ours.divisions[-1] == 59
    pd.testing.assert_frame_equal(ours.compute(), pdf)
    twice = dd.concat([dd.from_pandas(pdf, npartitions=2)] * 2)
    assert not twice.known_divisions
    pd.testing.assert_frame_equal(twice.compute(), pd.concat([pdf, pdf]))


def test_missing_values_are_not_filled_by_another_type():
    pdf = pd.DataFrame({"t": [pd.Timestamp("2024-01-01"), pd.NaT], "x": [1.0, np.nan]})
    df = dd.from_pandas(pdf, npartitions=2)
    try:
        expected = pdf.fillna(0)
    except TypeError:
        with pytest.raises(TypeError):
            df.fillna(0).compute()
    else:
        pd.testing.assert_frame_equal(df.fillna(0).compute(), expected, check_dtype=False)


@pytest.mark.parametrize("blocksize", [5, 7, 11, 1000])
def test_lines_that_end_in_two_characters_are_read_once(blocksize, tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(b"a,b\r\n" + b"\r\n".join(b"%d,%d" % (i, 10 * i) for i in range(20)))
    for options in [{"lineterminator": "\r\n"}, {}]:
        df = dd.read_csv(path, blocksize=blocksize, **options).compute()
        assert df.a.tolist() == list(range(20)) and df.b.sum() == 1900


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "latin-1"])
def test_text_in_other_encodings(encoding, tmp_path):
    expected = pd.DataFrame({"x": range(100), "name": ["é", "ü"] * 50})
    expected.to_csv(tmp_path / "a.csv", encoding=encoding, index=False)
    ours = dd.read_csv(tmp_path / "a.csv", encoding=encoding, blocksize=200).compute()
    pd.testing.assert_frame_equal(ours.reset_index(drop=True), expected)


def test_rows_of_folders_named_by_values_are_filtered(tmp_path):
    pdf = pd.DataFrame({"a": range(10), "b": ["cat", "dog"] * 5})
    dd.from_pandas(pdf, npartitions=2).to_parquet(tmp_path, partition_on=["b"], write_index=False)
    ours = dd.read_parquet(tmp_path, filters=[("b", "==", "cat"), ("a", ">", 3)]).compute()
    assert sorted(ours.a) == [4, 6, 8] and set(ours.b) == {"cat"}
