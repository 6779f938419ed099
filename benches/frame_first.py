"""Groups of the baby names: a pattern of headerless CSV files, read and aggregated, against Dask, pandas and Polars.

The files are those of the tests, written several times over, so that there is work for more than a moment. Polars is
measured where it is installed.
"""

import glob
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import dask.dataframe
import oxidask.dataframe as dd
import pandas as pd
from harness import compare

COLUMNS = ["name", "sex", "births"]
DATA = Path(__file__).resolve().parent.parent / "tests" / "data" / "babynames"
COPIES = 5


def copies(folder: str) -> str:
    """Writes the files several times over; answers their pattern."""
    for path in sorted(DATA.glob("yob*.txt")):
        for copy in range(COPIES):
            shutil.copy(path, Path(folder) / f"{path.stem}-{copy}.txt")
    return f"{folder}/*.txt"


def with_pandas(pattern: str) -> pd.DataFrame:
    """All files in one pandas frame."""
    return pd.concat([pd.read_csv(path, names=COLUMNS) for path in sorted(glob.glob(pattern))])


def polars_contender(pattern: str, key: str) -> dict[str, Callable[[], object]]:
    """The same with Polars, if it is installed."""
    try:
        import polars as pl
    except ImportError:
        return {}

    def run() -> object:
        frame = pl.scan_csv(pattern, has_header=False, new_columns=COLUMNS)
        return frame.group_by(key).agg(pl.col("births").sum()).sort(key).collect()

    return {"Polars": run}


def main() -> None:
    """Runs the comparison."""
    with tempfile.TemporaryDirectory() as folder:
        pattern = copies(folder)
        for key in ["sex", "name"]:
            contenders: dict[str, Callable[[], object]] = {
                "oxidask": lambda key=key: dd.read_csv(pattern, names=COLUMNS).groupby(key).births.sum().compute(),
                "Dask": lambda key=key: (
                    dask.dataframe.read_csv(pattern, names=COLUMNS).groupby(key).births.sum().compute()
                ),
                "pandas": lambda key=key: with_pandas(pattern).groupby(key).births.sum(),
            }
            contenders.update(polars_contender(pattern, key))
            compare(f"read_csv of {len(glob.glob(pattern))} files, births by {key}", contenders)
        contenders = {
            "oxidask": lambda: len(dd.read_csv(pattern, names=COLUMNS)),
            "Dask": lambda: len(dask.dataframe.read_csv(pattern, names=COLUMNS)),
            "pandas": lambda: len(with_pandas(pattern)),
        }
        compare("rows of the same files", contenders)


if __name__ == "__main__":
    main()
