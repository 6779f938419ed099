"""Dataframes against pandas on real data, whatever the partitions and the executor."""

from __future__ import annotations

import glob

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest

COUNTS = [1, 2, 127, 128, 129]


def same(ours, theirs, **kwargs):
    """Equal as pandas objects, floats to nine digits."""
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, **kwargs)
    elif isinstance(theirs, pd.Series):
        pd.testing.assert_series_equal(ours, theirs, rtol=1e-9, **kwargs)
    else:
        assert ours == pytest.approx(theirs, rel=1e-9)


@pytest.fixture(scope="module")
def mixed():
    """Columns of many types with missing values, 1,000 rows."""
    rng = np.random.default_rng(7)
    n = 1000
    frame = pd.DataFrame(
        {
            "k": rng.choice(["a", "b", "c", "dd"], n),
            "g": rng.integers(0, 7, n),
            "i": rng.integers(-1000, 1000, n),
            "f": np.where(rng.random(n) < 0.1, np.nan, rng.normal(1e6, 1, n)),
            "s": pd.Series(rng.choice(["x", "yy", None, "Zebra"], n), dtype="str"),
            "t": pd.Timestamp("2013-01-01") + pd.to_timedelta(rng.integers(0, 10**6, n), unit="min"),
            "b": rng.random(n) < 0.5,
        }
    )
    return frame


@pytest.fixture(params=COUNTS)
def pair(request, mixed):
    """The same rows in pandas and in so many partitions."""
    return mixed, dd.from_pandas(mixed, npartitions=request.param)


def test_rows_come_back_as_they_went(pair):
    pdf, df = pair
    same(df.compute(), pdf)
    assert list(df.columns) == list(pdf.columns)
    assert df.dtypes.astype(str).tolist() == pdf.dtypes.astype(str).tolist()
    assert len(df) == len(pdf)
    assert df.divisions[0] == 0 and df.divisions[-1] == 999


EXPRESSIONS = {
    "arithmetic": lambda d: d.i * 2 + d.f / d.g - 1,
    "integer division": lambda d: d.i // 7,
    "remainder": lambda d: d.i % 7,
    "negative divisor": lambda d: d.i % -7,
    "zero by zero": lambda d: (d.f - d.f) / (d.f - d.f),
    "reflected": lambda d: 1 - d.i,
    "power": lambda d: d.f**2,
    "comparison": lambda d: d.f > 1e6,
    "not equal with missing": lambda d: d.f != 1e6,
    "logic": lambda d: (d.i > 0) & ~(d.g == 3) | d.b,
    "strings": lambda d: d.k + "!",
    "isna": lambda d: d.s.isna(),
    "fillna": lambda d: d.f.fillna(0),
    "isin": lambda d: d.k.isin(["a", "dd"]),
    "between": lambda d: d.i.between(-10, 500),
    "where": lambda d: d.i.where(d.g > 3, 0),
    "clip": lambda d: d.i.clip(-5, 5),
    "abs": lambda d: abs(d.i),
    "round": lambda d: d.f.round(1),
    "astype": lambda d: d.i.astype("float32"),
    "lower": lambda d: d.s.str.lower(),
    "len": lambda d: d.k.str.len(),
    "contains": lambda d: d.k.str.contains("a|b"),
    "replace": lambda d: d.k.str.replace("d", "D"),
    "slice": lambda d: d.k.str[-1:],
    "startswith": lambda d: d.k.str.startswith("d"),
    "year": lambda d: d.t.dt.year,
    "day_of_week": lambda d: d.t.dt.day_of_week,
    "normalize": lambda d: d.t.dt.normalize(),
    "time difference": lambda d: (d.t - pd.Timestamp("2013-01-01")).dt.total_seconds(),
    "time comparison": lambda d: d.t > pd.Timestamp("2014-01-01"),
}


@pytest.mark.parametrize("name", EXPRESSIONS)
@pytest.mark.parametrize("npartitions", [1, 3])
def test_expressions(name, npartitions, mixed):
    expression = EXPRESSIONS[name]
    ours = expression(dd.from_pandas(mixed, npartitions=npartitions)).compute()
    same(ours, expression(mixed))


@pytest.mark.parametrize("func", ["sum", "mean", "min", "max", "count", "std", "var", "median", "nunique"])
def test_reductions(func, pair):
    pdf, df = pair
    for column in ["i", "f", "g"]:
        same(getattr(df[column], func)().compute(), getattr(pdf[column], func)())
    numbers = ["i", "f"]
    ours, theirs = getattr(df[numbers], func)().compute(), getattr(pdf[numbers], func)()
    same(ours, theirs)


@pytest.mark.parametrize(
    "func", ["sum", "mean", "min", "max", "count", "std", "var", "first", "last", "nunique", "median"]
)
def test_groups(func, pair):
    pdf, df = pair
    same(getattr(df.groupby("k").f, func)().compute(), getattr(pdf.groupby("k").f, func)())
    ours = getattr(df.groupby(["k", "g"])[["i", "f"]], func)().compute()
    same(ours, getattr(pdf.groupby(["k", "g"])[["i", "f"]], func)())


def test_group_keys_missing_and_computed(pair):
    pdf, df = pair
    same(df.groupby("s").i.sum().compute(), pdf.groupby("s").i.sum())
    same(df.groupby("s", dropna=False).i.sum().compute(), pdf.groupby("s", dropna=False).i.sum())
    same(df.groupby("k", sort=False).i.sum().compute(), pdf.groupby("k", sort=False).i.sum())
    same(df.groupby(df.t.dt.year).i.mean().compute(), pdf.groupby(pdf.t.dt.year).i.mean())
    same(df.groupby("k").size().compute(), pdf.groupby("k").size())


@pytest.mark.parametrize(
    "how",
    [{"i": "sum"}, {"i": ["sum", "mean"], "f": "max"}, ["min", "max"], "mean"],
    ids=["dict", "dict of lists", "list", "name"],
)
def test_agg(how, mixed):
    pdf = mixed[["k", "i", "f"]]
    df = dd.from_pandas(pdf, npartitions=5)
    same(df.groupby("k").agg(how).compute(), pdf.groupby("k").agg(how))


def test_named_agg(mixed):
    df = dd.from_pandas(mixed, npartitions=5)
    ours = df.groupby("k").agg(low=("i", "min"), middle=dd.NamedAgg("f", "mean")).compute()
    same(ours, mixed.groupby("k").agg(low=("i", "min"), middle=("f", "mean")))


def test_value_counts_and_kinds(pair):
    pdf, df = pair
    for column in ["k", "s", "g"]:
        ours, theirs = df[column].value_counts().compute(), pdf[column].value_counts()
        same(ours.sort_index(), theirs.sort_index())
        assert ours.is_monotonic_decreasing
        same(
            df[column].value_counts(normalize=True).compute().sort_index(),
            pdf[column].value_counts(normalize=True).sort_index(),
        )
        assert df[column].dropna().unique().compute().tolist() == pdf[column].dropna().unique().tolist()
    same(df.drop_duplicates("k").compute(), pdf.drop_duplicates("k"))
    same(df.drop_duplicates(["k", "g"], keep="last").compute(), pdf.drop_duplicates(["k", "g"], keep="last"))


def test_lazy_values_in_expressions(pair):
    pdf, df = pair
    same((df.f - df.f.mean()).compute(), pdf.f - pdf.f.mean())
    same(df[df.i > df.i.mean()].compute(), pdf[pdf.i > pdf.i.mean()])
    same(
        ((df.i - df.i.min()) / (df.i.max() - df.i.min())).compute(), (pdf.i - pdf.i.min()) / (pdf.i.max() - pdf.i.min())
    )
    share = df.assign(share=df.i / df.i.sum(), rest=df.f.max() - df.f)
    same(share.compute(), pdf.assign(share=pdf.i / pdf.i.sum(), rest=pdf.f.max() - pdf.f))
    same((df.i.sum() + df.f.sum()).compute(), pdf.i.sum() + pdf.f.sum())


def test_describe(mixed):
    df = dd.from_pandas(mixed, npartitions=7)
    same(df[["i", "f", "k"]].describe().compute(), mixed[["i", "f", "k"]].describe())
    same(df.f.quantile(0.1).compute(), mixed.f.quantile(0.1))


def test_rows_by_condition_position_and_order(pair):
    pdf, df = pair
    same(df[(df.i > 0) & (df.k == "a")].compute(), pdf[(pdf.i > 0) & (pdf.k == "a")])
    same(df[df.i > 10**6].compute(), pdf[pdf.i > 10**6])
    same(df.i[df.f.isna()].compute(), pdf.i[pdf.f.isna()])
    same(df.head(3, npartitions=-1), pdf.head(3))
    same(df.tail(2), pdf.tail(2))
    same(df.dropna().compute(), pdf.dropna())
    same(
        df.sort_values(["k", "i"], ascending=[False, True]).compute(),
        pdf.sort_values(["k", "i"], ascending=[False, True], kind="stable"),
    )
    same(df.nlargest(5, "f").compute(), pdf.nlargest(5, "f"))
    same(df.f.nsmallest(5).compute(), pdf.f.nsmallest(5))
    same(df.partitions[0].compute(), pdf.iloc[: len(df.partitions[0])])


def test_columns_added_renamed_dropped(pair):
    pdf, df = pair
    pdf, df = pdf.copy(), df.assign()
    for frame in (pdf, df):
        frame["twice"] = frame.i * 2
        frame["one"] = 1
        frame["i"] = frame.twice + frame.i
    same(df.compute(), pdf)
    same(df.rename(columns={"i": "whole"}).compute(), pdf.rename(columns={"i": "whole"}))
    same(df.drop(columns=["f", "s"]).compute(), pdf.drop(columns=["f", "s"]))
    same(df.assign(u=lambda d: d.i + 1).compute(), pdf.assign(u=lambda d: d.i + 1))
    # As in Dask, every partition is numbered from 0 after reset_index.
    same(df.reset_index().compute().set_index("index").rename_axis(None), pdf, check_index_type=False)


@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
@pytest.mark.parametrize("npartitions", [1, 3])
def test_merges(how, npartitions, mixed):
    left = mixed[["g", "i", "k"]]
    right = pd.DataFrame({"g": [1, 2, 3, 3, 9], "i": [10, 20, 30, 31, 90], "w": list("vwxyz")})
    ours = dd.from_pandas(left, npartitions=4).merge(dd.from_pandas(right, npartitions=npartitions), on="g", how=how)
    theirs = left.merge(right, on="g", how=how)
    order = ["g", "i_x", "i_y"]
    ours = ours.compute().sort_values(order, kind="stable").reset_index(drop=True)
    same(ours, theirs.sort_values(order, kind="stable").reset_index(drop=True))


def test_merge_on_columns_of_other_names(mixed):
    right = pd.DataFrame({"key": [1.0, 2.0], "w": ["v", "w"]})
    ours = dd.from_pandas(mixed[["g", "i"]], npartitions=3).merge(right, left_on="g", right_on="key").compute()
    # As in Dask, every partition of a merge is numbered from 0.
    ours = ours.reset_index(drop=True)
    same(ours, mixed[["g", "i"]].merge(right, left_on="g", right_on="key"))


def test_functions_of_pandas_objects(mixed, scheduler):
    df = dd.from_pandas(mixed[["i", "f"]], npartitions=3)
    ours = df.map_partitions(lambda rows, by: rows * by, 2).compute(scheduler=scheduler)
    same(ours, mixed[["i", "f"]] * 2)
    ours = df.apply(lambda row: row.i + row.f, axis=1, meta=(None, "float64")).compute(scheduler=scheduler)
    same(ours, mixed.i + mixed.f)
    same(df.i.map(lambda i: i + 1).compute(scheduler=scheduler), mixed.i + 1)


def test_a_function_that_answers_other_columns_than_its_meta(mixed):
    df = dd.from_pandas(mixed[["i"]], npartitions=2)
    wrong = df.map_partitions(lambda rows: rows.rename(columns={"i": "j"}), meta={"i": "int64"})
    with pytest.raises(ValueError, match=r"answered the columns \[j\], where its meta has \[i\]"):
        wrong.compute()
    with pytest.raises(ZeroDivisionError):
        df.map_partitions(lambda rows: 1 // 0, meta=mixed[["i"]]).compute()


# -- real files ---------------------------------------------------------------------


@pytest.fixture
def names(data):
    """The baby names in pandas, and the pattern of their files."""
    pattern = str(data / "babynames" / "yob*.txt")
    columns = ["name", "sex", "births"]
    frames = [pd.read_csv(path, names=columns) for path in sorted(glob.glob(pattern))]
    return frames, pattern, columns


def test_baby_names(names, scheduler):
    frames, pattern, columns = names
    whole = pd.concat(frames)
    df = dd.read_csv(pattern, names=columns)
    assert df.npartitions == len(frames)
    same(df.compute(scheduler=scheduler), whole)
    same(df.groupby("sex").births.sum().compute(scheduler=scheduler), whole.groupby("sex").births.sum())
    top = df.groupby("name").births.sum().nlargest(3).compute(scheduler=scheduler)
    same(top, whole.groupby("name").births.sum().nlargest(3))


@pytest.mark.parametrize("blocksize", [10_000, "50kB", None])
def test_blocks_of_files(blocksize, names):
    frames, pattern, columns = names
    whole = pd.concat(frames, ignore_index=True)
    df = dd.read_csv(pattern, blocksize=blocksize, names=columns)
    same(df.compute().reset_index(drop=True), whole)
    assert len(df) == len(whole)


def test_weather_types_and_missing_values(data):
    path = data / "nyc_weather.csv"
    theirs = pd.read_csv(path)
    ours = dd.read_csv(path, blocksize="300kB", sample=2_500_000)
    assert ours.npartitions > 5
    same(ours.compute().reset_index(drop=True), theirs)
    assert ours.dtypes.astype(str).tolist() == theirs.dtypes.astype(str).tolist()
    by = ["origin", "month"]
    numbers = ["temp", "wind_gust", "precip"]
    same(ours.groupby(by)[numbers].mean().compute(), theirs.groupby(by)[numbers].mean())
    times = dd.read_csv(path, parse_dates=["time_hour"], usecols=["time_hour"], assume_missing=True)
    wanted = pd.read_csv(path, parse_dates=["time_hour"], usecols=["time_hour"]).time_hour.dt.tz_localize(None)
    same(times.time_hour.compute(), wanted, check_dtype=False)


def test_paths_as_a_column(names):
    frames, pattern, columns = names
    df = dd.read_csv(pattern, names=columns, include_path_column=True)
    counts = df.groupby("path").births.count().compute()
    assert counts.tolist() == [len(frame) for frame in frames]


def test_parquet_and_csv_round_trip(mixed, tmp_path, scheduler):
    import oxidask

    df = dd.from_pandas(mixed, npartitions=3)
    with oxidask.config.set(scheduler=scheduler):
        df.to_parquet(str(tmp_path / "p"))
        back = dd.read_parquet(str(tmp_path / "p"))
        same(back[["i", "f"]].sum().compute(), mixed[["i", "f"]].sum())
        same(back.compute().reset_index(drop=True), mixed, check_dtype=False)
        files = df[["i", "k"]].to_csv(str(tmp_path / "c-*.csv"), index=False)
        assert len(files) == 3
        same(dd.read_csv(files).compute().reset_index(drop=True), mixed[["i", "k"]])
    same(pd.read_parquet(tmp_path / "p").reset_index(drop=True), mixed, check_dtype=False)


def test_arrow_stream(mixed):
    pa = pytest.importorskip("pyarrow")
    table = pa.table(dd.from_pandas(mixed[["i", "k"]], npartitions=3))
    assert table.num_rows == len(mixed)
    assert table["i"].to_pylist() == mixed.i.tolist()


# -- mistakes -----------------------------------------------------------------------


def test_nothing_matches():
    with pytest.raises(FileNotFoundError, match=r"no file matches '/nowhere/\*.csv'"):
        dd.read_csv("/nowhere/*.csv")


def test_a_wrong_column_is_named_at_once(mixed):
    df = dd.from_pandas(mixed, npartitions=2)
    with pytest.raises(KeyError, match="there is no column 'ii'"):
        df["ii"]
    with pytest.raises(AttributeError):
        df.ii  # noqa: B018
    with pytest.raises(TypeError):
        df.k + df.i
    with pytest.raises(TypeError, match="a filter needs booleans"):
        df[df.i + 1]
    with pytest.raises(ValueError, match="the truth of a lazy Series"):
        bool(df.i > 1)
    # Rows that one side lacks are missing in the answer.
    same((df[df.i > 0].i + df.i).compute(), mixed[mixed.i > 0].i + mixed.i)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a,b\n1,2\n3,4,5\n", r"b.csv, line 3: expected 2 fields, saw 3"),
        ("a,b\n1,2\n3,x\n", r"b.csv, line 3, column 'b': 'x' does not fit the type int64(.|\n)*dtype=\{'b': 'str'\}"),
        ("a,b\n1,2\n3,\n", r"b.csv, line 3, column 'b': a missing value does not fit(.|\n)*dtype=\{'b': 'float64'\}"),
        ("a,c\n1,2\n", r"b.csv has the columns a, c, where the first file has a, b"),
    ],
    ids=["ragged", "text", "missing", "header"],
)
def test_a_wrong_record_is_named(text, message, tmp_path, scheduler):
    (tmp_path / "a.csv").write_text("a,b\n1,2\n")
    (tmp_path / "b.csv").write_text(text)
    df = dd.read_csv(tmp_path / "*.csv")
    with pytest.raises(ValueError, match=message):
        df.compute(scheduler=scheduler)


def test_quoted_line_breaks_at_any_block_border(tmp_path):
    text = 'id,text\n1,"a,\nb"\n2,"say ""hi"""\n3,plain\n4,"\n\n"\n'
    path = tmp_path / "q.csv"
    path.write_text(text)
    theirs = pd.read_csv(path)
    for blocksize in range(1, len(text)):
        ours = dd.read_csv(path, blocksize=blocksize).compute().reset_index(drop=True)
        same(ours, theirs)
