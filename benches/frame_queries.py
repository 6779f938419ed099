"""Queries on dataframes: groupby, join and TPC-H-like sets and single operations, against Dask, Polars, DuckDB and pandas.

Every contender reads the same Parquet files and does the same; a query is measured with those who have it. The sizes
are small unless told otherwise:

    python benches/frame_queries.py [--rows 1000000] [--scale 0.1] [--only q1,tpch] [--rounds 3]
"""

import argparse
import tempfile
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import dask.dataframe
import duckdb
import frame_data
import oxidask.dataframe
import pandas as pd
import polars as pl
from harness import compare

Tables = dict[str, Any]
Query = Callable[[Tables], Any]

JOIN_TABLES = ["left", "small", "medium", "big"]
TPCH_TABLES = ["lineitem", "orders", "customer", "supplier", "nation", "region", "part", "partsupp"]


def revenue(lines: Any) -> Any:
    """The discounted price of lines."""
    return lines.l_extendedprice * (1 - lines.l_discount)


def pandas_q1(t: Tables) -> Any:
    """TPC-H 1: sums and means by flags of all lines before a day."""
    lines = t["lineitem"]
    lines = lines[lines.l_shipdate <= datetime(1998, 9, 2)]
    price = revenue(lines)
    lines = lines.assign(disc_price=price, charge=price * (1 + lines.l_tax))
    keys = ["l_returnflag", "l_linestatus"]
    spec = {"l_quantity": ["sum", "mean"], "l_extendedprice": ["sum", "mean"], "disc_price": ["sum"]}
    return lines.groupby(keys).agg({**spec, "charge": ["sum"], "l_discount": ["mean", "count"]})


def polars_q1(t: Tables) -> Any:
    """The same in Polars."""
    lines = t["lineitem"].filter(pl.col("l_shipdate") <= datetime(1998, 9, 2))
    price = pl.col("l_extendedprice") * (1 - pl.col("l_discount"))
    lines = lines.with_columns(price.alias("disc_price"), (price * (1 + pl.col("l_tax"))).alias("charge"))
    sums = [pl.sum(name) for name in ["l_quantity", "l_extendedprice", "disc_price", "charge"]]
    means = [pl.mean(name).alias(f"{name}_mean") for name in ["l_quantity", "l_extendedprice", "l_discount"]]
    keys = ["l_returnflag", "l_linestatus"]
    return lines.group_by(keys).agg(*sums, *means, pl.len()).sort(keys)


SQL_Q1 = """select l_returnflag, l_linestatus, sum(l_quantity), sum(l_extendedprice),
sum(l_extendedprice*(1-l_discount)), sum(l_extendedprice*(1-l_discount)*(1+l_tax)), avg(l_quantity),
avg(l_extendedprice), avg(l_discount), count(*) from lineitem where l_shipdate <= timestamp '1998-09-02'
group by 1, 2 order by 1, 2"""


def pandas_q3(t: Tables) -> Any:
    """TPC-H 3: the ten open orders of a segment with the greatest revenue."""
    day = datetime(1995, 3, 15)
    customer, orders, lines = t["customer"], t["orders"], t["lineitem"]
    customer = customer[customer.c_mktsegment == "BUILDING"][["c_custkey"]]
    orders = orders[orders.o_orderdate < day]
    lines = lines[lines.l_shipdate > day]
    all_rows = customer.merge(orders, left_on="c_custkey", right_on="o_custkey")
    all_rows = all_rows.merge(lines, left_on="o_orderkey", right_on="l_orderkey")
    all_rows = all_rows.assign(revenue=revenue(all_rows))
    sums = all_rows.groupby(["l_orderkey", "o_orderdate", "o_shippriority"])[["revenue"]].sum()
    return sums.nlargest(10, "revenue")


def polars_q3(t: Tables) -> Any:
    """The same in Polars."""
    day = datetime(1995, 3, 15)
    customer = t["customer"].filter(pl.col("c_mktsegment") == "BUILDING")
    orders = t["orders"].filter(pl.col("o_orderdate") < day)
    lines = t["lineitem"].filter(pl.col("l_shipdate") > day)
    all_rows = customer.join(orders, left_on="c_custkey", right_on="o_custkey")
    all_rows = all_rows.join(lines, left_on="o_orderkey", right_on="l_orderkey")
    price = (pl.col("l_extendedprice") * (1 - pl.col("l_discount"))).sum().alias("revenue")
    sums = all_rows.group_by("o_orderkey", "o_orderdate", "o_shippriority").agg(price)
    return sums.top_k(10, by="revenue")


SQL_Q3 = """select l_orderkey, sum(l_extendedprice*(1-l_discount)) revenue, o_orderdate, o_shippriority
from customer, orders, lineitem where c_mktsegment='BUILDING' and c_custkey=o_custkey and l_orderkey=o_orderkey
and o_orderdate < timestamp '1995-03-15' and l_shipdate > timestamp '1995-03-15' group by 1, 3, 4
order by revenue desc limit 10"""


def pandas_q5(t: Tables) -> Any:
    """TPC-H 5: revenue of a region by nation, where customer and supplier are of one."""
    region = t["region"]
    nations = region[region.r_name == "ASIA"].merge(t["nation"], left_on="r_regionkey", right_on="n_regionkey")
    orders = t["orders"]
    orders = orders[(orders.o_orderdate >= datetime(1994, 1, 1)) & (orders.o_orderdate < datetime(1995, 1, 1))]
    rows = nations.merge(t["customer"], left_on="n_nationkey", right_on="c_nationkey")
    rows = rows.merge(orders, left_on="c_custkey", right_on="o_custkey")
    rows = rows.merge(t["lineitem"], left_on="o_orderkey", right_on="l_orderkey")
    rows = rows.merge(t["supplier"], left_on=["l_suppkey", "n_nationkey"], right_on=["s_suppkey", "s_nationkey"])
    rows = rows.assign(revenue=revenue(rows))
    return rows.groupby("n_name")[["revenue"]].sum()


def polars_q5(t: Tables) -> Any:
    """The same in Polars."""
    nations = t["region"].filter(pl.col("r_name") == "ASIA")
    nations = nations.join(t["nation"], left_on="r_regionkey", right_on="n_regionkey")
    years = (pl.col("o_orderdate") >= datetime(1994, 1, 1)) & (pl.col("o_orderdate") < datetime(1995, 1, 1))
    rows = nations.join(t["customer"], left_on="n_nationkey", right_on="c_nationkey")
    rows = rows.join(t["orders"].filter(years), left_on="c_custkey", right_on="o_custkey")
    rows = rows.join(t["lineitem"], left_on="o_orderkey", right_on="l_orderkey")
    rows = rows.join(t["supplier"], left_on=["l_suppkey", "n_nationkey"], right_on=["s_suppkey", "s_nationkey"])
    price = (pl.col("l_extendedprice") * (1 - pl.col("l_discount"))).sum().alias("revenue")
    return rows.group_by("n_name").agg(price).sort("n_name")


SQL_Q5 = """select n_name, sum(l_extendedprice*(1-l_discount)) from region, nation, customer, orders, lineitem, supplier
where r_name='ASIA' and r_regionkey=n_regionkey and n_nationkey=c_nationkey and c_custkey=o_custkey
and o_orderkey=l_orderkey and l_suppkey=s_suppkey and s_nationkey=n_nationkey
and o_orderdate >= timestamp '1994-01-01' and o_orderdate < timestamp '1995-01-01' group by 1 order by 1"""


def pandas_q6(t: Tables) -> Any:
    """TPC-H 6: the revenue that small discounts of a year cost."""
    lines = t["lineitem"]
    lines = lines[
        (lines.l_shipdate >= datetime(1994, 1, 1))
        & (lines.l_shipdate < datetime(1995, 1, 1))
        & (lines.l_discount >= 0.05)
        & (lines.l_discount <= 0.07)
        & (lines.l_quantity < 24)
    ]
    return (lines.l_extendedprice * lines.l_discount).sum()


def polars_q6(t: Tables) -> Any:
    """The same in Polars."""
    lines = t["lineitem"].filter(
        (pl.col("l_shipdate") >= datetime(1994, 1, 1))
        & (pl.col("l_shipdate") < datetime(1995, 1, 1))
        & (pl.col("l_discount") >= 0.05)
        & (pl.col("l_discount") <= 0.07)
        & (pl.col("l_quantity") < 24)
    )
    return lines.select((pl.col("l_extendedprice") * pl.col("l_discount")).sum())


SQL_Q6 = """select sum(l_extendedprice*l_discount) from lineitem where l_shipdate >= timestamp '1994-01-01'
and l_shipdate < timestamp '1995-01-01' and l_discount >= 0.05 and l_discount <= 0.07 and l_quantity < 24"""


def pandas_q9(t: Tables) -> Any:
    """TPC-H 9: profit on parts of a colour by nation and year."""
    part = t["part"]
    rows = part[part.p_name.str.contains("green")][["p_partkey"]]
    rows = rows.merge(t["lineitem"], left_on="p_partkey", right_on="l_partkey")
    rows = rows.merge(t["partsupp"], left_on=["l_partkey", "l_suppkey"], right_on=["ps_partkey", "ps_suppkey"])
    rows = rows.merge(t["supplier"], left_on="l_suppkey", right_on="s_suppkey")
    rows = rows.merge(t["nation"], left_on="s_nationkey", right_on="n_nationkey")
    rows = rows.merge(t["orders"], left_on="l_orderkey", right_on="o_orderkey")
    profit = revenue(rows) - rows.ps_supplycost * rows.l_quantity
    rows = rows.assign(profit=profit, year=rows.o_orderdate.dt.year)
    return rows.groupby(["n_name", "year"])[["profit"]].sum()


def polars_q9(t: Tables) -> Any:
    """The same in Polars."""
    rows = t["part"].filter(pl.col("p_name").str.contains("green", literal=True))
    rows = rows.join(t["lineitem"], left_on="p_partkey", right_on="l_partkey", coalesce=False)
    rows = rows.join(t["partsupp"], left_on=["l_partkey", "l_suppkey"], right_on=["ps_partkey", "ps_suppkey"])
    rows = rows.join(t["supplier"], left_on="l_suppkey", right_on="s_suppkey")
    rows = rows.join(t["nation"], left_on="s_nationkey", right_on="n_nationkey")
    rows = rows.join(t["orders"], left_on="l_orderkey", right_on="o_orderkey")
    price = pl.col("l_extendedprice") * (1 - pl.col("l_discount"))
    profit = price - pl.col("ps_supplycost") * pl.col("l_quantity")
    rows = rows.select("n_name", pl.col("o_orderdate").dt.year().alias("year"), profit.alias("profit"))
    return rows.group_by("n_name", "year").agg(pl.sum("profit")).sort("n_name", "year")


SQL_Q9 = """select n_name, year(o_orderdate) y, sum(l_extendedprice*(1-l_discount) - ps_supplycost*l_quantity)
from part, supplier, lineitem, partsupp, orders, nation where s_suppkey=l_suppkey and ps_suppkey=l_suppkey
and ps_partkey=l_partkey and p_partkey=l_partkey and o_orderkey=l_orderkey and s_nationkey=n_nationkey
and p_name like '%green%' group by 1, 2 order by 1, 2"""


def pandas_q18(t: Tables) -> Any:
    """TPC-H 18: the largest orders of many items."""
    lines = t["lineitem"]
    large = lines.groupby("l_orderkey")[["l_quantity"]].sum().reset_index()
    large = large[large.l_quantity > 300][["l_orderkey"]]
    rows = t["orders"].merge(large, left_on="o_orderkey", right_on="l_orderkey")[
        ["o_orderkey", "o_custkey", "o_orderdate", "o_totalprice"]
    ]
    rows = rows.merge(t["customer"], left_on="o_custkey", right_on="c_custkey")
    rows = rows.merge(lines, left_on="o_orderkey", right_on="l_orderkey")
    keys = ["c_name", "c_custkey", "o_orderkey", "o_orderdate", "o_totalprice"]
    return rows.groupby(keys)[["l_quantity"]].sum().nlargest(100, "l_quantity")


def polars_q18(t: Tables) -> Any:
    """The same in Polars."""
    large = t["lineitem"].group_by("l_orderkey").agg(pl.sum("l_quantity")).filter(pl.col("l_quantity") > 300)
    rows = t["orders"].join(large.select("l_orderkey"), left_on="o_orderkey", right_on="l_orderkey")
    rows = rows.join(t["customer"], left_on="o_custkey", right_on="c_custkey")
    rows = rows.join(t["lineitem"], left_on="o_orderkey", right_on="l_orderkey")
    keys = ["c_name", "o_custkey", "o_orderkey", "o_orderdate", "o_totalprice"]
    return rows.group_by(keys).agg(pl.sum("l_quantity")).top_k(100, by="l_quantity")


SQL_Q18 = """select c_name, c_custkey, o_orderkey, o_orderdate, o_totalprice, sum(l_quantity) q
from customer, orders, lineitem where o_orderkey in (select l_orderkey from lineitem group by l_orderkey
having sum(l_quantity) > 300) and c_custkey=o_custkey and o_orderkey=l_orderkey group by 1, 2, 3, 4, 5
order by q desc limit 100"""

TPCH: dict[str, tuple[Query, Query, str]] = {
    "tpch q1": (pandas_q1, polars_q1, SQL_Q1),
    "tpch q3": (pandas_q3, polars_q3, SQL_Q3),
    "tpch q5": (pandas_q5, polars_q5, SQL_Q5),
    "tpch q6": (pandas_q6, polars_q6, SQL_Q6),
    "tpch q9": (pandas_q9, polars_q9, SQL_Q9),
    "tpch q18": (pandas_q18, polars_q18, SQL_Q18),
}


def grouped(keys: list[str], **columns: list[str]) -> tuple[Query, Query, str]:
    """A groupby of the table `groups` in all three spellings."""
    names = {
        "sum": "sum",
        "mean": "avg",
        "max": "max",
        "min": "min",
        "median": "median",
        "std": "stddev",
        "count": "count",
    }

    def in_polars(t: Tables) -> Any:
        aggregates = [
            getattr(pl.col(column), func)().alias(f"{column}_{func}")
            for column, funcs in columns.items()
            for func in funcs
        ]
        return t["groups"].group_by(keys).agg(aggregates).sort(keys)

    selected = [f"{names[func]}({column})" for column, funcs in columns.items() for func in funcs]
    listed = ", ".join(keys)
    sql = f"select {listed}, {', '.join(selected)} from groups group by {listed} order by {listed}"
    return (lambda t: t["groups"].groupby(keys).agg(columns)), in_polars, sql


GROUPS: dict[str, tuple[Query, Query, str]] = {
    "groupby q1": grouped(["id1"], v1=["sum"]),
    "groupby q2": grouped(["id1", "id2"], v1=["sum"]),
    "groupby q3": grouped(["id3"], v1=["sum"], v3=["mean"]),
    "groupby q4": grouped(["id4"], v1=["mean"], v2=["mean"], v3=["mean"]),
    "groupby q5": grouped(["id6"], v1=["sum"], v2=["sum"], v3=["sum"]),
    "groupby q6": grouped(["id4", "id5"], v3=["median", "std"]),
    "groupby q7": grouped(["id3"], v1=["max"], v2=["min"]),
    "groupby q10": grouped(["id1", "id2", "id3", "id4", "id5", "id6"], v3=["sum", "count"]),
}


def joined(other: str, key: str, how: str = "inner") -> tuple[Query, Query, str]:
    """A join of `left` with another table, and a sum of what it answers."""

    def in_pandas(t: Tables) -> Any:
        rows = t["left"].merge(t[other][[key, "v2"]], on=key, how=how)
        return rows[["v1", "v2"]].sum()

    def in_polars(t: Tables) -> Any:
        rows = t["left"].join(t[other].select(key, "v2"), on=key, how=how)
        return rows.select(pl.sum("v1"), pl.sum("v2"))

    return in_pandas, in_polars, f'select sum(v1), sum(v2) from "left" {how} join "{other}" using ({key})'


JOINS: dict[str, tuple[Query, Query, str]] = {
    "join q1": joined("small", "id1"),
    "join q2": joined("medium", "id2"),
    "join q3": joined("medium", "id2", "left"),
    "join q4": joined("medium", "id5"),
    "join q5": joined("big", "id3"),
}

SINGLE: dict[str, tuple[Query, Query, str]] = {
    "filter and mean": (
        lambda t: t["groups"][t["groups"].v3 > 90].v1.mean(),
        lambda t: t["groups"].filter(pl.col("v3") > 90).select(pl.mean("v1")),
        "select avg(v1) from groups where v3 > 90",
    ),
    "sort_values": (
        lambda t: t["groups"][["id6", "v3"]].sort_values("v3"),
        lambda t: t["groups"].select("id6", "v3").sort("v3"),
        "select id6, v3 from groups order by v3",
    ),
    "value_counts": (
        lambda t: t["groups"].id3.value_counts(),
        lambda t: t["groups"].group_by("id3").len().sort("len", descending=True),
        "select id3, count(*) n from groups group by 1 order by n desc",
    ),
    "drop_duplicates": (
        lambda t: t["groups"][["id4", "id6"]].drop_duplicates(),
        lambda t: t["groups"].select("id4", "id6").unique(),
        "select distinct id4, id6 from groups",
    ),
    "nunique": (
        lambda t: t["groups"].id6.nunique(),
        lambda t: t["groups"].select(pl.col("id6").n_unique()),
        "select count(distinct id6) from groups",
    ),
}


def lazy_tables(module: ModuleType, folder: Path, names: list[str]) -> Tables:
    """Tables of a library with Dask's interface."""
    return {name: module.read_parquet(f"{folder}/{name}-*.parquet") for name in names}


def contenders(
    folder: Path, names: list[str], query: tuple[Query, Query, str], slow: bool
) -> dict[str, Callable[[], Any]]:
    """A query with everyone who has it, from files to a result in memory."""
    in_pandas, in_polars, sql = query

    def with_pandas() -> Any:
        return in_pandas(
            {name: pd.concat(map(pd.read_parquet, sorted(folder.glob(f"{name}-*.parquet")))) for name in names}
        )

    def with_polars(engine: str) -> Any:
        return in_polars({name: pl.scan_parquet(f"{folder}/{name}-*.parquet") for name in names}).collect(engine=engine)

    def with_duckdb() -> Any:
        connection = duckdb.connect()
        for name in names:
            connection.execute(f"create view \"{name}\" as from '{folder}/{name}-*.parquet'")
        return connection.execute(sql).to_arrow_table()

    all_of_them: dict[str, Callable[[], Any]] = {
        "oxidask": lambda: in_pandas(lazy_tables(oxidask.dataframe, folder, names)).compute(),
        "Polars": lambda: with_polars("in-memory"),
        "Polars streaming": lambda: with_polars("streaming"),
        "DuckDB": with_duckdb,
    }
    if slow:
        all_of_them["Dask"] = lambda: in_pandas(lazy_tables(dask.dataframe, folder, names)).compute()
        all_of_them["pandas"] = with_pandas
    return all_of_them


def csv_contenders(folder: Path) -> dict[str, Callable[[], Any]]:
    """A CSV file, grouped and summed."""
    path = f"{folder}/groups.csv"
    sql = f"select id4, sum(v1) from '{path}' group by 1 order by 1"
    return {
        "oxidask": lambda: oxidask.dataframe.read_csv(path).groupby("id4").v1.sum().compute(),
        "Polars": lambda: pl.scan_csv(path).group_by("id4").agg(pl.sum("v1")).sort("id4").collect(),
        "DuckDB": lambda: duckdb.connect().execute(sql).to_arrow_table(),
        "Dask": lambda: dask.dataframe.read_csv(path).groupby("id4").v1.sum().compute(),
    }


def index_contenders(folder: Path) -> dict[str, Callable[[], Any]]:
    """An unsorted column made the index."""
    sql = f"select * from '{folder}/groups-*.parquet' order by v3"

    def ours(module: ModuleType) -> Any:
        return module.read_parquet(f"{folder}/groups-*.parquet").set_index("v3").compute()

    return {
        "oxidask": lambda: ours(oxidask.dataframe),
        "Polars": lambda: pl.scan_parquet(f"{folder}/groups-*.parquet").sort("v3").collect(),
        "DuckDB": lambda: duckdb.connect().execute(sql).to_arrow_table(),
        "Dask": lambda: ours(dask.dataframe),
    }


def main() -> None:
    """Runs the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of the groupby and join tables")
    parser.add_argument("--scale", type=float, default=0.1, help="scale factor of the TPC-H tables")
    parser.add_argument("--only", default="", help="parts of the names of the queries to run, with commas")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--fast", action="store_true", help="leave Dask and pandas out")
    arguments = parser.parse_args()
    only = [part for part in arguments.only.split(",") if part]
    sets = [(GROUPS, ["groups"]), (SINGLE, ["groups"]), (JOINS, JOIN_TABLES), (TPCH, TPCH_TABLES)]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        frame_data.groups(arguments.rows, folder)
        frame_data.joins(arguments.rows, folder)
        frame_data.tpch(arguments.scale, folder)
        run = {"read_csv and groupby": csv_contenders(folder), "set_index": index_contenders(folder)}
        for queries, tables in sets:
            run.update({name: contenders(folder, tables, query, not arguments.fast) for name, query in queries.items()})
        for title, all_of_them in run.items():
            if not only or any(part in title for part in only):
                compare(title, all_of_them, arguments.rounds)


if __name__ == "__main__":
    main()
