"""What goes through pandas answers what pandas answers, whatever the types and the partitions."""

from __future__ import annotations

import numpy as np
import oxidask.dataframe as dd
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

COUNTS = [1, 2, 7, 60]


def rows(n: int = 50) -> pd.DataFrame:
    """Columns of types that the engine does not hold, and of some that it does."""
    rng = np.random.default_rng(3)
    missing = rng.random(n) < 0.2
    return pd.DataFrame(
        {
            "i": rng.integers(-5, 5, n),
            "f": np.where(missing, np.nan, rng.normal(size=n)),
            "n": pd.array(np.where(missing, None, rng.integers(0, 9, n)), dtype="Int64"),
            "b": pd.array(np.where(missing, None, rng.random(n) < 0.5), dtype="boolean"),
            "s": pd.Series(rng.choice(["x", "yy", None, "Zebra"], n), dtype="str"),
            "c": pd.Categorical(rng.choice(["u", "v", "w"], n), categories=["w", "v", "u", "t"]),
            "t": pd.Timestamp("2013-01-01", tz="Europe/Vienna")
            + pd.to_timedelta(rng.integers(0, 10**5, n), unit="min"),
            "d": pd.to_timedelta(rng.integers(0, 10**5, n), unit="s"),
        },
        index=pd.Index(np.sort(rng.integers(0, 1000, n)), name="id"),
    )


@pytest.fixture(scope="module")
def pdf():
    return rows()


@pytest.fixture(scope="module", params=COUNTS)
def df(request, pdf):
    return dd.from_pandas(pdf, npartitions=request.param)


def same(ours, theirs, sort=False):
    if hasattr(ours, "compute"):
        promised = ours._meta
        ours = ours.compute()
        if isinstance(theirs, pd.DataFrame):
            assert list(promised.columns) == list(theirs.columns)
    if sort:
        ours, theirs = ours.sort_index(kind="stable"), theirs.sort_index(kind="stable")
    if isinstance(theirs, pd.DataFrame):
        pd.testing.assert_frame_equal(ours, theirs, rtol=1e-9, check_freq=False)
    elif isinstance(theirs, pd.Series):
        pd.testing.assert_series_equal(ours, theirs, rtol=1e-9, check_freq=False)
    elif isinstance(theirs, pd.Index):
        pd.testing.assert_index_equal(ours, theirs)
    else:
        assert ours == pytest.approx(theirs, rel=1e-9) if isinstance(theirs, float) else ours == theirs


ROWS = {
    "nullable arithmetic": lambda d: d.n + d.i,
    "nullable comparison": lambda d: d.n > 3,
    "kleene logic": lambda d: d.b | (d.i > 0),
    "times with a zone": lambda d: d.t.dt.tz_convert("UTC").dt.hour,
    "lengths of time": lambda d: d.d.dt.total_seconds(),
    "time arithmetic": lambda d: d.t + d.d,
    "categories": lambda d: d.c.cat.codes,
    "strings": lambda d: d.s.str.capitalize(),
    "string lists": lambda d: d.s.str.extract("(.)(.)"),
    "fillna by column": lambda d: d.fillna({"f": 0.0, "n": 1}),
    "where": lambda d: d.f.where(d.i > 0, -1.0),
    "mask frame": lambda d: d[["i", "f"]].mask(d.i > 0),
    "query": lambda d: d.query("i > 0 and f < 1"),
    "eval": lambda d: d.eval("i * 2 + f"),
    "assign": lambda d: d.assign(z=d.n * 2, k="k"),
    "drop": lambda d: d.drop(columns=["c", "t"]),
    "isin": lambda d: d.c.isin(["u", "w"]),
    "replace": lambda d: d.i.replace({1: 100, 2: 200}),
    "astype": lambda d: d.astype({"i": "Int16", "f": "float32"}),
    "select_dtypes": lambda d: d.select_dtypes("number"),
    "shift": lambda d: d.shift(3),
    "shift back": lambda d: d[["i", "s"]].shift(-20),
    "diff": lambda d: d[["i", "f"]].diff(2),
    "ffill": lambda d: d.ffill(),
    "bfill with a limit": lambda d: d.bfill(limit=1),
    "cumsum": lambda d: d[["i", "f"]].cumsum(),
    "cumsum of all": lambda d: d[["i", "f"]].cumsum(skipna=False),
    "cumprod": lambda d: d.f.cumprod(),
    "cummax": lambda d: d[["i", "f"]].cummax(),
    "cummin of all": lambda d: d.f.cummin(skipna=False),
    "rolling": lambda d: d[["i", "f"]].rolling(5).mean(),
    "long windows": lambda d: d.f.rolling(30, min_periods=1).max(),
    "centred windows": lambda d: d.i.rolling(4, center=True).sum(),
    "loc slice": lambda d: d.loc[100:500],
    "loc columns": lambda d: d.loc[:, ["i", "c"]],
    "concat": lambda d: (pd.concat if isinstance(d, pd.DataFrame) else dd.concat)([d, d]),
    "concat of columns": lambda d: (pd.concat if isinstance(d, pd.DataFrame) else dd.concat)([d[["i"]], d[["f"]]]),
    "melt": lambda d: d[["i", "f"]].melt(),
    "get_dummies": lambda d: (pd if isinstance(d, pd.DataFrame) else dd).get_dummies(d[["c"]]),
    "apply": lambda d: d[["i", "f"]].apply(lambda row: row.i + row.f, axis=1, **_meta(d, (None, "float64"))),
    "map": lambda d: d.i.map(lambda i: i * 2),
}


def _meta(d, meta):
    return {} if isinstance(d, (pd.DataFrame, pd.Series)) else {"meta": meta}


@pytest.mark.parametrize("name", ROWS)
def test_rows(name, pdf, df):
    ours, theirs = ROWS[name](df), ROWS[name](pdf)
    if name in ("concat of columns", "melt"):
        order = list(theirs.columns)
        ours, theirs = (x.sort_values(order).reset_index(drop=True) for x in (ours.compute(), theirs))
    same(ours, theirs)


VALUES = {
    **{f"{name} of numbers": (lambda d, name=name: getattr(d[["i", "f"]], name)())
       for name in ["sum", "prod", "min", "max", "count", "mean", "var", "std", "sem", "skew", "kurtosis", "median"]},
    **{f"{name} of a column": (lambda d, name=name: getattr(d.f, name)()) for name in ["mean", "var", "skew", "kurtosis", "idxmax"]},
    "nullable sum": lambda d: d.n.sum(),
    "nullable mean": lambda d: d.n.mean(),
    "any": lambda d: d.b.any(),
    "times": lambda d: d.t.max(),
    "mean of lengths": lambda d: d.d.mean(),
    "min_count": lambda d: d[["i", "f"]].sum(min_count=45),
    "without skipna": lambda d: d[["i", "f"]].sum(skipna=False),
    "numeric_only": lambda d: d[["i", "f", "s"]].mean(numeric_only=True),
    "quantiles": lambda d: d.f.quantile([0.1, 0.9]),
    "describe": lambda d: d[["i", "f"]].describe(),
    "corr": lambda d: d[["i", "f"]].corr(),
    "cov": lambda d: d[["i", "f"]].cov(),
    "corr of columns": lambda d: d.i.corr(d.f),
    "nunique": lambda d: d[["i", "s"]].nunique(),
    "idxmin": lambda d: d[["i", "f"]].idxmin(),
    "mode": lambda d: d.i.mode(),
    "nlargest": lambda d: d.nlargest(5, "f")[["i", "f"]],
    "duplicates": lambda d: d.drop_duplicates(["i", "s"])[["i", "s"]],
    "all duplicates": lambda d: d[["i", "s"]].drop_duplicates(keep=False).sort_index(kind="stable")
    if isinstance(d, pd.DataFrame) else d[["i", "s"]].drop_duplicates(keep=False).compute().sort_index(kind="stable"),
}  # fmt: skip


@pytest.mark.parametrize("name", VALUES)
def test_values(name, pdf, df):
    same(VALUES[name](df), VALUES[name](pdf))


GROUPS = {
    **{name: (lambda d, name=name: getattr(d.groupby("c", observed=True)[["i", "f"]], name)())
       for name in ["sum", "mean", "min", "max", "count", "var", "std", "first", "last", "median", "prod", "nunique"]},
    "categories that do not occur": lambda d: d.groupby("c", observed=False).i.sum(),
    "missing keys": lambda d: d.groupby("s", dropna=False).i.count(),
    "several keys": lambda d: d.groupby(["c", "i"], observed=True).f.mean(),
    "a function of the index": lambda d: d.groupby(lambda i: i // 100).i.sum(),
    "a computed key": lambda d: d.groupby(d.t.dt.hour).f.max(),
    "agg": lambda d: d.groupby("i").agg({"f": ["min", "mean", "std"], "d": "max"}),
    "named agg": lambda d: d.groupby("i").agg(low=("f", "min"), n=("s", "count")),
    "nullable": lambda d: d.groupby("i").n.sum(),
    "size": lambda d: d.groupby(["i", "s"]).size(),
    "list": lambda d: d.groupby("i").i.agg(list),
    "value_counts": lambda d: d.groupby("i").s.value_counts().sort_index() if isinstance(d, pd.DataFrame)
    else d.groupby("i").s.value_counts().compute().sort_index(),
}  # fmt: skip


@pytest.mark.parametrize("name", GROUPS)
def test_groups(name, pdf, df):
    same(GROUPS[name](df), GROUPS[name](pdf))


WITHIN = {
    "transform": lambda d: d.groupby("i").f.transform("mean", **_meta(d, ("f", "float64"))),
    "cumsum": lambda d: d.groupby("i").f.cumsum(),
    "shift": lambda d: d.groupby("i").f.shift(1),
    "ffill": lambda d: d.groupby("i").f.ffill(),
}


@pytest.mark.parametrize("name", WITHIN)
def test_within_groups(name, pdf, df):
    # Rows come in other partitions, so equal labels may come in another order.
    ours, theirs = WITHIN[name](df).compute(), WITHIN[name](pdf)
    order = ["id", "f"]
    ours, theirs = (x.reset_index().sort_values(order).reset_index(drop=True) for x in (ours, theirs))
    pd.testing.assert_frame_equal(ours, theirs)


@pytest.mark.parametrize("how", ["inner", "left", "right", "outer"])
def test_merges(how, pdf, df):
    right = pd.DataFrame({"c": pd.Categorical(["u", "v", "x"]), "i": [1, 2, 3], "y": [1.5, 2.5, 3.5]})
    for on in (["i"], ["c"], ["c", "i"]):
        theirs = pdf[["i", "c", "f"]].merge(right, on=on, how=how, indicator=True)
        for n in (1, 3):
            ours = (
                df[["i", "c", "f"]]
                .merge(dd.from_pandas(right, npartitions=n), on=on, how=how, indicator=True)
                .compute()
            )
            order = list(theirs.columns)
            a, b = (x.astype({c: object for c in x if c.startswith(("c", "_"))}).sort_values(order).reset_index(drop=True)
                    for x in (ours, theirs))  # fmt: skip
            pd.testing.assert_frame_equal(a, b, check_dtype=False)


def test_joins_by_index(pdf, df):
    right = pd.DataFrame({"z": range(0, 1000, 3)}, index=pd.Index(range(0, 1000, 3), name="id"))
    for how in ("inner", "left", "outer"):
        ours = df[["i"]].join(dd.from_pandas(right, npartitions=5), how=how)
        same(ours, pdf[["i"]].join(right, how=how), sort=True)


def test_orders_and_indexes(pdf, df):
    for ascending in (True, False):
        ours = df.sort_values("f", ascending=ascending).compute().f
        theirs = pdf.sort_values("f", ascending=ascending, kind="stable").f
        np.testing.assert_array_equal(ours.to_numpy(), theirs.to_numpy())
    indexed = df.set_index("t")
    same(indexed[["i"]], pdf.set_index("t").sort_index(kind="stable")[["i"]])
    assert indexed.known_divisions
    assert indexed.divisions[0] == pdf.t.min() and indexed.divisions[-1] == pdf.t.max()
    same(indexed.resample("7D").i.sum(), pdf.set_index("t").sort_index().resample("7D").i.sum())


def test_what_is_not_in_order_is_said(pdf):
    df = dd.from_pandas(pdf, npartitions=3)
    with pytest.raises(ValueError, match="sorted"):
        df.set_index("f", sorted=True)


def test_mistakes_are_named(pdf):
    df = dd.from_pandas(pdf, npartitions=3)
    with pytest.raises(KeyError, match="did you mean"):
        df.groupby("ii")
    with pytest.raises(KeyError, match="there is no column 'ff'"):
        df.merge(df, on="ff")
    wrong = df.map_partitions(lambda part: part.rename(columns={"i": "j"}), meta=pdf)
    with pytest.raises(ValueError, match=r"answered the columns \[j"):
        wrong.compute()
    with pytest.raises(ValueError, match="pass meta="):
        df.i.map(lambda i: 1 // 0)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    values=st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6)), min_size=1, max_size=40),
    n=st.integers(1, 12),
    steps=st.lists(
        st.sampled_from(["abs", "shift", "cumsum", "diff", "ffill", "fillna", "drop", "double"]), max_size=4
    ),
)
def test_plans_at_random(values, n, steps):
    """Steps in any order, over partitions of any size."""
    apply = {
        "abs": lambda x: x.abs(),
        "shift": lambda x: x.shift(2),
        "cumsum": lambda x: x.cumsum(),
        "diff": lambda x: x.diff(),
        "ffill": lambda x: x.ffill(),
        "fillna": lambda x: x.fillna(1.0),
        "drop": lambda x: x[x != 0],
        "double": lambda x: x + x,
    }
    theirs = pd.Series(values, dtype="float64", name="x")
    ours = dd.from_pandas(theirs, npartitions=n)
    for step in steps:
        ours, theirs = apply[step](ours), apply[step](theirs)
    pd.testing.assert_series_equal(ours.compute(scheduler="sync"), theirs)
    assert ours.sum().compute(scheduler="sync") == pytest.approx(theirs.sum(), rel=1e-9, abs=1e-6)


def test_resampled_rows_keep_the_name_of_their_index():
    # Spans without rows are filled in, which must not lose it.
    index = pd.DatetimeIndex(["2020-01-01", "2020-01-05", "2020-01-06"], name="day")
    values = pd.Series([1.0, 2.0, 3.0], index=index, name="x")
    made = dd.from_pandas(values, npartitions=2).resample("1D").sum()
    pd.testing.assert_series_equal(made.compute(), values.resample("1D").sum())


@pytest.mark.parametrize("dtype", ["str", "string", "object", "category"])
def test_texts_of_any_dtype_go_to_the_same_place(dtype):
    from oxidask.dataframe._shuffle import hashes

    texts = pd.Series(["a", None, "b", "a", None, "xyz", ""] * 3)
    expected = hashes(texts.astype(object).to_frame())
    np.testing.assert_array_equal(hashes(texts.astype(dtype).to_frame()), expected)
    assert len(set(expected)) == 5
    assert len(hashes(texts.astype(dtype).iloc[:0].to_frame())) == 0
