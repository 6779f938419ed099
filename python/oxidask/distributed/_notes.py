"""What clients leave with the scheduler: datasets, events, metadata, files, plugins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from oxidask._oxidask import Ask
from oxidask.distributed._async import awaited, sync_or_async
from oxidask.distributed._pickling import dumps, loads
from oxidask.distributed._shared import ask

__all__ = ["Datasets", "Notes"]

#: Topics that every client listens to: what tasks print and warn of.
_PRINT, _WARN = "print", "warn"


def _nothing(*_: Any) -> None:
    """Takes an answer that nobody waits for."""


class Notes:
    """The part of :class:`Client` that leaves things with the scheduler."""

    _handle: Any
    _shared: Any
    _asynchronous: bool
    _handlers: dict[str, Any]
    asynchronous: bool

    def _ask(self, question: Any, then: Callable[[Any], Any] | None = None, timeout: Any = None) -> Any:
        return ask(self, question, timeout, then)

    # -- datasets --------------------------------------------------------------

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
        return self._ask(Ask.delete("dataset", _text_of(name)), _nothing)

    @property
    def datasets(self) -> Datasets:
        """The published datasets as a mapping."""
        return Datasets(self)

    # -- events ----------------------------------------------------------------

    def log_event(self, topic: Any, msg: Any) -> Any:
        """Adds an event to the log of a topic, or of several, and tells subscribers.

        Parameters
        ----------
        topic : str or list of str
        msg : object

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.log_event("progress", {"step": 1})
        ...     [message for _, message in client.get_events("progress")]
        [{'step': 1}]
        """
        topics = [topic] if isinstance(topic, str) else [str(one) for one in topic]
        self._shared.ask_later(Ask.log(topics, dumps(msg)[0]), _nothing)
        return awaited(None) if self.asynchronous else None

    def get_events(self, topic: str | None = None) -> Any:
        """The newest events: of a topic a tuple of ``(time, message)``, otherwise such tuples by topic."""

        def unpack(events: Any) -> Any:
            by_topic: dict[str, list[Any]] = {}
            for name, moment, body in events:
                by_topic.setdefault(name, []).append((moment, loads(body, self)))
            if topic is not None:
                return tuple(by_topic.get(topic, ()))
            return {name: tuple(found) for name, found in by_topic.items()}

        return self._ask(Ask.events(topic), unpack)

    def subscribe_topic(self, topic: str, handler: Callable[[Any], Any]) -> Any:
        """Has ``handler((time, message))`` called with each new event of a topic."""
        self._handlers[topic] = handler
        return self._ask(Ask.subscribe(topic, True), _nothing)

    def unsubscribe_topic(self, topic: str) -> Any:
        """Ends a subscription.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self._handlers.pop(topic, None) is None:
            raise ValueError(f"No event handler known for topic {topic}")
        return self._ask(Ask.subscribe(topic, False), _nothing)

    def _listen(self) -> None:
        """Begins to listen to what tasks print and warn of."""
        import weakref

        reference = weakref.ref(self)

        def told(topic: str, moment: float, body: bytes) -> None:
            client = reference()
            handler = None if client is None else client._handlers.get(topic)
            if handler is not None:
                handler((moment, loads(body, client)))

        self._shared.on_event(told)
        self._handlers.update({_PRINT: _print_event, _WARN: _warn_event})
        for topic in (_PRINT, _WARN):
            self._shared.ask_later(Ask.subscribe(topic, True), _nothing)

    # -- metadata --------------------------------------------------------------

    def set_metadata(self, key: Any, value: Any) -> Any:
        """Leaves a note under a key, or under a path of keys.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.set_metadata(["run", "seed"], 7)
        ...     client.get_metadata(["run"]), client.get_metadata(["run", "stop"], None)
        ({'seed': 7}, None)
        """
        return sync_or_async(self._asynchronous, self._set_metadata, _path(key), value)

    def _set_metadata(self, path: tuple[Any, ...], value: Any) -> None:
        if isinstance(value, dict) and value:
            for name, inner in value.items():
                self._set_metadata((*path, name), inner)
            return
        body, futures = dumps((path, value))
        self._shared.ask(Ask.set("metadata", repr(path), body, futures, True))

    def get_metadata(self, keys: Any, default: Any = ...) -> Any:
        """A note; see :meth:`set_metadata`.

        Raises
        ------
        KeyError
            If there is none, and no default.
        """
        return sync_or_async(self._asynchronous, self._get_metadata, _path(keys), default)

    def _get_metadata(self, path: tuple[Any, ...], default: Any) -> Any:
        found: Any = ...
        for name in self._shared.ask(Ask.list("metadata"))[0]:
            answer = self._shared.ask(Ask.get("metadata", name, False))
            if answer is None or answer[0] is None:
                continue
            at, value = loads(answer[0], self)
            if at == path:
                found = value
            elif at[: len(path)] == path:
                inner = found = {} if not isinstance(found, dict) else found
                for step in at[len(path) : -1]:
                    inner = inner.setdefault(step, {})
                inner[at[-1]] = value
        if found is not ...:
            return found
        if default is ...:
            raise KeyError(f"there is no metadata for {list(path)}")
        return default

    # -- files and plugins -------------------------------------------------------

    def upload_file(self, filename: str, load: bool = True) -> Any:
        """Sends a file to all workers; Python modules among them can be imported there.

        Parameters
        ----------
        filename : str
            A ``.py``, ``.zip`` or ``.egg`` file, or any other.
        load : bool
            Whether to import, or import again, a module at once.

        Returns
        -------
        dict
            By the address of each worker ``{"status": "OK", "nbytes": …}``.
        """
        from oxidask.distributed._setups import Record
        from oxidask.distributed._upload import UploadFile

        upload = UploadFile(filename, load)
        return sync_or_async(self._asynchronous, self._register_plugin, Record(upload.name, upload))

    def register_plugin(self, plugin: Any, name: str | None = None, idempotent: bool | None = None) -> Any:
        """Sets a plugin up on every worker.

        Parameters
        ----------
        plugin : WorkerPlugin or NannyPlugin
        name : str, optional
            A plugin of the same name is taken down first.
        idempotent : bool, optional
            Whether a plugin of the same name that is there already stays.

        Returns
        -------
        dict
            By the address of each worker ``{"status": "OK"}``.

        Raises
        ------
        TypeError
            If it is no plugin.
        Exception
            Whatever its ``setup`` raises.
        """
        from oxidask.distributed._plugins import plugin_name
        from oxidask.distributed._setups import Record

        name = plugin_name(plugin, name)
        if idempotent is None:
            idempotent = bool(getattr(plugin, "idempotent", False))
        return sync_or_async(self._asynchronous, self._register_plugin, Record(name, plugin, idempotent))

    register_worker_plugin = register_plugin

    def _register_plugin(self, record: Any) -> dict[str, Any]:
        # First for the workers that come, then for those that are there: one that
        # comes in between has it either way.
        body, futures = dumps(record)
        self._shared.ask(Ask.set("plugin", record.name, body, futures, True))
        try:
            return self._run(record, (), {}, None, True, "raise")  # type: ignore[attr-defined]
        except BaseException:
            self._shared.ask(Ask.delete("plugin", record.name))
            raise

    def unregister_worker_plugin(self, name: str, nanny: bool | None = None) -> Any:
        """Takes a plugin down on every worker.

        Raises
        ------
        Exception
            Whatever its ``teardown`` raises.
        """
        from oxidask.distributed._setups import Record

        del nanny
        return sync_or_async(self._asynchronous, self._unregister_plugin, Record(name, None))

    unregister_nanny_plugin = unregister_worker_plugin

    def _unregister_plugin(self, record: Any) -> dict[str, Any]:
        self._shared.ask(Ask.delete("plugin", record.name))
        return self._run(record, (), {}, None, True, "raise")  # type: ignore[attr-defined]

    def unregister_scheduler_plugin(self, name: str) -> Any:
        """Not possible: the scheduler runs no Python, so it has no plugins.

        Raises
        ------
        ValueError
            Always: there is no such plugin.
        """
        raise ValueError(f"there is no scheduler plugin {name!r}: the scheduler runs no Python")

    def register_worker_callbacks(self, setup: Callable[..., Any]) -> Any:
        """Has a function called once in every process that runs tasks, those that come later among them.

        Parameters
        ----------
        setup : callable
            An argument named ``dask_worker`` gets the :class:`Worker`.

        Returns
        -------
        dict
            By the address of each worker ``{"status": "OK"}``.

        Examples
        --------
        >>> import os
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     answers = client.register_worker_callbacks(lambda: os.environ.setdefault("MARK", "here"))
        ...     client.submit(os.getenv, "MARK").result()
        'here'
        """
        from oxidask.distributed._plugins import Callback

        return self.register_plugin(Callback(setup))

    # -- logs ------------------------------------------------------------------

    def forward_logging(self, logger_name: str | None = None, level: int = 0) -> Any:
        """Has what a logger logs on workers logged here, too.

        Parameters
        ----------
        logger_name : str, optional
            The logger, and with it those below; the root by default.
        level : int
            The least level that is sent.

        Examples
        --------
        >>> from oxidask.distributed import Client
        >>> with Client(n_workers=1, processes=False) as client:
        ...     client.forward_logging("models")
        ...     client.unforward_logging("models")
        """
        from oxidask.distributed._logging import ForwardLogging, handle_record, topic_of
        from oxidask.distributed._setups import Record

        topic = topic_of(logger_name)
        self._handlers[topic] = handle_record

        def forward() -> None:
            self._shared.ask(Ask.subscribe(topic, True))
            self._register_plugin(Record(topic, ForwardLogging(logger_name, level)))

        return sync_or_async(self._asynchronous, forward)

    def unforward_logging(self, logger_name: str | None = None) -> Any:
        """Ends what :meth:`forward_logging` began.

        Raises
        ------
        ValueError
            If nothing of that logger is forwarded to this client.
        """
        from oxidask.distributed._logging import topic_of
        from oxidask.distributed._setups import Record

        topic = topic_of(logger_name)
        if self._handlers.pop(topic, None) is None:
            raise ValueError(f"nothing of the logger {logger_name!r} is forwarded")

        def unforward() -> None:
            self._unregister_plugin(Record(topic, None))
            self._shared.ask(Ask.subscribe(topic, False))

        return sync_or_async(self._asynchronous, unforward)


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


def _path(key: Any) -> tuple[Any, ...]:
    return tuple(key) if isinstance(key, (list, tuple)) else (key,)


def _print_event(event: Any) -> None:
    _, message = event
    if isinstance(message, dict):
        print(*message.get("args", ()), **{key: message[key] for key in ("sep", "end") if key in message})
    else:
        print(message)


def _warn_event(event: Any) -> None:
    import warnings

    _, message = event
    if isinstance(message, dict):
        warnings.warn(message["message"], message.get("category") or UserWarning, stacklevel=2)
    else:
        warnings.warn(str(message), stacklevel=2)
