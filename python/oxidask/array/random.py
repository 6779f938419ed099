"""Random arrays.

A number depends on the seed, on which array of its generator it belongs to, and
on its position: the same seed gives the same numbers on every scheduler and
in every chunking. They are not the numbers that NumPy or Dask make from the
same seed.

>>> rng = default_rng(7)
>>> x = rng.normal(10, 2, size=(1000, 1000), chunks=(250, 250))
>>> bool(abs(x.mean().compute() - 10) < 0.02)
True
"""

from __future__ import annotations

from typing import Any

import numpy as np

from oxidask._oxidask import RandomCore
from oxidask.array.core import Array, _wrap

__all__ = [
    "Generator",
    "RandomState",
    "default_rng",
    "exponential",
    "integers",
    "normal",
    "randint",
    "random",
    "random_sample",
    "seed",
    "standard_exponential",
    "standard_normal",
    "uniform",
]


def _seed(seed: Any) -> int | None:
    """One number of 64 bits for everything that NumPy takes as a seed."""
    if seed is None:
        return None
    if isinstance(seed, np.random.BitGenerator | np.random.Generator):
        generator = seed if isinstance(seed, np.random.Generator) else np.random.Generator(seed)
        return int(generator.integers(2**63))
    return int(np.random.SeedSequence(seed).generate_state(1, np.uint64)[0])


def _shape(size: Any) -> list[int]:
    if size is None:
        return []
    return [int(size)] if isinstance(size, int | np.integer) else [int(length) for length in size]


class Generator:
    """A source of random arrays, as :func:`default_rng` makes it.

    >>> Generator(1).random((2, 2), chunks=1).shape
    (2, 2)
    """

    def __init__(self, seed: Any = None) -> None:
        self._core = RandomCore(_seed(seed))

    def random(
        self, size: Any = None, dtype: Any = np.float64, out: Any = None, chunks: Any = "auto", **kwargs: Any
    ) -> Array:
        """Uniform numbers from 0 to below 1.

        >>> x = Generator(1).random(1000, chunks=100)
        >>> bool(x.min().compute() >= 0 and x.max().compute() < 1)
        True
        """
        del out, kwargs
        result = _wrap(self._core.random(_shape(size), chunks))
        if np.dtype(dtype) == np.float32:
            # Rounding to 32 bits may reach 1, which is not below 1.
            from oxidask.array.ufunc import minimum

            return minimum(result.astype(np.float32), np.nextafter(np.float32(1), np.float32(0)))
        return result.astype(dtype)

    def uniform(
        self, low: float = 0.0, high: float = 1.0, size: Any = None, chunks: Any = "auto", **kwargs: Any
    ) -> Array:
        """Uniform numbers from ``low`` to below ``high``.

        >>> x = Generator(1).uniform(2, 3, size=100, chunks=10)
        >>> bool(x.min().compute() >= 2 and x.max().compute() < 3)
        True
        """
        del kwargs
        return _wrap(self._core.uniform(float(low), float(high), _shape(size), chunks))

    def normal(
        self, loc: float = 0.0, scale: float = 1.0, size: Any = None, chunks: Any = "auto", **kwargs: Any
    ) -> Array:
        """Normal numbers with mean ``loc`` and standard deviation ``scale``.

        >>> x = Generator(1).normal(5, 0.1, size=10_000, chunks=1000)
        >>> bool(abs(x.mean().compute() - 5) < 0.01)
        True
        """
        del kwargs
        return _wrap(self._core.normal(float(loc), float(scale), _shape(size), chunks))

    def standard_normal(self, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Normal numbers with mean 0 and standard deviation 1.

        >>> Generator(1).standard_normal(3, chunks=2).dtype
        dtype('float64')
        """
        return self.normal(0.0, 1.0, size, chunks, **kwargs)

    def exponential(self, scale: float = 1.0, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Exponentially distributed numbers with mean ``scale``.

        >>> bool(Generator(1).exponential(2.0, size=100, chunks=10).min().compute() >= 0)
        True
        """
        del kwargs
        return _wrap(self._core.exponential(float(scale), _shape(size), chunks))

    def standard_exponential(self, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Exponentially distributed numbers with mean 1.

        >>> Generator(1).standard_exponential(3, chunks=2).shape
        (3,)
        """
        return self.exponential(1.0, size, chunks, **kwargs)

    def integers(
        self,
        low: int,
        high: int | None = None,
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
        return _wrap(
            self._core.integers(int(low), int(high) + bool(endpoint), np.dtype(dtype).name, _shape(size), chunks)
        )

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class RandomState(Generator):
    """A source of random arrays with the names of NumPy's older one.

    >>> RandomState(3).randint(10, size=4, chunks=2).shape
    (4,)
    """

    def random_sample(self, size: Any = None, chunks: Any = "auto", **kwargs: Any) -> Array:
        """Uniform numbers from 0 to below 1.

        >>> RandomState(3).random_sample((2, 2), chunks=1).shape
        (2, 2)
        """
        return self.random(size, chunks=chunks, **kwargs)

    def randint(
        self, low: int, high: int | None = None, size: Any = None, chunks: Any = "auto", dtype: Any = "l", **kwargs: Any
    ) -> Array:
        """Whole numbers from ``low`` to below ``high``; see :meth:`Generator.integers`.

        >>> RandomState(3).randint(5, 6, size=2, chunks=1).compute()
        array([5, 5])
        """
        return self.integers(low, high, size, dtype, chunks=chunks, **kwargs)

    def seed(self, seed: Any = None) -> None:
        """Begins anew with a seed.

        >>> state = RandomState(3)
        >>> first = state.random(4, chunks=2).compute()
        >>> state.seed(3)
        >>> bool((state.random(4, chunks=2).compute() == first).all())
        True
        """
        self._core = RandomCore(_seed(seed))


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
    def function(*args: Any, **kwargs: Any) -> Any:
        return getattr(_state, name)(*args, **kwargs)

    method = getattr(RandomState, name)
    function.__name__ = function.__qualname__ = name
    function.__doc__ = (method.__doc__ or "").split(">>>")[0].rstrip() + (
        f"\n\n    Draws from a generator that all of the module's functions share;\n"
        f"    see :meth:`RandomState.{name}`.\n"
    )
    return function


random = _delegate("random")
random_sample = _delegate("random_sample")
uniform = _delegate("uniform")
normal = _delegate("normal")
standard_normal = _delegate("standard_normal")
exponential = _delegate("exponential")
standard_exponential = _delegate("standard_exponential")
integers = _delegate("integers")
randint = _delegate("randint")
seed = _delegate("seed")
