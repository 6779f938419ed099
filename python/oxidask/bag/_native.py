"""Which calls of bags are well known, and how they are spelled for the engine.

:func:`describe` looks at a call that a bag makes for each partition. If it
consists of functions that the engine knows (``json.loads``, ``str.split``,
``operator.itemgetter`` …) or of small functions made of them, it answers nested
tuples that say so; else ``None``, and the call stays what it is. The engine
checks every value that it meets and asks Python where it is not sure, so that
what is recognised here never changes a result.

Small functions are read from their bytecode, by following it with terms in the
place of values. Whatever is not known here ends the attempt.
"""

from __future__ import annotations

import builtins
import dis
import functools
import itertools
import json
import operator
import sys
import types
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps

#: A term of the engine: ``("arg", 0)``, ``("const", 1)``, ``("len", term)`` …
Term = tuple[Any, ...]

ARG: Term = ("arg", 0)

_STRING_METHODS = [
    "lower",
    "upper",
    "strip",
    "lstrip",
    "rstrip",
    "split",
    "startswith",
    "endswith",
    "replace",
    "find",
    "count",
    "isdigit",
]

#: Attributes of numbers that are numbers.
_NUMBER_ATTRIBUTES = {"real", "imag", "numerator", "denominator"}

#: Functions of the engine by the Python object that they stand for.
NAMES: dict[Any, str] = {
    json.loads: "json.loads",
    json.dumps: "json.dumps",
    **{getattr(builtins, name): name for name in ["len", "int", "float", "str", "bool", "sum", "min", "max", "abs"]},
    **{
        getattr(operator, name): name
        for name in ["add", "sub", "mul", "truediv", "floordiv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge"]
    },
    operator.contains: "contains",
    operator.not_: "not",
    operator.abs: "abs",
    operator.truth: "bool",
    **{getattr(str, name): f"str.{name}" for name in _STRING_METHODS},
}

_OPERATORS = {"+": "add", "-": "sub", "*": "mul", "/": "truediv", "//": "floordiv", "%": "mod"}
_COMPARISONS = {"<": "lt", "<=": "le", "==": "eq", "!=": "ne", ">": "gt", ">=": "ge"}


class _UnknownError(Exception):
    """The engine does not know this."""


def describe(function: Any, args: tuple[Any, ...], kwargs: Any, base: Any) -> tuple[Any, ...] | None:
    """What the engine is told of ``function(*args, **kwargs)``, one of them the bag.

    Parameters
    ----------
    function : callable
        Gets a partition.
    args : tuple
    kwargs : dict or None
    base : Bag
        Stands for the partition among the arguments.

    Returns
    -------
    tuple or None
        None if the engine does not know the function.
    """
    try:
        return None if kwargs else _step(function, args, base)
    except (_UnknownError, TypeError, ValueError, AttributeError, IndexError):
        return None


def describe_tree(function: Any) -> tuple[Any, ...] | None:
    """As :func:`describe`, for a function that combines the results of partitions."""
    try:
        return _tree(function)
    except (_UnknownError, TypeError, ValueError, AttributeError):
        return None


def _step(function: Any, args: tuple[Any, ...], base: Any) -> tuple[Any, ...]:
    if function in (map, filter, itertools.filterfalse) and len(args) == 2 and args[1] is base:
        kind = {map: "map", filter: "filter", itertools.filterfalse: "remove"}[function]
        return (kind, ARG if args[0] is None and function is not map else term_of(args[0]))
    if function is _oxidask.bag_flatten and args == (base,):
        return ("flatten",)
    if function is _steps.pluck and args[0] is base:
        keys = args[1]
        if not isinstance(keys, list):
            return ("map", ("item", ARG, _constant(keys)))
        return ("map", ("tuple", *(("item", ARG, _constant(key)) for key in keys)))
    if function is _oxidask.bag_pluck and args[0] is base and not isinstance(args[1], list):
        return ("map", ("pluck", ARG, _constant(args[1]), _constant(args[2])))
    if function is _steps.counts and args == (base,):
        return ("counts",)
    if function is _steps.take and args[1] is base and isinstance(args[0], int) and args[0] >= 0:
        return ("take", args[0])
    if function is _steps.take_of and isinstance(args[0], int) and args[0] >= 0:
        return ("take-of", args[0])
    if function is _steps.on_elements and args[0] is _steps.count and args[2] is base:
        return ("count",)
    if function is _steps.on_elements and args[2] is base:
        return ("reduce", *_reduction(args[0]))
    if function is list and args == (base,):
        return ("same",)
    if function is _oxidask.bag_scatter and args[2] is base:
        return ("scatter", term_of(args[0]), args[1])
    if function is _oxidask.bag_group and args[2] is base:
        return ("group", term_of(args[0]))
    if function is _oxidask.bag_fold_by and args[3] is base:
        key, binop, start, _ = args
        return ("fold", term_of(key), term_of(binop, 2), _start(start))
    raise _UnknownError


def _reduction(function: Any) -> tuple[Any, Any]:
    """What is folded into what: a term of two arguments, and the start as a tuple, if there is one."""
    if isinstance(function, functools.partial) and function.func is _steps.fold:
        binop, start = function.args
        return term_of(binop, 2), _start(start or None)
    # From Python 3.12 on, sums of floats are more exact than adding them up.
    if function is sum and sys.version_info < (3, 12):
        return term_of(operator.add, 2), (0,)
    if function in (min, max):
        return (function.__name__, ARG, ("arg", 1)), None
    raise _UnknownError


def _tree(function: Any) -> tuple[Any, ...]:
    if not isinstance(function, functools.partial):
        raise _UnknownError
    if function.func in (_oxidask.bag_merge_by, _oxidask.bag_merge_shards):
        combine, start = function.args
        return ("merge", term_of(combine, 2), _start(start), "nothing")
    if function.func is _steps.merged:
        finish, combine, start = function.args
        return ("merge", term_of(combine, 2), _start(start), finish)
    if function.func is _steps.joined:
        return ("join", *function.args)
    if function.func is _steps.on_results:
        aggregate = function.args[0]
        if isinstance(aggregate, functools.partial) and aggregate.func is _steps.fold_results:
            term_of(aggregate.args[0], 2)
            return ("calls",)
        if aggregate in (sum, min, max, any, all):
            return ("calls",)
    raise _UnknownError


def _start(start: Any) -> Any:
    if start is not None:
        _constant(start[0])
    return start


def _constant(value: Any) -> Term:
    if not _is_plain(value):
        raise _UnknownError
    return ("const", value)


def _is_plain(value: Any) -> bool:
    if type(value) is tuple:
        return all(map(_is_plain, value))
    if type(value) is int:
        return -(2**63) <= value < 2**63
    if type(value) is str:
        return not any("\ud800" <= symbol <= "\udfff" for symbol in value)
    return value is None or type(value) in (bool, float)


def term_of(function: Callable[..., Any], n_args: int = 1) -> Term:
    """The term of a function of ``n_args`` arguments.

    Examples
    --------
    >>> term_of(len)
    ('len', ('arg', 0))
    >>> term_of(lambda record: record["age"] > 30)
    ('gt', ('item', ('arg', 0), ('const', 'age')), ('const', 30))
    """
    return _call(function, [("arg", place) for place in range(n_args)])


def _call(function: Any, args: list[Term]) -> Term:
    """The term of a function called with some terms."""
    if isinstance(function, types.FunctionType) and function not in (json.loads, json.dumps):
        return _Reader(function, args).term()
    if isinstance(function, functools.partial):
        if function.keywords:
            raise _UnknownError
        return _call(function.func, [*map(_constant, function.args), *args])
    if isinstance(function, operator.itemgetter):
        (of,) = args
        items = [("item", of, _constant(key)) for key in function.__reduce__()[1]]
        return items[0] if len(items) == 1 else ("tuple", *items)
    if isinstance(function, operator.attrgetter):
        (of,) = args
        values = [functools.reduce(_value_of, name.split("."), of) for name in function.__reduce__()[1]]
        return values[0] if len(values) == 1 else ("tuple", *values)
    if isinstance(function, operator.methodcaller):
        maker, (name, *rest) = function.__reduce__()
        if maker is not operator.methodcaller:
            raise _UnknownError
        return _method(args[0], name, [_constant(value) for value in rest])
    name = NAMES.get(function)
    if name is None or (name in ("min", "max", "sum") and len(args) == 1 and args[0][0] == "const"):
        raise _UnknownError
    if name == "str.split":
        return _method(args[0], "split", args[1:])
    return (name, *args)


def _value_of(of: Term, name: str) -> Term:
    """The value of an attribute."""
    return ("attribute", of, ("const", name)) if name in _NUMBER_ATTRIBUTES else _unknown()


def _method(of: Term, name: str, args: list[Term]) -> Term:
    if name == "get" and args and args[0][0] == "const":
        return ("get", of, *args)
    if name not in _STRING_METHODS:
        raise _UnknownError
    return (f"str.{name}", of, *args)


#: More instructions than a small function has.
_INSTRUCTIONS_MAX = 300


class _Reader:
    """Follows the bytecode of a function with terms in the place of values."""

    def __init__(self, function: types.FunctionType, args: list[Term]) -> None:
        code = function.__code__
        takes_more = code.co_flags & (0x04 | 0x08 | 0x20 | 0x80 | 0x100 | 0x200)
        if takes_more or code.co_kwonlyargcount or code.co_argcount != len(args) or code.co_freevars:
            raise _UnknownError
        self.globals = function.__globals__
        self.args = dict(zip(code.co_varnames, args, strict=False))
        self.instructions = list(dis.get_instructions(code))
        self.places = {instruction.offset: place for place, instruction in enumerate(self.instructions)}
        self.left = _INSTRUCTIONS_MAX

    def term(self) -> Term:
        return self.follow(0, [], None)

    def follow(self, place: int, stack: list[Term], tested: Term | None) -> Term:
        """The term that is returned; ``tested`` was the last condition."""
        while True:
            self.left -= 1
            if self.left < 0:
                raise _UnknownError
            instruction = self.instructions[place]
            name, place = instruction.opname, place + 1
            if name == "RETURN_VALUE":
                return _value(stack.pop())
            if name == "RETURN_CONST":
                return _constant(instruction.argval)
            if name == "JUMP_FORWARD":
                place = self.places[instruction.argval]
            elif "JUMP" in name:
                return self.branch(instruction, place, stack)
            elif name == "POP_TOP":
                # Other values are computed for a reason, such as an error.
                if not _is_within(stack.pop(), tested):
                    raise _UnknownError
            else:
                self.step(instruction, stack)

    def branch(self, instruction: dis.Instruction, place: int, stack: list[Term]) -> Term:
        name, target = instruction.opname, self.places[instruction.argval]
        if "BACKWARD" in name:
            raise _UnknownError
        condition = _value(stack.pop())
        jumping, going = list(stack), list(stack)
        if name.endswith("_OR_POP"):
            jumping.append(condition)
        if "NONE" in name:
            test: Term = ("is_none", condition)
            jumps_if_true = not name.endswith("NOT_NONE")
        else:
            test, jumps_if_true = condition, "TRUE" in name
        jumped = self.follow(target, jumping, condition)
        went = self.follow(place, going, condition)
        return ("if", test, jumped, went) if jumps_if_true else ("if", test, went, jumped)

    def step(self, instruction: dis.Instruction, stack: list[Term]) -> None:
        name, argument = instruction.opname, instruction.argval
        if name in ("RESUME", "NOP", "PRECALL", "CACHE", "PUSH_NULL", "TO_BOOL", "NOT_TAKEN"):
            return
        if name.startswith("LOAD_FAST"):
            for variable in argument if isinstance(argument, tuple) else (argument,):
                if variable not in self.args:
                    raise _UnknownError
                stack.append(self.args[variable])
        elif name in ("LOAD_CONST", "LOAD_SMALL_INT"):
            stack.append(_constant(argument))
        elif name == "LOAD_GLOBAL":
            stack.append(("object", self.named(argument)))
        elif name in ("LOAD_ATTR", "LOAD_METHOD"):
            stack.append(_attribute(stack.pop(), argument))
        elif name == "CALL":
            args = _pop(stack, instruction.arg or 0)
            stack.append(_called(stack.pop(), [_value(term) for term in args]))
        elif name == "BUILD_TUPLE":
            stack.append(("tuple", *map(_value, _pop(stack, instruction.arg or 0))))
        elif name == "COPY":
            stack.append(stack[-(instruction.arg or 1)])
        elif name == "SWAP":
            other = -(instruction.arg or 1)
            stack[-1], stack[other] = stack[other], stack[-1]
        else:
            self.operate(instruction, stack)

    def operate(self, instruction: dis.Instruction, stack: list[Term]) -> None:
        name, sign = instruction.opname, instruction.argrepr
        if name in ("UNARY_NOT", "UNARY_NEGATIVE"):
            stack.append(("not" if name == "UNARY_NOT" else "neg", _value(stack.pop())))
            return
        left, right = map(_value, _pop(stack, 2))
        if name == "BINARY_SUBSCR" or (name == "BINARY_OP" and sign == "[]"):
            if right[0] != "const":
                raise _UnknownError
            stack.append(("item", left, right))
        elif name == "BINARY_OP" and sign in _OPERATORS:
            stack.append((_OPERATORS[sign], left, right))
        elif name == "COMPARE_OP" and instruction.argval in _COMPARISONS:
            stack.append((_COMPARISONS[instruction.argval], left, right))
        elif name == "CONTAINS_OP":
            term = ("contains", right, left)
            stack.append(("not", term) if instruction.arg else term)
        elif name == "IS_OP" and right == ("const", None):
            term = ("is_none", left)
            stack.append(("not", term) if instruction.arg else term)
        else:
            raise _UnknownError

    def named(self, name: str) -> Any:
        if name in self.globals:
            return self.globals[name]
        scope = self.globals.get("__builtins__", builtins)
        scope = scope if isinstance(scope, dict) else vars(scope)
        return scope[name] if name in scope else _unknown()


def _is_within(term: Any, whole: Any) -> bool:
    """Whether computing ``whole`` computes ``term``."""
    return term == whole or (
        isinstance(whole, tuple) and whole[0] != "if" and any(_is_within(term, part) for part in whole)
    )


def _unknown() -> Any:
    raise _UnknownError


def _pop(stack: list[Term], n: int) -> list[Term]:
    popped = stack[len(stack) - n :]
    del stack[len(stack) - n :]
    return popped


def _value(term: Term) -> Term:
    """The term, unless it is an object or a method, which are no values of the engine."""
    if term[0] == "method":
        return _value_of(term[1], term[2])
    return _unknown() if term[0] == "object" else term  # type: ignore[no-any-return]


def _attribute(of: Term, name: str) -> Term:
    if of[0] == "object":
        if of[1] not in (json, operator, str):
            raise _UnknownError
        return ("object", getattr(of[1], name))
    return ("method", _value(of), name)


def _called(function: Term, args: list[Term]) -> Term:
    if function[0] == "object":
        return _call(function[1], args)
    if function[0] == "method":
        return _method(function[1], function[2], args)
    raise _UnknownError
