"""Tables for the benchmarks of dataframes, made from a fixed seed and written as Parquet and CSV.

The groupby and join tables have the columns and cardinalities of the db-benchmark of H2O.ai; the others have those
columns of the TPC-H tables that its queries 1, 3, 5, 6, 9 and 18 read, with values drawn from the same domains.
"""

from pathlib import Path

import numpy as np
import pandas as pd

SEED = 20240501
FILES = 4
NATIONS = 25
REGIONS = ["AFRICA", "AMERICA", "ASIA", "EUROPE", "MIDDLE EAST"]
SEGMENTS = ["AUTOMOBILE", "BUILDING", "FURNITURE", "HOUSEHOLD", "MACHINERY"]
COLOURS = ["almond", "blue", "coral", "green", "ivory", "lemon", "navy", "plum", "red", "tan"]
EPOCH = np.datetime64("1992-01-01", "us")


def write(frame: pd.DataFrame, folder: Path, name: str, files: int = FILES) -> None:
    """Writes a table as `files` Parquet files, `name-0.parquet` and so on."""
    step = -(-len(frame) // files)
    for number in range(files):
        part = frame.iloc[number * step : (number + 1) * step]
        if len(part) or number == 0:
            part.to_parquet(folder / f"{name}-{number}.parquet", index=False)


def words(prefix: str, numbers: np.ndarray) -> np.ndarray:
    """Strings such as `id007`."""
    distinct, codes = np.unique(numbers, return_inverse=True)
    return np.array([f"{prefix}{number:03d}" for number in distinct], dtype=object)[codes]


def groups(rows: int, folder: Path) -> None:
    """The table of the groupby queries; also as one CSV file."""
    random = np.random.default_rng(SEED)
    k = 100
    many = max(rows // k, 1)
    frame = pd.DataFrame(
        {
            "id1": words("id", random.integers(1, k + 1, rows)),
            "id2": words("id", random.integers(1, k + 1, rows)),
            "id3": words("id", random.integers(1, many + 1, rows)),
            "id4": random.integers(1, k + 1, rows),
            "id5": random.integers(1, k + 1, rows),
            "id6": random.integers(1, many + 1, rows),
            "v1": random.integers(1, 6, rows),
            "v2": random.integers(1, 16, rows),
            "v3": np.round(random.uniform(0, 100, rows), 6),
        }
    )
    write(frame, folder, "groups")
    frame.to_csv(folder / "groups.csv", index=False)


def joins(rows: int, folder: Path) -> None:
    """The tables of the join queries: `left`, and `small`, `medium` and `big` to join it with."""
    random = np.random.default_rng(SEED + 1)
    sizes = {"small": max(rows // 1_000_000, 10), "medium": max(rows // 1000, 10), "big": rows}
    small, medium, big = sizes.values()
    keys = {
        "id1": random.integers(1, small * 11 // 10 + 1, rows),
        "id2": random.integers(1, medium * 11 // 10 + 1, rows),
    }
    left = pd.DataFrame({**keys, "id3": random.integers(1, big * 11 // 10 + 1, rows)})
    left["id5"] = words("id", left.id2.to_numpy())
    left["v1"] = np.round(random.uniform(0, 100, rows), 6)
    write(left, folder, "left")
    for name, size in sizes.items():
        key = {"small": "id1", "medium": "id2", "big": "id3"}[name]
        right = pd.DataFrame({key: random.permutation(np.arange(1, size + 1))})
        if name == "medium":
            right["id5"] = words("id", right.id2.to_numpy())
        right["v2"] = np.round(random.uniform(0, 100, size), 6)
        write(right, folder, name, FILES if size > 100_000 else 1)


def tpch(scale: float, folder: Path) -> None:
    """The tables of the TPC-H queries at a scale factor."""
    random = np.random.default_rng(SEED + 2)
    n_orders, n_customers = int(1_500_000 * scale), max(int(150_000 * scale), 10)
    n_parts, n_suppliers = max(int(200_000 * scale), 10), max(int(10_000 * scale), 10)
    nations = pd.DataFrame(
        {
            "n_nationkey": np.arange(NATIONS),
            "n_name": [f"NATION {i}" for i in range(NATIONS)],
            "n_regionkey": np.arange(NATIONS) % 5,
        }
    )
    write(nations, folder, "nation", 1)
    write(pd.DataFrame({"r_regionkey": np.arange(5), "r_name": REGIONS}), folder, "region", 1)
    supplier = {"s_suppkey": np.arange(1, n_suppliers + 1), "s_nationkey": random.integers(0, NATIONS, n_suppliers)}
    write(pd.DataFrame(supplier), folder, "supplier", 1)
    customer = pd.DataFrame(
        {
            "c_custkey": np.arange(1, n_customers + 1),
            "c_name": words("Customer#", np.arange(1, n_customers + 1)),
            "c_nationkey": random.integers(0, NATIONS, n_customers),
            "c_mktsegment": np.array(SEGMENTS, dtype=object)[random.integers(0, 5, n_customers)],
        }
    )
    write(customer, folder, "customer")
    colours = np.array(COLOURS, dtype=object)
    names = colours[random.integers(0, 10, n_parts)] + " " + colours[random.integers(0, 10, n_parts)]
    write(pd.DataFrame({"p_partkey": np.arange(1, n_parts + 1), "p_name": names}), folder, "part")
    partsupp = pd.DataFrame({"ps_partkey": np.repeat(np.arange(1, n_parts + 1), 4)})
    offsets = np.tile(np.arange(4), n_parts) * (n_suppliers // 4)
    partsupp["ps_suppkey"] = (partsupp.ps_partkey + offsets) % n_suppliers + 1
    partsupp["ps_supplycost"] = np.round(random.uniform(1, 1000, len(partsupp)), 2)
    write(partsupp, folder, "partsupp")
    orders = orders_of(n_orders, n_customers, random)
    write(orders, folder, "orders")
    write(lines_of(orders, partsupp, random), folder, "lineitem")


def orders_of(n_orders: int, n_customers: int, random: np.random.Generator) -> pd.DataFrame:
    """The orders, about seven years of them."""
    return pd.DataFrame(
        {
            "o_orderkey": np.arange(1, n_orders + 1) * 4,
            "o_custkey": random.integers(1, n_customers + 1, n_orders),
            "o_totalprice": np.round(random.uniform(1000, 400_000, n_orders), 2),
            "o_orderdate": EPOCH + random.integers(0, 2405, n_orders).astype("timedelta64[D]"),
            "o_shippriority": np.zeros(n_orders, dtype=np.int64),
        }
    )


def lines_of(orders: pd.DataFrame, partsupp: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    """One to seven lines for every order."""
    repeats = random.integers(1, 8, len(orders))
    rows = int(repeats.sum())
    supplied = random.integers(0, len(partsupp), rows)
    ordered = np.repeat(orders.o_orderdate.to_numpy(), repeats)
    shipped = ordered + random.integers(1, 122, rows).astype("timedelta64[D]")
    quantity = random.integers(1, 51, rows).astype(np.float64)
    is_old = shipped <= np.datetime64("1995-06-17")
    return pd.DataFrame(
        {
            "l_orderkey": np.repeat(orders.o_orderkey.to_numpy(), repeats),
            "l_partkey": partsupp.ps_partkey.to_numpy()[supplied],
            "l_suppkey": partsupp.ps_suppkey.to_numpy()[supplied],
            "l_quantity": quantity,
            "l_extendedprice": np.round(quantity * random.uniform(900, 2000, rows), 2),
            "l_discount": random.integers(0, 11, rows) / 100,
            "l_tax": random.integers(0, 9, rows) / 100,
            "l_returnflag": np.where(is_old, np.where(random.integers(0, 2, rows) == 0, "A", "R"), "N").astype(object),
            "l_linestatus": np.where(is_old, "F", "O").astype(object),
            "l_shipdate": shipped,
        }
    )
