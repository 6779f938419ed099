"""Conditions written as text, as ``DataFrame.query`` takes them, on the engine.

The text is read as Python reads it, with ``&``, ``|`` and ``~`` as loose as
``and``, ``or`` and ``not``, as pandas has it. What is more than columns, literals,
comparisons, arithmetic and membership is left to pandas. Nothing is ever executed.
"""

from __future__ import annotations

import ast
import io
import operator
import tokenize
from collections.abc import Callable
from typing import Any

__all__ = ["condition"]

_ARITHMETIC: dict[type, Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
_COMPARISONS: dict[type, Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_WORDS = {"&": "and", "|": "or", "~": "not"}


class _TooMuch(Exception):
    """The text says what only pandas understands."""


def condition(frame: Any, text: Any) -> Any:
    """The boolean column that a text describes, or ``None`` if pandas must read it."""
    if not isinstance(text, str) or "@" in text or "`" in text:
        return None
    try:
        tree = ast.parse(_loosened(text).strip(), mode="eval")
        made = _value(frame, tree.body)
    except (_TooMuch, SyntaxError, ValueError, tokenize.TokenError):
        return None
    return made if getattr(made, "_kind", None) == "series" and made._meta.dtype == bool else None


def _loosened(text: str) -> str:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    words = [
        (tokenize.NAME, _WORDS[token.string]) if token.string in _WORDS else (token.type, token.string)
        for token in tokens
    ]
    return tokenize.untokenize(words)


def _value(frame: Any, node: ast.expr) -> Any:
    if isinstance(node, ast.Name):
        if node.id not in frame._meta.columns:
            raise _TooMuch
        return frame[node.id]
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, (ast.List, ast.Tuple)):
        return [ast.literal_eval(item) for item in node.elts]
    if isinstance(node, ast.BoolOp):
        join = operator.and_ if isinstance(node.op, ast.And) else operator.or_
        values = [_condition(frame, value) for value in node.values]
        made = values[0]
        for value in values[1:]:
            made = join(made, value)
        return made
    if isinstance(node, ast.UnaryOp):
        if isinstance(node.op, ast.Not):
            return ~_condition(frame, node.operand)
        if isinstance(node.op, ast.USub):
            return -_value(frame, node.operand)
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        return _ARITHMETIC[type(node.op)](_value(frame, node.left), _value(frame, node.right))
    if isinstance(node, ast.Compare):
        return _compared(frame, node)
    raise _TooMuch


def _condition(frame: Any, node: ast.expr) -> Any:
    value = _value(frame, node)
    if getattr(value, "_kind", None) != "series" or value._meta.dtype != bool:
        raise _TooMuch
    return value


def _compared(frame: Any, node: ast.Compare) -> Any:
    made = None
    left = _value(frame, node.left)
    for sign, other in zip(node.ops, node.comparators, strict=True):
        right = _value(frame, other)
        if isinstance(sign, (ast.In, ast.NotIn)):
            if not isinstance(right, list):
                raise _TooMuch
            one = left.isin(right)
            one = ~one if isinstance(sign, ast.NotIn) else one
        elif isinstance(right, list) or isinstance(left, list):
            raise _TooMuch
        else:
            one = _COMPARISONS[type(sign)](left, right) if type(sign) in _COMPARISONS else None
        if one is None:
            raise _TooMuch
        made = one if made is None else made & one
        left = right
    return made
