"""Datasets that clients publish for each other."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oxidask._oxidask import Ask
from oxidask.distributed._async import sync_or_async
from oxidask.distributed._pickling import dumps, loads

__all__ = ["Datasets", "Publishing"]


class Publishing:
    """The part of :class:`Client` that publishes datasets."""

    _shared: Any
    _asynchronous: bool
    _ask: Callable[..., Any]

    def publish_dataset(self, *args: Any, name: Any = None, override: bool = False, **kwargs: Any) -> Any:
        """Leaves collections or other objects under a name, for all clients.

        What is persisted stays on the workers while the dataset is published,
        also when the client that published it goes.

        Parameters
        ----------
        *args : object
            One object, together with ``name``.
        name : str, optional
        override : bool
            Whether it may take the place of another.
        **kwargs
            Objects by name.

        Raises
        ------
        KeyError
            If the name is taken and ``override`` is not set.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.publish_dataset(numbers=client.scatter([1, 2]))
        ...     client.list_datasets(), client.gather(client.get_dataset("numbers"))
        (('numbers',), [1, 2])
        """
        if args and name is None:
            raise ValueError("a dataset needs a name\nhint: publish_dataset(data, name='numbers')")
        if name is not None:
            if len(args) != 1:
                raise ValueError(f"name={name!r} goes with one dataset, got {len(args)}")
            kwargs = {**kwargs, _text_of(name): args[0]}
        return sync_or_async(self._asynchronous, self._publish, kwargs, override)

    def _publish(self, datasets: dict[str, Any], override: bool) -> None:
        for name, data in datasets.items():
            with self.as_current():  # type: ignore[attr-defined]
                body, futures = dumps((name, data))
            (is_new, _) = self._shared.ask(Ask.set("dataset", name, body, futures, override))
            if not is_new:
                raise KeyError(f"a dataset {name!r} already exists")

    def get_dataset(self, name: Any, default: Any = ..., **kwargs: Any) -> Any:
        """A published dataset.

        Parameters
        ----------
        name : str
        default : object, optional
            Answered if there is none of that name.

        Raises
        ------
        KeyError
            If there is none, and no default.
        """
        del kwargs

        def unpack(body: Any) -> Any:
            if body is not None:
                return loads(body, self)[1]
            if default is ...:
                raise KeyError(f"the dataset {name!r} was not found")
            return default

        return self._ask(Ask.get("dataset", _text_of(name), False), unpack)

    def list_datasets(self, **kwargs: Any) -> Any:
        """The names of published datasets, sorted."""
        del kwargs
        return self._ask(Ask.list("dataset"), lambda names: tuple(_name_of_text(name) for name in names))

    def unpublish_dataset(self, name: Any, **kwargs: Any) -> Any:
        """Forgets a published dataset.

        A name that is not there is no mistake: a task that unpublishes may run
        twice.
        """
        del kwargs
        return self._ask(Ask.delete("dataset", _text_of(name)), lambda _: None)

    @property
    def datasets(self) -> Datasets:
        """The published datasets as a mapping."""
        return Datasets(self)


class Datasets:
    """The published datasets of a cluster as a mapping."""

    def __init__(self, client: Any) -> None:
        self._client = client

    def __getitem__(self, name: Any) -> Any:
        return self._client.get_dataset(name)

    def __setitem__(self, name: Any, data: Any) -> None:
        if self._client.asynchronous:
            raise TypeError(
                "an asynchronous client publishes nothing by assignment\nhint: await client.publish_dataset(name=value)"
            )
        self._client.publish_dataset(data, name=name, override=True)

    def __delitem__(self, name: Any) -> None:
        if self._client.asynchronous:
            raise TypeError(
                "an asynchronous client removes no dataset by 'del'\nhint: await client.unpublish_dataset(name)"
            )
        self._client.unpublish_dataset(name)

    def __contains__(self, name: Any) -> bool:
        if self._client.asynchronous:
            raise TypeError(
                "an asynchronous client cannot look up a name with 'in'\nhint: name in await client.list_datasets()"
            )
        return name in self._client.list_datasets()

    def __iter__(self) -> Iterator[Any]:
        if self._client.asynchronous:
            raise TypeError("the datasets of an asynchronous client are no plain iterable\nhint: use 'async for'")
        return iter(self._client.list_datasets())

    async def _names(self) -> Any:
        return await self._client.list_datasets()

    def __aiter__(self) -> Any:
        if not self._client.asynchronous:
            raise TypeError("the datasets of a client that waits are a plain iterable\nhint: use 'for'")
        return self._each()

    async def _each(self) -> Any:
        for name in await self._names():
            yield name

    def __len__(self) -> int:
        if self._client.asynchronous:
            raise TypeError(
                "an asynchronous client cannot count datasets with 'len'\nhint: len(await client.list_datasets())"
            )
        return len(self._client.list_datasets())

    def keys(self) -> list[Any]:
        """The names."""
        return list(self)

    def get(self, name: Any, default: Any = None) -> Any:
        """A dataset, or the default."""
        return self._client.get_dataset(name, default)


def _text_of(name: Any) -> str:
    """A dataset's name as the scheduler knows it; tuples are names, too."""
    return name if isinstance(name, str) else f"\0{name!r}"


def _name_of_text(text: str) -> Any:
    import ast

    return ast.literal_eval(text[1:]) if text.startswith("\0") else text
