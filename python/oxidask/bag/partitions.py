"""Partitions of bags: some of them, more or fewer of them, and their first elements."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

from oxidask import _oxidask
from oxidask.bag import _steps

__all__ = ["Partitions"]


class Partitions:
    """The methods of :class:`oxidask.bag.Bag` that look at partitions."""

    __slots__ = ()

    npartitions: int
    _pipe: Callable[..., Any]
    _over: Callable[..., Any]
    map_partitions: Callable[..., Any]

    def _partitions(self, numbers: list[int]) -> Any:
        if numbers == list(range(self.npartitions)):
            # Nothing is selected, so that what follows can join what is before.
            return self
        return self._over(_oxidask.bag_select(self, numbers))

    def take(self, k: int, npartitions: int = 1, compute: bool = True, warn: bool = True) -> Any:
        """The first ``k`` elements.

        Parameters
        ----------
        k : int
        npartitions : int
            How many partitions to look at, from the first; -1 means all.
        compute : bool
            Whether to answer a tuple now; else a bag is answered.
        warn : bool
            Whether to warn if there are fewer elements there.

        Raises
        ------
        ValueError
            If there are fewer than ``npartitions`` partitions.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(range(1_000)).take(3)
        (0, 1, 2)
        """
        if npartitions <= -1:
            npartitions = self.npartitions
        if npartitions > self.npartitions:
            raise ValueError(f"only {self.npartitions} partitions exist, {npartitions} were asked for")
        first = self._partitions(list(range(npartitions)))
        cut = first._pipe("take", _steps.take, k, first)
        taken = self._over(_oxidask.bag_pipe(cut, "take", _steps.take_of, (k, cut), groups=[(0, npartitions)]))
        if not compute:
            return taken
        elements = tuple(taken.compute())
        if warn and len(elements) < k:
            _steps.warn_few(k, len(elements))
        return elements

    def repartition(self, npartitions: int | None = None, partition_size: Any = None) -> Any:
        """The same elements in other partitions, in the same order.

        Parameters
        ----------
        npartitions : int, optional
            How many. Fewer join neighbours; more cut partitions into equal parts.
        partition_size : int or str, optional
            About how many bytes of memory a partition may take, as ``"100MiB"``.
            The bag is computed to know its size.

        Raises
        ------
        ValueError
            Unless exactly one is given.

        Examples
        --------
        >>> import oxidask.bag as db
        >>> db.from_sequence(range(4), npartitions=4).repartition(2).npartitions
        2
        """
        if (npartitions is None) == (partition_size is None):
            raise ValueError("repartition: exactly one of npartitions and partition_size must be given")
        if partition_size is not None:
            return self._of_size(partition_size)
        assert npartitions is not None
        n = self.npartitions
        if npartitions < 1:
            raise ValueError(f"npartitions must be at least 1, got {npartitions}")
        if npartitions > n:
            cuts = [(i + 1) * npartitions // n - i * npartitions // n for i in range(n)]
            return self._over(_oxidask.bag_split(self, cuts))
        bounds = [i * n // npartitions for i in range(npartitions + 1)]
        return self._joined(list(itertools.pairwise(bounds)))

    def _joined(self, groups: list[tuple[int, int]]) -> Any:
        if len(groups) == self.npartitions:
            return self
        return self._over(_oxidask.bag_pipe(self, "repartition", _steps.chain, (self,), groups=groups))

    def _of_size(self, partition_size: Any) -> Any:
        from oxidask.utils import parse_bytes

        limit = parse_bytes(partition_size) if isinstance(partition_size, str) else int(partition_size)
        if limit < 1:
            raise ValueError(f"partition_size must be at least 1 byte, got {partition_size}")
        sizes = self.map_partitions(_steps.size_of).compute()
        cuts = [max(1, -(-size // limit)) for size in sizes]
        bag = self if max(cuts) == 1 else self._over(_oxidask.bag_split(self, cuts))
        pieces = [size / cut for size, cut in zip(sizes, cuts, strict=True) for _ in range(cut)]
        groups, start, held = [], 0, 0.0
        for number, size in enumerate(pieces):
            if number > start and held + size > limit:
                groups.append((start, number))
                start, held = number, 0.0
            held += size
        return bag._joined([*groups, (start, len(pieces))])
