"""Databases, JSON, ORC, HDF and fixed widths: what goes out comes back, and bad input says where it is bad."""

from __future__ import annotations

import os
import pathlib
import shutil
import socket
import subprocess

import oxidask.dataframe as dd
import pandas as pd
import pytest

N = 97


@pytest.fixture
def pdf():
    frame = pd.DataFrame(
        {
            "id": range(N),
            "x": [i / 4 for i in range(N)],
            "name": [f"n{i % 7}" if i % 5 else None for i in range(N)],
            "t": pd.date_range("2024-01-01", periods=N, freq="h"),
        }
    )
    return frame.set_index("id")


def same(ours, expected):
    pd.testing.assert_frame_equal(ours, expected, check_dtype=False, check_index_type=False, check_freq=False)


# -- databases ------------------------------------------------------------------------


def _postgres_programs():
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob("*/bin"))
    if found:
        return found[-1]
    program = shutil.which("initdb")
    return pathlib.Path(program).resolve().parent if program else None


def _as_user():
    """The command before a server that must not run as root."""
    return ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []


@pytest.fixture(scope="module")
def postgres(tmp_path_factory):
    """The address of a PostgreSQL server of our own, which ends with the tests."""
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("psycopg")
    programs = _postgres_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed: apt-get install postgresql")
    folder = pathlib.Path("/tmp") / f"oxidask-postgres-{os.getpid()}"
    folder.mkdir(mode=0o700)
    if os.geteuid() == 0:
        try:
            shutil.chown(folder, "postgres")
        except LookupError:
            folder.rmdir()
            pytest.skip("PostgreSQL does not run as root, and there is no user postgres")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = folder / "data"
    made = subprocess.run(
        [*_as_user(), programs / "initdb", "-D", data, "-U", "tester", "--auth=trust"], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    control = [*_as_user(), programs / "pg_ctl", "-D", data, "-w", "-t", "120"]
    options = f"-c listen_addresses=127.0.0.1 -c port={port} -c unix_socket_directories={folder}"
    subprocess.run([*control, "-l", folder / "log", "-o", options, "start"], check=True, stdout=subprocess.DEVNULL)
    yield f"postgresql+psycopg://tester@127.0.0.1:{port}/postgres"
    subprocess.run([*control, "-m", "immediate", "stop"], check=True, stdout=subprocess.DEVNULL)
    shutil.rmtree(folder)


@pytest.fixture(params=["sqlite", "postgres"])
def database(request, tmp_path):
    pytest.importorskip("sqlalchemy")
    return f"sqlite:///{tmp_path}/a.db" if request.param == "sqlite" else request.getfixturevalue("postgres")


def test_tables_go_out_and_come_back(database, pdf):
    dd.from_pandas(pdf, npartitions=4).to_sql("rows", database, index=True, if_exists="replace")
    back = dd.read_sql_table("rows", database, index_col="id", npartitions=5)
    assert back.npartitions == 5 and back.known_divisions
    same(back.compute().sort_index(), pdf)
    some = dd.read_sql_table("rows", database, index_col="id", columns=["x"], divisions=[0, 10, N])
    same(some.compute().sort_index(), pdf[["x"]])
    assert len(some.partitions[0]) == 10


def test_queries_are_divided_by_their_index(database, pdf):
    import sqlalchemy as sa

    dd.from_pandas(pdf, npartitions=2).to_sql("rows", database, index=True, if_exists="replace")
    number, x = sa.column("id"), sa.column("x")
    query = sa.select(number, x).where(x > 5).select_from(sa.text("rows"))
    back = dd.read_sql_query(query, database, index_col="id", npartitions=3).compute()
    same(back.sort_index(), pdf.loc[pdf.x > 5, ["x"]])


def test_tables_that_are_there_are_kept_or_extended(database, pdf):
    df = dd.from_pandas(pdf, npartitions=2)
    df.to_sql("again", database, index=True, if_exists="replace")
    with pytest.raises(ValueError, match="again"):
        df.to_sql("again", database, index=True)
    df.to_sql("again", database, index=True, if_exists="append")
    import sqlalchemy as sa

    engine = sa.create_engine(database)
    with engine.connect() as connection:
        assert connection.execute(sa.text("select count(*) from again")).scalar() == 2 * N
    engine.dispose()


def test_a_database_that_refuses_says_so():
    pytest.importorskip("psycopg")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"postgresql+psycopg://nobody@127.0.0.1:{free.getsockname()[1]}/none"
        with pytest.raises(Exception, match="(?i)refused|failed"):
            dd.read_sql_table("rows", address, index_col="id")


def test_a_table_that_is_not_there_is_named(tmp_path):
    pytest.importorskip("sqlalchemy")
    with pytest.raises(Exception, match="nowhere"):
        dd.read_sql_table("nowhere", f"sqlite:///{tmp_path}/a.db", index_col="id")


# -- files ---------------------------------------------------------------------------


@pytest.mark.parametrize("compression", [None, "gzip", "xz"])
def test_json_lines_go_out_and_come_back(compression, pdf, tmp_path):
    ending = {None: "", "gzip": ".gz", "xz": ".xz"}[compression]
    rows = pdf.reset_index()[["id", "x", "name"]]
    dd.from_pandas(rows, npartitions=3).to_json(f"{tmp_path}/*.json{ending}", compression=compression)
    back = dd.read_json(f"{tmp_path}/*.json{ending}").compute()
    same(back.reset_index(drop=True), rows)


def test_json_lines_are_read_in_blocks(pdf, tmp_path):
    rows = pdf.reset_index()[["id", "x"]]
    rows.to_json(tmp_path / "a.json", orient="records", lines=True)
    back = dd.read_json(tmp_path / "a.json", blocksize=300)
    assert back.npartitions > 2
    same(back.compute().reset_index(drop=True), rows)


def test_orc_goes_out_and_comes_back(pdf, tmp_path):
    rows = pdf.reset_index()[["id", "x", "name"]]
    dd.from_pandas(rows, npartitions=3).to_orc(tmp_path / "orc", write_index=False)
    same(dd.read_orc(str(tmp_path / "orc")).compute().reset_index(drop=True), rows)
    assert list(dd.read_orc(str(tmp_path / "orc"), columns=["x"]).columns) == ["x"]


@pytest.mark.parametrize("form", ["table", "fixed"])
def test_hdf_goes_out_and_comes_back(form, pdf, tmp_path):
    pytest.importorskip("tables")
    rows = pdf[["x"]]
    if form == "table":
        dd.from_pandas(rows, npartitions=2).to_hdf(str(tmp_path / "a-*.h5"), "/rows")
        same(dd.read_hdf(str(tmp_path / "a-*.h5"), "/rows").compute(), rows)
        assert len(dd.read_hdf(str(tmp_path / "a-*.h5"), "/rows", start=2, stop=7)) > 0
    else:
        rows.to_hdf(tmp_path / "a.h5", key="/rows", format="fixed")
        same(dd.read_hdf(str(tmp_path / "a.h5"), "/rows").compute(), rows)


def test_fixed_widths(pdf, tmp_path):
    rows = pdf.reset_index()[["id", "x"]]
    text = "".join(f"{number:6d}{x:8.2f}\n" for number, x in rows.itertuples(index=False))
    (tmp_path / "a.txt").write_text(text)
    back = dd.read_fwf(tmp_path / "a.txt", widths=[6, 8], names=["id", "x"], header=None, blocksize=400)
    assert back.npartitions > 1
    same(back.compute().reset_index(drop=True), rows)


# -- bad input -----------------------------------------------------------------------


def test_a_missing_column_is_named_with_near_matches(pdf):
    df = dd.from_pandas(pdf, npartitions=2)
    for wrong in [lambda: df["nmae"], lambda: df.groupby("nmae").x.sum(), lambda: df.set_index("nmae")]:
        with pytest.raises(KeyError, match="'nmae'[^?]*did you mean 'name'"):
            wrong()


def test_a_ragged_row_is_named_by_file_and_line(tmp_path):
    (tmp_path / "bad.csv").write_text("a,b\n1,2\n3,4,5,6\n")
    with pytest.raises(Exception, match=r"bad\.csv.*line 3|line 3.*bad\.csv"):
        dd.read_csv(tmp_path / "bad.csv").compute()


def test_a_value_of_another_type_is_named_by_file_and_column(tmp_path):
    (tmp_path / "1.csv").write_text("a,b\n1,2\n")
    (tmp_path / "2.csv").write_text("a,b\n1,x\n")
    with pytest.raises(ValueError, match=r"(?s)2\.csv.*b"):
        dd.read_csv(str(tmp_path / "*.csv")).compute()


def test_a_truncated_parquet_file_is_named(tmp_path):
    pd.DataFrame({"x": range(1000)}).to_parquet(tmp_path / "a.parquet")
    whole = (tmp_path / "a.parquet").read_bytes()
    (tmp_path / "a.parquet").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match=r"a\.parquet"):
        dd.read_parquet(tmp_path / "a.parquet").compute()


def test_an_index_that_is_not_sorted_is_found_out():
    df = dd.from_pandas(pd.DataFrame({"x": [3, 1, 2, 0]}), npartitions=2)
    with pytest.raises(ValueError, match="not sorted|overlap"):
        df.set_index("x", sorted=True)


def test_keys_of_different_types_do_not_join():
    a = dd.from_pandas(pd.DataFrame({"k": [1, 2]}), npartitions=2)
    b = dd.from_pandas(pd.DataFrame({"k": ["a", "b"]}), npartitions=2)
    with pytest.raises((TypeError, ValueError), match="k"):
        a.merge(b, on="k").compute()


def test_a_function_must_answer_what_its_meta_says():
    df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2)
    wrong = df.map_partitions(lambda rows: rows.rename(columns={"x": "z"}), meta={"x": "int64"})
    with pytest.raises(ValueError, match="x"):
        wrong.compute()


def test_a_writer_that_fails_leaves_no_part_of_a_file(tmp_path):
    def failing(rows):
        if rows.x.min() > 1:
            raise RuntimeError("no more")
        return rows

    df = dd.from_pandas(pd.DataFrame({"x": [1, 2]}), npartitions=2).map_partitions(failing, meta={"x": "int64"})
    for write in [
        lambda: df.to_csv(f"{tmp_path}/*.csv"),
        lambda: df.to_json(f"{tmp_path}/*.json"),
        lambda: df.to_csv(f"{tmp_path}/one.csv", single_file=True),
    ]:
        with pytest.raises(RuntimeError, match="no more"):
            write()
    for path in tmp_path.iterdir():
        assert path.suffix in (".csv", ".json") and path.read_text().strip(), path
    assert not (tmp_path / "one.csv").exists()


def test_parquet_files_of_different_types_are_named(tmp_path):
    pd.DataFrame({"x": [1, 2]}).to_parquet(tmp_path / "0.parquet")
    pd.DataFrame({"x": ["a", "b"]}).to_parquet(tmp_path / "1.parquet")
    with pytest.raises(ValueError, match=r"1\.parquet: column 'x' is (large_)?string, where the first file has int64"):
        dd.read_parquet(tmp_path, calculate_divisions=True).compute()


def test_a_missing_column_of_an_aggregation_is_named():
    df = dd.from_pandas(pd.DataFrame({"name": ["a"], "fare": [1.0]}), npartitions=1)
    for wrong in (lambda: df.groupby("name").agg({"fair": "sum"}), lambda: df.groupby("name").agg(z=("fair", "sum"))):
        with pytest.raises(KeyError, match="'fair'[^?]*did you mean 'fare'"):
            wrong()


def test_what_describes_a_folder_describes_appended_files_too(tmp_path):
    import pyarrow.parquet as pq

    rows = pd.DataFrame({"x": range(4)})
    dd.from_pandas(rows, npartitions=2).to_parquet(tmp_path, write_metadata_file=True)
    assert pq.read_metadata(tmp_path / "_metadata").num_rows == 4
    dd.from_pandas(rows.set_axis(range(4, 8)), npartitions=1).to_parquet(tmp_path, append=True)
    assert pq.read_metadata(tmp_path / "_metadata").num_rows == 8
    assert dd.read_parquet(tmp_path).x.compute().tolist() == [0, 1, 2, 3] * 2
