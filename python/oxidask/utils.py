"""Small helpers that users and other packages call.

>>> from oxidask.utils import format_bytes, parse_bytes
>>> format_bytes(parse_bytes("1.5 GiB"))
'1.50 GiB'
"""

from __future__ import annotations

import functools
import operator
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import TracebackType
from typing import Any, TypeVar, overload

from oxidask import _oxidask

__all__ = [
    "Dispatch",
    "apply",
    "format_bytes",
    "format_time",
    "funcname",
    "itemgetter",
    "key_split",
    "methodcaller",
    "parse_bytes",
    "parse_timedelta",
    "shorten_traceback",
]

F = TypeVar("F", bound=Callable[..., Any])


def apply(func: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any] | None = None) -> Any:
    """Calls ``func`` with the given arguments.

    Examples
    --------
    >>> apply(divmod, [7, 2])
    (3, 1)
    """
    return func(*args, **(kwargs or {}))


def parse_bytes(s: float | str) -> int:
    """The number of bytes that a text says.

    Parameters
    ----------
    s : text such as ``"5kB"``, ``"64 MiB"`` or ``"1e9"``, or a number

    Raises
    ------
    ValueError
        If the number or the unit is not understood.

    Examples
    --------
    >>> parse_bytes("64 MiB"), parse_bytes("1.5 GB"), parse_bytes(123)
    (67108864, 1500000000, 123)
    """
    if isinstance(s, (int, float)):
        return int(s)
    return _oxidask.parse_bytes(s)


@overload
def parse_timedelta(s: None, default: str = "seconds") -> None: ...
@overload
def parse_timedelta(s: Any, default: str | bool = "seconds") -> float: ...
def parse_timedelta(s: Any, default: str | bool = "seconds") -> float | None:
    """The seconds that a text says.

    Parameters
    ----------
    s : text such as ``"500ms"`` or ``"2 minutes"``, a number, or a timedelta
    default : unit of a bare number; ``False`` refuses bare numbers

    Raises
    ------
    ValueError
        If the number or the unit is not understood.

    Examples
    --------
    >>> parse_timedelta("500ms"), parse_timedelta(3), parse_timedelta("2", "minutes")
    (0.5, 3, 120)
    """
    if s is None:
        return None
    if hasattr(s, "total_seconds"):
        seconds = s.total_seconds()
    else:
        text = str(s)
        if not any(letter.isalpha() for letter in text.replace("e", "").replace("E", "")):
            if default is False:
                raise ValueError(f"a unit is missing in {s!r}; write 1s or 500ms")
            text = f"{text} {default}"
        seconds = _oxidask.parse_duration(text)
    return int(seconds) if int(seconds) == seconds else seconds


def format_bytes(n: int) -> str:
    """A number of bytes as people read it.

    Examples
    --------
    >>> format_bytes(1), format_bytes(1536), format_bytes(2**40)
    ('1 B', '1.50 kiB', '1.00 TiB')
    """
    for prefix, factor in (("Pi", 2**50), ("Ti", 2**40), ("Gi", 2**30), ("Mi", 2**20), ("ki", 2**10)):
        if n >= factor * 0.9:
            return f"{n / factor:.2f} {prefix}B"
    return f"{n} B"


def format_time(n: float) -> str:
    """A length of time, given in seconds, as people read it.

    Examples
    --------
    >>> format_time(0.0012), format_time(3.5), format_time(4000)
    ('1.20 ms', '3.50 s', '1hr 6m')
    """
    if n > 24 * 60 * 60 * 2:
        return f"{int(n / 3600 / 24)}d {int((n / 3600) % 24)}hr"
    if n > 60 * 60 * 2 or n >= 3600:
        return f"{int(n / 3600)}hr {int((n / 60) % 60)}m"
    if n > 60 * 10:
        return f"{int(n / 60)}m {int(n % 60)}s"
    if n >= 1:
        return f"{n:.2f} s"
    if n >= 1e-3:
        return f"{n * 1e3:.2f} ms"
    return f"{n * 1e6:.2f} us"


def funcname(func: Any) -> str:
    """The name of a function, also within partials.

    Examples
    --------
    >>> import functools
    >>> funcname(functools.partial(len)), funcname(str.upper)
    ('len', 'upper')
    """
    return _oxidask.name_of(func)


def key_split(s: Any) -> str:
    """What a key is about: its text without the hash at the end.

    Examples
    --------
    >>> key_split("inc-0123456789abcdef0123456789abcdef"), key_split(("sum-tree", 0)), key_split("load-3")
    ('inc', 'sum-tree', 'load')
    """
    if isinstance(s, bytes):
        s = s.decode()
    if isinstance(s, tuple) and s:
        return key_split(s[0])
    if not isinstance(s, str):
        return "Other"
    first, *words = s.split("-")
    if len(first) == 32 and set(first) <= set("0123456789abcdef"):
        return "data"
    if first.startswith("<"):
        # The repr of an object: its class says what it is.
        first = first.strip("<>").split()[0].rpartition(".")[2] if len(first) > 1 else ""
    elif not first[:1].isalpha():
        first = first.split(",")[0].strip("_'()\"")
    if not first:
        return "Other"
    kept = [first]
    for word in words:
        # Words say what a key is about; a hash or a number begins what tells it from others. A hash of
        # letters alone is taken for one if it is as long as hashes are.
        if not word.isalpha() or (len(word) == 8 and set(word) <= set("abcdef")):
            break
        kept.append(word)
    return "-".join(kept)


class methodcaller:
    """Calls a method of its first argument; can be pickled and compared.

    Examples
    --------
    >>> methodcaller("count")("banana", "a")
    3
    """

    __slots__ = ("method",)

    def __init__(self, method: str) -> None:
        self.method = method

    @property
    def __name__(self) -> str:
        return self.method

    def __call__(self, obj: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the method of ``obj``."""
        return getattr(obj, self.method)(*args, **kwargs)

    def __reduce__(self) -> tuple[Any, ...]:
        return (methodcaller, (self.method,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, methodcaller) and other.method == self.method

    def __hash__(self) -> int:
        return hash((methodcaller, self.method))

    def __repr__(self) -> str:
        return f"methodcaller({self.method!r})"


class itemgetter:
    """Picks an item of its argument; can be pickled and compared.

    Examples
    --------
    >>> itemgetter(1)("abc")
    'b'
    """

    __slots__ = ("index",)

    def __init__(self, index: Any) -> None:
        self.index = index

    def __call__(self, obj: Any) -> Any:
        """The item of ``obj``."""
        return operator.getitem(obj, self.index)

    def __reduce__(self) -> tuple[Any, ...]:
        return (itemgetter, (self.index,))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, itemgetter) and other.index == self.index

    def __hash__(self) -> int:
        return hash((itemgetter, self.index))


class Dispatch:
    """A function that does for each class what was registered for it.

    Examples
    --------
    >>> describe = Dispatch("describe")
    >>> @describe.register(int)
    ... def _(x):
    ...     return "a number"
    >>> describe(True)
    'a number'
    """

    def __init__(self, name: str | None = None) -> None:
        self._lookup: dict[type, Callable[..., Any]] = {}
        self._found: dict[type, Callable[..., Any]] = {}
        self._lazy: dict[str, Callable[[], Any]] = {}
        if name:
            self.__name__ = name

    def register(self, type: Any, func: Callable[..., Any] | None = None) -> Any:
        """Registers ``func`` for a class or a tuple of classes; also a decorator."""

        def wrapper(func: F) -> F:
            for one in type if isinstance(type, tuple) else (type,):
                self._lookup[one] = func
            self._found.clear()
            return func

        return wrapper(func) if func is not None else wrapper

    def register_lazy(self, toplevel: str, func: Callable[[], Any] | None = None) -> Any:
        """Registers a function that registers more.

        It is called when a class of the package ``toplevel`` is met first.
        """

        def wrapper(func: Callable[[], Any]) -> Callable[[], Any]:
            self._lazy[toplevel] = func
            return func

        return wrapper(func) if func is not None else wrapper

    def dispatch(self, cls: type) -> Callable[..., Any]:
        """The function for a class.

        Raises
        ------
        TypeError
            If nothing was registered for it or a base of it.
        """
        found = self._found.get(cls)
        if found is not None:
            return found
        for base in cls.__mro__:
            toplevel, _, _ = base.__module__.partition(".")
            lazy = self._lazy.pop(toplevel, None)
            if lazy is not None:
                lazy()
                return self.dispatch(cls)
            found = self._lookup.get(base)
            if found is not None:
                self._found[cls] = found
                return found
        raise TypeError(f"nothing was registered with '{getattr(self, '__name__', 'Dispatch')}' for {cls!r}")

    def __call__(self, arg: Any, *args: Any, **kwargs: Any) -> Any:
        """Calls the function that is registered for the class of ``arg``."""
        return self.dispatch(type(arg))(arg, *args, **kwargs)


def is_arraylike(x: Any) -> bool:
    """Whether ``x`` looks like an array: it has a shape, a dtype and dimensions.

    Examples
    --------
    >>> is_arraylike([1])
    False
    """
    return (
        not isinstance(x, type)
        and isinstance(getattr(x, "shape", None), tuple)
        and hasattr(x, "dtype")
        and not any(hasattr(x, name) for name in ("columns", "index"))
    )


@functools.lru_cache(maxsize=1)
def cpu_count() -> int:
    """How many cores this process may use.

    Examples
    --------
    >>> cpu_count() >= 1
    True
    """
    import os

    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def shorten_traceback() -> Iterator[None]:
    """Leaves lines of libraries out of the traceback of what the block raises.

    The setting ``admin.traceback.shorten`` lists regular expressions of file
    names; the first and the last line of a traceback always stay.

    Examples
    --------
    >>> try:
    ...     with shorten_traceback():
    ...         raise KeyError("x")
    ... except KeyError as error:
    ...     print(error)
    'x'
    """
    try:
        yield
    except BaseException as error:
        shorter = _shortened(error.__traceback__)
        if shorter is error.__traceback__:
            raise
        raise error.with_traceback(shorter) from error.__cause__


def _shortened(traceback: TracebackType | None) -> TracebackType | None:
    from oxidask import config

    patterns = config.get("admin.traceback.shorten", None)
    if not patterns or traceback is None:
        return traceback
    pattern = re.compile("|".join(patterns))
    frames: list[TracebackType] = []
    current: TracebackType | None = traceback
    while current is not None:
        frames.append(current)
        current = current.tb_next
    kept = [
        frame
        for index, frame in enumerate(frames)
        if index in (0, len(frames) - 1) or not pattern.search(frame.tb_frame.f_code.co_filename)
    ]
    if len(kept) == len(frames):
        return traceback
    shorter: TracebackType | None = None
    for frame in reversed(kept):
        shorter = TracebackType(shorter, frame.tb_frame, frame.tb_lasti, frame.tb_lineno)
    return shorter
