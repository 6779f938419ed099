"""Lazy partitions that are Python objects, and the few ways to make new ones.

A :class:`Plan` is an expression of the engine with a block for every partition;
a block holds a pandas object (or whatever a function answered). All that goes
through pandas is made of these: a call on every partition (``map``), on groups
of neighbours (``groups``), a tree (``reduce``), a pass in order (``scan``),
partitions picked (``select``) or put after each other (``concat``), and rows
moved by a function of them (``shuffle``).

Functions given here run in tasks, perhaps in other processes: they are functions
of modules, or callables that pickle.

A plan also knows where its rows come from (files, native frames), and whether its
partitions are *sure* to have the types of their meta. A made-up row cannot tell what
a function answers for others, so only what is marked is sure; it may go back to the
engine.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from oxidask import _oxidask
from oxidask.tokenize import normalize_token

__all__ = ["Plan", "concat"]


@normalize_token.register(_oxidask.Expr)
def _token_of(expr: Any) -> Any:
    return ("Expr", expr.key)


def _scan(call: Any, rows: Any, state: Any) -> list[Any]:
    return list(call(rows, state))


class Plan:
    """Partitions to be."""

    __slots__ = ("expr", "n", "origins", "sure")

    def __init__(self, expr: Any, n: int | None = None, origins: tuple[Any, ...] = (), sure: bool = False) -> None:
        self.expr = expr
        self.n = _oxidask.bag_npartitions(expr) if n is None else n
        self.origins, self.sure = origins, sure

    def made_sure(self, sure: bool = True) -> Plan:
        """The same partitions, of which the types are known."""
        return Plan(self.expr, self.n, self.origins, sure)

    @staticmethod
    def source(values: Iterable[Any], label: str = "from_values") -> Plan:
        """Partitions that are here already."""
        values = list(values)
        return Plan(_oxidask.bag_source(values, label), len(values))

    @staticmethod
    def of_delayed(values: Sequence[Any]) -> Plan:
        """A partition for every lazy value."""
        return Plan(_oxidask.bag_concat(list(values)), len(values))

    def map(self, label: str, func: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Plan:
        """``func(partition, *args, **kwargs)`` for every partition.

        Plans among the arguments are read partition by partition, or whole if
        they have one.
        """
        return self.call(label, func, (self, *args), kwargs)

    def call(self, label: str, func: Callable[..., Any], args: Sequence[Any], kwargs: dict[str, Any]) -> Plan:
        """``func(*args, **kwargs)`` for every partition; this plan is among the arguments."""
        origins = tuple(dict.fromkeys(one for plan in _plans((*args, *kwargs.values())) for one in plan.origins))
        args = tuple(_open(arg, self.n) for arg in args)
        kwargs = {name: _open(value, self.n) for name, value in kwargs.items()}
        return Plan(_oxidask.bag_pipe(self.expr, label, func, args, kwargs, listed=False), self.n, origins)

    def groups(
        self, label: str, func: Callable[..., Any], ranges: Sequence[tuple[int, int]], *args: Any, **kwargs: Any
    ) -> Plan:
        """``func([partitions start to stop], *args)`` for each range of partitions."""
        ranges = [(int(start), int(stop)) for start, stop in ranges]
        args = (self.expr, *(_open(arg, len(ranges)) for arg in args))
        made = _oxidask.bag_pipe(self.expr, label, func, args, kwargs, listed=True, groups=ranges)
        return Plan(made, len(ranges), self.origins)

    def reduce(self, label: str, combine: Callable[..., Any], aggregate: Callable[..., Any], every: int) -> Plan:
        """A tree: ``combine([results])``, and at its root ``aggregate([results])``, of at most ``every`` each."""
        return Plan(_oxidask.bag_reduce(self.expr, label, combine, aggregate, every, False), 1, self.origins)

    def scan(self, label: str, func: Callable[..., Any], initial: Any) -> Plan:
        """In order, ``partition, state = func(partition, state)``."""
        return Plan(_oxidask.bag_scan(self.expr, label, _scan, func, initial), self.n, self.origins)

    def shuffle(self, scatter: Callable[..., Any], gather: Callable[..., Any], n: int) -> Plan:
        """``scatter(partition, n)`` answers ``n`` pieces; ``gather(pieces)`` makes a new partition.

        It takes as many tasks as there are old and new partitions together.
        """
        made = _oxidask.bag_shuffle(self.expr, (scatter, gather), _scatter, _gather, n)
        return Plan(made, n, self.origins)

    def select(self, numbers: Iterable[int]) -> Plan:
        """Some partitions, in any order."""
        numbers = list(numbers)
        return Plan(_oxidask.bag_select(self.expr, numbers), len(numbers), self.origins, self.sure)

    def delayed(self, optimize: bool = True) -> list[Any]:
        """A delayed value for every partition."""
        return list(_oxidask.bag_delayed(self.expr, optimize))

    def __reduce__(self) -> Any:
        form, label, key = _oxidask.bag_dumps(self.expr)
        return (_loads, (form, label, key, self.n, self.sure))


def _loads(form: bytes, label: str, key: str, n: int, sure: bool) -> Plan:
    return Plan(_oxidask.bag_loads(form, label, key, n, False), n, (), sure)


def _scatter(calls: Any, n: int, rows: Any) -> list[Any]:
    return list(calls[0](rows, n))


def _gather(calls: Any, pieces: list[Any]) -> Any:
    return calls[1](pieces)


def _plans(values: Iterable[Any]) -> Iterator[Plan]:
    """The plans among values, also within lists and dicts."""
    for value in values:
        if isinstance(value, Plan):
            yield value
        elif type(value) is list or type(value) is tuple:
            yield from _plans(value)
        elif type(value) is dict:
            yield from _plans(value.values())


def _open(arg: Any, n: int) -> Any:
    """An argument with expressions in place of plans, also within lists.

    A plan of one partition among several is a single value for all of them.
    """
    if isinstance(arg, Plan):
        return arg.delayed(False)[0] if arg.n == 1 and n != 1 else arg.expr
    if type(arg) is list or type(arg) is tuple:
        return type(arg)(_open(item, n) for item in arg)
    if type(arg) is dict:
        return {name: _open(item, n) for name, item in arg.items()}
    return arg


def concat(plans: Sequence[Plan]) -> Plan:
    """The partitions of plans, one plan after another."""
    origins = tuple(one for plan in plans for one in plan.origins)
    return Plan(_oxidask.bag_concat([plan.expr for plan in plans]), sum(plan.n for plan in plans), origins)
