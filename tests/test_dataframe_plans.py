"""Dataframes as collections: held, computed together, repartitioned, looked at."""

from __future__ import annotations

import oxidask
import oxidask.dataframe as dd
import pandas as pd
import pytest


@pytest.fixture
def pdf():
    return pd.DataFrame({"k": list("abcabcab"), "x": range(8)})


@pytest.fixture
def df(pdf):
    return dd.from_pandas(pdf, npartitions=3)


def test_held_frames_compute_as_their_originals(pdf, df, scheduler):
    with oxidask.config.set(scheduler=scheduler):
        held = df[df.x > 1].persist()
        pd.testing.assert_frame_equal(held.compute(), pdf[pdf.x > 1])
        assert held.x.sum().compute() == 27
        pd.testing.assert_series_equal(held.groupby("k").x.sum().compute(), pdf[pdf.x > 1].groupby("k").x.sum())


def test_several_are_computed_together(pdf, df):
    total, rows, (counts,) = oxidask.compute(df.x.sum(), df[df.k == "a"], [df.k.value_counts()])
    assert total == 28
    pd.testing.assert_frame_equal(rows, pdf[pdf.k == "a"])
    assert counts.to_dict() == {"a": 3, "b": 3, "c": 2}


def test_a_frame_is_an_argument_of_a_delayed_call(df):
    assert oxidask.delayed(len)(df).compute() == 8


@pytest.mark.parametrize("npartitions", [1, 2, 3, 5, 20])
def test_repartitioned_rows_keep_order_and_labels(npartitions, pdf, df):
    other = df.repartition(npartitions=npartitions)
    assert other.npartitions == npartitions
    pd.testing.assert_frame_equal(other.compute(), pdf)
    assert [len(part.compute()) for part in other.partitions] == [len(part) for part in other.partitions]


def test_concat_and_set_index(pdf, df):
    pd.testing.assert_frame_equal(dd.concat([df, df]).compute(), pd.concat([pdf, pdf]))
    pd.testing.assert_frame_equal(df.set_index("x").compute(), pdf.set_index("x"))
    pd.testing.assert_frame_equal(
        df.set_index("k").compute(), pdf.set_index("k").sort_index(kind="stable"), check_dtype=False
    )
    assert df.set_index("x").index.compute().equals(pdf.set_index("x").index)


def test_what_is_known_without_computing(df):
    assert df.divisions == (0, 3, 6, 7)
    assert list(df.columns) == ["k", "x"]
    assert df._meta.dtypes.astype(str).tolist() == ["str", "int64"]
    assert "npartitions=3" in repr(df) and "int64" in df._repr_html_()
    assert "Name: x, dtype: int64" in repr(df.x)
    assert df.x.name == "x" and df.x.dtype == "int64"


def test_a_head_reads_one_file_only(tmp_path):
    for number in range(3):
        (tmp_path / f"{number}.csv").write_text(f"a,b\n{number},1\n{number},2\n")
    df = dd.read_csv(tmp_path / "*.csv")
    (tmp_path / "2.csv").unlink()
    assert df.head(1).a.tolist() == [0]
    with pytest.raises(FileNotFoundError, match=r"2\.csv"):
        df.compute()
    with pytest.raises(FileNotFoundError, match=r"2\.csv"):
        df.tail(1)


def test_compressed_files_are_read_whole(tmp_path, pdf):
    path = tmp_path / "x.csv.gz"
    pdf.to_csv(path, index=False)
    df = dd.read_csv(path, blocksize=4)
    assert df.npartitions == 1
    pd.testing.assert_frame_equal(df.compute(), pdf)


@pytest.mark.parametrize(
    "options",
    [
        {"usecols": ["x"]},
        {"dtype": {"x": "float32"}},
        {"dtype": "str"},
        {"na_values": ["a"]},
        {"na_values": "b", "keep_default_na": False},
        {"names": ["one", "two"], "header": 0},
        {"header": None},
        {"skiprows": 1, "header": None},
        {"sep": ";"},
    ],
    ids=str,
)
def test_options_of_read_csv_are_pandas_s(options, tmp_path, pdf):
    path = tmp_path / "x.csv"
    pdf.to_csv(path, index=False)
    ours = dd.read_csv(path, **options).compute()
    pd.testing.assert_frame_equal(ours, pd.read_csv(path, **options))


def test_options_that_make_no_sense(tmp_path, pdf):
    path = tmp_path / "x.csv"
    pdf.to_csv(path, index=False)
    with pytest.raises(KeyError, match="there is no column 'y'"):
        dd.read_csv(path, usecols=["y"])
    with pytest.raises(TypeError, match="there is no column type 'int33'"):
        dd.read_csv(path, dtype="int33")
    with pytest.raises(ValueError, match="blocksize is 0"):
        dd.read_csv(path, blocksize=0)
    with pytest.raises(ValueError, match="sep must be one ASCII character"):
        dd.read_csv(path, sep="::")
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"empty\.csv is empty"):
        dd.read_csv(tmp_path / "empty.csv")
