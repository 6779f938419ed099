"""What clients leave with the scheduler: events, metadata, files, plugins."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from oxidask._oxidask import Ask
from oxidask.distributed._async import awaited, sync_or_async
from oxidask.distributed._pickling import dumps, loads
from oxidask.distributed._shared import ask

__all__ = ["Notes"]

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
