"""Databases, by SQLAlchemy: a query for every range of an index column."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd

from oxidask.dataframe._collection import new
from oxidask.dataframe._plan import Plan

__all__ = ["read_sql", "read_sql_query", "read_sql_table", "to_sql"]


def _alchemy() -> Any:
    try:
        import sqlalchemy
    except ImportError as error:
        raise ImportError("databases need SQLAlchemy\nhint: pip install sqlalchemy") from error
    return sqlalchemy


def _engine(con: str, kwargs: Any) -> Any:
    return _alchemy().create_engine(con, **(kwargs or {}))


class _Reader:
    """Runs the query of one range."""

    def __init__(self, sql: Any, index: Any, con: str, meta: Any, engine_kwargs: Any, kwargs: dict[str, Any]) -> None:
        self.sql, self.index, self.con, self.meta = sql, index, con, meta
        self.engine_kwargs, self.kwargs = engine_kwargs, kwargs
        self.__name__ = "read-sql"

    def __dask_tokenize__(self) -> Any:
        import uuid

        # A database may change between two frames.
        return (_Reader, uuid.uuid4().hex)

    def __call__(self, bounds: Any) -> pd.DataFrame:
        return _fetch(self.sql, self.index, bounds, self.con, self.meta, self.engine_kwargs, self.kwargs)


def _fetch(
    sql: Any, index: Any, bounds: Any, con: str, meta: Any, engine_kwargs: Any, kwargs: dict[str, Any]
) -> pd.DataFrame:
    engine = _engine(con, engine_kwargs)
    try:
        query = sql
        if bounds is not None:
            low, high, last = bounds
            column = index
            query = sql.where(column >= low) if low is not None else sql
            if high is not None:
                query = query.where(column <= high if last else column < high)
        frame = pd.read_sql(query, engine, **kwargs)
    finally:
        engine.dispose()
    if meta is None:
        return frame
    if not len(frame):
        return meta
    wanted = meta.dtypes.to_dict()
    kept = {
        name: dtype for name, dtype in wanted.items() if name in frame.columns and not _missing_in(frame[name], dtype)
    }
    return frame.astype(kept, copy=False)


def _missing_in(column: pd.Series, dtype: Any) -> bool:
    return bool(getattr(dtype, "kind", "") in "iub" and column.isna().any())


def read_sql_query(
    sql: Any, con: str, index_col: Any, divisions: Any = None, npartitions: Any = None, limits: Any = None,
    bytes_per_chunk: Any = "256 MiB", head_rows: int = 5, meta: Any = None, engine_kwargs: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """Rows of a query, a partition for every range of a column.

    Parameters
    ----------
    sql : sqlalchemy selectable
    con : str
        The address of the database, as SQLAlchemy has it.
    index_col : str or sqlalchemy column
        What becomes the index; its ranges are read apart.
    divisions : sequence
        The ranges; else they are spread between ``limits``.
    npartitions : int
        How many ranges.
    limits : (least, greatest)
        Of the index; asked of the database without it.
    bytes_per_chunk : int or str
        About so many bytes for each partition, if neither is given.
    head_rows : int
        Rows to infer types and sizes from.
    meta : optional
        Columns and types.
    engine_kwargs : dict
        Arguments of ``sqlalchemy.create_engine``.
    **kwargs
        Arguments of ``pandas.read_sql``.

    Raises
    ------
    TypeError
        If ``con`` is no text, or the index is of a type that has no ranges.

    Examples
    --------
    >>> import tempfile, sqlalchemy, oxidask.dataframe as dd
    >>> address = f"sqlite:///{tempfile.mkdtemp()}/a.db"
    >>> dd.from_dict({"x": [1, 2]}, npartitions=1).to_sql("t", address, index_label="i")
    >>> query = sqlalchemy.select(sqlalchemy.column("i"), sqlalchemy.column("x")).select_from(sqlalchemy.table("t"))
    >>> dd.read_sql_query(query, address, "i", npartitions=2).x.sum().compute().item()
    3
    """
    sa = _alchemy()
    if not isinstance(con, str):
        raise TypeError(
            f"con must be the database's address as a text, got {type(con).__name__}\nhint: every task opens it anew"
        )
    if index_col is None:
        raise ValueError("index_col is None; rows are divided by a column, so one has to be named")
    if not isinstance(index_col, (str, sa.Column, sa.sql.elements.ColumnClause, sa.sql.elements.Label)):
        raise ValueError(f"index_col must be a name or a column of SQLAlchemy, got {type(index_col).__name__}")
    if divisions is not None and npartitions is not None:
        raise TypeError("divisions and npartitions were both passed\nhint: pass one of them")
    index = sa.column(index_col) if isinstance(index_col, str) else index_col
    name = index_col if isinstance(index_col, str) else index_col.name
    # A label has no form within a condition; what it stands for has.
    index = index.element if isinstance(index, sa.sql.elements.Label) else index
    kwargs["index_col"] = name
    engine = _engine(con, engine_kwargs)
    try:
        if meta is None:
            head = pd.read_sql(sql.limit(head_rows), engine, **kwargs)
            if not len(head):
                return new(Plan.source([head]), head.iloc[:0], None)
            meta = head.iloc[:0]
            size = head.memory_usage(deep=True, index=True).sum() / head_rows
        else:
            size = None
            if divisions is None and npartitions is None:
                raise ValueError(
                    "with meta= nothing is sampled, so the number of partitions is unknown\nhint: pass divisions= or npartitions="
                )
        if divisions is None:
            divisions = _ranges(sa, engine, sql, index, meta, limits, npartitions, bytes_per_chunk, size)
    finally:
        engine.dispose()
    bounds = [(low, high, i == len(divisions) - 2) for i, (low, high) in enumerate(itertools.pairwise(divisions))]
    reader = _Reader(sql, index, con, meta, engine_kwargs, kwargs)
    return new(Plan.source(bounds, "ranges").map("read-sql", reader), meta, tuple(divisions))


def _ranges(
    sa: Any,
    engine: Any,
    sql: Any,
    index: Any,
    meta: Any,
    limits: Any,
    npartitions: Any,
    bytes_per_chunk: Any,
    size: Any,
) -> list[Any]:
    """Divisions spread evenly between the least and the greatest value of the index."""
    subquery = sql.subquery()
    with engine.connect() as connection:
        inner = subquery.c.get(index.name, index)
        if limits is None:
            limits = tuple(
                connection.execute(sa.select(sa.func.min(inner), sa.func.max(inner)).select_from(subquery)).one()
            )
        low, high = limits
        if npartitions is None:
            from oxidask.utils import parse_bytes

            count = connection.execute(sa.select(sa.func.count(inner)).select_from(subquery)).scalar()
            wanted = parse_bytes(bytes_per_chunk) if isinstance(bytes_per_chunk, str) else bytes_per_chunk
            npartitions = max(1, round(count * size / wanted))
    dtype = meta.index.dtype
    if dtype.kind == "M" or isinstance(dtype, pd.DatetimeTZDtype):
        made = pd.date_range(start=pd.Timestamp(low), end=pd.Timestamp(high), periods=npartitions + 1).tolist()
        made[0], made[-1] = low if isinstance(low, pd.Timestamp) else pd.Timestamp(low), pd.Timestamp(high)
        return made
    if dtype.kind in "iuf":
        spread = np.linspace(low, high, npartitions + 1, dtype=dtype).tolist()
        spread[0], spread[-1] = low, high
        return list(spread)
    raise TypeError(f"the index column is {dtype}; ranges can be made only of numbers and times\nhint: pass divisions=")


def read_sql_table(
    table_name: Any, con: str, index_col: Any, divisions: Any = None, npartitions: Any = None, limits: Any = None,
    columns: Any = None, bytes_per_chunk: Any = "256 MiB", head_rows: int = 5, schema: Any = None, meta: Any = None,
    engine_kwargs: Any = None, **kwargs: Any,
) -> Any:  # fmt: skip
    """A table of a database, a partition for every range of a column.

    Parameters
    ----------
    table_name : str
    con : str
        The address of the database, as SQLAlchemy has it.
    index_col : str
    columns : list
        The only columns to read; the index comes with them.
    schema : str
        The schema of the table.
    divisions, npartitions, limits, bytes_per_chunk, head_rows, meta, engine_kwargs, **kwargs
        As for :func:`read_sql_query`.

    Examples
    --------
    >>> import tempfile, oxidask.dataframe as dd
    >>> address = f"sqlite:///{tempfile.mkdtemp()}/a.db"
    >>> dd.from_dict({"x": [1, 2, 3]}, npartitions=1).to_sql("t", address, index_label="i")
    >>> dd.read_sql_table("t", address, "i", npartitions=2).x.sum().compute().item()
    6
    """
    sa = _alchemy()
    if not isinstance(table_name, str):
        raise TypeError(f"table_name must be a text, got {type(table_name).__name__}")
    if columns is not None:
        for column in columns:
            if not isinstance(column, (str, sa.Column, sa.sql.elements.Label, sa.sql.elements.ColumnClause)):
                raise TypeError(f"columns has {column!r}, which is neither a name nor a column of SQLAlchemy")
    if not isinstance(con, str):
        raise TypeError(f"con must be the database's address as a text, got {type(con).__name__}")
    engine = _engine(con, engine_kwargs)
    try:
        table = sa.Table(table_name, sa.MetaData(), autoload_with=engine, schema=schema)
    finally:
        engine.dispose()
    index = table.columns[index_col] if isinstance(index_col, str) else index_col
    wanted = (
        [table.columns[c] if isinstance(c, str) else c for c in columns] if columns is not None else list(table.columns)
    )
    if index.name not in [c.name for c in wanted]:
        wanted.append(index)
    return read_sql_query(
        sa.select(*wanted), con, index, divisions=divisions, npartitions=npartitions, limits=limits,
        bytes_per_chunk=bytes_per_chunk, head_rows=head_rows, meta=meta, engine_kwargs=engine_kwargs, **kwargs,
    )  # fmt: skip


def read_sql(sql: Any, con: str, index_col: Any, **kwargs: Any) -> Any:
    """A table by name, or the rows of a query; see :func:`read_sql_table` and :func:`read_sql_query`."""
    return (
        read_sql_table(sql, con, index_col, **kwargs)
        if isinstance(sql, str)
        else read_sql_query(sql, con, index_col, **kwargs)
    )


def _write_rows(rows: Any, name: str, uri: str, engine_kwargs: Any, kwargs: dict[str, Any]) -> int:
    engine = _engine(uri, engine_kwargs)
    try:
        with engine.begin() as connection:
            return rows.to_sql(name, connection, **kwargs) or len(rows)
    finally:
        engine.dispose()


def _write_in_order(parts: list[Any], name: str, uri: str, engine_kwargs: Any, kwargs: dict[str, Any]) -> int:
    """All rows in one transaction, so that nothing half-written stays."""
    engine = _engine(uri, engine_kwargs)
    try:
        with engine.begin() as connection:
            total = 0
            for number, rows in enumerate(parts):
                own = kwargs if number == 0 else {**kwargs, "if_exists": "append"}
                total += rows.to_sql(name, connection, **own) or len(rows)
            return total
    finally:
        engine.dispose()


def to_sql(
    df: Any, name: str, uri: str, schema: Any = None, if_exists: str = "fail", index: bool = True, index_label: Any = None,
    chunksize: Any = None, dtype: Any = None, method: Any = None, compute: bool = True, parallel: bool = False,
    engine_kwargs: Any = None,
) -> Any:  # fmt: skip
    """Writes a table of a database.

    Parameters
    ----------
    df : DataFrame or Series
    name : str
    uri : str
        The address of the database, as SQLAlchemy has it.
    schema, if_exists, index, index_label, chunksize, dtype, method
        As for ``pandas.DataFrame.to_sql``.
    compute : bool
        Whether to write at once; else a delayed value is answered that writes.
    parallel : bool
        Whether partitions are written at once, each in a transaction of its own;
        otherwise one transaction writes them in order.
    engine_kwargs : dict
        Arguments of ``sqlalchemy.create_engine``.

    Raises
    ------
    ValueError
        If ``uri`` is no text, or the table exists and ``if_exists="fail"``.
    """
    from oxidask import base, delayed

    if not isinstance(uri, str):
        raise ValueError(f"uri must be the database's address as a text, got {type(uri).__name__}")
    kwargs = {
        "schema": schema, "if_exists": if_exists, "index": index, "index_label": index_label, "chunksize": chunksize,
        "dtype": dtype, "method": method,
    }  # fmt: skip
    if not parallel:
        write = df._plan.groups(
            "to-sql", _write_in_order, [(0, df.npartitions)], name, uri, engine_kwargs, kwargs
        ).delayed()[0]
    else:
        first = Plan.source([df._meta]).map("create", _write_rows, name, uri, engine_kwargs, kwargs).delayed()[0]
        rest = {**kwargs, "if_exists": "append"}
        parts = [delayed(_after)(first, part, name, uri, engine_kwargs, rest, pure=False) for part in df.to_delayed()]
        write = delayed(list)(parts)
    if not compute:
        return write
    base.compute(write)
    return None


def _after(first: Any, rows: Any, name: str, uri: str, engine_kwargs: Any, kwargs: dict[str, Any]) -> int:
    del first
    return _write_rows(rows, name, uri, engine_kwargs, kwargs)
