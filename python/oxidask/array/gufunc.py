"""Generalised ufuncs: functions of vectors and matrices, mapped over all other axes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask.array._meta import meta_from_array
from oxidask.array.blockwise import blockwise, unify_chunks
from oxidask.array.convert import asanyarray
from oxidask.array.core import Array

__all__ = ["apply_gufunc", "as_gufunc", "gufunc"]

_NAMES = r"\s*([a-zA-Z_]\w*(\s*,\s*[a-zA-Z_]\w*)*\s*,?)?\s*"
_GROUP = rf"\({_NAMES}\)"
_SIGNATURE = re.compile(rf"^\s*({_GROUP}(\s*,\s*{_GROUP})*)?\s*->\s*({_GROUP}(\s*,\s*{_GROUP})*)\s*,?\s*$")


def parse_signature(signature: str) -> tuple[list[tuple[str, ...]], Any]:
    """The names of core axes of arguments and results.

    Examples
    --------
    >>> parse_signature("(i,j),(j)->(i)")
    ([('i', 'j'), ('j',)], ('i',))
    """
    plain = re.sub(r"\s+", "", signature)
    if "->" in plain and plain.split("->")[1] == "":
        raise ValueError(f"the signature {signature!r} names no results")
    if not _SIGNATURE.match(plain):
        raise ValueError(f"{signature!r} is no signature\nhint: write it as in '(i,j),(j)->(i)'")
    ins, outs = plain.split("->")

    def groups(text: str) -> list[tuple[str, ...]]:
        return [tuple(n for n in group.split(",") if n) for group in re.findall(r"\(([^)]*)\)", text)]

    made = groups(outs)
    if len(made) == 1 and not outs.endswith(","):
        return groups(ins), made[0]
    return groups(ins), made


class Results:
    """Calls a function that answers several arrays and keeps them together."""

    def __init__(self, func: Callable[..., Any], moves: Any, kwargs: dict[str, Any], nout: int | None) -> None:
        self.func, self.moves, self.kwargs, self.nout = func, moves, kwargs, nout
        self.__name__ = getattr(func, "__name__", "gufunc")

    def __call__(self, *blocks: Any) -> Any:
        made = self.func(*blocks, **self.kwargs)
        if self.nout is None:
            return made
        if not isinstance(made, tuple | list) or len(made) != self.nout:
            raise ValueError(f"{self.__name__} must answer a tuple of {self.nout} arrays")
        return tuple(made)


class Nth:
    """One of several results."""

    def __init__(self, at: int) -> None:
        self.at = at
        self.__name__ = f"result-{at}"

    def __call__(self, results: Any) -> Any:
        return results[self.at]


def _axes_of(axes: Any, axis: Any, keepdims: bool, ins: Any, outs: Any, nout: int | None) -> tuple[Any, Any]:
    """Where the core axes of arguments and results lie."""
    out_list = [outs] if nout is None else list(outs)
    if axes is not None and axis is not None:
        raise ValueError("axis and axes are both given\nhint: leave one out")
    if axes is not None and not isinstance(axes, list):
        raise ValueError(f"axes is a list of tuples, not a {type(axes).__name__}")
    if axis is not None:
        core = [c for c in ins if c]
        if any(len(c) != 1 for c in core) or len(set(core)) > 1:
            raise ValueError("axis needs arguments that share one core axis\nhint: use axes")
        axes = [(axis,) if c else () for c in ins]
        if keepdims or any(out_list):
            axes += [(axis,) if (c or keepdims) else () for c in out_list]
        else:
            axes += [() for _ in out_list]
    if axes is None:
        kept = ins[0] if keepdims and ins else ()
        return [tuple(range(-len(c), 0)) for c in ins], [tuple(range(-len(c or kept), 0)) for c in out_list]
    axes = [(a,) if isinstance(a, int) else tuple(a) for a in axes]
    if len(axes) == len(ins) and not any(out_list):
        axes = axes + [axes[0] if keepdims else () for _ in out_list]
    if len(axes) != len(ins) + len(out_list):
        raise ValueError(
            f"axes has {len(axes)} entries, and the signature {len(ins)} arguments and {len(out_list)} results"
        )
    in_axes, out_axes = axes[: len(ins)], axes[len(ins) :]
    for given, core in zip(in_axes, ins, strict=True):
        if len(given) != len(core):
            raise ValueError(f"`axes` entry {given} does not fit the core axes {core}")
    if not keepdims:
        for given, core in zip(out_axes, out_list, strict=True):
            if len(given) != len(core):
                raise ValueError(f"`axes` entry {given} does not fit the core axes {core}")
    return in_axes, out_axes


def apply_gufunc(
    func: Callable[..., Any],
    signature: str,
    *args: Any,
    axes: Any = None,
    axis: int | None = None,
    keepdims: bool = False,
    output_dtypes: Any = None,
    output_sizes: dict[str, int] | None = None,
    vectorize: bool | None = None,
    allow_rechunk: bool = False,
    meta: Any = None,
    **kwargs: Any,
) -> Any:
    """A function of vectors, matrices or the like, mapped over all other axes.

    Parameters
    ----------
    func : callable
        Gets blocks whose last axes are the core ones, and answers an array, or a
        tuple of them if the signature has several results.
    signature : str
        Core axes of arguments and results: ``"(i),(i)->()"``.
    *args : array_like
    axes : list of tuples of int, optional
        Where core axes lie; the last ones by default.
    axis : int, optional
        Where the only core axis lies.
    keepdims : bool
        Whether reduced core axes stay, at length one.
    output_dtypes : dtype or list of them, optional
        Of the results; found by calling the function otherwise.
    output_sizes : dict, optional
        Lengths of core axes that only results have.
    vectorize : bool, optional
        Whether the function takes single vectors only, and is to be called for each.
    allow_rechunk : bool
        Whether core axes may be joined to one chunk.
    meta : array or tuple of arrays, optional
        Empty blocks of the results.
    **kwargs
        Passed to the function.

    Returns
    -------
    Array or tuple of Array

    Raises
    ------
    ValueError
        If lengths of core axes differ, or one is cut into chunks.

    Examples
    --------
    >>> import oxidask.array as da
    >>> def stats(x):
    ...     return np.mean(x, axis=-1), np.std(x, axis=-1)
    >>> mean, std = apply_gufunc(stats, "(i)->(),()", da.ones((4, 3), chunks=(2, 3)), output_dtypes=(float, float))
    >>> mean.compute()
    array([1., 1., 1., 1.])
    """
    ins, outs = parse_signature(signature)
    nout = len(outs) if isinstance(outs, list) else None
    out_list = [outs] if nout is None else outs
    output_sizes = dict(output_sizes or {})
    if len(args) != len(ins):
        raise ValueError(f"the signature {signature!r} has {len(ins)} arguments, and {len(args)} are given")
    if meta is not None and output_dtypes is not None:
        raise ValueError("meta and output_dtypes are both given\nhint: meta alone says as much")
    in_axes, out_axes = _axes_of(axes, axis, keepdims, ins, outs, nout)
    arrays = []
    for x, own, core in zip(args, in_axes, ins, strict=True):
        x = asanyarray(x)
        if x.ndim < len(core):
            raise ValueError(f"an array of shape {x.shape} has too few axes for the core axes {core}")
        own = tuple(a % x.ndim for a in own)
        arrays.append(x.transpose((*(a for a in range(x.ndim) if a not in own), *own)))
    loops = [x.ndim - len(core) for x, core in zip(arrays, ins, strict=True)]
    n_loop = max(loops, default=0)
    arrays = _checked_cores(arrays, ins, allow_rechunk)
    metas = _metas(func, arrays, ins, out_list, nout, output_dtypes, meta, vectorize, kwargs)
    if vectorize:
        func = Vectorized(func, signature, [m.dtype for m in metas])
    loop = [("loop", i) for i in range(n_loop)]
    pairs: list[Any] = []
    for x, core, n in zip(arrays, ins, loops, strict=True):
        pairs += [x, (*loop[n_loop - n :], *core)]
    _checked_loops(pairs, allow_rechunk)
    chunks, unified = unify_chunks(*pairs)
    sizes = {name: chunks[name] for core in ins for name in core} | {k: (v,) for k, v in output_sizes.items()}
    for i in range(1, len(pairs), 2):
        pairs[i - 1] = unified[i // 2]
    call = Results(func, None, kwargs, nout)
    results = []
    if nout is None:
        _sized(out_list[0], sizes)
        names = _unique_names(out_list[0], sizes)
        new = {c: sizes[c] for c in names if not any(c in core for core in ins)}
        made = blockwise(
            call,
            (*loop, *names),
            *pairs,
            new_axes=new,
            concatenate=True,
            meta=meta_from_array(metas[0], n_loop + len(out_list[0]), metas[0].dtype),
            token=call.__name__.strip("<>"),
        )
        results.append(made)
    else:
        for core in out_list:
            _sized(core, sizes)
        together = blockwise(
            call,
            tuple(loop),
            *pairs,
            concatenate=True,
            meta=np.empty((0,) * n_loop, object),
            token=call.__name__.strip("<>"),
        )
        for at, core in enumerate(out_list):
            names = _unique_names(core, sizes)
            results.append(
                blockwise(
                    Nth(at),
                    (*loop, *names),
                    together,
                    tuple(loop),
                    new_axes={c: sizes[c] for c in names},
                    meta=meta_from_array(metas[at], n_loop + len(core), metas[at].dtype),
                    token=call.__name__.strip("<>"),
                )
            )
    final = []
    for x, core, own in zip(results, out_list, out_axes, strict=True):
        if keepdims:
            x = x[(*([slice(None)] * x.ndim), *([None] * len(own)))] if not core else x
            core = core or own
        if core and tuple(own) != tuple(range(-len(core), 0)):
            n = x.ndim
            order = list(range(n - len(core)))
            for a, source in sorted((a % n, n - len(core) + i) for i, a in enumerate(own)):
                order.insert(a, source)
            x = x.transpose(order)
        final.append(x)
    return final[0] if nout is None else tuple(final)


def _checked_loops(pairs: list[Any], allow_rechunk: bool) -> None:
    """Axes of the loop have one length, and the same chunks unless they may be changed."""
    seen: dict[Any, Any] = {}
    for x, ind in zip(pairs[::2], pairs[1::2], strict=True):
        for name, sizes in zip(ind, x.chunks, strict=True):
            if sum(sizes) == 1 or not isinstance(name, tuple):
                continue
            first = seen.setdefault(name, sizes)
            if sum(first) != sum(sizes) and sum(sizes) == sum(sizes):
                raise ValueError(
                    f"different lengths in arrays along loop axis {name[1]}: {sum(first)} and {sum(sizes)}"
                )
            if first != sizes and not allow_rechunk and sum(sizes) == sum(sizes):
                raise ValueError(
                    f"arrays with different chunksize present along loop axis {name[1]}: {first} and {sizes}"
                )


def _unique_names(core: tuple[Any, ...], sizes: dict[Any, Any]) -> tuple[Any, ...]:
    """Names of core axes of a result; one that comes twice gets another."""
    made: list[Any] = []
    for name in core:
        other = name
        while other in made:
            other = (other, "again")
            sizes[other] = sizes[name]
        made.append(other)
    return tuple(made)


def _sized(core: Any, sizes: dict[str, Any]) -> None:
    missing = [name for name in core if name not in sizes]
    if missing:
        raise ValueError(f"the lengths of core axes {missing} are not known\nhint: say them with output_sizes=")


def _checked_cores(arrays: list[Array], ins: Any, allow_rechunk: bool) -> list[Array]:
    lengths: dict[str, Any] = {}
    made = []
    for x, core in zip(arrays, ins, strict=True):
        for at, name in enumerate(core, start=x.ndim - len(core)):
            n = x.shape[at]
            if lengths.setdefault(name, n) != n and n == n:
                raise ValueError(f"arrays differ in length along core axis {name!r}: {lengths[name]} and {n}")
            if x.numblocks[at] > 1:
                if not allow_rechunk:
                    raise ValueError(
                        f"core axis {name!r} is in {x.numblocks[at]} chunks, and the function needs it whole\n"
                        "hint: rechunk the axis to -1, or say allow_rechunk=True if such chunks fit in memory"
                    )
                x = x.rechunk({at: -1})
        made.append(x)
    return made


def _metas(
    func: Any, arrays: Any, ins: Any, outs: Any, nout: Any, output_dtypes: Any, meta: Any, vectorize: Any, kwargs: Any
) -> list[Any]:
    """Empty blocks of the results."""
    if meta is not None:
        metas = meta if isinstance(meta, tuple | list) else (meta,)
    elif output_dtypes is not None:
        kinds = output_dtypes if isinstance(output_dtypes, tuple | list) else [output_dtypes]
        metas = [np.empty((0,), dtype=kind) for kind in kinds]
        if len(metas) < len(outs) and len(metas) == 1:
            metas = list(metas) * len(outs)
    else:
        caller = func
        if vectorize:
            samples = [np.ones((1,) * len(core), dtype=x.dtype) for x, core in zip(arrays, ins, strict=True)]
            samples = [s if s.ndim else s[()] for s in samples]
        else:
            samples = [np.ones((1,) * x.ndim, dtype=x.dtype) for x in arrays]
        try:
            made = caller(*samples, **kwargs)
        except Exception as error:
            raise ValueError(
                f"the dtypes of what {getattr(func, '__name__', func)!r} answers could not be found out by calling it: "
                f"{type(error).__name__}: {error}\nhint: say them with output_dtypes="
            ) from error
        if nout is not None and not isinstance(made, tuple | list):
            raise ValueError(f"the signature has {nout} results, and the function answered one")
        metas = [np.asanyarray(m) for m in (made if nout is not None else (made,))]
    if len(metas) != len(outs):
        raise ValueError(f"the signature has {len(outs)} results, and {len(metas)} dtypes were given")
    return list(metas)


class Vectorized:
    """A function of single vectors, called for each."""

    def __init__(self, func: Callable[..., Any], signature: Any, dtypes: Any) -> None:
        self.func, self.signature, self.dtypes = func, signature, dtypes
        self.__name__ = getattr(func, "__name__", "vectorized")

    def __call__(self, *blocks: Any, **kwargs: Any) -> Any:
        return np.vectorize(self.func, signature=self.signature, otypes=self.dtypes)(*blocks, **kwargs)


class gufunc:
    """A function with a signature, bound to its options; see :func:`apply_gufunc`.

    >>> import oxidask.array as da
    >>> total = gufunc(lambda x: x.sum(-1), signature="(i)->()", output_dtypes=float)
    >>> total(da.ones((2, 3), chunks=(1, 3))).compute()
    array([3., 3.])
    """

    def __init__(
        self,
        pyfunc: Callable[..., Any],
        *,
        signature: str | None = None,
        vectorize: bool | None = False,
        axes: Any = None,
        axis: int | None = None,
        keepdims: bool = False,
        output_sizes: Any = None,
        output_dtypes: Any = None,
        allow_rechunk: bool = False,
        meta: Any = None,
    ) -> None:
        self.pyfunc, self.signature = pyfunc, signature
        self.options = {
            "vectorize": vectorize,
            "axes": axes,
            "axis": axis,
            "keepdims": keepdims,
            "output_sizes": output_sizes,
            "output_dtypes": output_dtypes,
            "allow_rechunk": allow_rechunk,
            "meta": meta,
        }
        self.__name__ = getattr(pyfunc, "__name__", "gufunc")
        self.__doc__ = f"A generalised ufunc of the signature {signature}.\n\n{getattr(pyfunc, '__doc__', None) or ''}"

    def __call__(self, *args: Any, allow_rechunk: bool = False, **kwargs: Any) -> Any:
        """The function of arrays, lazily; see :func:`apply_gufunc`."""
        options = {**self.options, "allow_rechunk": allow_rechunk or self.options["allow_rechunk"]}
        return apply_gufunc(self.pyfunc, str(self.signature), *args, **options, **kwargs)


def as_gufunc(signature: str | None = None, **kwargs: Any) -> Callable[[Callable[..., Any]], gufunc]:
    """Makes a function a :class:`gufunc`, as a decorator.

    Parameters
    ----------
    signature : str
    **kwargs
        ``vectorize``, ``axes``, ``axis``, ``keepdims``, ``output_sizes``,
        ``output_dtypes``, ``allow_rechunk``, ``meta``, as for :func:`apply_gufunc`.

    Examples
    --------
    >>> import oxidask.array as da
    >>> @as_gufunc("(i)->()", output_dtypes=float)
    ... def total(x):
    ...     return x.sum(-1)
    >>> total(da.ones((2, 3), chunks=(1, 3))).compute()
    array([3., 3.])
    """
    allowed = {"vectorize", "axes", "axis", "keepdims", "output_sizes", "output_dtypes", "allow_rechunk", "meta"}
    if kwargs.keys() - allowed:
        raise TypeError(f"as_gufunc takes no arguments {sorted(kwargs.keys() - allowed)}")
    return lambda pyfunc: gufunc(pyfunc, signature=signature, **kwargs)
