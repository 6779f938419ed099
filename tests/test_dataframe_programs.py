"""Programs as people write them, each compared with what pandas answers for the same rows."""

import numpy as np
import oxidask.array as da
import oxidask.dataframe as dd
import pandas as pd
import pytest

ROWS = 60


def rows() -> pd.DataFrame:
    """Rows of many types, some of them missing."""
    random = np.random.default_rng(3)
    times = pd.date_range("2024-01-01", periods=ROWS, freq="7h")
    frame = pd.DataFrame(
        {
            "k": random.integers(0, 5, ROWS),
            "g": np.array(list("abcd"))[random.integers(0, 4, ROWS)],
            "x": random.normal(size=ROWS).round(3),
            "y": random.integers(-20, 20, ROWS),
            "f": np.where(random.random(ROWS) < 0.2, np.nan, random.normal(size=ROWS).round(2)),
            "b": random.random(ROWS) < 0.5,
            "t": times,
            "z": times.tz_localize("Europe/Berlin"),
            "td": pd.to_timedelta(random.integers(0, 100_000, ROWS), unit="s"),
        }
    )
    frame["i"] = pd.array(np.where(random.random(ROWS) < 0.2, None, random.integers(0, 9, ROWS)), dtype="Int64")
    frame["bo"] = pd.array(np.where(random.random(ROWS) < 0.2, None, random.random(ROWS) < 0.5), dtype="boolean")
    return frame


FRAME = rows()
NUMBERS = ["x", "y", "f"]

PROGRAMS = {
    "standard scores": lambda df: (df[NUMBERS] - df[NUMBERS].mean()) / df[NUMBERS].std(),
    "a column of standard scores": lambda df: (df[NUMBERS] - df[NUMBERS].mean()).x.abs(),
    "scaled to one": lambda df: (df[NUMBERS] - df[NUMBERS].min()) / (df[NUMBERS].max() - df[NUMBERS].min()),
    "less the median": lambda df: df[NUMBERS].sub(df[NUMBERS].median()),
    "less a quantile": lambda df: df[NUMBERS] - df[NUMBERS].quantile(0.5),
    "between quantiles": lambda df: df[["x"]].clip(df[["x"]].quantile(0.1), df[["x"]].quantile(0.9), axis=1),
    "the mean where missing": lambda df: df[NUMBERS].fillna(df[NUMBERS].mean()),
    "times the number of values": lambda df: df[NUMBERS].mul(df[NUMBERS].nunique()),
    "count of times with a zone": lambda df: df.z.count(),
    "count of all columns": lambda df: df.count(),
    "sums of nullable columns": lambda df: df.sum(numeric_only=True),
    "correlations of numbers": lambda df: df.corr(numeric_only=True),
    "running maximum of nullable": lambda df: df.i.cummax(),
    "running minimum of nullable": lambda df: df.i.cummin(),
    "parts of spans": lambda df: df.td.dt.components,
    "Python's times": lambda df: df.t.dt.to_pydatetime(),
    "mean with an argument": lambda df: df.groupby("k").agg("mean", numeric_only=True).x,
    "groups by days": lambda df: df.groupby(pd.Grouper(key="t", freq="3D")).x.sum(),
    "groups by a formatted month": lambda df: (
        df.assign(month=df.t.dt.to_period("M").astype(str))
        .query("x > 0")
        .groupby(["month", "g"])
        .agg(total=("x", "sum"), n=("y", "count"))
        .reset_index()
    ),
    "days closed on the right": lambda df: (
        df.set_index("t").x.resample("1D", closed="right", label="right").sum().rename_axis("t")
    ),
}


@pytest.mark.parametrize("npartitions", [1, 4])
@pytest.mark.parametrize("name", PROGRAMS)
def test_programs_answer_what_pandas_answers(name: str, npartitions: int) -> None:
    wanted = PROGRAMS[name](FRAME)
    lazy = PROGRAMS[name](dd.from_pandas(FRAME, npartitions=npartitions))
    found = lazy.compute()
    if isinstance(wanted, pd.DataFrame):
        assert list(lazy.columns) == list(wanted.columns), "the plan knows the columns"
        pd.testing.assert_frame_equal(found, wanted, check_freq=False)
    elif isinstance(wanted, pd.Series):
        pd.testing.assert_series_equal(found, wanted, check_freq=False)
    else:
        assert found == wanted


OF_ANY = ["count", "size", "sum", "min", "max", "mean", "first"]


@pytest.mark.parametrize(
    ("column", "name"), [("bo", name) for name in OF_ANY] + [("i", name) for name in [*OF_ANY, "var", "std", "sem"]]
)
def test_groups_of_nullable_columns_keep_nullable_types(column: str, name: str) -> None:
    wanted = getattr(FRAME.groupby("k")[column], name)()
    found = getattr(dd.from_pandas(FRAME, npartitions=4).groupby("k")[column], name)().compute()
    pd.testing.assert_series_equal(found, wanted)


def test_functions_of_arrays_keep_columns_columns() -> None:
    lazy = dd.from_pandas(FRAME, npartitions=3)
    pd.testing.assert_series_equal(da.clip(lazy.x, 0, 1).compute(), FRAME.x.clip(0, 1))
    pd.testing.assert_series_equal(da.around(lazy.x, 1).compute(), FRAME.x.round(1))
    np.testing.assert_array_equal(da.nan_to_num(lazy.f), np.nan_to_num(FRAME.f))
    assert np.array(lazy.x, copy=True).flags.writeable
