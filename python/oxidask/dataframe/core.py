"""What frames, columns and indexes share, and how a method finds its form.

A collection is a native plan of the engine, a :class:`Plan` of pandas objects, or
the first with the second made from it when needed. A method takes its native form
if there is one for these arguments; otherwise pandas runs on every partition.
"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np
import pandas as pd

from oxidask import _oxidask, base
from oxidask.dataframe import _adopt, _rows
from oxidask.dataframe._collection import new, wrap_native
from oxidask.dataframe._meta import empty, emulate, nonempty
from oxidask.dataframe._plan import Plan
from oxidask.highlevelgraph import HighLevelGraph

__all__ = [
    "NOT_NATIVE",
    "Collection",
    "elemwise",
    "is_lazy",
    "native_form",
    "own_meta",
    "split_every_of",
    "warn_guessed",
]

#: What :func:`native_form` answers if there is no native form.
NOT_NATIVE = object()


class _NoForm(Exception):
    """An argument that the engine cannot take."""


def is_lazy(x: Any) -> bool:
    """Whether ``x`` is a frame, column, index or value of ours."""
    return isinstance(x, Collection)


def _native_arg(arg: Any) -> Any:
    if isinstance(arg, Collection):
        if arg._native is None:
            raise _NoForm
        return arg._native
    if isinstance(arg, (pd.DataFrame, pd.Series, pd.Index, np.ndarray)) or base.is_dask_collection(arg):
        raise _NoForm
    if isinstance(arg, list) and any(isinstance(item, Collection) for item in arg):
        return [_native_arg(item) for item in arg]
    return arg


def native_form(self: Collection, name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What the engine answers by itself, or :data:`NOT_NATIVE`."""
    native = self._native if name not in _adopt.METHODS else _adopt.native_of(self)
    if native is None:
        return NOT_NATIVE
    method = getattr(type(native), name, None)
    # What every object has, such as equality by identity, is no form of the engine.
    if method is None or method is getattr(object, name, None):
        return NOT_NATIVE
    try:
        if native is not self._native:
            # Rows that were adopted are not those of another plan; whole frames may meet them.
            args = tuple(_adopt.argument(arg) for arg in args)
        taken = [_native_arg(arg) for arg in args]
        named = {key: _native_arg(value) for key, value in kwargs.items()}
        return wrap_native(method(native, *taken, **named))
    except (_NoForm, NotImplementedError, TypeError):
        return NOT_NATIVE


def split_every_of(split_every: Any, n: int) -> int:
    """How many results a task of a tree takes: 8 by default, ``False`` for all.

    Raises
    ------
    ValueError
        If it is less than 2.
    """
    if split_every is None:
        return 8
    if split_every is False:
        return max(n, 2)
    if split_every < 2 or split_every != int(split_every):
        raise ValueError(f"split_every is False or a whole number of at least 2, not {split_every!r}")
    return int(split_every)


def warn_guessed(name: str, stacklevel: int = 3) -> None:
    """Warns that types of an answer were guessed, for they may be others for the user's rows."""
    warnings.warn(
        f"`meta` is not specified: the metadata of {name} was inferred from partial data, two made-up rows\n"
        "hint: describe what the function answers: meta={'x': 'f8'} or meta=('x', 'f8')",
        UserWarning,
        stacklevel=stacklevel,
    )


def own_meta(func: Callable[..., Any], name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The meta of a user's function, from a call with made-up rows.

    Raises
    ------
    ValueError
        If the function raises.
    """
    try:
        return emulate(func, *args, **kwargs)
    except Exception as error:
        raise ValueError(
            f"what {name!r} answers could not be found out by calling it "
            f"with made-up rows: {type(error).__name__}: {error}\n"
            "hint: pass meta=, an empty pandas object with the columns and types"
        ) from error


def elemwise(
    func: Callable[..., Any], /, *args: Any, _label: str | None = None, _meta: Any = None, **kwargs: Any
) -> Any:
    """``func`` of pandas objects, partition by partition, with frames aligned by their divisions.

    Collections may stand anywhere among the arguments. The answer has as many
    partitions as they have, and their divisions.
    """
    from oxidask.dataframe._align import aligned

    args, kwargs = aligned(args, kwargs)
    lead = _lead(args, kwargs)
    args = tuple(_blocks_of(arg, lead) for arg in args)
    meta = emulate(func, *args, **kwargs) if _meta is None else _meta
    label = _label or getattr(func, "__name__", "elemwise")
    if func is _rows.call:
        label = args[1]
    plan = lead._plan.call(label, func, [_plan_of(arg) for arg in args], {k: _plan_of(v) for k, v in kwargs.items()})
    plan.sure = _adopt.is_sure(func, args, kwargs)
    divisions = lead.divisions if plan.n == lead.npartitions else None
    if divisions is not None and lead._kind == "index" and isinstance(meta, pd.Index):
        divisions = moved_divisions(func, lead, args, kwargs)
    return labelled(new(plan, meta, divisions), lead._broadcast)


def labelled(made: Any, columns: Iterable[Any]) -> Any:
    """``made``, which meets a frame column by column if it is a row for every one of these columns."""
    if made._kind == "series":
        object.__setattr__(made, "_broadcast", tuple(columns))
    return made


def moved_divisions(func: Callable[..., Any], index: Collection, args: Any, kwargs: Any) -> Any:
    """The divisions of a function of an index; unknown if it does not keep their order."""
    if not index.known_divisions or any(isinstance(arg, Collection) and arg is not index for arg in args):
        return None
    values = [pd.Index(index.divisions) if arg is index else arg for arg in args]
    try:
        moved = list(func(*values, **kwargs))
        in_order = moved == sorted(moved) and len(set(moved[:-1])) == len(moved[:-1])
    except Exception:
        # A function of the user's, or one that a few labels do not suffice for.
        return None
    return tuple(moved) if in_order and len(moved) == len(index.divisions) else None


class _Blocks:
    """A lazy array among rows, a block of it for every partition."""

    def __init__(self, plan: Plan, meta: Any) -> None:
        self._plan, self._meta = plan, meta


def _blocks_of(arg: Any, lead: Collection) -> Any:
    """An argument as it is, but lazy arrays as blocks for the partitions of ``lead``."""
    if isinstance(arg, Collection) or not hasattr(arg, "chunks") or not base.is_dask_collection(arg) or not arg.ndim:
        return arg
    from oxidask import delayed

    if arg.ndim > 1:
        arg = arg.rechunk({axis: -1 for axis in range(1, arg.ndim)})
    n = len(arg.chunks[0])
    if n != lead.npartitions:
        raise ValueError(
            f"an array of {n} blocks and rows of {lead.npartitions} partitions have different numbers of them\n"
            "hint: rechunk the array as the rows are partitioned"
        )
    parts = [arg.blocks[number] for number in range(n)]
    plan = Plan.of_delayed([delayed(part, traverse=False) for part in parts])
    return _Blocks(plan, np.empty((0, *arg.shape[1:]), dtype=arg.dtype))


def _lead(args: Any, kwargs: dict[str, Any]) -> Collection:
    """The collection whose partitions the answer has: the first of those with the most."""
    lazy = [arg for arg in (*args, *kwargs.values()) if isinstance(arg, Collection)]
    if not lazy:
        raise TypeError("a frame or a column is needed among the arguments")
    rows = [one for one in lazy if one._kind != "scalar" and not one._broadcast] or lazy
    return max(rows, key=lambda one: one.npartitions)


def _plan_of(arg: Any) -> Any:
    if isinstance(arg, (Collection, _Blocks)):
        return arg._plan
    if isinstance(arg, list) and any(isinstance(item, Collection) for item in arg):
        return [_plan_of(item) for item in arg]
    return arg


def _plan_of_native(native: Any) -> Plan:
    """The partitions of a native plan as pandas objects."""
    frame, kind = native._frame, native._kind
    names = [None if name is None else _decoded(name) for name in frame.index_names]
    blocks = Plan(frame.blocks(), frame.n_partitions, (frame,))
    return blocks.map("to_pandas", _rows.as_shape_of, kind, names).made_sure()


def _measured(rows: Any) -> str:
    """Steps, their tasks and the time they took, longest first, of computing some rows."""
    from oxidask.diagnostics import Profiler

    with Profiler() as profiler:
        rows.compute(scheduler="threads")
    total: dict[str, tuple[int, float]] = {}
    for task in profiler.results:
        key = task.key[0] if isinstance(task.key, tuple) else task.key
        step = str(key).rpartition("-")[0] or str(key)
        n, seconds = total.get(step, (0, 0.0))
        total[step] = (n + 1, seconds + task.end_time - task.start_time)
    lines = [f"{'step':<40} {'tasks':>7} {'seconds':>9}"]
    for step, (n, seconds) in sorted(total.items(), key=lambda item: -item[1][1]):
        lines.append(f"{step:<40} {n:>7} {seconds:>9.3f}")
    return "\n".join(lines)


def _decoded(name: str) -> Any:
    from oxidask.dataframe import _labels

    return _labels.decode(name)


class Partitions:
    """``df.partitions[i]`` and ``df.partitions[i:j]``."""

    def __init__(self, rows: Collection) -> None:
        self._of = rows

    def __len__(self) -> int:
        return self._of.npartitions

    def __iter__(self) -> Iterator[Any]:
        return (self[number] for number in range(len(self)))

    def __getitem__(self, key: Any) -> Any:
        n = self._of.npartitions
        if isinstance(key, slice):
            blocks = list(range(n))[key]
        elif isinstance(key, (list, np.ndarray)):
            wanted = np.asarray(key)
            blocks = (
                list(np.arange(n)[wanted]) if wanted.dtype == bool else [int(i) + n if i < 0 else int(i) for i in key]
            )
        else:
            blocks = [key + n if key < 0 else key]
        if not all(0 <= number < n for number in blocks):
            raise IndexError(f"there is no partition {key}; there are {n}")
        return self._of._select([int(number) for number in blocks])


class Collection(base.DaskMethodsMixin):
    """A lazy collection of rows in partitions, or a single lazy value."""

    _kind = "frame"
    _native: Any
    _own_plan: Plan | None
    _own_meta: Any
    _own_divisions: tuple[Any, ...] | None
    _adopted: Any = None
    _deferred: Any = None
    _top: Any = None
    #: Of the rows of a reduction of a frame, the columns of that frame that label them.
    _broadcast: tuple[Any, ...] = ()

    @classmethod
    def _over(cls, plan: Plan, meta: Any, divisions: tuple[Any, ...]) -> Any:
        """The collection of a plan of pandas objects."""
        made = cls.__new__(cls)
        made._set_state(None, plan, meta, tuple(divisions))
        return made

    @classmethod
    def _later(cls, plan: Callable[[], Plan], meta: Any, top: Any) -> Any:
        """The collection of a plan for which rows must be looked at, made when it is needed.

        ``top(n)`` answers its first rows without it. Divisions are not known.
        """
        made = cls.__new__(cls)
        made._set_state(None, None, meta, None)
        object.__setattr__(made, "_deferred", plan)
        object.__setattr__(made, "_top", top)
        return made

    @classmethod
    def _of_native(cls, native: Any) -> Any:
        """The collection of a plan of the engine."""
        made = cls.__new__(cls)
        made._set_state(native, None, None, None)
        return made

    def _set_state(self, native: Any, plan: Any, meta: Any, divisions: Any) -> None:
        for name, value in (
            ("_adopted", None),
            ("_deferred", None),
            ("_top", None),
            ("_native", native),
            ("_own_plan", plan),
            ("_own_meta", meta),
            ("_own_divisions", divisions),
        ):
            object.__setattr__(self, name, value)

    def _become(self, other: Collection) -> None:
        """Takes the place of another collection, as assignments do."""
        other._settle()
        self._set_state(other._native, other._own_plan, other._own_meta, other._own_divisions)

    def _settle(self) -> None:
        """Makes a plan that was put off."""
        if self._deferred is not None:
            _ = self._plan

    @property
    def _plan(self) -> Plan:
        if self._own_plan is None:
            made = _plan_of_native(self._native) if self._deferred is None else self._deferred()
            object.__setattr__(self, "_own_plan", made)
        return self._own_plan  # type: ignore[return-value]

    @property
    def _meta(self) -> Any:
        if self._own_meta is None and self._native is not None:
            object.__setattr__(self, "_own_meta", self._native._meta)
        return self._own_meta

    @property
    def _meta_nonempty(self) -> Any:
        return nonempty(self._meta)

    # -- the protocol of collections -------------------------------------------
    def __oxidask_expr__(self) -> Any:
        if self._native is not None:
            return self._native.__oxidask_expr__()
        plan = self._plan
        whole = _oxidask.bag_pipe(
            plan.expr, "concat", _rows.finish, (plan.expr,), listed=True, groups=[(0, plan.n)], item=True
        )
        # A delayed value runs on threads unless told otherwise, where a bag would take processes.
        return _oxidask.find_lazy((_oxidask.bag_delayed(whole, False)[0],), False)[0]

    #: The plan is optimised before it becomes a graph of tasks.
    __dask_optimize__ = None

    def __dask_tokenize__(self) -> Any:
        expr = self._native.__oxidask_expr__() if self._native is not None else self._plan.expr
        return (type(self).__name__, expr.key)

    def __dask_graph__(self) -> HighLevelGraph:
        layers, keys = self._plan.expr.layers(False)
        own = {own: key for own, key in zip(self.__dask_keys__(), keys, strict=True) if own != key}
        return HighLevelGraph({**layers, self._name: {**layers.get(self._name, {}), **own}})

    def __dask_keys__(self) -> list[Any]:
        return [(self._name, number) for number in range(self._plan.n)]

    def __dask_layers__(self) -> tuple[str, ...]:
        return (self._name,)

    def __dask_postcompute__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rows.finish, ()

    def __dask_postpersist__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (self.__dask_keys__(), self._meta, self.divisions)

    @staticmethod
    def __dask_scheduler__(dsk: Any, keys: Any, **kwargs: Any) -> Any:
        return base.named_schedulers["threads"](dsk, keys, **kwargs)

    @property
    def _name(self) -> str:
        expr = self._plan.expr
        return f"{expr.label}-{expr.key}"

    @property
    def dask(self) -> HighLevelGraph:
        """The plan as a graph of tasks in layers."""
        return self.__dask_graph__()

    def __oxidask_blocks__(self) -> Any:
        """The bag of the partitions, and what makes this collection of it; none for native plans."""
        if self._native is not None:
            return None
        from oxidask.bag.core import Bag

        meta, divisions, n = self._meta, self.divisions, self._plan.n
        return Bag._over(self._plan.expr), lambda held: new(Plan(held.__oxidask_expr__(), n), meta, divisions)

    def persist(self, **kwargs: Any) -> Any:
        """The same rows, computed and held; see :func:`oxidask.persist`."""
        return base.persist(self, traverse=False, **kwargs)[0]

    def optimize(self, fuse: bool = True) -> Any:
        """The same; plans are rewritten when they are computed."""
        del fuse
        return self

    def __reduce__(self) -> Any:
        return (new, (self._plan, self._meta, self.divisions))

    def explain(self, analyze: bool = False) -> None:
        """Prints the plan as it will run.

        Parameters
        ----------
        analyze : bool
            Whether to run it as well, a task at a time on threads, and to print how many
            tasks every step took, and how long they were at it together.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2]}, npartitions=1).x.sum().explain()
        aggregate, select x=value
          frame
        """
        if self._native is not None:
            self._native.explain()
        else:
            print(self._plan.expr.plan(True), end="")
        if analyze:
            print(_measured(self))

    def pprint(self) -> None:
        """Prints the plan; see :meth:`explain`."""
        self.explain()

    # -- partitions --------------------------------------------------------------
    @property
    def npartitions(self) -> int:
        """The number of partitions."""
        return self._plan.n if self._native is None else self._native.npartitions

    @property
    def divisions(self) -> tuple[Any, ...]:
        """The least index of each partition and the greatest of the last.

        All are ``None`` where they are not known, as after ``read_csv``.
        """
        if self._own_divisions is None:
            unknown = (None,) * (self.npartitions + 1)
            object.__setattr__(
                self, "_own_divisions", unknown if self._native is None else tuple(self._native.divisions)
            )
        return self._own_divisions  # type: ignore[return-value]

    @property
    def known_divisions(self) -> bool:
        """Whether divisions are known."""
        return len(self.divisions) > 0 and self.divisions[0] is not None

    def clear_divisions(self) -> Any:
        """The same rows without known divisions."""
        return new(self._plan, self._meta, None)

    @property
    def partitions(self) -> Partitions:
        """The partitions, by number, slice or list.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> dd.from_dict({"x": [1, 2, 3]}, npartitions=3).partitions[1:].x.compute().tolist()
        [2, 3]
        """
        return Partitions(self)

    def get_partition(self, n: int) -> Any:
        """The partition with this number.

        Raises
        ------
        ValueError
            If there is none.
        """
        if not 0 <= n < self.npartitions:
            raise ValueError(f"there is no partition {n}; they are numbered from 0 to {self.npartitions - 1}")
        return self.partitions[n]

    def _select(self, blocks: list[int]) -> Any:
        divisions = None
        consecutive = all(b == a + 1 for a, b in itertools.pairwise(blocks))
        if self.known_divisions and blocks and consecutive:
            divisions = self.divisions[blocks[0] : blocks[-1] + 2]
        if self._native is not None and blocks:
            from oxidask.dataframe._collection import wrap

            made = wrap(self._native._frame.partitions(blocks), self._kind)
            if divisions is not None:
                object.__setattr__(made, "_own_divisions", divisions)
            return made
        return new(self._plan.select(blocks), self._meta, divisions)

    def to_delayed(self, optimize_graph: bool = True) -> list[Any]:
        """A delayed pandas object for every partition.

        Examples
        --------
        >>> import oxidask.dataframe as dd
        >>> parts = dd.from_dict({"x": [1, 2, 3]}, npartitions=2).to_delayed()
        >>> [len(part.compute()) for part in parts]
        [2, 1]
        """
        return self._plan.delayed(optimize_graph)

    def map_partitions(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """A function of the pandas object of every partition; see ``oxidask.dataframe.map_partitions``."""
        from oxidask.dataframe._apply import map_partitions

        return map_partitions(func, self, *args, **kwargs)

    def map_overlap(self, func: Any, before: Any, after: Any, *args: Any, **kwargs: Any) -> Any:
        """A function of every partition with neighbouring rows; see ``oxidask.dataframe.map_overlap``."""
        from oxidask.dataframe._overlap import map_overlap

        return map_overlap(func, self, before, after, *args, **kwargs)

    def pipe(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """``func(self, *args, **kwargs)``; a tuple names the argument that takes the rows."""
        if isinstance(func, tuple):
            func, name = func
            if name in kwargs:
                raise ValueError(f"pipe passes the rows as {name!r}, which was given as a keyword too")
            return func(*args, **{name: self}, **kwargs)
        return func(self, *args, **kwargs)

    def copy(self, deep: bool = False) -> Any:
        """The same rows; changes of one do not change the other."""
        del deep
        made = type(self).__new__(type(self))
        self._settle()
        made._set_state(self._native, self._own_plan, self._own_meta, self._own_divisions)
        return made

    __copy__ = copy

    def _each(self, name: str, *args: Any, **kwargs: Any) -> Any:
        """A method of pandas on every partition."""
        return elemwise(_rows.call, self, name, *args, **kwargs)

    def _map(self, label: str, func: Any, *args: Any, meta: Any = None, divisions: Any = None, **kwargs: Any) -> Any:
        """A function on every partition, whose answer has the meta that it has for no rows."""
        if meta is None:
            meta = emulate(func, self, *args, **kwargs)
        plan = self._plan.map(label, func, *[_plan_of(arg) for arg in args], **kwargs)
        return new(plan, meta, self.divisions if divisions is None else divisions)

    def _tree(
        self,
        label: str,
        chunk: Any,
        aggregate: Any,
        *,
        combine: Any = None,
        meta: Any = None,
        split_every: Any = None,
        divisions: Any = None,
    ) -> Any:
        """``aggregate([chunk(partition), …])`` as a tree, in one partition."""
        every = split_every_of(split_every, self.npartitions)
        if meta is None:
            meta = empty(aggregate([chunk(self._meta_nonempty)]))
        plan = self._plan.map(label, chunk).reduce(label, combine or aggregate, aggregate, every)
        return new(plan, meta, divisions)

    def _gathered(self, label: str, func: Any, *, meta: Any = None) -> Any:
        """``func`` of all rows, in one task."""
        if meta is None:
            meta = emulate(func, self)
        plan = self._plan.groups(label, _rows.Joined(func), [(0, self.npartitions)])
        return new(plan, meta, None)

    def to_backend(self, backend: str | None = None, **kwargs: Any) -> Any:
        """The same; pandas is the only backend.

        Raises
        ------
        ValueError
            For another one.
        """
        del kwargs
        if backend not in (None, "pandas"):
            raise ValueError(f"backend={backend!r} is not offered; partitions are pandas objects or native")
        return self

    __hash__ = None  # type: ignore[assignment]

    def __bool__(self) -> bool:
        raise ValueError(
            f"the truth of a lazy {type(self).__name__} is not known, and would be ambiguous\n"
            "hint: compute() it, or its any() or all(), first; conditions are joined by & | ~"
        )


def _rebuild(dsk: Any, keys: list[Any], meta: Any, divisions: Any, *, rename: Any = None) -> Any:
    from oxidask._graphs import delayed_of_graph

    del rename
    return new(Plan.of_delayed([delayed_of_graph(dsk, key) for key in keys]), meta, divisions)
