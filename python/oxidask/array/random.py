"""Random arrays.

A number depends on the seed, on which array of its generator it belongs to, and
on its position: the same seed gives the same numbers on every scheduler. The
uniform, normal, exponential and integer ones are the engine's own and also do
not depend on chunks; all other distributions are NumPy's, with a stream of its
own for every block. They are not the numbers that NumPy or Dask make from the
same seed.

>>> rng = default_rng(7)
>>> x = rng.normal(10, 2, size=(1000, 1000), chunks=(250, 250))
>>> bool(abs(x.mean().compute() - 10) < 0.02)
True
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from oxidask._oxidask import RandomCore
from oxidask.array._generic import is_unknown, position_of
from oxidask.array._meta import quiet
from oxidask.array.blockwise import blockwise, broadcast_shape
from oxidask.array.convert import asanyarray, asarray, normalize_chunks
from oxidask.array.core import Array, _wrap

#: Distributions through NumPy: the names of their parameters, with defaults.
DISTRIBUTIONS: dict[str, dict[str, Any]] = {
    "beta": {"a": None, "b": None},
    "binomial": {"n": None, "p": None},
    "chisquare": {"df": None},
    "exponential": {"scale": 1.0},
    "f": {"dfnum": None, "dfden": None},
    "gamma": {"shape": None, "scale": 1.0},
    "geometric": {"p": None},
    "gumbel": {"loc": 0.0, "scale": 1.0},
    "hypergeometric": {"ngood": None, "nbad": None, "nsample": None},
    "laplace": {"loc": 0.0, "scale": 1.0},
    "logistic": {"loc": 0.0, "scale": 1.0},
    "lognormal": {"mean": 0.0, "sigma": 1.0},
    "logseries": {"p": None},
    "negative_binomial": {"n": None, "p": None},
    "noncentral_chisquare": {"df": None, "nonc": None},
    "noncentral_f": {"dfnum": None, "dfden": None, "nonc": None},
    "normal": {"loc": 0.0, "scale": 1.0},
    "pareto": {"a": None},
    "poisson": {"lam": 1.0},
    "power": {"a": None},
    "rayleigh": {"scale": 1.0},
    "standard_cauchy": {},
    "standard_exponential": {},
    "standard_gamma": {"shape": None},
    "standard_normal": {},
    "standard_t": {"df": None},
    "triangular": {"left": None, "mode": None, "right": None},
    "uniform": {"low": 0.0, "high": 1.0},
    "vonmises": {"mu": None, "kappa": None},
    "wald": {"mean": None, "scale": None},
    "weibull": {"a": None},
    "zipf": {"a": None},
}
#: Parameters for the examples.
_SAMPLES = {
    "n": 5,
    "p": 0.5,
    "ngood": 5,
    "nbad": 5,
    "nsample": 3,
    "left": 0.0,
    "mode": 1.0,
    "right": 2.0,
    "mu": 0.0,
    "a": 3.0,
}


def _entropy(seed: Any) -> int | None:
    """One number of 64 bits for everything that NumPy takes as a seed."""
    if seed is None:
        return None
    if isinstance(seed, np.random.BitGenerator | np.random.Generator):
        generator = seed if isinstance(seed, np.random.Generator) else np.random.Generator(seed)
        return int(generator.integers(2**63))
    if isinstance(seed, np.random.RandomState):
        return int(seed.randint(2**31 - 1))
    if isinstance(seed, np.random.SeedSequence):
        return int(seed.generate_state(1, np.uint64)[0])
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def _shape(size: Any) -> tuple[int, ...]:
    if size is None:
        return ()
    if isinstance(size, int | np.integer):
        return (int(size),)
    if any(is_unknown(n) for n in size):
        raise ValueError("random arrays need a known shape")
    return tuple(int(n) for n in size)


class Draw:
    """Draws a block of a distribution from the block's own stream."""

    def __init__(
        self, name: str, stream: tuple[int, ...], chunks: Any, extra: tuple[int, ...], legacy: bool, kwargs: Any
    ) -> None:
        self.__name__, self.stream, self.chunks, self.extra, self.legacy, self.kwargs = (
            name,
            stream,
            chunks,
            extra,
            legacy,
            kwargs,
        )

    def source(self, block: int) -> Any:
        """NumPy's generator for a block."""
        sequence = np.random.SeedSequence(self.stream[0], spawn_key=(*self.stream[1:], block))
        bits = np.random.Philox(sequence)
        return np.random.RandomState(bits) if self.legacy else np.random.Generator(bits)

    def size(self, block: int) -> tuple[int, ...]:
        """The shape of a block, without the axes that each draw has."""
        at = position_of(block, [len(c) for c in self.chunks])
        return tuple(sizes[i] for sizes, i in zip(self.chunks, at, strict=True))

    def __call__(self, *args: Any) -> Any:
        *parameters, place = args
        number = place["number"] if isinstance(place, dict) else place
        made = getattr(self.source(number), self.__name__)(*parameters, size=self.size(number), **self.kwargs)
        return np.asarray(made)


class Numbered:
    """Calls a function with the number of the block as last argument."""

    def __init__(self, draw: Any) -> None:
        self.draw = draw
        self.__name__ = draw.__name__

    def __call__(self, *args: Any, number: int) -> Any:
        return self.draw(*args, number)


def number_of(block: int) -> dict[str, int]:
    """The argument that tells a function its block."""
    return {"number": block}


class Generator:
    """A source of random arrays, as :func:`default_rng` makes it.

    >>> Generator(1).random((2, 2), chunks=1).shape
    (2, 2)
    """

    _legacy = False

    def __init__(self, seed: Any = None) -> None:
        self._reset(seed)

    def _reset(self, seed: Any) -> None:
        entropy = _entropy(seed)
        self._core = RandomCore(entropy)
        self._entropy = int(np.random.SeedSequence().generate_state(1, np.uint64)[0]) if entropy is None else entropy
        self._drawn = 0

    def _stream(self) -> tuple[int, ...]:
        self._drawn += 1
        return (self._entropy, self._drawn)

    def _draw(
        self,
        name: str,
        *parameters: Any,
        size: Any,
        chunks: Any,
        extra: tuple[int, ...] = (),
        dtype: Any = None,
        **kwargs: Any,
    ) -> Array:
        """An array of one of NumPy's distributions."""
        parameters = tuple(
            p if np.isscalar(p) or isinstance(p, Array) else asarray(p) if np.ndim(p) else p for p in parameters
        )
        lazy = [p for p in parameters if isinstance(p, Array) and p.ndim]
        whole = broadcast_shape(*[p.shape for p in lazy]) if lazy else ()
        shape = _shape(size) if size is not None else whole
        if lazy and broadcast_shape(shape, whole) != shape:
            raise ValueError(f"parameters of shape {whole} do not fit the size {shape}")
        kind = dtype or self._dtype(name, parameters, kwargs)
        sizes = normalize_chunks(chunks, shape, dtype=kind)
        n = len(shape)
        stream = self._stream()
        pairs: list[Any] = []
        for p in parameters:
            if isinstance(p, Array) and p.ndim:
                wanted = tuple(c if s != 1 else (1,) for c, s in zip(sizes[n - p.ndim :], p.shape, strict=True))
                pairs += [p.rechunk(wanted), tuple(range(n - p.ndim, n))]
            else:
                pairs += [p, None]
        draw = Draw(name, stream, sizes, extra, self._legacy, kwargs)
        new = {
            i: sizes[i]
            for i in range(n)
            if not any(
                ind is not None and i in ind and len(x.chunks[ind.index(i)]) == len(sizes[i])
                for x, ind in zip(pairs[::2], pairs[1::2], strict=True)
            )
        }
        for i, (x, ind) in enumerate(zip(pairs[::2], pairs[1::2], strict=True)):
            if ind is not None and any(a in new for a in ind):
                from oxidask.array.shaping import broadcast_to

                full = tuple(shape[a] for a in ind)
                pairs[2 * i] = broadcast_to(x, full, chunks=tuple(sizes[a] for a in ind))
                for a in ind:
                    new.pop(a, None)
        out = (*range(n), *(("extra", i) for i in range(len(extra))))
        new_axes: dict[Any, Any] = {**new, **{("extra", i): m for i, m in enumerate(extra)}}
        return blockwise(
            Numbered(draw),
            out,
            *pairs,
            new_axes=new_axes,
            meta=np.empty((0,) * len(out), kind),
            token=name,
            align_arrays=False,
            _place=number_of,
        )

    def _dtype(self, name: str, parameters: Any, kwargs: Any) -> Any:
        sample = np.random.RandomState(0) if self._legacy else np.random.default_rng(0)
        small = []
        for p in parameters:
            small.append(1 if isinstance(p, Array) and p.dtype.kind in "iu" else 0.5 if isinstance(p, Array) else p)
        try:
            with quiet():
                return np.asarray(getattr(sample, name)(*small, size=(1,), **kwargs)).dtype
        except ValueError:
            if any(isinstance(p, Array) for p in parameters):
                return np.dtype(float)
            raise

    def random(
        self, size: Any = None, dtype: Any = np.float64, out: Any = None, chunks: Any = "auto", **kwargs: Any
    ) -> Array:
        """Uniform numbers from 0 to below 1.

        >>> x = Generator(1).random(1000, chunks=100)
        >>> bool(x.min().compute() >= 0 and x.max().compute() < 1)
        True
        """
        del out, kwargs
        shape = _shape(size)
        result = _wrap(self._core.random(list(shape), normalize_chunks(chunks, shape, dtype=float)))
        if np.dtype(dtype) == np.float32:
            # Rounding to 32 bits may reach 1, which is not below 1.
            from oxidask.array.ufunc import minimum  # type: ignore[attr-defined]

            return minimum(result.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))  # type: ignore[no-any-return]
        return result.astype(dtype)  # type: ignore[no-any-return]

    def integers(
        self,
        low: Any,
        high: Any = None,
        size: Any = None,
        dtype: Any = np.int64,
        endpoint: bool = False,
        chunks: Any = "auto",
        **kwargs: Any,
    ) -> Array:
        """Whole numbers from ``low`` to below ``high``; from 0 with one bound.

        >>> x = Generator(1).integers(1, 7, size=100, chunks=30)
        >>> sorted(set(x.compute().tolist()))
        [1, 2, 3, 4, 5, 6]
        """
        del kwargs
        if high is None:
            low, high = 0, low
        if np.ndim(low) or np.ndim(high) or isinstance(low, Array) or isinstance(high, Array):
            made = self._draw_integers(low, high, size, chunks, endpoint, np.dtype(dtype))
            return made
        shape = _shape(size)
        sizes = normalize_chunks(chunks, shape, dtype=dtype)
        return _wrap(
            self._core.integers(int(low), int(high) + bool(endpoint), np.dtype(dtype).name, list(shape), sizes)
        )

    def _draw_integers(self, low: Any, high: Any, size: Any, chunks: Any, endpoint: bool, dtype: Any) -> Array:
        if self._legacy:
            return self._draw("randint", low, high, size=size, chunks=chunks, dtype=dtype)
        return self._draw("integers", low, high, size=size, chunks=chunks, dtype=dtype, endpoint=endpoint)

    def choice(
        self,
        a: Any,
        size: Any = None,
        replace: bool = True,
        p: Any = None,
        axis: int = 0,
        shuffle: bool = True,
        chunks: Any = "auto",
    ) -> Array:
        """Elements of a vector, or numbers below ``a``.

        >>> x = Generator(1).choice([5, 6], size=20, chunks=5)
        >>> sorted(set(x.compute().tolist()))
        [5, 6]
        """
        from oxidask import delayed

        if axis != 0:
            raise NotImplementedError("the axis is 0")
        shape = _shape(size)
        if isinstance(a, int | np.integer):
            n, pool = int(a), int(a)
            if n <= 0:
                raise ValueError("a must be greater than 0")
            dtype = np.dtype(np.int64)
        else:
            a = asanyarray(a)
            if a.ndim != 1:
                raise ValueError("a must be one dimensional")
            n, dtype = len(a), a.dtype
            if n == 0:
                raise ValueError("a must be non-empty")
            pool = delayed(np.asarray, pure=True)(a)
        sizes = normalize_chunks(chunks, shape, dtype=dtype)
        weights = None
        if p is not None:
            weights = np.asarray(p.compute() if isinstance(p, Array) else p, dtype=float)
            if weights.ndim != 1:
                raise ValueError("p must be one dimensional")
            if len(weights) != n:
                raise ValueError("p needs one probability for every element of a")
            if not math.isclose(weights.sum(), 1.0, abs_tol=1e-7):
                raise ValueError("probabilities do not sum to 1")
        if not replace and any(len(c) > 1 for c in sizes):
            raise NotImplementedError(
                "choice without replacement makes a single chunk only\nhint: give chunks as large as size"
            )
        if not replace and math.prod(shape) > n:
            raise ValueError("Cannot take a larger sample than population when replace is False")
        kwargs: dict[str, Any] = {"replace": replace, "p": weights}
        if not self._legacy:
            kwargs["shuffle"] = shuffle
        draw = Choice(self._stream(), sizes, self._legacy, kwargs)
        ind = tuple(range(len(shape)))
        return blockwise(
            Numbered(draw),
            ind,
            pool,
            None,
            new_axes=dict(enumerate(sizes)),
            meta=np.empty((0,) * len(shape), dtype),
            token="choice",
            _place=number_of,
        )

    def multinomial(self, n: Any, pvals: Any, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Counts of the outcomes of ``n`` trials with the given probabilities.

        >>> Generator(1).multinomial(10, [0.5, 0.5], size=4, chunks=2).sum(axis=1).compute()
        array([10, 10, 10, 10])
        """
        del kwargs
        pvals = np.asarray(pvals.compute() if isinstance(pvals, Array) else pvals)
        return self._vectors("multinomial", (n, pvals), len(pvals), size, chunks, np.dtype(np.int64))

    def multivariate_normal(self, mean: Any, cov: Any, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Vectors of correlated normal numbers.

        >>> Generator(1).multivariate_normal([0, 0], [[1, 0], [0, 1]], size=4, chunks=2).shape
        (4, 2)
        """
        return self._vectors(
            "multivariate_normal",
            (np.asarray(mean), np.asarray(cov)),
            len(mean),
            size,
            chunks,
            np.dtype(float),
            **kwargs,
        )

    def _vectors(
        self, name: str, parameters: Any, length: int, size: Any, chunks: Any, dtype: Any, **kwargs: Any
    ) -> Array:
        shape = _shape(size)
        sizes = normalize_chunks(chunks, shape, dtype=dtype)
        draw = Draw(name, self._stream(), sizes, (length,), self._legacy, kwargs)
        out = (*range(len(shape)), "last")
        pairs: list[Any] = []
        for p in parameters:
            pairs += [p, None]
        return blockwise(
            Numbered(draw),
            out,
            *pairs,
            new_axes={**dict(enumerate(sizes)), "last": length},
            meta=np.empty((0,) * len(out), dtype),
            token=name,
            _place=number_of,
        )

    def permutation(self, x: Any) -> Array:
        """The elements of the first axis in random order, or the numbers below ``x``.

        >>> sorted(Generator(1).permutation(5).compute().tolist())
        [0, 1, 2, 3, 4]
        """
        from oxidask.array.creation import arange
        from oxidask.array.shaping import shuffle

        if isinstance(x, int | np.integer):
            x = arange(int(x), chunks="auto")
        x = asanyarray(x)
        bits = np.random.Philox(np.random.SeedSequence(self._entropy, spawn_key=self._stream()[1:]))
        order = np.random.Generator(bits).permutation(len(x))
        return shuffle(x, [[int(i)] for i in order] if len(order) < 1 else [order], axis=0).rechunk({0: x.chunks[0]})

    def __repr__(self) -> str:
        return f"{type(self).__name__}(Philox)" if not self._legacy else f"{type(self).__name__}()"


class Choice(Draw):
    """Draws elements of a pool."""

    def __init__(self, stream: tuple[int, ...], chunks: Any, legacy: bool, kwargs: Any) -> None:
        super().__init__("choice", stream, chunks, (), legacy, kwargs)

    def __call__(self, *args: Any) -> Any:
        pool, number = args
        return np.asarray(self.source(number).choice(pool, size=self.size(number), **self.kwargs))


def _native(self: Generator, name: str, values: list[Any], size: Any, chunks: Any) -> Array | None:
    """An array of one of the engine's own distributions, for single numbers as parameters."""
    if not all(np.isscalar(v) for v in values):
        return None
    shape = _shape(size)
    sizes = normalize_chunks(chunks, shape, dtype=float)
    if name in ("standard_normal", "standard_exponential"):
        name, values = name.removeprefix("standard_"), [0.0, 1.0] if name == "standard_normal" else [1.0]
    if name not in ("normal", "uniform", "exponential"):
        return None
    return _wrap(getattr(self._core, name)(*[float(v) for v in values], list(shape), sizes))


def _method(name: str) -> Callable[..., Array]:
    import inspect

    parameters = DISTRIBUTIONS[name]

    def method(self: Generator, *args: Any, **kwargs: Any) -> Array:
        bound = signature.bind(self, *args, **kwargs)
        bound.apply_defaults()
        values = [bound.arguments[p] for p in parameters]
        size, chunks = bound.arguments["size"], bound.arguments["chunks"]
        made = _native(self, name, values, size, chunks)
        if made is None:
            made = self._draw(name, *values, size=size, chunks=chunks)
        return made

    kinds = inspect.Parameter
    listed = [kinds("self", kinds.POSITIONAL_OR_KEYWORD)]
    for parameter, default in parameters.items():
        listed.append(
            kinds(parameter, kinds.POSITIONAL_OR_KEYWORD, default=kinds.empty if default is None else default)
        )
    listed += [
        kinds("size", kinds.POSITIONAL_OR_KEYWORD, default=None),
        kinds("chunks", kinds.POSITIONAL_OR_KEYWORD, default="auto"),
        kinds("kwargs", kinds.VAR_KEYWORD),
    ]
    signature = inspect.Signature(listed)
    method.__signature__ = signature  # type: ignore[attr-defined]
    method.__name__, method.__qualname__ = name, f"Generator.{name}"
    sample = ", ".join(repr(_SAMPLES.get(p, 2.0)) for p, d in parameters.items() if d is None)
    sample = sample + ", " if sample else ""
    method.__doc__ = f"""Random numbers of the distribution of :meth:`numpy.random.Generator.{name}`.

    Parameters
    ----------
    {", ".join(parameters) or "none"} : float or array_like
        Broadcast against one another and the size.
    size : int or tuple of int, optional
    chunks : int, tuple, dict or str

    Raises
    ------
    ValueError
        If a parameter is out of its range.

    Examples
    --------
    >>> default_rng(1).{name}({sample}size=4, chunks=2).shape
    (4,)
    """
    return method


for _name in DISTRIBUTIONS:
    setattr(Generator, _name, _method(_name))


class RandomState(Generator):
    """A source of random arrays with the names of NumPy's older one.

    >>> RandomState(3).randint(10, size=4, chunks=2).shape
    (4,)
    """

    _legacy = True

    def random_sample(self, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Uniform numbers from 0 to below 1.

        >>> RandomState(3).random_sample((2, 2), chunks=1).shape
        (2, 2)
        """
        return self.random(size, chunks=chunks, **kwargs)

    def randint(
        self, low: Any, high: Any = None, size: Any = None, chunks: Any = "auto", dtype: Any = "l", **kwargs: Any
    ) -> Array:
        """Whole numbers from ``low`` to below ``high``; see :meth:`Generator.integers`.

        >>> RandomState(3).randint(5, 6, size=2, chunks=1).compute()
        array([5, 5])
        """
        return self.integers(low, high, size, dtype, chunks=chunks, **kwargs)

    def random_integers(
        self, low: int, high: int | None = None, size: Any = None, chunks: Any = "auto", **kwargs: Any
    ) -> Array:
        """Whole numbers from ``low`` to ``high``, both included; from 1 with one bound.

        >>> RandomState(3).random_integers(5, 5, size=2, chunks=1).compute()
        array([5, 5])
        """
        low, high = (1, low) if high is None else (low, high)
        return self.integers(low, high, size, "l", endpoint=True, chunks=chunks, **kwargs)

    def tomaxint(self, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Whole numbers from 0 to the largest.

        >>> RandomState(3).tomaxint(size=2, chunks=1).shape
        (2,)
        """
        return self.integers(0, 2**63 - 1, size, np.int64, chunks=chunks, **kwargs)

    def seed(self, seed: Any = None) -> None:
        """Begins anew with a seed.

        >>> state = RandomState(3)
        >>> first = state.random(4, chunks=2).compute()
        >>> state.seed(3)
        >>> bool((state.random(4, chunks=2).compute() == first).all())
        True
        """
        self._reset(seed)


def default_rng(seed: Any = None) -> Generator:
    """A source of random arrays.

    Parameters
    ----------
    seed : int, sequence of int, SeedSequence, BitGenerator or Generator, optional
        Without one the numbers differ each time.

    Examples
    --------
    >>> a = default_rng(42).random(5, chunks=2).compute()
    >>> b = default_rng(42).random(5, chunks=3).compute()
    >>> bool((a == b).all())
    True
    """
    return seed if isinstance(seed, Generator) else Generator(seed)


_state = RandomState()


def _delegate(name: str) -> Any:
    import inspect

    method = getattr(RandomState, name)

    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(_state, name)(*args, **kwargs)

    function.__name__ = function.__qualname__ = name
    listed = list(inspect.signature(method).parameters.values())[1:]
    function.__signature__ = inspect.Signature(listed)  # type: ignore[attr-defined]
    function.__doc__ = f"See :meth:`RandomState.{name}`; of the module's own source, which :func:`seed` sets."
    return function


_FUNCTIONS = [
    *DISTRIBUTIONS,
    "choice",
    "integers",
    "multinomial",
    "permutation",
    "randint",
    "random",
    "random_integers",
    "random_sample",
    "seed",
]
for _name in _FUNCTIONS:
    globals()[_name] = _delegate(_name)

__all__ = ["Generator", "RandomState", "default_rng", *sorted(_FUNCTIONS)]
